"""Which journal the command line uses, and when another one may have the user's tasks."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from pika_api.journal import Journal, count_tasks
from pika_api.settings import JOURNAL_FILE, register_home, sqlite_url
from pika_api.support import HomeChoice, choose_home
from support.api import intent


class User:
    """A user with ComfyUIs in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"XDG_CONFIG_HOME": str(folder / "config")}
        self.pack = self.comfyui("ComfyUI")

    def comfyui(self, name: str) -> Path:
        """Install the pack into a ComfyUI; returns the pack's folder."""
        pack = self.folder / name / "custom_nodes" / "ComfyUI-Pika"
        pack.mkdir(parents=True)
        (self.folder / name / "user").mkdir()
        return pack

    def start(self, home: str, pack: Path | None = None, *, tasks: int = 0, **env: str) -> Path:
        """Start ComfyUI with a private folder, and create tasks."""
        path = self.folder / home / "__pika"
        path.mkdir(parents=True, exist_ok=True)
        register_home(path, self.environ | env, pack or self.pack)
        for file in (self.folder / "config").rglob("*.json"):
            moment = file.stat().st_mtime - 100  # earlier than the next start
            os.utime(file, (moment, moment))
        add_tasks(path, tasks)
        return path

    def choose(self, named: Path | None = None, **env: str) -> HomeChoice:
        return choose_home(named, self.environ | env, self.pack)


def add_tasks(home: Path, count: int) -> None:
    """Add tasks to a journal; without any, it is not created."""
    if count:
        with closing(Journal(sqlite_url(home))) as journal:
            for number in range(count):
                claim = journal.claim(intent(f"{number:064}"), "owner")
                journal.mark_sent(claim.entry.id, "owner")
                journal.record_task(claim.entry, f"task-{number}")


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    monkeypatch.setenv("HOME", str(tmp_path))  # of ~/.pika
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return User(tmp_path)


@pytest.mark.parametrize("tasks", [0, 2])
def test_folder_of_the_pack_in_comfyui_is_used(user: User, tasks: int) -> None:
    """With --user-directory, the command line uses it too, not the folder beside custom_nodes."""
    home = user.start("elsewhere", tasks=tasks)
    assert user.choose() == HomeChoice(home, "", user.choose().folders)
    (line, *_) = user.choose().folders
    assert f"{home} (tasks: {tasks})" in line
    assert str(user.pack) in line


def test_without_a_start_the_rule_is_as_before(user: User) -> None:
    """The folder in the ComfyUI that has the pack. Nothing is created."""
    before = sorted(user.folder.rglob("*"))
    choice = user.choose()
    assert (choice.home, choice.conflict) == (user.folder / "ComfyUI" / "user" / "__pika", "")
    assert sorted(user.folder.rglob("*")) == before


def test_a_journal_with_tasks_comes_before_an_empty_one(user: User) -> None:
    """The tasks of the command line itself stay known after ComfyUI was started elsewhere."""
    default = user.folder / "ComfyUI" / "user" / "__pika"
    add_tasks(default, 1)
    user.start("elsewhere")
    assert (user.choose().home, user.choose().conflict) == (default, "")


def test_two_journals_with_tasks_are_a_conflict(user: User) -> None:
    """Of two user directories of one pack, the last is used, and the other may be meant."""
    user.start("first", tasks=1)
    last = user.start("last", tasks=1)
    assert user.choose().home == last
    assert "several folders" in user.choose().conflict


def test_empty_journal_beside_that_of_another_comfyui_is_a_conflict(user: User) -> None:
    """A new ComfyUI while an earlier one has tasks. Two that both have tasks are none: each command
    line belongs to its ComfyUI."""
    other = user.start("Other", user.comfyui("Other"), tasks=1)
    assert "is empty" in user.choose().conflict
    assert any(str(other) in line for line in user.choose().folders)
    add_tasks(user.choose().home, 1)
    assert user.choose().conflict == ""


def test_tasks_without_comfyui_are_known(user: User) -> None:
    """~/.pika is the folder of the command line without ComfyUI."""
    add_tasks(user.folder / ".pika", 1)
    assert "is empty" in user.choose().conflict


def test_unreadable_journal_counts_as_one_with_tasks(user: User) -> None:
    """It is not known to be empty."""
    other = user.start("Other", user.comfyui("Other"))
    (other / JOURNAL_FILE).write_bytes(b"no database" * 1000)
    assert user.choose().conflict != ""


@pytest.mark.parametrize("how", ["--home", "PIKA_HOME", "PIKA_JOURNAL_URL"])
def test_what_the_user_names_is_never_a_conflict(user: User, how: str) -> None:
    """Neither a new folder, nor one whose ComfyUI uses another database."""
    user.start("first", tasks=1)
    user.start("last", tasks=1, PIKA_JOURNAL_URL="sqlite:////elsewhere.sqlite3")
    new = user.folder / "new"
    environ = {"PIKA_HOME": str(new), "PIKA_JOURNAL_URL": f"sqlite:///{new}.sqlite3"}
    choice = user.choose(new) if how == "--home" else user.choose(**{how: environ[how]})
    assert choice.conflict == ""
    assert (choice.home == new) is (how != "PIKA_JOURNAL_URL")


def test_journal_url_of_comfyui_is_a_conflict(user: User) -> None:
    """The command line does not know the address, which may contain a password."""
    user.start("one", tasks=1, PIKA_JOURNAL_URL="postgresql://user:secret@db/pika")
    assert "PIKA_JOURNAL_URL" in user.choose().conflict
    assert "secret" not in user.choose().conflict


def test_linked_folder_is_one_folder(user: User) -> None:
    """The same folder under two names is no conflict."""
    user.start("one", tasks=1)
    try:
        (user.folder / "link").symlink_to(user.folder / "one", target_is_directory=True)
    except OSError:
        pytest.skip("this user may not create links")
    user.start("link")
    assert user.choose().conflict == ""


def test_tasks_are_counted_without_a_change(tmp_path: Path) -> None:
    """A request that was refused or never sent is not counted. No file is created."""
    assert count_tasks(tmp_path / JOURNAL_FILE) == 0
    add_tasks(tmp_path, 3)
    with closing(Journal(sqlite_url(tmp_path))) as journal:
        refused = journal.claim(intent("a" * 64), "owner").entry
        journal.mark_sent(refused.id, "owner")
        journal.mark_rejected(refused.id, "owner", "no")
        journal.claim(intent("b" * 64), "owner")
        unknown = journal.claim(intent("c" * 64), "owner").entry
        journal.mark_sent(unknown.id, "owner")
        journal.mark_unknown(unknown.id, "owner", "?", "")
        assert count_tasks(tmp_path / JOURNAL_FILE) == 4
    before = sorted(tmp_path.iterdir())
    assert count_tasks(tmp_path / JOURNAL_FILE) == 4
    assert sorted(tmp_path.iterdir()) == before
