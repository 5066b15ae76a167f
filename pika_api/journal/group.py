"""Group commit: writers that wait for each other share one transaction, and one write to the disk.

A commit waits for the disk for some milliseconds, and SQLite has one writer at a time. So each
writer runs its statements in turn, in a savepoint of the transaction that is open. The last one in
the queue commits for all of them. Nobody returns before the commit is on the disk, and an error
of one writer undoes only what that writer did.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any, Final

import sqlalchemy as sa

#: How many writers share one transaction at most.
_MAX_MEMBERS: Final = 64
_SAVEPOINT: Final = "pika_writer"
#: How often the database is prepared for one writer: its file may be replaced again and again.
_MAX_ATTEMPTS: Final = 5


class NotPrepared(Exception):
    """The database must be prepared before a transaction can begin."""


class _Group:
    """One transaction and the writers in it.

    Args:
        stack: Its exit commits the transaction, or rolls it back with an error.
    """

    def __init__(self, connection: sa.Connection, stack: ExitStack) -> None:
        self.connection = connection
        self.members = 0
        self._stack = stack
        self._ended = threading.Event()
        self._error: Exception | None = None

    def run(self, statement: str) -> None:
        """Run a statement of SQLite, without the cost of SQLAlchemy's."""
        connection: Any = self.connection.connection.dbapi_connection
        connection.execute(statement)

    def commit(self) -> None:
        """End it. Raises nothing: `wait` does, for each of its writers."""
        try:
            self._stack.close()
        except BaseException as error:
            self._error = error if isinstance(error, Exception) else OSError("it was interrupted")
            if not isinstance(error, Exception):
                raise
        finally:
            self._ended.set()

    def roll_back(self, error: BaseException) -> None:
        """End it because of an error of one writer. The others get one of the database."""
        if isinstance(error, (sa.exc.SQLAlchemyError, sqlite3.Error, OSError)):
            self._error = error
        else:
            self._error = OSError("the transaction was rolled back")
        with suppress(Exception):  # it may be rolled back already
            self._stack.__exit__(type(error), error, error.__traceback__)
        self._ended.set()

    def wait(self) -> None:
        """Wait until it has ended. Raises the error with which it did."""
        self._ended.wait()
        if self._error is not None:
            raise self._error


class WriterQueue:
    """The writers of one SQLite database in this process. Safe in threads.

    Args:
        begin: A transaction that commits at its end. Raises `NotPrepared`.
        prepare: Prepares the database. It may write.
    """

    def __init__(
        self,
        begin: Callable[[], AbstractContextManager[sa.Connection]],
        prepare: Callable[[], None],
    ) -> None:
        self._begin = begin
        self._prepare = prepare
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._group: _Group | None = None
        #: The last failure to begin a transaction, and when that attempt began.
        self._failure: tuple[Exception, float] | None = None

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A part of a transaction. It is on the disk when the block has ended.

        Raises:
            NotPrepared: Again and again.
        """
        group = self._enter()
        try:
            with self._savepoint(group):
                yield group.connection
        finally:
            self._leave(group)
        group.wait()

    def _enter(self) -> _Group:
        """Wait for the turn, and take it. Begins a transaction if none is open."""
        arrived = time.monotonic()
        for _ in range(_MAX_ATTEMPTS):
            with self._counting:
                self._waiting += 1
            self._turn.acquire()
            with self._counting:
                self._waiting -= 1
            try:
                self._group = self._group or self._open(arrived)
            except NotPrepared:
                self._turn.release()
                self._prepare()  # not in turn: it may write
            except BaseException:
                self._turn.release()
                raise
            else:
                return self._group
        raise NotPrepared

    def _open(self, arrived: float) -> _Group:
        if self._failure is not None and arrived <= self._failure[1]:
            # This one has waited as long as that attempt, such as for another process that writes.
            raise self._failure[0]
        self._failure = None
        began = time.monotonic()
        try:
            with ExitStack() as stack:
                connection = stack.enter_context(self._begin())
                return _Group(connection, stack.pop_all())
        except NotPrepared:
            raise
        except Exception as error:
            self._failure = error, began
            raise

    @contextmanager
    def _savepoint(self, group: _Group) -> Iterator[None]:
        """Undo what is done in the block if it fails."""
        try:
            group.run(f"SAVEPOINT {_SAVEPOINT}")
            yield
            group.run(f"RELEASE {_SAVEPOINT}")
            group.members += 1
        except BaseException as error:
            try:
                group.run(f"ROLLBACK TO {_SAVEPOINT}")
                group.run(f"RELEASE {_SAVEPOINT}")
            except Exception:  # noqa: BLE001 - whatever it is, the transaction is not as it was
                # SQLite rolls all of it back when the disk is full, for example.
                self._group = None
                group.roll_back(error)
            raise

    def _leave(self, group: _Group) -> None:
        """Pass the turn on, or commit if nobody waits for it."""
        try:
            with self._counting:
                is_last = self._waiting == 0
            if self._group is group and (is_last or group.members >= _MAX_MEMBERS):
                self._group = None
                group.commit()
        finally:
            self._turn.release()
