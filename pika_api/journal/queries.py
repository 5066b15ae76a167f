"""What the journal holds, as it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from .database import Database
from .entries import Entry, Page
from .schema import TASKS
from .states import State

#: Seconds that a change may be seen late in a database whose transactions overlap.
_CURSOR_OVERLAP: Final = 5.0


class JournalQueries:
    """The reading half of the journal. Every method raises `JournalError` where the database does
    not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._begin = database.begin

    def get(self, entry_id: int) -> Entry:
        """The row of this number."""
        with self._begin() as connection:
            return self._read(connection, TASKS.c.id == entry_id)

    def find_by_id(self, entry_id: int) -> Entry | None:
        """The row of a number that the user gave."""
        return self._find(TASKS.c.id == entry_id)

    def find_by_task_id(self, task_id: str) -> Entry | None:
        """The newest row of this task id."""
        return self._find(TASKS.c.task_id == task_id)

    def count_released(self, prompt: str | None) -> int:
        """How many requests of this prompt (of any, if None) no longer answer for themselves.

        It grows when a task fails, is refused or is forgotten: from then on the same request is
        another task.
        """
        query = sa.select(sa.func.count()).where(
            TASKS.c.fingerprint.is_not(None), TASKS.c.claim.is_(None)
        )
        if prompt is not None:
            query = query.where(TASKS.c.prompt == prompt)
        with self._begin() as connection:
            return connection.execute(query).scalar_one()

    @property
    def location(self) -> tuple[str, Path | None]:
        """What kind of database it is, and its file, where it is one."""
        return self._database.backend, self._database.file

    def count_by_state(self) -> Mapping[State, int]:
        """How many rows stand where, forgotten ones too."""
        query = sa.select(TASKS.c.state, sa.func.count()).group_by(TASKS.c.state)
        with self._begin() as connection:
            found = {State(state): int(count) for state, count in connection.execute(query)}
        return {state: found[state] for state in State if state in found}

    def recent_errors(self, *, limit: int) -> list[Entry]:
        """The rows that something went wrong with last, the newest trouble first."""
        query = sa.select(TASKS).where(TASKS.c.last_error != "")
        query = query.order_by(TASKS.c.changed_at.desc(), TASKS.c.id.desc()).limit(limit)
        with self._begin() as connection:
            return [Entry.of(row) for row in connection.execute(query).mappings()]

    def count_missing_files(self, folder: Path) -> int:
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
        query = sa.select(TASKS).order_by(TASKS.c.created_at.desc(), TASKS.c.id.desc())
        if states:
            query = query.where(TASKS.c.state.in_([state.value for state in states]))
        if with_task:
            query = query.where(TASKS.c.task_id.is_not(None))
        if not forgotten:
            query = query.where(TASKS.c.forgotten_at.is_(None))
        with self._begin() as connection:
            return [Entry.of(row) for row in connection.execute(query.limit(limit)).mappings()]

    def page(self, *, limit: int, before: int | None = None) -> Page:
        """Rows by their number, the newest first, without forgotten ones.

        Args:
            before: Only those with a smaller number.
        """
        query = sa.select(TASKS).where(TASKS.c.forgotten_at.is_(None))
        if before is not None:
            query = query.where(TASKS.c.id < before)
        query = query.order_by(TASKS.c.id.desc()).limit(limit + 1)
        with self._begin() as connection:
            found = [Entry.of(row) for row in connection.execute(query).mappings()]
            cursor = connection.execute(sa.select(sa.func.max(TASKS.c.changed_at))).scalar()
        return Page(found[:limit], cursor or 0.0, len(found) > limit)

    def changed_since(self, cursor: float, *, limit: int) -> Page:
        """Rows that have changed since, forgotten ones too, in the order of their change."""
        after = cursor if self._database.in_order else cursor - _CURSOR_OVERLAP
        query = sa.select(TASKS).where(TASKS.c.changed_at > after)
        query = query.order_by(TASKS.c.changed_at, TASKS.c.id).limit(limit + 1)
        with self._begin() as connection:
            rows = [Entry.of(row) for row in connection.execute(query).mappings()]
        found = rows[:limit]
        return Page(found, max([cursor, *(entry.changed_at for entry in found)]), len(rows) > limit)

    def _find(self, condition: sa.ColumnElement[bool]) -> Entry | None:
        with self._begin() as connection:
            row = connection.execute(_newest(condition)).mappings().first()
        return None if row is None else Entry.of(row)

    @staticmethod
    def _read(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> Entry:
        return Entry.of(connection.execute(_newest(condition)).mappings().one())


def _newest(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(TASKS).where(condition).order_by(TASKS.c.id.desc()).limit(1)
