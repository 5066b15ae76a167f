"""The journal's database: how it is opened, upgraded, read and written."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from .. import files
from ..errors import JournalError
from ..settings import FOLDER
from .schema import METADATA, REVISION, SCHEMA_VERSION, TASKS, TRIGGERS, UPGRADES, VERSION

#: Seconds to wait for a SQLite file that another process is writing to.
_BUSY_TIMEOUT: Final = 30.0
#: The execution option that marks a connection as one for reading.
_READING: Final = "pika_reading"


class Database:
    """A SQLite or PostgreSQL database. Opened at its first use; safe in threads and processes.

    Args:
        url: SQLAlchemy's URL of the database. The folder of a SQLite file is created if needed.
        on_open: Called once when the tables are there, and may use the database.

    Raises:
        JournalError: Not a valid URL, or not one of these databases.
    """

    def __init__(self, url: str, on_open: Callable[[], None] = lambda: None) -> None:
        self._on_open = on_open
        try:
            self._engine = _create_engine(url)
        except ValueError:
            # Neither quoted nor chained: the text that is not a number is often a part of the
            # password.
            raise JournalError(
                "PIKA_JOURNAL_URL is not an address of a database: its port is not a number.",
                hint="Write @, : and / within a password as %40, %3A and %2F.",
            ) from None
        except (SQLAlchemyError, ImportError) as error:
            words = str(error).replace(url, "…")  # some versions quote it, with the password
            raise JournalError(
                f"PIKA_JOURNAL_URL is not an address of a database that works here: {words}.",
                hint="Leave it out for a file in ComfyUI's user folder.",
            ) from error
        if self.backend not in TRIGGERS:
            raise JournalError(
                f"PIKA_JOURNAL_URL names a database of the kind «{self.backend}». "
                "The journal works with SQLite and PostgreSQL.",
                hint="Leave it out for a file in ComfyUI's user folder.",
            )
        self._reading_engine = self._engine.execution_options(**{_READING: True})
        self._ready = False

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @property
    def backend(self) -> str:
        """The kind of database, by SQLAlchemy's name: ``sqlite`` or ``postgresql``."""
        return self._engine.url.get_backend_name()

    @property
    def file(self) -> Path | None:
        """The file of a SQLite journal; None for another database."""
        name = self._engine.url.database
        is_file = self.backend == "sqlite" and name and not name.startswith((":memory:", "file:"))
        return Path(str(name)) if is_file else None

    @property
    def home(self) -> str:
        """The folder of a SQLite journal, for the command line; empty for another database."""
        return str(self.file.parent) if self.file else ""

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction for reading. On SQLite it sees a snapshot and never waits for a writer."""
        with self._explained_errors():
            self._prepare_once()
            with self._reading_engine.begin() as connection:
                yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction for writing. On SQLite it holds the write lock from its beginning."""
        with self._explained_errors():
            self._prepare_once()
            with self._engine.begin() as connection:
                yield connection

    def _prepare_once(self) -> None:
        if self._ready:
            return
        if self.file:
            # Another folder than the pack's own keeps its rights; the journal is always private.
            if not self.file.parent.is_dir() or self.file.parent.name == FOLDER:
                files.make_private_folder(self.file.parent)
            # SQLite gives its other files the rights of this one.
            files.make_private_file(self.file)
        with self._reading_engine.begin() as connection:
            current = _is_current(connection)
        if not current:
            with self._engine.begin() as connection:
                _create_or_upgrade(connection)
        self._ready = True
        self._on_open()

    @contextmanager
    def _explained_errors(self) -> Iterator[None]:
        """Raise `JournalError` for errors of the database and of the disk."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            url = self._engine.url
            place = url.set(query={}).render_as_string(hide_password=True)
            raise JournalError(
                f"The journal of tasks ({place}) does not work: {_reason(error, url)}.",
                charge_note="Nothing is sent without the journal. Paid tasks stay at the gateway.",
                hint="Make room, or make its folder writable. On a network drive it may never "
                "work: set PIKA_JOURNAL_URL to a file on this computer, such as "
                "sqlite:///C:/pika/journal.sqlite3.",
            ) from None  # its text may contain the password, and the prompt


def _create_engine(url: str) -> sa.Engine:
    address = sa.make_url(url)
    if address.get_backend_name() != "sqlite":
        return sa.create_engine(address, pool_pre_ping=True)
    engine = sa.create_engine(address, connect_args={"timeout": _BUSY_TIMEOUT})

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        # The driver must not begin transactions by itself: `begin` below does.
        connection.isolation_level = None
        _switch_to_wal(connection)
        # A commit is on the disk when it returns, even if the power fails the moment after.
        connection.execute("PRAGMA synchronous=FULL")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A writer takes the write lock at once: a transaction that has read before it writes
        # cannot wait for the lock.
        reading = connection.get_execution_options().get(_READING)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Switch the write-ahead log on.

    SQLite's own time-out does not apply to this statement: when several processes open a new
    journal at once, some of them find it locked.
    """
    deadline = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _is_current(connection: sa.Connection) -> bool:
    """Whether the tables are there and those of this version."""
    if not METADATA.tables.keys() <= set(sa.inspect(connection).get_table_names()):
        return False
    return connection.execute(sa.select(VERSION.c.version)).scalar() == SCHEMA_VERSION


def _create_or_upgrade(connection: sa.Connection) -> None:
    """Create the tables, or upgrade those of an earlier version. Rows are kept.

    Everything is one transaction: what is interrupted has changed nothing and is done again.
    """
    METADATA.create_all(connection)
    version = connection.execute(sa.select(VERSION.c.version)).scalar()
    if version is None:
        connection.execute(sa.insert(VERSION).values(version=SCHEMA_VERSION))
    elif version > SCHEMA_VERSION:
        raise JournalError(
            f"The journal is of a newer version of this pack (schema {version}; "
            f"this one knows {SCHEMA_VERSION}).",
            charge_note="Nothing is sent.",
            hint="Update ComfyUI-Pika, or set PIKA_JOURNAL_URL to another journal.",
        )
    else:
        for step in range(version, SCHEMA_VERSION):
            for statement in UPGRADES[step]:
                connection.execute(sa.text(statement))
        connection.execute(sa.update(VERSION).values(version=SCHEMA_VERSION))
    if connection.execute(sa.select(REVISION.c.value)).scalar() is None:
        newest = connection.execute(sa.select(sa.func.max(TASKS.c.revision))).scalar()
        connection.execute(sa.insert(REVISION).values(value=newest or 0))
    for statement in TRIGGERS[connection.dialect.name]:
        connection.exec_driver_sql(statement)


def _reason(error: Exception, url: sa.URL) -> str:
    """The driver's own words, without the statement and its values, which hold the prompt, and
    without the password and the parameters of the URL, which some drivers quote.
    """
    words = str(getattr(error, "orig", None) or error).rstrip(".")
    for secret in _secrets(url):
        words = words.replace(secret, "***")
    return words


def _secrets(url: sa.URL) -> list[str]:
    """Password and query parameters of a URL, longest first: one may be a part of another."""
    values = [value for name in url.query for value in url.normalized_query[name]]
    return sorted(filter(None, [url.password, *values]), key=len, reverse=True)
