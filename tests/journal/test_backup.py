"""A copy of the journal that is complete, private and consistent, while the journal is in use."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from pika_api.errors import InvalidInput, JournalError
from pika_api.journal import Journal
from pika_api.settings import sqlite_url
from support.api import intent


def add(journal: Journal, name: str) -> None:
    """Add a task of this id."""
    number = journal.claim(intent(name), "me").entry.id
    assert journal.mark_sent(number, "me")
    journal.record_task(journal.get(number), name)


def test_copy_contains_everything_and_works_as_a_journal(tmp_path: Path) -> None:
    """Also what is still in the write-ahead log. It is one file that nobody else may read."""
    copy = tmp_path / "copies" / "journal.sqlite3"
    copy.parent.mkdir()
    with closing(Journal(sqlite_url(tmp_path / "home"))) as journal:
        for number in range(50):
            add(journal, f"t-{number}")
        assert (tmp_path / "home" / "journal.sqlite3-wal").stat().st_size
        entries = journal.entries()
        assert journal.backup(copy) == 50
        assert [path.name for path in copy.parent.iterdir()] == ["journal.sqlite3"]
        add(journal, "later")
    if os.name == "posix":
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(Journal(sqlite_url(copy.parent))) as restored:
        assert restored.entries() == entries
        assert not restored.claim(intent("t-7"), "me").acquired


def test_copy_made_while_others_write_is_consistent(tmp_path: Path) -> None:
    """Each transaction is in it completely or not at all, and no writer is disturbed."""
    stop, errors = threading.Event(), []

    def write(worker: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                add(journal, f"{worker}-{number}")
            except JournalError as error:
                errors.append(error)

    with closing(Journal(sqlite_url(tmp_path / "home"))) as journal:
        add(journal, "first")
        threads = [threading.Thread(target=write, args=(worker,)) for worker in range(3)]
        for thread in threads:
            thread.start()
        try:
            for number in range(8):
                journal.backup(tmp_path / f"copy-{number}")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert errors == []
    for number in range(8):
        with closing(sqlite3.connect(tmp_path / f"copy-{number}")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            (count,) = database.execute("SELECT count(*) FROM pika_tasks").fetchone()
            (revision,) = database.execute("SELECT value FROM pika_revision").fetchone()
            query = "SELECT max(revision), count(DISTINCT revision) FROM pika_tasks"
            assert database.execute(query).fetchone() == (revision or None, count)


@pytest.mark.parametrize("there", ["file", "empty", "folder", "link", "dangling link", "journal"])
def test_existing_file_is_never_overwritten(tmp_path: Path, there: str) -> None:
    """Whatever it is. Nothing is left beside it."""
    target = tmp_path / "copies" / "copy"
    target.parent.mkdir()
    if there == "folder":
        target.mkdir()
    elif there == "dangling link":
        target.symlink_to(tmp_path / "absent")
    elif there == "link":
        (tmp_path / "real").write_text("precious")
        target.symlink_to(tmp_path / "real")
    elif there != "journal":
        target.write_text("precious" if there == "file" else "")
    with closing(Journal(sqlite_url(tmp_path / "home"))) as journal:
        add(journal, "t")
        if there == "journal":
            target = tmp_path / "home" / "journal.sqlite3"
        before = sorted(path.name for path in target.parent.iterdir())
        with pytest.raises(InvalidInput, match="exists already"):
            journal.backup(target)
        assert sorted(path.name for path in target.parent.iterdir()) == before
        assert len(journal.entries()) == 1
    if there in ("file", "link"):
        assert target.read_text() == "precious"


def test_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """The folder is missing, or cannot be written to."""
    with closing(Journal(sqlite_url(tmp_path / "home"))) as journal:
        add(journal, "t")
        with pytest.raises(InvalidInput, match="not a folder"):
            journal.backup(tmp_path / "absent" / "copy")
        with pytest.raises(JournalError, match="cannot be copied"):
            journal.backup(tmp_path / ("x" * 250))  # too long once it has a temporary name
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_missing_journal_is_not_created_to_be_copied(tmp_path: Path) -> None:
    """An empty copy would look like a backup."""
    journal = Journal(sqlite_url(tmp_path / "home"))
    with closing(journal), pytest.raises(JournalError, match="no journal at"):
        journal.backup(tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []
