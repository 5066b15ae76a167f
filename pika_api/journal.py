"""Every task ever paid for, on disk before anything is sent.

A row goes ``intended → sent → submitted → running → finished → saved``, or ends as ``refused``
(provably not accepted), ``unknown`` (nobody can say) or ``failed`` (the gateway ended it). The row
of a request holds a *claim* on its fingerprint, which is unique in the table: that is what makes
two identical requests one task, in any number of threads and processes. While somebody works on a
row it also holds a *lease* with a time on it, so that a killed process is noticed.

Never in here: the key, and the media.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from .errors import JournalError
from .states import OPEN, UNDER_WAY, State

FILE_NAME: Final = "journal.sqlite3"
SCHEMA_VERSION: Final = 1
#: Seconds a lease lasts without being renewed.
LEASE: Final = 12.0
#: Seconds that a SQLite file which another process writes to is waited for.
_PATIENCE: Final = 30.0


_metadata = sa.MetaData()
_version = sa.Table("pika_schema", _metadata, sa.Column("version", sa.Integer, nullable=False))
_tasks = sa.Table(
    "pika_tasks",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("fingerprint", sa.String(64)),
    # The fingerprint while this row answers for it, else NULL. NULLs do not collide.
    sa.Column("claim", sa.String(64), unique=True),
    sa.Column("owner", sa.String(36)),
    sa.Column("lease_until", sa.Float(53), nullable=False, default=0.0),
    sa.Column("task_id", sa.String(255), index=True),
    sa.Column("base_url", sa.String(255), nullable=False),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("take", sa.String(24), nullable=False, default="0"),
    sa.Column("prompt", sa.Text, nullable=False, default=""),
    sa.Column("request", sa.Text, nullable=False, default="{}"),
    sa.Column("node_id", sa.String(64), nullable=False, default=""),
    sa.Column("prompt_id", sa.String(64), nullable=False, default=""),
    sa.Column("created_at", sa.Float(53), nullable=False, index=True),
    sa.Column("sent_at", sa.Float(53)),
    sa.Column("submitted_at", sa.Float(53)),
    sa.Column("finished_at", sa.Float(53)),
    sa.Column("saved_at", sa.Float(53)),
    sa.Column("forgotten_at", sa.Float(53)),
    sa.Column("progress", sa.Integer, nullable=False, default=0),
    sa.Column("result_url", sa.Text, nullable=False, default=""),
    sa.Column("file_path", sa.Text, nullable=False, default=""),
    sa.Column("last_error", sa.Text, nullable=False, default=""),
)


class _TakenError(JournalError):
    """Another row answers for this fingerprint."""


@dataclass(frozen=True)
class Intent:
    """What is known of a request before it is sent."""

    fingerprint: str
    base_url: str
    key_id: str
    take: int
    prompt: str
    request: Mapping[str, Any]
    node_id: str = ""
    prompt_id: str = ""


@dataclass(frozen=True)
class Entry:
    """One row as it was read. Times are seconds since the epoch, None where not reached."""

    id: int
    state: State
    fingerprint: str | None
    owner: str | None
    lease_until: float
    task_id: str | None
    base_url: str
    key_id: str
    take: int
    prompt: str
    request: Mapping[str, Any]
    node_id: str
    prompt_id: str
    created_at: float
    sent_at: float | None
    submitted_at: float | None
    finished_at: float | None
    saved_at: float | None
    forgotten_at: float | None
    progress: int
    result_url: str
    file_path: str
    last_error: str

    @classmethod
    def of(cls, row: sa.RowMapping) -> Entry:
        """The row of a query."""
        values = {field.name: row[field.name] for field in fields(cls)}
        values |= {
            "state": State(row["state"]),
            "take": int(row["take"]),
            "request": json.loads(row["request"]),
        }
        return cls(**values)


def sqlite_url(home: Path) -> str:
    """The default journal's address, in the pack's private folder."""
    return f"sqlite:///{(home / FILE_NAME).as_posix()}"


class Journal:
    """The table of tasks. Opening is put off to the first use; safe in threads and processes.

    Every method raises `JournalError` where the database does not answer.

    Args:
        url: SQLAlchemy's address of a database; its folder is made if it is a SQLite file.
        clock: Seconds since the epoch.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        self._url = url
        self._clock = clock
        try:
            self._engine = _engine(url)
        except ValueError:
            # Not told which, nor chained: what is no number is often a piece of the password.
            raise JournalError(
                "PIKA_JOURNAL_URL is not an address of a database: its port is not a number.",
                way_out="Write @, : and / within a password as %40, %3A and %2F.",
            ) from None
        except (SQLAlchemyError, ImportError) as error:
            raise JournalError(
                f"PIKA_JOURNAL_URL is not an address of a database that works here: {error}.",
                way_out="Leave it out for a file in ComfyUI's user folder.",
            ) from error
        self._ready = False

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @property
    def home(self) -> str:
        """The folder of a SQLite journal, for the command line; empty for another database."""
        url = self._engine.url
        is_file = url.get_backend_name() == "sqlite" and url.database
        return str(Path(url.database).parent) if is_file and url.database else ""

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        """One transaction; the first opens the database and brings its tables up to date."""
        try:
            if not self._ready:
                _prepare(self._engine)
                self._ready = True
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError as error:
            raise _TakenError(f"The journal holds such a row already: {error.orig}.") from error
        except (SQLAlchemyError, OSError) as error:
            url = self._engine.url
            place = url.render_as_string(hide_password=True)
            raise JournalError(
                f"The journal of tasks ({place}) does not work: {_reason(error, url)}.",
                money="Nothing is sent without it; tasks that are paid for stay at the gateway.",
                way_out="Make room or make its folder writable, or set PIKA_JOURNAL_URL.",
            ) from error

    def claim(self, intent: Intent, owner: str) -> tuple[Entry, bool]:
        """Enter a request, unless a row answers for it already.

        Args:
            owner: Who is asking, for the lease.

        Returns:
            The row that answers for the fingerprint, and whether it is now the owner's to send.
        """
        now = self._clock()
        row = {
            "state": State.INTENDED.value,
            "fingerprint": intent.fingerprint,
            "claim": intent.fingerprint,
            "owner": owner,
            "lease_until": now + LEASE,
            "base_url": intent.base_url,
            "key_id": intent.key_id,
            "take": str(intent.take),
            "prompt": intent.prompt,
            "request": json.dumps(intent.request),
            "node_id": intent.node_id,
            "prompt_id": intent.prompt_id,
            "created_at": now,
        }
        while True:
            try:
                with self._begin() as connection:
                    key = connection.execute(_tasks.insert().values(row)).inserted_primary_key
                    if key is None:
                        raise SQLAlchemyError("the database did not tell the new row's number")
                    return self._read(connection, _tasks.c.id == key[0]), True
            except _TakenError:
                found = self._find(_tasks.c.claim == intent.fingerprint)
                if found is not None:
                    return self._settle(found, owner)
                # It was given up between the two statements: try again.

    def _settle(self, entry: Entry, owner: str) -> tuple[Entry, bool]:
        """A row that is there already; if whoever worked on it is gone, say what that means."""
        if entry.state not in OPEN or entry.lease_until > self._clock():
            return entry, False
        if entry.state is State.INTENDED:
            # It never came to sending, so it may be sent now, by one of those who see this.
            mine = self._change(
                entry.id, (State.INTENDED,), {"owner": owner}, was_owner=entry.owner
            )
            return self.get(entry.id), mine
        self.unknown(entry.id, "The process that sent it ended before an answer was written down.")
        return self.get(entry.id), False

    def sent(self, entry_id: int, owner: str) -> bool:
        """Note that the request is about to leave; False if it is not the owner's any more."""
        return self._change(
            entry_id,
            (State.INTENDED,),
            {"state": State.SENT.value, "sent_at": self._clock(), "owner": owner},
            was_owner=owner,
        )

    def unsent(self, entry_id: int, owner: str, reason: str) -> None:
        """It provably was not accepted, and its owner will try again."""
        self._change(
            entry_id,
            (State.SENT,),
            {"state": State.INTENDED.value, "last_error": reason},
            was_owner=owner,
        )

    def refused(self, entry_id: int, owner: str, reason: str) -> None:
        """It provably was not accepted, and that is that: the fingerprint is free again.

        Only its owner can say so: whoever took it over may be sending it.
        """
        self._change(
            entry_id,
            (State.INTENDED, State.SENT),
            {"state": State.REFUSED.value, "claim": None, "owner": None, "last_error": reason},
            was_owner=owner,
        )

    def withdrawn(self, entry_id: int, owner: str) -> None:
        """Its owner stops before it is sent; in one step, so that it cannot be sent meanwhile."""
        self._change(
            entry_id,
            (State.INTENDED,),
            {
                "state": State.REFUSED.value,
                "claim": None,
                "owner": None,
                "last_error": "Stopped before it was sent.",
            },
            was_owner=owner,
        )

    def unknown(self, entry_id: int, reason: str) -> None:
        """Nobody can say whether it was accepted. It keeps its claim."""
        self._change(
            entry_id,
            (State.SENT,),
            {"state": State.UNKNOWN.value, "owner": None, "last_error": reason},
        )

    def submitted(self, entry_id: int, task_id: str) -> None:
        """The gateway gave it an id; this also settles an unknown."""
        changed = self._change(
            entry_id,
            (State.SENT, State.UNKNOWN),
            {
                "state": State.SUBMITTED.value,
                "task_id": task_id,
                "submitted_at": self._clock(),
                "owner": None,
                "last_error": "",
            },
        )
        if not changed:
            raise JournalError(f"The journal has no row {entry_id} to write the task {task_id} to.")

    def adopt(self, task_id: str, base_url: str, key_id: str) -> Entry:
        """The row of a task id; a task that was submitted elsewhere gets one."""
        condition = _tasks.c.task_id == task_id
        row = {
            "state": State.SUBMITTED.value,
            "task_id": task_id,
            "base_url": base_url,
            "key_id": key_id,
            "created_at": self._clock(),
        }
        with self._begin() as connection:
            if connection.execute(sa.select(_tasks.c.id).where(condition)).first() is None:
                connection.execute(_tasks.insert().values(row))
            return self._read(connection, condition)

    def running(self, entry_id: int, progress: int) -> None:
        """The feed knows it and it is not finished."""
        self._change(entry_id, UNDER_WAY, {"state": State.RUNNING.value, "progress": progress})

    def finished(self, entry_id: int, result_url: str) -> None:
        """The gateway has finished it; a saved one only gets its new link."""
        values = {
            "state": State.FINISHED.value,
            "result_url": result_url,
            "progress": 100,
            "finished_at": self._clock(),
        }
        if not self._change(entry_id, (*UNDER_WAY, State.FINISHED), values):
            self._change(entry_id, (State.SAVED,), {"result_url": result_url})

    def failed(self, entry_id: int, reason: str) -> None:
        """The gateway ended it with an error: the fingerprint is free again."""
        self._change(
            entry_id,
            UNDER_WAY,
            {
                "state": State.FAILED.value,
                "claim": None,
                "last_error": reason,
                "finished_at": self._clock(),
            },
        )

    def saved(self, entry_id: int, path: Path) -> None:
        """Its file is on disk, whole."""
        self._change(
            entry_id,
            (*UNDER_WAY, State.FINISHED, State.SAVED),
            {
                "state": State.SAVED.value,
                "file_path": str(path),
                "saved_at": self._clock(),
                "last_error": "",
            },
        )

    def note(self, entry_id: int, reason: str) -> None:
        """Keep the last thing that went wrong with it."""
        self._change(entry_id, tuple(State), {"last_error": reason})

    def forget(self, entry_id: int) -> bool:
        """Take it out of lists and give its fingerprint free. The row and its task id stay.

        Returns:
            False, and nothing is changed, where somebody is sending it at this moment.
        """
        now = self._clock()
        being_sent = sa.and_(
            _tasks.c.state.in_([state.value for state in OPEN]), _tasks.c.lease_until > now
        )
        with self._begin() as connection:
            changed = connection.execute(
                _tasks.update()
                .where(_tasks.c.id == entry_id, sa.not_(being_sent))
                .values(claim=None, forgotten_at=now)
            )
            return changed.rowcount == 1

    def lease(self, entry_id: int, owner: str) -> bool:
        """Take the lease if nobody holds it; True if it is the owner's now."""
        now = self._clock()
        free = sa.or_(
            _tasks.c.owner.is_(None), _tasks.c.owner == owner, _tasks.c.lease_until <= now
        )
        with self._begin() as connection:
            changed = connection.execute(
                _tasks.update()
                .where(_tasks.c.id == entry_id, free)
                .values(owner=owner, lease_until=now + LEASE)
            )
            return changed.rowcount == 1

    def renew(self, owners: Sequence[str]) -> None:
        """Put the leases of these owners off."""
        with self._begin() as connection:
            connection.execute(
                _tasks.update()
                .where(_tasks.c.owner.in_(owners))
                .values(lease_until=self._clock() + LEASE)
            )

    def release(self, entry_id: int, owner: str) -> None:
        """Give the lease back, if it is still the owner's."""
        self._change(entry_id, tuple(State), {"owner": None}, was_owner=owner)

    def get(self, entry_id: int) -> Entry:
        """The row of this number."""
        with self._begin() as connection:
            return self._read(connection, _tasks.c.id == entry_id)

    def numbered(self, entry_id: int) -> Entry | None:
        """The row of a number that the user gave."""
        return self._find(_tasks.c.id == entry_id)

    def find(self, task_id: str) -> Entry | None:
        """The newest row of this task id."""
        return self._find(_tasks.c.task_id == task_id)

    def given_up(self, prompt: str | None) -> int:
        """How many requests of this prompt (of any, if None) no longer answer for themselves.

        It grows when a task fails, is refused or is forgotten: from then on the same request is
        another task.
        """
        query = sa.select(sa.func.count()).where(
            _tasks.c.fingerprint.is_not(None), _tasks.c.claim.is_(None)
        )
        if prompt is not None:
            query = query.where(_tasks.c.prompt == prompt)
        with self._begin() as connection:
            return connection.execute(query).scalar_one()

    def lost_files(self, folder: Path) -> int:
        """How many of the newest saved tasks have their file neither where it was nor here."""
        paths = [Path(entry.file_path) for entry in self.entries((State.SAVED,), limit=300)]
        return sum(not path.is_file() and not (folder / path.name).is_file() for path in paths)

    def entries(
        self,
        states: Sequence[State] = (),
        *,
        limit: int = 100,
        with_task: bool = False,
        forgotten: bool = False,
    ) -> list[Entry]:
        """Rows, newest first.

        Args:
            states: Only these; all where empty.
            with_task: Only those that have a task id.
            forgotten: Also those that were taken out of lists.
        """
        query = sa.select(_tasks).order_by(_tasks.c.created_at.desc(), _tasks.c.id.desc())
        if states:
            query = query.where(_tasks.c.state.in_([state.value for state in states]))
        if with_task:
            query = query.where(_tasks.c.task_id.is_not(None))
        if not forgotten:
            query = query.where(_tasks.c.forgotten_at.is_(None))
        with self._begin() as connection:
            return [Entry.of(row) for row in connection.execute(query.limit(limit)).mappings()]

    def _change(
        self,
        entry_id: int,
        states: Sequence[State] | frozenset[State],
        values: Mapping[str, object],
        *,
        was_owner: str | None = None,
    ) -> bool:
        """Change a row only if it is in one of these states (and leased to this owner)."""
        update = _tasks.update().where(
            _tasks.c.id == entry_id, _tasks.c.state.in_([state.value for state in states])
        )
        if was_owner is not None:
            update = update.where(_tasks.c.owner == was_owner)
        if values.get("owner"):
            values = {**values, "lease_until": self._clock() + LEASE}
        with self._begin() as connection:
            return connection.execute(update.values(**values)).rowcount == 1

    def _find(self, condition: sa.ColumnElement[bool]) -> Entry | None:
        query = sa.select(_tasks).where(condition).order_by(_tasks.c.id.desc()).limit(1)
        with self._begin() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else Entry.of(row)

    @staticmethod
    def _read(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> Entry:
        query = sa.select(_tasks).where(condition).order_by(_tasks.c.id.desc()).limit(1)
        return Entry.of(connection.execute(query).mappings().one())


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
        Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    with engine.begin() as connection:
        _metadata.create_all(connection)
        found = connection.execute(sa.select(_version.c.version)).scalar()
        if found is None:
            connection.execute(_version.insert().values(version=SCHEMA_VERSION))
            return
        if found > SCHEMA_VERSION:
            raise JournalError(
                f"The journal is of a newer version of this pack (schema {found}; "
                f"this one knows {SCHEMA_VERSION}).",
                money="Nothing is sent.",
                way_out="Update ComfyUI-Pika, or set PIKA_JOURNAL_URL to another journal.",
            )
        for version in range(found, SCHEMA_VERSION):
            for statement in UPGRADES[version]:
                connection.execute(sa.text(statement))
        connection.execute(_version.update().values(version=SCHEMA_VERSION))


#: From each schema version to the next, statement by statement. Rows are never dropped.
UPGRADES: Final[Mapping[int, Sequence[str]]] = {}


def _reason(error: Exception, url: sa.URL) -> str:
    """The driver's own words, without the statement and its values, which hold the prompt, and
    without the password, which some drivers quote.
    """
    words = str(getattr(error, "orig", None) or error).rstrip(".")
    return words.replace(url.password, "***") if url.password else words
