"""Differences of Windows: open files, names, paths, consoles, Notepad."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

import pytest
import sqlalchemy as sa

from devtools import ROOT
from pika_api import files
from pika_api.errors import DownloadFailed, JournalError
from pika_api.journal import Journal
from pika_api.media import probe_file
from pika_api.settings import load_settings, save_settings, sqlite_url
from pika_api.settings.store import FILE_NAME
from pika_api.tasks.collect import file_stem
from simulator import Simulator
from support.api import KEY, ServiceHarness, run

GATEWAY = "https://gateway.example"
FOLDERS = ("pika_api", "nodes", "simulator")
#: Modules and names of Python that only exist on POSIX systems.
POSIX_MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"}
POSIX_NAMES = {
    "SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "add_signal_handler", "chown", "fork",
    "getegid", "geteuid", "getgid", "getpgid", "getuid", "killpg", "mkfifo", "setsid", "sync",
    "uname",
}  # fmt: skip
RESERVED = ("CON", "PRN", "AUX", "NUL", "COM1", "LPT9", "CONIN$", "con.mp4")
CHINESE = "«雨» · 夜 — 🌧"


# Files.


def deny_replace(
    monkeypatch: pytest.MonkeyPatch, name: Callable[[Path], bool], times: int = 10_000
) -> list[Path]:
    """Make `Path.replace` fail for such a target so many times, as Windows does while a program has
    the file open. Returns the attempts.
    """
    attempts: list[Path] = []
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if name(Path(target)) and len(attempts) < times:
            attempts.append(Path(target))
            raise PermissionError(13, "Access is denied", str(self), 5, str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    return attempts


def test_file_opened_by_a_virus_scanner_is_saved(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program opens the new file for a moment: it is moved later, and not downloaded again."""
    task_id = harness.submit()
    attempts = deny_replace(monkeypatch, lambda path: path.suffix == ".mp4", times=3)
    assert probe_file(run(harness.service.collect(task_id)).path, decode=True).kind == "video"
    assert len(attempts) == 3
    assert len([seen for seen in harness.gateway.log if seen.path.endswith(".mp4")]) == 1


def test_file_open_in_a_player_is_reported(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged file is downloaded again while a player has it open: the error says what to close.
    After that, the file is saved.
    """
    task_id = harness.submit()
    path = run(harness.service.collect(task_id)).path
    path.write_bytes(path.read_bytes()[:2000])
    with monkeypatch.context() as patch:
        deny_replace(patch, lambda target: target == path)
        with pytest.raises(
            DownloadFailed, match=f"Close the program that has {path.name} open"
        ) as caught:
            run(harness.service.collect(task_id))
    for words in (task_id, "Access is denied", "paid for and kept"):
        assert words in str(caught.value)
    assert probe_file(run(harness.service.collect(task_id)).path, decode=True).kind == "video"
    assert harness.posts == 1


def test_settings_file_that_is_being_read_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another ComfyUI reads the file."""
    save_settings(tmp_path, {"max_requests": 2}, {})
    attempts = deny_replace(monkeypatch, lambda path: path.name == FILE_NAME, times=2)
    save_settings(tmp_path, {"max_requests": 3}, {})
    assert len(attempts) == 2
    assert load_settings(tmp_path, {}).max_requests == 3
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_path_that_is_too_long_is_explained() -> None:
    """Windows only says “No such file or directory”."""
    place = Path("C:/ComfyUI", "x" * 240, "pika_1.mp4.part")
    error = FileNotFoundError(2, "No such file or directory")
    hint = files.write_hint(error, place, windows=True)
    assert f"{len(str(place))} characters" in hint
    assert "shorter path" in hint
    for short in (place.name, "C:/ComfyUI/output/pika/pika_1.mp4"):
        assert "characters" not in files.write_hint(error, Path(short), windows=True)
    assert "characters" not in files.write_hint(error, place, windows=False)


def test_settings_file_from_notepad_is_read(tmp_path: Path) -> None:
    """It begins with a byte order mark and has CRLF line ends."""
    text = f'{{\r\n"api_key": "{KEY}"\r\n}}\r\n'
    (tmp_path / FILE_NAME).write_bytes(text.encode("utf-8-sig"))
    assert load_settings(tmp_path, {}).api_key == KEY


# Names and paths.


@pytest.mark.parametrize(
    "task_id", [*RESERVED, "aux.", "x ", "x.", "a:b", 'a<b>|"?*', "a/b", "a\\b", "C:x", "\x01"]
)
def test_file_name_of_a_task_is_valid_on_windows(task_id: str) -> None:
    """Not a device name, no forbidden character, no dot or space at the end, not too long."""
    name = PureWindowsPath(f"{file_stem(GATEWAY, task_id)}.mp4")
    assert name.parts == (str(name),)
    assert not set('<>:"/\\|?*') & set(str(name))
    assert name.stem.split(".")[0].upper() not in {each.upper() for each in RESERVED}
    assert name.stem.startswith("pika_")
    assert name.stem[-1] not in ". "
    assert len(str(name)) < 110


def test_tasks_that_differ_by_case_have_different_files() -> None:
    """Windows does not distinguish A from a."""
    ids = ["abc", "ABC", "Abc", "aBc"]
    assert len({file_stem(GATEWAY, task_id).lower() for task_id in ids}) == len(ids)


@pytest.mark.parametrize(
    "home",
    [
        r"C:\Users\me\ComfyUI\user\__pika",
        r"D:\KI Bilder\100% & co #1\Ünïcödé 视频",
        r"C:\Users\O'Brien\pika",
        r"\\server\share\pika",
    ],
)
def test_windows_paths_are_kept_in_the_journal_url(home: str) -> None:
    """Drive letters, backslashes, shares and special characters."""
    folder = PureWindowsPath(home)
    address = sa.make_url(sqlite_url(folder))  # type: ignore[arg-type]
    assert PureWindowsPath(address.database or "") == folder / "journal.sqlite3"
    assert not address.query


def test_journal_error_mentions_network_drives(tmp_path: Path) -> None:
    """SQLite only says “disk I/O error”. The hint names another place."""
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    journal = Journal(sqlite_url(tmp_path / "file"))
    with pytest.raises(JournalError, match="network drive") as caught:
        journal.entries()
    assert "sqlite:///C:/" in str(caught.value)


# The console.


def shell(
    gateway: Simulator, home: Path, *arguments: str, encoding: str
) -> subprocess.CompletedProcess[bytes]:
    """The command in a console of this encoding."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env |= {"PIKA_API_KEY": gateway.key, "PIKA_BASE_URL": gateway.url, "PIKA_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "pika_api", *arguments],
        cwd=ROOT, env=env | {"PYTHONIOENCODING": encoding}, capture_output=True, timeout=90,
        check=False,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("encoding", ["cp1252", "cp936", "ascii"])
def test_any_console_prints_any_prompt(quick: Simulator, tmp_path: Path, encoding: str) -> None:
    """Characters that it lacks are escaped: never an error once a task is paid for."""
    home, output = tmp_path / "home", str(tmp_path / "out")
    generated = shell(
        quick, home, "generate", CHINESE, "--wait", "--output", output, encoding=encoding
    )
    assert generated.returncode == 0, generated.stderr
    assert generated.stdout.split()[0].decode() == quick.charged[0]
    listed = shell(quick, home, "tasks", encoding=encoding)
    assert listed.returncode == 0
    assert CHINESE.encode(encoding, "backslashreplace") in listed.stdout


def test_help_is_printed_on_a_chinese_console(quick: Simulator, tmp_path: Path) -> None:
    """The help has characters that the console lacks."""
    assert shell(quick, tmp_path, "generate", "--help", encoding="cp936").returncode == 0


def test_package_runs_by_its_path(tmp_path: Path) -> None:
    """ComfyUI's portable Python for Windows does not look for modules in the working directory,
    like Python's -I.
    """
    done = subprocess.run(
        [sys.executable, "-I", str(ROOT / "pika_api"), "--home", str(tmp_path), "tasks"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# What the sources may not contain.


def trees() -> list[tuple[Path, ast.AST]]:
    """The syntax trees of all sources that run on the user's machine."""
    paths = [
        ROOT / "__init__.py",
        *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")),
    ]
    assert len(paths) > 40
    return [(path, ast.parse(path.read_text("utf-8"))) for path in paths]


def test_no_posix_only_module_is_used() -> None:
    """Neither a module nor a function."""
    violations = []
    for path, tree in trees():
        for item in ast.walk(tree):
            if isinstance(item, ast.Import):
                names = {alias.name for alias in item.names} & POSIX_MODULES
            elif isinstance(item, ast.ImportFrom):
                names = {item.module} & POSIX_MODULES
            else:
                names = {getattr(item, "attr", "")} & POSIX_NAMES
            violations += [f"{path.name}: {name}" for name in names]
    assert violations == []


def test_text_files_have_an_explicit_encoding() -> None:
    """The default is different on each Windows."""
    violations = []
    for path, tree in trees():
        for call in (item for item in ast.walk(tree) if isinstance(item, ast.Call)):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            keywords = {keyword.arg for keyword in call.keywords}
            values = [ast.unparse(value) for value in call.args]
            binary = any(value in ("'rb'", "'wb'", "'r+b'") or "'wb'" in value for value in values)
            if name == "write_text" and len(values) < 2 and "encoding" not in keywords:
                violations.append(f"{path.name}:{call.lineno}")
            if name == "read_text" and not values and "encoding" not in keywords:
                violations.append(f"{path.name}:{call.lineno}")
            opens = name in ("open", "fdopen") and ast.unparse(call.func) in ("open", "os.fdopen")
            if opens and not binary and "encoding" not in keywords:
                violations.append(f"{path.name}:{call.lineno}")
    assert violations == []
