"""The private folders that the pack writes down in ComfyUI, for the command line."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from pika_api.settings import known_homes, pack_folder, register_home
from pika_api.settings.homes import registry_folder

posix = pytest.mark.skipif(os.name != "posix", reason="rights of files are those of POSIX")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A user with an own configuration folder."""
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def test_folders_are_known_newest_first(tmp_path: Path, environ: dict[str, str]) -> None:
    """Each folder once, with the pack that used it last. The one of the last start is the first."""
    first, second = folder(tmp_path / "a ü" / "__pika"), folder(tmp_path / "b" / "__pika")
    for number, home in enumerate([first, second, first]):
        register_home(home, environ, tmp_path / f"pack{number}")
        for file in registry_folder(environ).iterdir():
            moment = file.stat().st_mtime - 100
            os.utime(file, (moment, moment))
    known = known_homes(environ)
    assert [each.home for each in known] == [first, second]
    assert [each.pack.name for each in known] == ["pack2", "pack1"]
    assert all(each.has_own_journal for each in known)


def test_journal_elsewhere_is_known_without_its_address(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """PIKA_JOURNAL_URL may contain a password: only the fact is written down."""
    environ["PIKA_JOURNAL_URL"] = "postgresql://user:secret@db.example/pika"
    register_home(folder(tmp_path / "__pika"), environ)
    (known,) = known_homes(environ)
    assert not known.has_own_journal
    assert known.pack == pack_folder()
    (file,) = registry_folder(environ).iterdir()
    assert "secret" not in file.read_text("utf-8")
    assert "db.example" not in file.read_text("utf-8")


@posix
def test_only_the_user_can_read_them(tmp_path: Path, environ: dict[str, str]) -> None:
    """The folder and its files."""
    register_home(folder(tmp_path / "__pika"), environ)
    (file,) = registry_folder(environ).iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_unusable_files_are_left_out(tmp_path: Path, environ: dict[str, str]) -> None:
    """A folder that was deleted, and files that others wrote: none is an error."""
    gone = folder(tmp_path / "gone")
    register_home(gone, environ)
    gone.rmdir()
    here = str(tmp_path)
    contents = [
        b"", b"{", b"[]", b"null", b'{"home": 7, "pack": "/p"}',
        b'{"home": "relative", "pack": ""}',
        b"\xff\xfe", b"[" * 20_000, b"[" * 10_000, json.dumps({"home": here}).encode(),
        json.dumps({"home": here + "\0", "pack": here}).encode(),
        json.dumps({"home": here, "pack": here, "more": "x" * 20_000}).encode(),
    ]  # fmt: skip
    for number, content in enumerate(contents):
        (registry_folder(environ) / f"{number}.json").write_bytes(content)
    (registry_folder(environ) / "folder.json").mkdir()
    assert known_homes(environ) == []
    register_home(tmp_path, environ)
    assert [each.home for each in known_homes(environ)] == [tmp_path]


@pytest.mark.parametrize("obstacle", ["file", "read-only"])
def test_a_folder_that_cannot_be_written_is_no_error(
    tmp_path: Path, environ: dict[str, str], obstacle: str
) -> None:
    """ComfyUI starts as without it, and nothing is known."""
    config = Path(environ["XDG_CONFIG_HOME"])
    if obstacle == "file":
        config.write_text("in the way")
    else:
        folder(config).chmod(0o500)
        if os.name != "posix" or os.geteuid() == 0:
            pytest.skip("this user may write everywhere")
    register_home(tmp_path, environ)
    assert known_homes(environ) == []


def test_relative_configuration_folder_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be another folder for each working directory."""
    assert registry_folder({"XDG_CONFIG_HOME": "config"}).is_absolute()
