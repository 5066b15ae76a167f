"""The journal's database: it is created safely, kept safely, and its errors are explained."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.dialects import registry
from sqlalchemy.engine.default import DefaultDialect

from pika_api.errors import JournalError
from pika_api.journal import SCHEMA_VERSION, Journal
from pika_api.settings import sqlite_url
from support.api import intent


def use(url: str) -> None:
    """Open a journal, write to it, close it."""
    with closing(Journal(url)) as journal:
        journal.claim(intent(), "me")


def test_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    """Its parent is a file. Nothing can be recorded, so nothing is sent."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalError, match="Nothing is sent"):
        use(sqlite_url(tmp_path / "file" / "home"))


def test_file_that_is_not_a_database_is_an_error(tmp_path: Path) -> None:
    """It is neither overwritten nor taken for an empty journal."""
    content = b"this is not a database, but somebody's file" * 100
    (tmp_path / "journal.sqlite3").write_bytes(content)
    with pytest.raises(JournalError, match="not a database"):
        use(sqlite_url(tmp_path))
    assert (tmp_path / "journal.sqlite3").read_bytes() == content


def test_newer_journal_is_refused_and_unchanged(tmp_path: Path) -> None:
    """An older pack does not guess what a newer one means; the error names both versions."""
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
def test_invalid_url_is_an_error(url: str) -> None:
    """The error names PIKA_JOURNAL_URL and does not contain the password."""
    with pytest.raises(JournalError, match="PIKA_JOURNAL_URL") as caught:
        Journal(url)
    assert "pw" not in str(caught.value)


def test_error_does_not_contain_the_prompt(tmp_path: Path) -> None:
    """SQLAlchemy's own text would contain the whole statement with its values."""
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


def test_commit_is_synced_to_the_write_ahead_log(tmp_path: Path) -> None:
    """A power cut right after a commit loses nothing."""
    with closing(Journal(sqlite_url(tmp_path))) as journal:
        journal.claim(intent(), "me")
        assert (tmp_path / "journal.sqlite3-wal").exists()
        with journal._database.write() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    with closing(Journal(sqlite_url(tmp_path))) as journal:
        assert len(journal.entries()) == 1


def test_write_waits_for_another_write(tmp_path: Path) -> None:
    """Another process's transaction is waited for; it is not an error."""
    url = sqlite_url(tmp_path)
    use(url)
    other = sqlite3.connect(tmp_path / "journal.sqlite3", isolation_level=None,
                            check_same_thread=False)  # fmt: skip
    with closing(other), closing(Journal(url)) as journal:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.5, other.execute, ("COMMIT",))
        timer.start()
        assert journal.claim(intent("another"), "me").acquired
        timer.join()


class OtherDatabase(DefaultDialect):
    """A kind of database that SQLAlchemy knows and the journal does not."""

    driver = "otherdb"
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        return SimpleNamespace(paramstyle="named", Error=Exception)


def test_other_database_is_refused() -> None:
    """At once, before anything is sent; the error names the databases that work."""
    registry.register("otherdb", __name__, "OtherDatabase")
    try:
        with pytest.raises(JournalError, match="SQLite and PostgreSQL") as caught:
            Journal("otherdb://me:pw@127.0.0.1/pika")
    finally:
        registry.impls.pop("otherdb")
    assert "PIKA_JOURNAL_URL" in str(caught.value)
    assert "pw" not in str(caught.value)


@pytest.mark.slow
def test_many_can_create_the_journal_at_once(tmp_path: Path) -> None:
    """Twelve journals of one file that does not exist yet, four times: no "database is locked"."""
    barrier = threading.Barrier(12)

    def first(home: Path) -> bool:
        with closing(Journal(sqlite_url(home))) as journal:
            barrier.wait()
            return journal.claim(intent(), str(threading.get_ident())).acquired

    with ThreadPoolExecutor(12) as pool:
        for number in range(4):
            acquired = list(pool.map(first, [tmp_path / f"home-{number}"] * 12))
            assert acquired.count(True) == 1
