"""What is wrong, and what a bug report needs: one plain text without key, prompts, user names
and passwords.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ..errors import PikaError, SettingsError
from ..gateway import health
from ..journal import SCHEMA_VERSION, Journal
from ..settings import RawSetting, journal_url, load_settings, read_settings_file, resolve_settings
from ..text import format_size
from .redaction import Redactor, redact_user_text

#: What the pack needs; torch is the nodes' alone.
_NEEDED: Final = ("requests", "urllib3", "SQLAlchemy", "av", "Pillow", "numpy")
_ALSO: Final = ("torch",)
#: Bytes below which the next videos may not fit.
_ROOM: Final = 1_000_000_000
_TROUBLES: Final = 5
_PROXIES: Final = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE",
                   "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"}  # fmt: skip


@dataclass(frozen=True)
class Diagnostics:
    """How things stand.

    Attributes:
        problems: What is wrong; empty where all is well.
        text: All of it, the problems first, fit to be published.
    """

    problems: Sequence[str]
    text: str


@dataclass(frozen=True)
class _Finding:
    """One line, and what is wrong with what it tells."""

    line: str
    problem: str = ""


def run_diagnostics(
    home: Path,
    output: Path,
    *,
    connect: bool,
    around: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Diagnostics:
    """Look at everything; raises nothing, whatever is broken.

    Args:
        home: The pack's private folder.
        output: The folder of finished files.
        connect: Whether to ask the gateway if it takes the key; costs nothing.
        around: Versions of what the pack runs in, by name.
    """
    parts: Mapping[str, Sequence[_Finding]] = {
        "Versions": [*_versions(around or {})],
        "Settings": [*_settings(home, environ)],
        "Environment": [*_environment(environ)],
        "Journal": [*_journal(home, environ)],
        "Output folder": [*_output(output)],
        **({"Connection": [*_connection(home, environ)]} if connect else {}),
    }
    clean = Redactor(_key(home, environ))
    problems = [clean(each.problem) for part in parts.values() for each in part if each.problem]
    lines = [f"ComfyUI-Pika {version()}: " + ("something is wrong" if problems else "all is well")]
    lines += [f"! {problem}" for problem in problems]
    for title, part in parts.items():
        lines += ["", title, *(f"  {clean(each.line)}" for each in part)]
    return Diagnostics(problems, "\n".join(lines))


def version() -> str:
    """The pack's own version."""
    project = Path(__file__).parents[2] / "pyproject.toml"
    try:
        found = re.search(r'^version = "([^"]+)"', project.read_text("utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else "of unknown version"


def _versions(around: Mapping[str, str]) -> Iterator[_Finding]:
    yield _Finding(f"Python {platform.python_version()} ({platform.machine()})")
    yield _Finding(platform.platform())
    for name, number in around.items():
        yield _Finding(f"{name} {number}")
    for name in (*_NEEDED, *_ALSO):
        try:
            yield _Finding(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing = f"{name} is not installed in this Python."
            yield _Finding(f"{name} -", missing if name in _NEEDED else "")


def _settings(home: Path, environ: Mapping[str, str]) -> Iterator[_Finding]:
    problem = ""
    try:
        problem = load_settings(home, environ).missing_key
    except SettingsError as error:
        problem = str(error)
    found = _found(home, environ)
    key = found.pop("api_key")
    yield _Finding(f"api_key: {f'set ({key.source})' if key.value else 'not set'}", problem)
    for name, each in found.items():
        shown = _host(each.value) if name == "base_url" else each.value
        yield _Finding(f"{name}: {shown} ({each.source})")


def _found(home: Path, environ: Mapping[str, str]) -> dict[str, RawSetting]:
    try:
        return dict(resolve_settings(read_settings_file(home), environ))
    except SettingsError:
        return dict(resolve_settings({}, environ))


def _key(home: Path, environ: Mapping[str, str]) -> str:
    return str(_found(home, environ)["api_key"].value)


def _host(url: object) -> str:
    try:
        return urlsplit(str(url)).hostname or "not an address"
    except ValueError:
        return "not an address"


def _environment(environ: Mapping[str, str]) -> Iterator[_Finding]:
    """Names only."""
    ours = sorted(name for name in environ if name.upper().startswith("PIKA_"))
    others = sorted(name for name in environ if name.upper() in _PROXIES)
    yield _Finding(f"set: {', '.join([*ours, *others]) or 'nothing of ours, no proxy'}")
    # Windows and macOS have proxies in their settings too.
    yield _Finding(f"proxies for: {', '.join(sorted(urllib.request.getproxies())) or 'nothing'}")


def _journal(home: Path, environ: Mapping[str, str]) -> Iterator[_Finding]:
    try:
        with closing(Journal(journal_url(home, environ))) as journal:
            kind, file = journal.location
            counts, troubles = journal.count_by_state(), journal.recent_errors(limit=_TROUBLES)
    except PikaError as error:
        yield _Finding("does not work", str(error))
        return
    is_file = file is not None and file.is_file()
    where = f"{file}, {format_size(file.stat().st_size)}" if file and is_file else "not a file"
    yield _Finding(f"{kind} ({where}), schema {SCHEMA_VERSION}")
    states = [f"{count} {state.value}" for state, count in counts.items()]
    yield _Finding(f"tasks: {', '.join(states) or 'none'}")
    for entry in troubles:
        name = f"{entry.task_id[:8]}…" if entry.task_id else f"#{entry.id}"
        yield _Finding(f"{entry.state.value} {name}: {redact_user_text(entry.last_error, entry)}")


def _output(output: Path) -> Iterator[_Finding]:
    place = output.absolute()
    while not place.is_dir() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            free = shutil.disk_usage(place).free
    except OSError as error:
        yield _Finding(str(output), f"Nothing can be written to {output}: {error}.")
        return
    room = f"{format_size(free)} free"
    yield _Finding(f"{output}, {room}", f"{room} for videos." if free < _ROOM else "")


def _connection(home: Path, environ: Mapping[str, str]) -> Iterator[_Finding]:
    try:
        found = health.check(load_settings(home, environ))
    except SettingsError:
        yield _Finding("not tested")  # the settings' own line says why
        return
    told = found.verdict in (health.GOOD, health.NO_KEY)
    yield _Finding(f"{found.verdict}: {found.message}", "" if told else found.message)
