"""The journal's file: made safely, kept safely, and told of when it does not work."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from pika_api.errors import JournalError
from pika_api.journal import SCHEMA_VERSION, Journal
from pika_api.settings import sqlite_url
from support.api import intent


def use(url: str) -> None:
    """Open a journal, write to it, close it."""
    with closing(Journal(url)) as journal:
        journal.claim(intent(), "me")


def test_a_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    """Its parent is a file: nothing can be kept, so nothing is sent."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalError, match="Nothing is sent"):
        use(sqlite_url(tmp_path / "file" / "home"))


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    """Garbage is neither overwritten nor taken for an empty journal."""
    garbage = b"this is no database, but somebody's file" * 100
    (tmp_path / "journal.sqlite3").write_bytes(garbage)
    with pytest.raises(JournalError, match="not a database"):
        use(sqlite_url(tmp_path))
    assert (tmp_path / "journal.sqlite3").read_bytes() == garbage


def test_a_newer_journal_is_left_alone(tmp_path: Path) -> None:
    """An older pack does not guess what a newer one means, and says which is which."""
    url = sqlite_url(tmp_path)
    use(url)
    path = tmp_path / "journal.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE pika_schema SET version = 99")
        database.commit()
    with pytest.raises(JournalError, match=rf"schema 99; this one knows {SCHEMA_VERSION}"):
        use(url)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT version FROM pika_schema").fetchone() == (99,)


@pytest.mark.parametrize("url", ["nonsense", "nodriver://x/y", "", "postgresql+absent://u:pw@h/d"])
def test_an_address_of_no_database_is_told(url: str) -> None:
    """PIKA_JOURNAL_URL is named, and the way back to the default."""
    with pytest.raises(JournalError, match="PIKA_JOURNAL_URL") as caught:
        Journal(url)
    assert "pw" not in str(caught.value)


def test_an_error_does_not_quote_the_prompt(tmp_path: Path) -> None:
    """SQLAlchemy's own text would carry the whole statement with its values."""
    url = sqlite_url(tmp_path)
    use(url)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as database:
        database.execute("DROP TABLE pika_tasks")
        database.commit()
    with closing(Journal(url)) as journal:
        journal.entries()
        with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as database:
            database.execute("DROP TABLE pika_tasks")
            database.commit()
        with pytest.raises(JournalError, match="no such table") as caught:
            journal.claim(intent(prompt="my secret idea"), "me")
    assert "secret idea" not in str(caught.value)


def test_it_survives_a_power_cut(tmp_path: Path) -> None:
    """Write-ahead log, and every commit synced to the disk before it returns."""
    with closing(Journal(sqlite_url(tmp_path))) as journal:
        journal.claim(intent(), "me")
        assert (tmp_path / "journal.sqlite3-wal").exists()
        with journal._begin() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    with closing(Journal(sqlite_url(tmp_path))) as journal:
        assert len(journal.entries()) == 1


def test_a_reader_is_not_held_up_for_long(tmp_path: Path) -> None:
    """Somebody else's open write is waited for, not an error."""
    url = sqlite_url(tmp_path)
    use(url)
    other = sqlite3.connect(tmp_path / "journal.sqlite3", isolation_level=None,
                            check_same_thread=False)  # fmt: skip
    with closing(other), closing(Journal(url)) as journal:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.5, other.execute, ("COMMIT",))
        timer.start()
        assert journal.claim(intent("another"), "me")[1]
        timer.join()


@pytest.mark.slow
def test_many_may_make_it_at_once(tmp_path: Path) -> None:
    """Twelve journals of one file that is not there yet, four times: no «database is locked»."""
    barrier = threading.Barrier(12)

    def first(home: Path) -> bool:
        with closing(Journal(sqlite_url(home))) as journal:
            barrier.wait()
            return journal.claim(intent(), str(threading.get_ident()))[1]

    with ThreadPoolExecutor(12) as pool:
        for number in range(4):
            mine = list(pool.map(first, [tmp_path / f"home-{number}"] * 12))
            assert mine.count(True) == 1
