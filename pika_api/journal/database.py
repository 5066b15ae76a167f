"""The journal's database: its tables, how they are opened, and how an older one is kept."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ..errors import JournalError
from .schema import METADATA, SCHEMA_VERSION, UPGRADES, VERSION

#: Seconds that a SQLite file which another process writes to is waited for.
_PATIENCE: Final = 30.0


class DuplicateRow(JournalError):
    """A row with this value, which is unique in its table, is there already."""


class Database:
    """Opened at its first use; safe in threads and processes.

    Args:
        url: SQLAlchemy's address of a database; its folder is made if it is a SQLite file.

    Raises:
        JournalError: The address is none.
    """

    def __init__(self, url: str) -> None:
        try:
            self._engine = _engine(url)
        except ValueError:
            # Not told which, nor chained: what is no number is often a piece of the password.
            raise JournalError(
                "PIKA_JOURNAL_URL is not an address of a database: its port is not a number.",
                hint="Write @, : and / within a password as %40, %3A and %2F.",
            ) from None
        except (SQLAlchemyError, ImportError) as error:
            words = str(error).replace(url, "…")  # some versions quote it, the password too
            raise JournalError(
                f"PIKA_JOURNAL_URL is not an address of a database that works here: {words}.",
                hint="Leave it out for a file in ComfyUI's user folder.",
            ) from error
        self._ready = False

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @property
    def backend(self) -> str:
        """What kind of database it is, in SQLAlchemy's words: such as ``sqlite``."""
        return self._engine.url.get_backend_name()

    @property
    def file(self) -> Path | None:
        """The file of a SQLite journal; None for another database."""
        name = self._engine.url.database
        return Path(name) if self.backend == "sqlite" and name else None

    @property
    def home(self) -> str:
        """The folder of a SQLite journal, for the command line; empty for another database."""
        return str(self.file.parent) if self.file else ""

    @property
    def in_order(self) -> bool:
        """Whether one transaction ends before the next begins, as in SQLite here."""
        return self.backend == "sqlite"

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """One transaction; the first opens the database and brings its tables up to date."""
        try:
            if not self._ready:
                _prepare(self._engine)
                self._ready = True
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError as error:
            raise DuplicateRow(f"The journal holds such a row already: {error.orig}.") from error
        except (SQLAlchemyError, OSError) as error:
            url = self._engine.url
            place = url.render_as_string(hide_password=True)
            raise JournalError(
                f"The journal of tasks ({place}) does not work: {_reason(error, url)}.",
                charge_note="Nothing is sent without the journal. Paid tasks stay at the gateway.",
                hint="Make room, or make its folder writable. On a network drive it may never "
                "work: set PIKA_JOURNAL_URL to a file on this computer, such as "
                "sqlite:///C:/pika/journal.sqlite3.",
            ) from error


def _engine(url: str) -> sa.Engine:
    address = sa.make_url(url)
    if address.get_backend_name() != "sqlite":
        return sa.create_engine(address, pool_pre_ping=True)
    engine = sa.create_engine(address, connect_args={"timeout": _PATIENCE})

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # The driver's own idea of when a transaction begins is switched off for the one below.
        connection.isolation_level = None
        _to_wal(connection)
        # A commit is on the disk when it returns, even if the power fails the moment after.
        connection.execute("PRAGMA synchronous=FULL")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # Take the write lock at once: a read that turns into a write could not wait for it.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _to_wal(connection: sqlite3.Connection) -> None:
    """Switch the write-ahead log on, once others let go of the file.

    For this one step SQLite does not wait by itself, whatever its timeout: several processes that
    open a new journal at once would find it locked.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _prepare(engine: sa.Engine) -> None:
    """Make the tables, or bring those of an earlier version up to date, keeping the rows."""
    if engine.url.get_backend_name() == "sqlite" and engine.url.database:
        Path(engine.url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with engine.begin() as connection:
        METADATA.create_all(connection)
        found = connection.execute(sa.select(VERSION.c.version)).scalar()
        if found is None:
            connection.execute(VERSION.insert().values(version=SCHEMA_VERSION))
            return
        if found > SCHEMA_VERSION:
            raise JournalError(
                f"The journal is of a newer version of this pack (schema {found}; "
                f"this one knows {SCHEMA_VERSION}).",
                charge_note="Nothing is sent.",
                hint="Update ComfyUI-Pika, or set PIKA_JOURNAL_URL to another journal.",
            )
        for version in range(found, SCHEMA_VERSION):
            for statement in UPGRADES[version]:
                connection.execute(sa.text(statement))
        connection.execute(VERSION.update().values(version=SCHEMA_VERSION))


def _reason(error: Exception, url: sa.URL) -> str:
    """The driver's own words, without the statement and its values, which hold the prompt, and
    without the password, which some drivers quote.
    """
    words = str(getattr(error, "orig", None) or error).rstrip(".")
    return words.replace(url.password, "***") if url.password else words
