"""The journal as a file: deleted, replaced, truncated, restored while and before it is used.

Whatever happens to it, nothing is written into a file that nobody finds again, and nothing that
was in the journal is deleted.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from devtools import ROOT
from pika_api.errors import JournalError
from pika_api.journal import Journal, State
from pika_api.settings import sqlite_url
from support.api import intent

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="an open file cannot be deleted or replaced there"
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of the journal."""
    return tmp_path / "home"


@pytest.fixture
def path(home: Path) -> Path:
    """The journal's file."""
    return home / "journal.sqlite3"


@pytest.fixture
def journal(home: Path) -> Iterator[Journal]:
    """A journal that is open, with one task."""
    with closing(Journal(sqlite_url(home))) as opened:
        add(opened, "first")
        yield opened


def add(journal: Journal, name: str) -> int:
    """Add a task of this id; returns the number of its entry."""
    number = journal.claim(intent(name), "me").entry.id
    assert journal.mark_sent(number, "me")
    journal.record_task(journal.get(number), name)
    return number


def tasks_in(path: Path) -> list[str]:
    """The task ids in a file, as another program reads it."""
    with closing(sqlite3.connect(path)) as database:
        return [name for (name,) in database.execute("SELECT task_id FROM pika_tasks ORDER BY id")]


def backup(path: Path) -> Path:
    """A complete copy of a journal, beside it."""
    copy = path.with_name("backup")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def in_another_process(home: Path, *names: str, end: str = "os._exit(1)") -> None:
    """Add tasks in a process that is then killed, so that the write-ahead log stays."""
    script = (
        "import os, sys; sys.path.insert(0, 'tests')\n"
        "from pathlib import Path\n"
        "from journal.test_journal_file import Journal, add, sqlite_url\n"
        f"journal = Journal(sqlite_url(Path({str(home)!r})))\n"
        f"for name in {names!r}: add(journal, name)\n"
        f"{end}"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=120, check=False)


# Deleted and replaced while it is open.


def delete(path: Path) -> None:
    """Only the file itself."""
    path.unlink()


def delete_all(path: Path) -> None:
    """With the files of SQLite beside it."""
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def delete_folder(path: Path) -> None:
    """With its folder."""
    shutil.rmtree(path.parent)


def move_away(path: Path) -> None:
    """To another name in the same folder."""
    path.rename(path.with_name("moved"))


def move_folder(path: Path) -> None:
    """Its folder gets another name."""
    path.parent.rename(path.parent.with_name("elsewhere"))


DELETIONS = [delete, delete_all, delete_folder, move_away, move_folder]


@pytest.mark.parametrize("damage", DELETIONS)
def test_deleted_journal_is_begun_again(
    journal: Journal, path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The next write goes into a new file at its path, which is private, and the log says so."""
    damage(path)
    number = add(journal, "second")
    assert tasks_in(path) == ["second"]
    assert journal.get(number).task_id == "second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"{path} was deleted" in caplog.text
    in_another_process(path.parent, "third")
    assert [entry.task_id for entry in journal.entries()] == ["third", "second"]


@pytest.mark.parametrize("damage", DELETIONS)
def test_reading_a_deleted_journal_is_no_error(
    journal: Journal, path: Path, damage: Callable[[Path], None]
) -> None:
    """The list is empty, as the new journal is."""
    damage(path)
    assert journal.entries() == []


def test_replaced_journal_is_read_and_written(journal: Journal, path: Path) -> None:
    """A backup is moved to its path: its tasks are there, and the next one is written to it."""
    copy = backup(path)
    add(journal, "second")
    copy.replace(path)
    assert [entry.task_id for entry in journal.entries()] == ["first"]
    add(journal, "third")
    assert tasks_in(path) == ["first", "third"]


def test_log_of_a_replaced_journal_is_kept_and_not_used(
    journal: Journal, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite would mix its pages into the restored file."""
    copy = backup(path)
    for number in range(50):
        add(journal, f"lost {number}")
    write_log = path.with_name(f"{path.name}-wal").read_bytes()
    assert write_log
    copy.replace(path)
    add(journal, "after")
    assert tasks_in(path) == ["first", "after"]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    (aside,) = path.parent.glob(f"{path.name}-wal.old-*")
    assert aside.read_bytes() == write_log
    assert str(aside) in caplog.text


def test_entry_of_a_deleted_journal_is_not_sent(journal: Journal, path: Path) -> None:
    """It must be claimed in the new file first, where it is then found."""
    entry = journal.claim(intent("new"), "me").entry
    delete(path)
    assert not journal.mark_sent(entry.id, "me")
    again = journal.claim(intent("new"), "me")
    assert again.acquired
    assert journal.mark_sent(again.entry.id, "me")


@pytest.mark.parametrize("damage", [delete, move_away])
def test_journal_deleted_during_a_transaction_is_not_written(
    journal: Journal, path: Path, damage: Callable[[Path], None]
) -> None:
    """Nothing is committed to the unlinked file, and the caller hears of it."""
    number = add(journal, "second")

    def change() -> None:
        with journal._database.write() as connection:
            connection.exec_driver_sql("UPDATE pika_tasks SET last_error = 'x'")
            damage(path)

    with pytest.raises(JournalError, match="deleted or replaced at this moment"):
        change()
    assert journal.find_by_id(number) is None


def test_send_is_stopped_if_the_journal_is_deleted_during_its_transaction(
    home: Path, path: Path
) -> None:
    """As if the owner had lost the entry."""

    class Deleted(Journal):
        def _apply(self, connection, event, *args, **values):  # type: ignore[no-untyped-def]
            applied = super()._apply(connection, event, *args, **values)
            path.unlink(missing_ok=True)
            return applied

    with closing(Deleted(sqlite_url(home))) as journal:
        number = journal.claim(intent(), "me").entry.id
        assert not journal.mark_sent(number, "me")
        assert not path.exists()


def test_journal_is_deleted_again_and_again_by_threads_in_use(home: Path, path: Path) -> None:
    """Eight threads write while the file is deleted: each write is in the file of its time, is
    refused with an error that says so, or finds no entry; no deadlock, no other error."""
    stop, problems = threading.Event(), []
    # The last two are errors of SQLite, if its files are deleted while it opens or reads them.
    expected = ("replaced", "no row", "disk I/O error", "no such table")

    def work(worker: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                entry = journal.claim(intent(f"{worker}-{number}"), "me").entry
                if journal.mark_sent(entry.id, "me"):
                    journal.record_task(entry, "t")
            except JournalError as error:
                if not any(words in str(error) for words in expected):
                    problems.append(str(error))

    with closing(Journal(sqlite_url(home))) as journal, ThreadPoolExecutor(8) as pool:
        workers = [pool.submit(work, number) for number in range(8)]
        for _ in range(20):
            threading.Event().wait(0.05)
            delete(path) if path.exists() else None
        stop.set()
        for worker in workers:
            worker.result(60)
        assert problems == []
        add(journal, "last")
    assert tasks_in(path)[-1] == "last"


# Truncated and overwritten while it is open: the same file, with other content.


def truncate(path: Path) -> None:
    """As `: > journal.sqlite3` in a shell."""
    os.truncate(path, 0)


def halve(path: Path) -> None:
    """A copy that was interrupted."""
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def overwrite_short(path: Path) -> None:
    """A shell writes a few words to it."""
    write(path, b"garbage\n")


def overwrite_long(path: Path) -> None:
    """More than was there."""
    write(path, b"garbage\n" * 100_000)


def write(path: Path, data: bytes) -> None:
    """In another process: closing the file here would end SQLite's locks."""
    script = f"import sys; open({str(path)!r}, 'wb').write(sys.stdin.buffer.read())"
    subprocess.run([sys.executable, "-c", script], input=data, timeout=60, check=True)


@pytest.mark.parametrize("damage", [truncate, halve, overwrite_short, overwrite_long])
def test_truncated_journal_is_an_error(
    journal: Journal, path: Path, damage: Callable[[Path], None]
) -> None:
    """Each write says so and what to do, nothing is sent, and the log with the newest tasks stays.
    A restored backup ends it."""
    copy = backup(path)
    with journal._database.write() as connection:
        connection.exec_driver_sql("UPDATE pika_tasks SET prompt = hex(zeroblob(20000))")
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint")
    add(journal, "in the log")
    number = journal.claim(intent("new"), "me").entry.id
    write_log = path.with_name(f"{path.name}-wal").read_bytes()
    damage(path)
    for _ in range(2):
        with pytest.raises(JournalError, match="truncated or overwritten") as caught:
            journal.mark_sent(number, "me")
        assert "Nothing is sent" in str(caught.value)
        assert str(path) in str(caught.value)
    (aside,) = path.parent.glob(f"{path.name}-wal.old-*")
    assert aside.read_bytes() == write_log
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    copy.replace(path)
    add(journal, "second")
    assert tasks_in(path) == ["first", "second"]


def test_vacuum_by_another_program_is_no_damage(journal: Journal, path: Path) -> None:
    """It makes the file shorter."""
    with journal._database.write() as connection:
        connection.exec_driver_sql("UPDATE pika_tasks SET prompt = hex(zeroblob(500000))")
        connection.exec_driver_sql("UPDATE pika_tasks SET prompt = ''")
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint")
        journal.entries()
        size = path.stat().st_size
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < size
    add(journal, "second")
    assert tasks_in(path) == ["first", "second"]


#: Writes large rows for two seconds, and moves the log into the file after almost each of them.
GROWING = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA wal_autocheckpoint=3")
database.execute("CREATE TABLE other (data)")
print("begun", flush=True)
end = time.monotonic() + 2
while time.monotonic() < end:
    database.execute("INSERT INTO other VALUES (randomblob(30000))")
"""


def test_file_that_grows_by_checkpoints_is_no_damage(journal: Journal, path: Path) -> None:
    """Another process moves its log into the file: for a moment that is shorter than its first page
    says. Nothing is refused."""
    journal.entries()
    command = [sys.executable, "-c", GROWING, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        count = 0
        while process.poll() is None:
            journal.entries()
            count += 1
    assert process.returncode == 0
    assert count > 10


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"g", b"SQLite format 3\0" + b"x" * 5000])
def test_replacement_that_is_no_database_is_an_error(
    journal: Journal, path: Path, content: bytes
) -> None:
    """It is not changed."""
    other = path.with_name("other")
    other.write_bytes(content)
    other.replace(path)
    with pytest.raises(JournalError, match="Nothing is sent"):
        journal.claim(intent("new"), "me")
    assert path.read_bytes() == content


# Before it is opened.


def test_killed_process_loses_nothing(home: Path, path: Path) -> None:
    """Its write-ahead log belongs to the file and is used."""
    in_another_process(home, "one", "two")
    assert path.with_name(f"{path.name}-wal").stat().st_size
    with closing(Journal(sqlite_url(home))) as journal:
        assert [entry.task_id for entry in journal.entries()] == ["two", "one"]


def test_log_that_was_left_behind_is_kept(home: Path, path: Path) -> None:
    """The journal was deleted without the files beside it. A new one does not use them, and SQLite
    does not delete them."""
    in_another_process(home, "one")
    write_log = path.with_name(f"{path.name}-wal").read_bytes()
    path.unlink()
    with closing(Journal(sqlite_url(home))) as journal:
        assert journal.entries() == []
        add(journal, "two")
    assert tasks_in(path) == ["two"]
    (aside,) = path.parent.glob(f"{path.name}-wal.old-*")
    assert aside.read_bytes() == write_log


def test_restored_backup_beside_an_old_log_is_an_error(home: Path, path: Path) -> None:
    """The process was killed and a backup restored, with the old log still there. The backup stays
    as it is, and the error says which files to move. Then it works."""
    names = [f"task {number} {'x' * 200}" for number in range(60)]
    in_another_process(home, *names, end="journal.close()")
    shutil.copyfile(path, home / "backup")
    truncating = (
        "journal._database._engine.raw_connection().execute('PRAGMA wal_checkpoint(TRUNCATE)')\n"
        "for name in ('y', 'z'): add(journal, name)\n"
        "os._exit(1)"
    )
    in_another_process(home, *(f"later {name}" for name in names), end=truncating)
    content = (home / "backup").read_bytes()
    shutil.copyfile(home / "backup", path)
    with closing(Journal(sqlite_url(home))) as journal:
        for _ in range(2):
            with pytest.raises(JournalError, match=r"journal\.sqlite3-wal") as caught:
                journal.claim(intent("new"), "me")
            assert "journal.sqlite3-shm" in str(caught.value)
    assert path.read_bytes() == content
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).rename(home / f"moved{suffix}")
    with closing(Journal(sqlite_url(home))) as journal:
        assert len(journal.entries()) == len(names)
        add(journal, "new")


def test_empty_file_beside_a_log_is_an_error(home: Path, path: Path) -> None:
    """It was truncated while nothing used it. SQLite would take it for a new database and delete
    the log, which may contain everything."""
    in_another_process(home, "one")
    write_log = path.with_name(f"{path.name}-wal").read_bytes()
    os.truncate(path, 0)
    with closing(Journal(sqlite_url(home))) as journal, pytest.raises(JournalError, match="empty"):
        journal.claim(intent("new"), "me")
    assert path.with_name(f"{path.name}-wal").read_bytes() == write_log


def test_empty_file_is_a_new_journal(home: Path, path: Path) -> None:
    """The process was killed while it created the file."""
    home.mkdir()
    path.touch()
    with closing(Journal(sqlite_url(home))) as journal:
        add(journal, "one")
    assert tasks_in(path) == ["one"]


def test_journal_behind_a_symbolic_link_is_used(home: Path, tmp_path: Path) -> None:
    """Its log is beside the real file."""
    real = tmp_path / "real" / "tasks.db"
    real.parent.mkdir()
    home.mkdir()
    (home / "journal.sqlite3").symlink_to(real)
    real.touch()
    with closing(Journal(sqlite_url(home))) as journal:
        add(journal, "one")
        assert real.with_name("tasks.db-wal").exists()
        real.unlink()
        real.touch()
        add(journal, "two")
    assert tasks_in(real) == ["two"]


def test_unchanged_file_is_not_opened_again(journal: Journal, path: Path) -> None:
    """Connections are kept: hundreds of writes with their checkpoints open none."""
    opened = []
    sa.event.listen(journal._database._engine, "connect", lambda *_: opened.append(1))
    for number in range(300):
        add(journal, str(number))
    assert opened == []
    assert State.SUBMITTED in journal.count_by_state()
    assert len(tasks_in(path)) == 301
