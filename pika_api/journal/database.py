"""The journal's database: how it is opened, upgraded, read and written."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import (
    DBAPIError,
    DisconnectionError,
    InvalidRequestError,
    NoSuchModuleError,
    SQLAlchemyError,
)

from ..errors import JournalError
from ..message import Message
from .clocks import ServerClocks
from .group import NotPrepared, WriterQueue
from .journal_file import FileId, JournalFile
from .location import file_of, locate
from .schema import METADATA, REVISION, SCHEMA_VERSION, TASKS, TRIGGERS, UPGRADES, VERSION

#: Seconds to wait for a SQLite file that another process is writing to.
_BUSY_TIMEOUT: Final = 30.0
#: The execution option that marks a connection as one for reading.
_READING: Final = "pika_reading"
#: The key of a connection's `FileId` in its `info`.
_FILE: Final = "pika_file"
#: Stands for the file of a database that has none.
_NO_FILE: Final = FileId(0, 0)
#: The number of PostgreSQL's lock for creating and upgrading the tables.
_UPGRADE_LOCK: Final = 1885956961
#: How often the file may be replaced while it is being opened.
_MAX_REPLACEMENTS: Final = 5
#: Seconds to wait for a server that has answered before: it is started again, for example.
_OUTAGE: Final = 5.0
#: Seconds between two attempts to connect to it.
_RECONNECT_EVERY: Final = 0.2
#: Seconds until a server that does not answer at all counts as unreachable.
_CONNECT_TIMEOUT: Final = 10
#: The packages to install for SQLAlchemy's drivers of PostgreSQL, by the name in the URL.
_DRIVER_PACKAGES: Final = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary"}
_SERVER_TIME: Final = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)"


class Replaced(JournalError):
    """The file of the journal was deleted or replaced during a transaction: nothing is written."""


class Database:
    """A SQLite or PostgreSQL database. Opened at its first use; safe in threads and processes.

    If the file of a SQLite database is deleted or replaced, the connections to it are closed, and
    the file at its path is opened, or created.

    Args:
        address: SQLAlchemy's URL of the database. The folder of a SQLite file is created if needed.
        on_open: Called when a database with its tables was opened, and may use it: at the first
            use, and when the file was replaced.

    Attributes:
        server_clocks: Clocks with the time of the server; None for a SQLite file.

    Raises:
        JournalError: Not a valid URL, or not one of these databases.
    """

    def __init__(self, address: str | sa.URL, on_open: Callable[[], None] = lambda: None) -> None:
        self._on_open = on_open
        try:
            self._url = locate(address)
            self._journal_file: JournalFile | None = None
            self.server_clocks: ServerClocks | None = None
            if path := file_of(self._url):
                self._journal_file = JournalFile(path)
                self._engine = _create_file_engine(self._url, self._journal_file)
            else:
                self.server_clocks = ServerClocks()
                self._engine = _create_server_engine(self._url, self.server_clocks)
        except ValueError:
            # Neither quoted nor chained: the text that is not a number is often a part of the
            # password.
            raise JournalError(
                Message(
                    "PIKA_JOURNAL_URL is not an address of a database: its port is not a number."
                ),
                hint=Message("Write @, : and / within a password as %40, %3A and %2F."),
            ) from None
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            raise _missing_driver(self._url, error) from error
        except (SQLAlchemyError, ImportError) as error:
            # Some versions quote it, with the password.
            words = str(error).replace(str(address), "…")
            raise JournalError(
                Message(
                    "PIKA_JOURNAL_URL is not an address of a database that works here: {words}.",
                    words=words,
                ),
                hint=Message("Leave it out for a file in ComfyUI's user folder."),
            ) from error
        if self.backend not in TRIGGERS:
            raise JournalError(
                Message(
                    "PIKA_JOURNAL_URL names a database of the kind «{backend}». The journal works "
                    "with SQLite and PostgreSQL.",
                    backend=self.backend,
                ),
                hint=Message("Leave it out for a file in ComfyUI's user folder."),
            )
        self._reading_engine = self._engine.execution_options(**{_READING: True})
        self._ready: FileId | None = None
        self._preparing = threading.RLock()
        self._writers = WriterQueue(self._begin_group, self._prepare_once)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @property
    def backend(self) -> str:
        """The kind of database, by SQLAlchemy's name: ``sqlite`` or ``postgresql``."""
        return self._url.get_backend_name()

    @property
    def file(self) -> Path | None:
        """The file of a SQLite journal; None for another database."""
        return self._journal_file.path if self._journal_file else None

    @property
    def home(self) -> str:
        """The folder of a SQLite journal, for the command line; empty for another database."""
        return str(self.file.parent) if self.file else ""

    @property
    def is_remote(self) -> bool:
        """Whether other machines can use it by the same address."""
        query = self._url.query
        host = query.get("host") or query.get("hostaddr") or self._url.host or ""
        hosts = ",".join(host) if isinstance(host, tuple) else host
        # Without a host, or with a path in its place, it is a socket of this machine.
        return self.file is None and not any(map(_is_here, hosts.split(",")))

    @property
    def identity(self) -> str:
        """Identifies the database: a hash of its address without user and password."""
        url, where = self._url, ("host", "hostaddr", "port", "service", "dbname")
        options = [(name, url.query[name]) for name in where if name in url.query]
        parts = (url.get_backend_name(), url.host, url.port, url.database, options)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction for reading. On SQLite it sees a snapshot and never waits for a writer."""
        with self._explained_errors(), self._begin(self._reading_engine) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction for writing. On SQLite it holds the write lock from its beginning.

        Raises:
            Replaced: The file at the path is another one now.
        """
        with self._explained_errors():
            if self._journal_file is None:
                with self._begin(self._engine) as connection:
                    yield connection
            else:
                try:
                    with self._writers.write() as connection:
                        yield connection
                except NotPrepared:
                    raise self._always_replaced() from None

    @contextmanager
    def _begin_group(self) -> Iterator[sa.Connection]:
        """A transaction of several writers. Raises `NotPrepared`."""
        with self._begin(self._engine, prepare=False) as connection:
            yield connection
            file = self.file_of(connection)
            if not self.is_open(file):
                raise self._replaced()
        if not self.is_open(file):  # replaced during the commit
            raise self._replaced()

    @staticmethod
    def file_of(connection: sa.Connection) -> FileId | None:
        """The file that a connection has open; None for another database."""
        file: FileId | None = connection.info.get(_FILE)
        return file

    def is_open(self, file: FileId | None) -> bool:
        """Whether a file that was written is still the journal; None means another database."""
        return file is None or self._journal_file is None or self._journal_file.is_current(file)

    @contextmanager
    def _begin(self, engine: sa.Engine, *, prepare: bool = True) -> Iterator[sa.Connection]:
        """A transaction in a database that has the tables of this version.

        Args:
            prepare: Whether to prepare the database if that is needed; else `NotPrepared` is
                raised.
        """
        for _ in range(_MAX_REPLACEMENTS):
            if prepare:
                self._prepare_once()
            elif not self._is_ready():
                raise NotPrepared
            try:
                connected = self._connect(engine)
            except InvalidRequestError:
                continue  # the file was replaced at each of SQLAlchemy's own attempts to connect
            with connected as connection, connection.begin():
                if self.file_of(connection) in (self._ready, None):
                    yield connection
                    return
        raise self._always_replaced()

    def _connect(self, engine: sa.Engine) -> sa.Connection:
        """A connection. A server that has answered before is waited for, for a short time."""
        wait = self._ready is not None and self._journal_file is None
        deadline = time.monotonic() + (_OUTAGE if wait else 0.0)
        while True:
            try:
                return engine.connect()
            except DBAPIError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_RECONNECT_EVERY)

    def _prepare_once(self) -> None:
        """Prepare the database, unless the file that was prepared is still the journal.

        Raises:
            JournalError: The file is damaged. No connection was used or closed: it might write to
                the damaged file.
        """
        if self._is_ready():
            return
        with self._preparing:
            if self._is_ready():
                return
            self._engine.dispose()  # the idle connections to an earlier file
            self._ready = None
            for _ in range(_MAX_REPLACEMENTS):
                # As in `_begin`: the file was replaced at each of SQLAlchemy's own attempts.
                with contextlib.suppress(InvalidRequestError):
                    self._prepare()
                    return
            raise self._always_replaced()

    def _is_ready(self) -> bool:
        if self._ready is None or self._journal_file is None:
            return self._ready is not None
        return self._journal_file.check(self._ready)

    def _prepare(self) -> None:
        with self._reading_engine.begin() as connection:
            current, file = _is_current(connection), self.file_of(connection)
        if not current:
            with self._engine.begin() as connection:
                _create_or_upgrade(connection)
                file = self.file_of(connection)
        self._ready = file or _NO_FILE
        self._on_open()

    def _always_replaced(self) -> JournalError:
        return JournalError(
            Message("The journal of tasks ({file}) is replaced again and again.", file=self.file),
            charge_note=Message("Nothing was sent."),
            hint=Message("End the program that replaces it: a backup, or a synchronisation."),
        )

    def _replaced(self) -> Replaced:
        return Replaced(
            Message(
                "The journal of tasks ({file}) was deleted or replaced at this moment.",
                file=self.file,
            ),
            charge_note=Message("Nothing was written and nothing was sent."),
            hint=Message("Queue the workflow again."),
        )

    @contextmanager
    def _explained_errors(self) -> Iterator[None]:
        """Raise `JournalError` for errors of the database and of the disk."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            if self._ready is not None and not self.is_open(self._ready):
                raise self._replaced() from None  # which is the reason, whatever SQLite says
            place = self.file or self._url.set(query={}).render_as_string(hide_password=True)
            raise JournalError(
                Message(
                    "The journal of tasks ({place}) does not work: {error}.",
                    place=place,
                    error=_reason(error, self._url),
                ),
                charge_note=Message(
                    "Nothing is sent without the journal. Paid tasks stay at the gateway."
                ),
                hint=_ADVICE_FOR_A_FILE if self.file else _ADVICE_FOR_A_SERVER,
            ) from None  # its text may contain the password, and the prompt


_ADVICE_FOR_A_FILE: Final = Message(
    "Make room, or make its folder writable. On a network drive it may never work: set "
    "PIKA_JOURNAL_URL to a file on this computer, such as sqlite:///C:/pika/journal.sqlite3."
)
_ADVICE_FOR_A_SERVER: Final = Message(
    "Check that the database server runs and can be reached from here, and the address, user and "
    "password in PIKA_JOURNAL_URL. Then queue again."
)


def _is_here(host: str) -> bool:
    """Whether a host of an address is this machine, whichever that is."""
    name = host.strip("[] ").lower()
    if not name or name.startswith(("/", "@")) or name == "localhost":
        return True
    try:
        return bool(ipaddress.ip_address(name).is_loopback)
    except ValueError:
        return False


def _missing_driver(url: sa.URL, error: Exception) -> JournalError:
    """SQLAlchemy has no driver of this name, or its package is not installed."""
    driver = url.drivername.partition("+")[2]
    package = _DRIVER_PACKAGES.get(driver or "psycopg")
    if url.get_backend_name() != "postgresql" or package is None:
        return JournalError(
            Message(
                "PIKA_JOURNAL_URL is not an address of a database that works here: {words}.",
                words=str(error).rstrip("."),
            ),
            hint=Message("Write postgresql+psycopg://…, or leave it out for a file."),
        )
    return JournalError(
        Message(
            "The journal is in PostgreSQL, and this Python has no driver for it: {words}.",
            words=str(error).rstrip("."),
        ),
        charge_note=Message("Nothing is sent without the journal."),
        hint=Message(
            "Begin PIKA_JOURNAL_URL with postgresql+{driver}:// and install the driver in "
            'ComfyUI\'s Python: python -m pip install "{package}"',
            driver=driver or "psycopg",
            package=package,
        ),
    )


def _create_file_engine(url: sa.URL, file: JournalFile) -> sa.Engine:
    # A group of writers uses one connection, each in its own thread, and one after another.
    options = {"timeout": _BUSY_TIMEOUT, "check_same_thread": False}
    engine = sa.create_engine(url, connect_args=options)

    @sa.event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
        opened = file.prepare()
        connection = dialect.connect(*arguments, **options)
        # If the file was replaced while it was opened, `check` closes the connection.
        record.info[_FILE] = opened if file.is_current(opened) else _NO_FILE
        return connection

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        # The driver must not begin transactions by itself: `begin` below does.
        connection.isolation_level = None
        _switch_to_wal(connection)
        # A commit is on the disk when it returns, even if the power fails the moment after.
        connection.execute("PRAGMA synchronous=FULL")

    @sa.event.listens_for(engine, "checkout")
    def check(_connection: object, record: Any, _proxy: object) -> None:
        if not file.is_current(record.info[_FILE]):
            # The connection is closed, and another one is opened instead.
            raise DisconnectionError("the file was replaced")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A writer takes the write lock at once: a transaction that has read before it writes
        # cannot wait for the lock.
        reading = connection.get_execution_options().get(_READING)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _create_server_engine(url: sa.URL, clocks: ServerClocks) -> sa.Engine:
    options: dict[str, Any] = {}
    if url.get_driver_name() in _DRIVER_PACKAGES and "connect_timeout" not in url.query:
        options["connect_timeout"] = _CONNECT_TIMEOUT
    engine = sa.create_engine(url, pool_pre_ping=True, connect_args=options)

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        if not connection.get_execution_options().get(_READING):
            clocks.set_to(float(connection.exec_driver_sql(_SERVER_TIME).scalar_one()))

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
    if connection.dialect.name == "postgresql":
        # One process at a time, as on SQLite: until the transaction ends.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
    METADATA.create_all(connection)
    version = connection.execute(sa.select(VERSION.c.version)).scalar()
    if version is None:
        connection.execute(sa.insert(VERSION).values(version=SCHEMA_VERSION))
    elif version > SCHEMA_VERSION:
        raise JournalError(
            Message(
                "The journal is of a newer version of this pack (schema {version}; this one "
                "knows {known}).",
                version=version,
                known=SCHEMA_VERSION,
            ),
            charge_note=Message("Nothing is sent."),
            hint=Message("Update ComfyUI-Pika, or set PIKA_JOURNAL_URL to another journal."),
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
