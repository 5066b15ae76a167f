"""The ledger: paid tasks by time and state, and sums of them. All of it is filtered in SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from .database import Database
from .entries import Entry
from .schema import TASKS
from .spending import PAID, Spent, Sum
from .states import State

#: How many rows are read at once: a journal may have a million.
_CHUNK: Final = 500
#: Further words of a search do not count.
_MAX_WORDS: Final = 10

_SPENT_SINCE: Final = Sum(sa.and_(PAID, TASKS.c.created_at >= sa.bindparam("start")))


@dataclass(frozen=True)
class Selection:
    """Which entries are meant.

    Attributes:
        since: Entered at this time or later, in seconds since the epoch; None for no such limit.
        until: Entered before this time; None for no such limit.
        states: In one of these states; empty for all.
        search: With each of these words in the prompt, the task id or the state, in any case;
            empty for all.
    """

    since: float | None = None
    until: float | None = None
    states: frozenset[State] = frozenset()
    search: str = ""

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """What a row must fulfil."""
        conditions: list[sa.ColumnElement[bool]] = []
        if self.since is not None:
            conditions.append(TASKS.c.created_at >= self.since)
        if self.until is not None:
            conditions.append(TASKS.c.created_at < self.until)
        if self.states:
            conditions.append(TASKS.c.state.in_(sorted(state.value for state in self.states)))
        for word in self.search.split()[:_MAX_WORDS]:
            columns = (TASKS.c.prompt, TASKS.c.task_id, TASKS.c.state)
            conditions.append(sa.or_(*(each.icontains(word, autoescape=True) for each in columns)))
        return conditions


EVERYTHING: Final = Selection()


class Ledger:
    """The paid tasks of a journal. Every method raises `JournalError` if the database does not
    answer.

    Args:
        database: The journal's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(
        self, selection: Selection, *, paid: bool = True, forgotten: bool = True
    ) -> Iterator[Entry]:
        """Entries, the newest first, read in parts. Entries of this moment may be missing.

        Args:
            paid: Only requests of this journal that were charged, or may have been. If `selection`
                names states, all requests of this journal in these states.
            forgotten: Forgotten entries too.
        """
        conditions = selection.conditions()
        if paid:
            conditions.append(TASKS.c.fingerprint.is_not(None) if selection.states else PAID)
        if not forgotten:
            conditions.append(TASKS.c.forgotten_at.is_(None))
        query = (
            sa.select(TASKS)
            .where(*conditions)
            .order_by(TASKS.c.created_at.desc(), TASKS.c.id.desc())
            .limit(_CHUNK)
        )
        rows = self._rows(query)
        while rows:
            yield from (Entry.of(row) for row in rows)
            last = rows[-1]
            # Two entries may have the same time. The first condition alone lets an index be used.
            after = sa.and_(
                TASKS.c.created_at <= last["created_at"],
                sa.or_(TASKS.c.created_at < last["created_at"], TASKS.c.id < last["id"]),
            )
            rows = self._rows(query.where(after)) if len(rows) == _CHUNK else []

    def spent_since(self, start: float) -> Mapping[str, Spent]:
        """What the tasks since a time have cost, by the identity of their gateway.

        Args:
            start: Seconds since the epoch.
        """
        with self._database.read() as connection:
            return _SPENT_SINCE.by_gateway(connection, {"start": start})

    def _rows(self, query: sa.Select[Any]) -> list[sa.RowMapping]:
        with self._database.read() as connection:
            return list(connection.execute(query).mappings().all())
