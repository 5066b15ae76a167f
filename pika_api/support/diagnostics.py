"""One plain text for the user and for bug reports: problems, versions, settings, journal.

It contains no key, prompt, user name or password.
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
from ..gateway import HealthCheck, Verdict, odd_no_proxy_entries, route_problem
from ..journal import SCHEMA_VERSION, Journal, is_journal, misread_paths
from ..settings import RawSetting, load_settings, read_settings_file, resolve_settings
from ..text import format_size
from .homes import HomeChoice
from .redaction import Redactor, redact_user_text

#: Packages that pika_api needs. Only the nodes need torch.
_REQUIRED: Final = ("requests", "urllib3", "SQLAlchemy", "av", "Pillow", "numpy")
_OPTIONAL: Final = ("torch",)
#: Free space below which the next videos may not fit, in bytes.
_MIN_FREE: Final = 1_000_000_000
_RECENT_ERRORS: Final = 5
_PROXIES: Final = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE",
                   "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"}  # fmt: skip
#: The library requests does not read these.
_IGNORED: Final = {"SSL_CERT_FILE", "SSL_CERT_DIR"}


@dataclass(frozen=True)
class Diagnostics:
    """The result of all checks.

    Attributes:
        problems: One line per problem.
        text: The whole report, problems first. Safe to publish.
    """

    problems: Sequence[str]
    text: str


@dataclass(frozen=True)
class _Check:
    """One line of the report, and the problem that it shows, if any."""

    line: str
    problem: str = ""


def run_diagnostics(
    home: Path,
    output: Path,
    *,
    connect: bool,
    host_versions: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
    choice: HomeChoice | None = None,
) -> Diagnostics:
    """Run all checks. A problem becomes a line of the report, never an exception.

    Args:
        home: The pack's private folder.
        output: The folder for finished files.
        connect: Whether to ask the gateway if it accepts the key; costs nothing.
        host_versions: Versions of the host application, by name.
        choice: How the command line has chosen the private folder.
    """
    sections: Mapping[str, Sequence[_Check]] = {
        "Versions": [*_versions(host_versions or {})],
        "Settings": [*_settings(home, environ)],
        "Environment": [*_environment(home, environ)],
        "Journal": [*_journal(home, output, environ), *_folders(choice)],
        "Output folder": [*_output(output)],
        **({"Connection": [*_connection(home, environ)]} if connect else {}),
    }
    redact = Redactor(_key(home, environ))
    checks = [check for section in sections.values() for check in section]
    problems = [redact(check.problem) for check in checks if check.problem]
    lines = [
        f"ComfyUI-Pika {version()}: " + ("problems found" if problems else "no problems found")
    ]
    lines += [f"! {problem}" for problem in problems]
    for title, section in sections.items():
        lines += ["", title, *(f"  {redact(check.line)}" for check in section)]
    return Diagnostics(problems, "\n".join(lines))


def version() -> str:
    """The pack's own version."""
    project = Path(__file__).parents[2] / "pyproject.toml"
    try:
        match = re.search(r'^version = "([^"]+)"', project.read_text("utf-8"), re.MULTILINE)
    except OSError:
        match = None
    return match[1] if match else "(unknown version)"


def _versions(host_versions: Mapping[str, str]) -> Iterator[_Check]:
    yield _Check(f"Python {platform.python_version()} ({platform.machine()})")
    yield _Check(platform.platform())
    for name, number in host_versions.items():
        yield _Check(f"{name} {number}")
    for name in (*_REQUIRED, *_OPTIONAL):
        try:
            yield _Check(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing = f"{name} is not installed in this Python."
            yield _Check(f"{name} -", missing if name in _REQUIRED else "")


def _settings(home: Path, environ: Mapping[str, str]) -> Iterator[_Check]:
    problem = ""
    try:
        problem = load_settings(home, environ).missing_key
    except SettingsError as error:
        problem = str(error)
    settings = _raw_settings(home, environ)
    key = settings.pop("api_key")
    state = f"set ({key.source.value})" if key.value else "not set"
    yield _Check(f"api_key: {state}", problem)
    for name, setting in settings.items():
        value = _host(setting.value) if name == "base_url" else setting.value
        yield _Check(f"{name}: {value} ({setting.source.value})")


def _raw_settings(home: Path, environ: Mapping[str, str]) -> dict[str, RawSetting]:
    try:
        return dict(resolve_settings(read_settings_file(home), environ))
    except SettingsError:
        return dict(resolve_settings({}, environ))


def _key(home: Path, environ: Mapping[str, str]) -> str:
    return str(_raw_settings(home, environ)["api_key"].value)


def _host(url: object) -> str:
    try:
        return urlsplit(str(url)).hostname or "not a valid URL"
    except ValueError:
        return "not a valid URL"


def _environment(home: Path, environ: Mapping[str, str]) -> Iterator[_Check]:
    """Names of variables; the value only of one that cannot work."""
    ours = sorted(name for name in environ if name.upper().startswith("PIKA_"))
    others = sorted(name for name in environ if name.upper() in _PROXIES)
    yield _Check(f"set: {', '.join([*ours, *others]) or 'no PIKA_ variable, no proxy'}")
    # On Windows and macOS this includes the proxies of the system settings.
    proxies = ", ".join(sorted(urllib.request.getproxies())) or "none"
    yield _Check(f"proxies for: {proxies}", _route_problem(home, environ))
    if odd := odd_no_proxy_entries(environ):
        yield _Check(
            f"NO_PROXY: {len(odd)} entries match no host",
            f"In NO_PROXY, this matches no host: {', '.join(odd)}. Write host names, separated by "
            "commas, without https:// and without *.",
        )
    if ignored := sorted(name for name in environ if name.upper() in _IGNORED):
        yield _Check(f"{', '.join(ignored)}: no effect here; REQUESTS_CA_BUNDLE has one")


def _route_problem(home: Path, environ: Mapping[str, str]) -> str:
    """Why no request can leave for the gateway; empty if it can, or if the settings are invalid."""
    try:
        return route_problem(load_settings(home, environ).base_url)
    except SettingsError:
        return ""


def _journal(home: Path, output: Path, environ: Mapping[str, str]) -> Iterator[_Check]:
    try:
        with closing(Journal.at(home, environ)) as journal:
            loss = journal.loss(output)  # first: reading creates a missing file
            backend, file = journal.location
            counts = journal.count_by_state()
            failed_entries = journal.recent_errors(limit=_RECENT_ERRORS)
    except PikaError as error:
        yield _Check("not working", str(error))
        return
    is_file = file is not None and file.is_file()
    where = f"{file}, {format_size(file.stat().st_size)}" if file and is_file else "not a file"
    yield _Check(f"{backend} ({where}), schema {SCHEMA_VERSION}")
    states = [f"{count} {state.value}" for state, count in counts.items()]
    yield _Check(f"tasks: {', '.join(states) or 'none'}", loss)
    yield from _other_journals(file)
    for entry in failed_entries:
        name = f"{entry.task_id[:8]}…" if entry.task_id else f"#{entry.id}"
        yield _Check(f"{entry.state.value} {name}: {redact_user_text(entry.last_error, entry)}")


def _folders(choice: HomeChoice | None) -> Iterator[_Check]:
    """The private folders that are known."""
    if choice is None:
        return
    for folder in choice.folders:
        yield _Check(f"known folder: {folder}")
    if choice.conflict:
        yield _Check(
            f"used: {choice.home}",
            f"It is not clear which folder is meant: {choice.conflict}. Name it, with --home or "
            "PIKA_HOME.",
        )


def _other_journals(file: Path | None) -> Iterator[_Check]:
    """Journals that earlier versions of the pack have put elsewhere, because of the path."""
    for other in misread_paths(file) if file else ():
        if is_journal(other):
            yield _Check(
                f"another journal: {other}",
                f"There is another journal at {other}, which an earlier version has used. Its "
                "tasks are not in the list. To list them, set PIKA_JOURNAL_URL to that file.",
            )


def _output(output: Path) -> Iterator[_Check]:
    folder = output.absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        yield _Check(str(output), f"Nothing can be written to {output}: {error}.")
        return
    space = f"{format_size(free)} free"
    problem = f"Only {space} for videos." if free < _MIN_FREE else ""
    yield _Check(f"{output}, {space}", problem)


def _connection(home: Path, environ: Mapping[str, str]) -> Iterator[_Check]:
    if _route_problem(home, environ):
        yield _Check("not tested")  # the section on the environment says why
        return
    try:
        check = HealthCheck(load_settings(home, environ))
        result = check.run()
    except SettingsError:
        yield _Check("not tested")  # the section on settings says why
        return
    # A missing key is a problem of the section on settings already.
    problem = "" if result.verdict in (Verdict.GOOD, Verdict.NO_KEY) else result.message
    yield _Check(f"{result.verdict.value}: {result.message}", problem)
    if result.verdict is Verdict.GOOD:
        yield _Check(check.balance())
