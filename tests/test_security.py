"""What SECURITY.md states about the whole code, and that each row of it names a test."""

from __future__ import annotations

import ast
import functools
import itertools
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from test_layout import INSIDES, ROOT, imports, sources, top

SECURITY = ROOT / "SECURITY.md"
SOURCES = [ROOT / "__init__.py", *sources("pika_api"), *sources("nodes")]
ROUTES = ROOT / "nodes" / "routes" / "__init__.py"
SCRIPTS = [path for path in sorted((ROOT / "web").rglob("*.*js")) if path.is_file()]

#: Modules that run other code or programs, or read data that can contain code.
MODULES = {
    "code", "ctypes", "dill", "ensurepip", "joblib", "marshal", "multiprocessing",
    "pickle", "pip", "pty", "runpy", "shelve", "simulator", "subprocess", "telnetlib", "yaml",
}  # fmt: skip
BUILTINS = {"eval", "exec", "compile", "__import__", "breakpoint"}
OF_OS = {"system", "popen", "startfile", "fork", "forkpty"}

#: The environment variables of the pack. None of them weakens a check.
VARIABLES = {
    "PIKA_ALLOWED_HOSTS", "PIKA_API_KEY", "PIKA_BASE64_STYLE", "PIKA_BASE_URL", "PIKA_HOME",
    "PIKA_CURRENCY", "PIKA_DAILY_COST_LIMIT", "PIKA_DAILY_LIMIT", "PIKA_JOURNAL_URL",
    "PIKA_MAX_BODY_MB", "PIKA_MAX_REQUESTS", "PIKA_MIN_BALANCE", "PIKA_PRICE", "PIKA_RUN_LIMIT",
}  # fmt: skip
#: Types of sockets, whose names look like variables.
SOCKETS = {"PIKA_CAMERA", "PIKA_OPTIONS", "PIKA_PARAMETERS"}

each_source = pytest.mark.parametrize(
    "path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix()
)


def calls(path: Path) -> Iterator[str]:
    """The names that a file calls, such as ``compile`` or ``os.system``."""
    for item in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(item, ast.Call):
            yield ast.unparse(item.func)


@each_source
def test_no_foreign_code_is_run(path: Path) -> None:
    """No eval, no pickle, no other program, no installation, and no simulator."""
    assert not {top(name) for name in imports(path)} & MODULES
    called = set(calls(path))
    assert not called & BUILTINS
    assert not called & {"torch.load", "np.load", "numpy.load"}
    assert not {name for name in called if re.search("import_module|spec_from|find_spec", name)}
    assert not {name for name in called if name.startswith(("os.exec", "os.spawn", "os.posix"))}
    assert not called & {f"os.{name}" for name in OF_OS}


@each_source
def test_certificates_are_always_verified(path: Path) -> None:
    """No argument, setting or environment variable disables the verification."""
    text = path.read_text("utf-8")
    matches = re.findall(
        r"\bverify\b|cert_reqs|CERT_NONE|CERT_OPTIONAL|check_hostname|assert_hostname|"
        r"assert_fingerprint|disable_warnings|_create_unverified|set_ciphers|ssl_version",
        text,
    )
    assert matches == []
    assert set(re.findall(r"\bPIKA_[A-Z0-9_]+\b", text)) <= VARIABLES | SOCKETS


@pytest.mark.parametrize("name", ["configuration.md", "configuration.zh.md"])
def test_every_variable_is_documented(name: str) -> None:
    """The table of environment variables has every variable of the pack, and no other."""
    text = (ROOT / "docs" / name).read_text("utf-8")
    assert set(re.findall(r"^\| `(PIKA_[A-Z0-9_]+)` \|", text, re.MULTILINE)) == VARIABLES
    assert set(re.findall(r"\bPIKA_[A-Z0-9_]+\b", text)) == VARIABLES


def test_ruffs_security_rules_are_enabled() -> None:
    """They hold for all code that users run, without a general exception."""
    tomllib = pytest.importorskip("tomllib")  # from Python 3.11
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    disabled = {rule for rule in lint["ignore"] if re.fullmatch(r"S\d*", rule)}
    # assert, random numbers that are no secrets, and two rules that the tests above replace
    assert disabled <= {"S101", "S311", "S404", "S603"}
    for pattern, rules in lint["per-file-ignores"].items():
        if any(path.relative_to(ROOT).match(pattern) for path in SOURCES):
            assert not [rule for rule in rules if re.fullmatch(r"S\d*|ALL", rule)], pattern
    for path in SOURCES:
        exceptions = re.findall(r"# noqa\b(.*)", path.read_text("utf-8"))
        assert not [each for each in exceptions if not re.match(r": (?!S\d)[A-Z]+\d+", each)], path


#: A script that imports all modules, and fails at the first side effect.
_IMPORT_ALL = """
import importlib, pkgutil, sys
sys.dont_write_bytecode = True
import pika_api
walk = pkgutil.walk_packages(pika_api.__path__, "pika_api.")
names = [each.name for each in walk if not each.name.endswith("__main__")]
def audit(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if writes or event.startswith(("subprocess.", "os.system", "os.mkdir", "urllib.")):
        raise SystemExit(f"{event}: {arguments}")
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"):
        raise SystemExit(f"{event}: {arguments}")
import requests, sqlalchemy  # with side effects of their own
sys.addaudithook(audit)
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def test_import_has_no_side_effects() -> None:
    """No connection, no name lookup, no program, no file: when ComfyUI starts, nothing is sent."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(sources("pika_api")) - 2  # __init__ and __main__


def test_only_requests_is_installed() -> None:
    """SQLAlchemy, Pillow and PyAV come with ComfyUI. Nothing is downloaded later."""
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["requests"]
    assert 'dependencies = ["requests"]' in (ROOT / "pyproject.toml").read_text("utf-8")
    known = {*sys.stdlib_module_names, "requests", "urllib3", "sqlalchemy", "PIL", "av", "numpy"}
    known |= {"pika_api"}  # imported by name if it is run by its path
    known |= INSIDES | {"comfy_api", "comfyui_version", "torch", "aiohttp"}  # ComfyUI's
    known |= {"pyarrow", "ray", "fsspec"}  # for batches, if the user has installed them
    for path in SOURCES:
        absolute = {top(name) for name in imports(path) if not name.startswith(".")}
        assert absolute <= known, path


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_never_turn_data_into_markup_or_code(path: Path) -> None:
    """Texts are set as texts, and nothing is loaded from other hosts."""
    # The types in JSDoc comments are imported with import().
    comments = re.compile(r"/\*.*?\*/|^\s*//[^\n]*", re.DOTALL | re.MULTILINE)
    text = comments.sub("", path.read_text("utf-8"))
    matches = re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|"
        r"DOMParser|srcdoc|\beval\(|new Function|\bimport\(|javascript:|"
        r"set(?:Timeout|Interval)\(\s*['\"`]",
        text,
    )
    assert matches == []
    assert re.findall(r"(?:from|import)\s+['\"](?!\.{1,2}/)", text) == []
    assert re.findall(r"['\"`]https?://", text) == []
    # One choice that belongs to the browser, and nothing else, is stored there.
    allowed = r'localStorage\.(?:[gs]et|remove)Item\(CHOICE(?:, "on")?\)'
    text = re.sub(allowed, "", text) if path.name == "browser_notifications.mjs" else text
    assert not re.search(r"(?:local|session)Storage|document\.cookie|indexedDB", text)


#: What may stand in one file only, since it holds a protection for all others.
ONE_PLACE = {
    # Every node text is made harmless there, in a message and in an output.
    "nodes/progress.py": r"\bsend_progress_text\(|\"text\": \[",
    # Every request has limits of time and size there.
    "pika_api/gateway/sessions.py": (
        r"\brequests\.(?:get|post|put|patch|delete|head|options|request|Session)\("
        r"|\bsession\.(?:get|post|put|patch|delete|head|options|request|send)\("
        r"|\burlopen\b|\bClientSession\b|\bcreate_connection\b|\bHTTPS?Connection\("
    ),
}


@pytest.mark.parametrize("name", list(ONE_PLACE))
def test_protected_calls_are_in_one_place(name: str) -> None:
    """A new call elsewhere would go round the protection."""
    places = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if re.search(ONE_PLACE[name], path.read_text("utf-8"))
    ]
    assert places == [name]


def test_no_transport_error_is_chained() -> None:
    """Its text quotes signed links, and ComfyUI logs the chain of a node's error. Only where the
    errors of urllib3 become those of requests, which never leave the gateway package."""
    transport = re.compile("TRANSPORT_ERRORS|RequestException|TransportError|HTTPException")
    checked = 0
    for path in sources("pika_api"):
        if path.name == "sessions.py":
            continue
        for handler in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(handler, ast.ExceptHandler) or handler.type is None:
                continue
            if not transport.search(ast.unparse(handler.type)):
                continue
            for item in ast.walk(handler):
                if isinstance(item, ast.Raise) and item.exc is not None:
                    checked += 1
                    assert isinstance(item.cause, ast.Constant), (path, item.lineno)
    assert checked >= 5


def test_every_route_is_guarded() -> None:
    """One file registers all handlers, each of them behind the guard."""
    registering = re.compile(r"\broutes\.(get|post|put|delete|patch|view|static)\b|add_routes?\b")
    for path in SOURCES:
        if path != ROUTES:
            assert not registering.search(path.read_text("utf-8")), path
    tree = ast.parse(ROUTES.read_text("utf-8"))
    registered = [
        item
        for item in ast.walk(tree)
        if isinstance(item, ast.Call)
        and isinstance(item.func, ast.Call)
        and ast.unparse(item.func.func).startswith("server.routes.")
    ]
    assert len(registered) >= 3
    for item in registered:
        assert ast.unparse(item.args[0]).startswith("guarded(")
    assert len(registering.findall(ast.unparse(tree))) == len(registered)


def _first_settings(home: Path) -> None:
    from pika_api.settings import save_settings

    save_settings(home, {"max_requests": 3}, {})


def _first_journal(home: Path) -> None:
    from pika_api.journal import Journal
    from pika_api.settings import sqlite_url

    with closing(Journal(sqlite_url(home))) as journal:
        journal.adopt("t", "https://api.gpt.ge", "k")


def _first_thumbnail(home: Path) -> None:
    import io

    from PIL import Image

    from pika_api.gateway import Client
    from pika_api.settings import Settings
    from pika_api.tasks.thumbnails import Thumbnails

    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    with closing(Client(Settings())) as client:
        Thumbnails(home / "posters", client, "https://api.gpt.ge").store("t", data.getvalue())


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_other_users_cannot_read_the_private_folder(
    tmp_path: Path, order: tuple[int, ...], existing: bool, umask: int
) -> None:
    """Whichever part of the pack creates it, with any umask, and if it was open before."""
    home = tmp_path / "user" / "__pika"
    if existing:
        home.mkdir(mode=0o755, parents=True)
        home.chmod(0o755)
    previous = os.umask(umask)
    try:
        for number in order:
            (_first_settings, _first_journal, _first_thumbnail)[number](home)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "posters").stat().st_mode) == 0o700
    for path in home.iterdir():
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


# SECURITY.md itself.


def tables(text: str) -> list[list[str]]:
    """The cells of each row of its tables, without the heads."""
    rows, last = [], ""
    for line in text.splitlines():
        if line.startswith("|") and last.startswith("|") and not re.match(r"\|[\s:|-]+\|$", line):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        last = line
    return rows


@functools.cache
def functions(path: Path) -> set[str]:
    """The names of a file's functions; empty if the file does not exist."""
    if not path.is_file():
        return set()
    body = ast.parse(path.read_text("utf-8")).body
    return {item.name for item in body if isinstance(item, ast.FunctionDef)}


ROWS = tables(SECURITY.read_text("utf-8"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_every_row_names_existing_tests(row: list[str]) -> None:
    """The last cell of a row names its tests, and they exist."""
    assert len(row) == 3
    tests = re.findall(r"`(tests/[\w/]+\.py::\w+)`", row[-1])
    assert tests, f"«{row[0]}» names no test"
    pairs = (test.split("::") for test in tests)
    assert [name for file, name in pairs if name not in functions(ROOT / file)] == []


def test_security_md_has_its_rows() -> None:
    """Without rows the test above would pass."""
    assert len(ROWS) > 40


def test_limits_are_those_of_the_code() -> None:
    """SECURITY.md has the current value of each limit."""
    from pika_api import text as text_module
    from pika_api.gateway import SizeLimits, Timeouts
    from pika_api.gateway.feed import MAX_LINK
    from pika_api.media import DecodeLimits
    from pika_api.media.packets import AV1_FRAMES

    time, size, decode = Timeouts(), SizeLimits(), DecodeLimits()
    media = decode.structure
    text = SECURITY.read_text("utf-8")
    for figure in (
        f"{size.response // 2**20} MiB",
        f"{time.response:g} s",
        f"{time.connect:g} s",
        f"{time.read:g} s",
        f"{time.submit:g} s",
        f"{time.upload:g} s",
        f"{time.head:g} s",
        f"{size.file // 2**30} GiB",
        f"{size.rate_window // 2**10} KiB in {time.rate_window:g} s",
        f"{time.download / 3600:g} h",
        f"{decode.pixels // 10**6} million pixels",
        f"{decode.seconds:g} s",
        f"Opening a clip | {decode.open_seconds:g} s",
        f"{media.samples // 10**6} million; {media.sample_bytes // 2**20} MiB; {media.tracks}",
        f"{media.boxes}; {media.depth} levels",
        f"{media.table_bytes // 2**20} MiB; {media.header_bytes // 2**20} MiB",
        f"{media.fragments // 10**6} million; {media.references}; {media.chapters} each",
        f"{media.picture_bytes // 2**20} MiB; {media.picture_metadata // 2**20} MiB; ",
        f"MiB; {media.picture_chunks}; {media.scans} |",
        f"more than {AV1_FRAMES} frames",
        f"{text_module.MAX_MESSAGE} characters",
        f"{MAX_LINK} characters",
        f"{text_module.MAX_TASK_ID} characters",
    ):
        assert figure in text, figure
