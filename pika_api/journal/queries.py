"""The reading half of the journal."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from ..errors import JournalError
from ..log import log
from ..message import Message
from .backup import copy_journal
from .database import Database
from .entries import Entry, Page
from .ledger import EVERYTHING, Selection
from .loss import describe_loss, result_folders
from .schema import PROMPT_START, PROMPT_START_LENGTH, RELEASED, REVISION, TASKS
from .states import State

#: How many entries a page of a search looks through: no index finds a part of a text.
_SEARCHED: Final = 20_000

_limit: Final = sa.bindparam("limit", type_=sa.Integer)

_ANY: Final = sa.select(TASKS.c.id).limit(1)
_BY_ID: Final = sa.select(TASKS).where(TASKS.c.id == sa.bindparam("entry_id"))
#: The rows of a task id. Gateways may use the same id for different tasks. A task that was used by
#: its id first has two rows: the one of its request is the one that counts.
BY_TASK_ID: Final = (
    sa.select(TASKS)
    .where(TASKS.c.task_id == sa.bindparam("task_id"))
    .order_by(TASKS.c.forgotten_at.is_not(None), TASKS.c.fingerprint.is_(None), TASKS.c.id.desc())
)
_prompt_start: Final = PROMPT_START
_RELEASED: Final = sa.select(sa.func.count()).where(RELEASED)
_RELEASED_OF_PROMPT: Final = _RELEASED.where(
    _prompt_start == sa.bindparam("prompt_start"),
    # With a plain column, SQLite would put the text into the expression above, and not find the
    # index of it any more.
    sa.func.coalesce(TASKS.c.prompt, "") == sa.bindparam("prompt_text"),
)
_count_by_state: Final = sa.select(TASKS.c.state, sa.func.count()).group_by(TASKS.c.state)
#: Two statements, each with an index of its own.
_COUNTS_BY_STATE: Final = (
    _count_by_state.where(TASKS.c.forgotten_at.is_(None)),
    _count_by_state.where(TASKS.c.forgotten_at.is_not(None)),
)
_WITH_ERRORS: Final = (
    sa.select(TASKS)
    .where(TASKS.c.last_error != sa.literal_column("''"))
    .order_by(TASKS.c.revision.desc())
    .limit(_limit)
)
_LAST_ID: Final = sa.select(sa.func.max(TASKS.c.id))
_SAVED_HERE: Final = (
    sa.select(TASKS)
    .where(
        TASKS.c.state == State.SAVED.value,
        TASKS.c.forgotten_at.is_(None),
        TASKS.c.host.in_(sa.bindparam("hosts", expanding=True)),
        # The newest may all be those of other machines.
        TASKS.c.id > _LAST_ID.scalar_subquery() - _SEARCHED,
    )
    .order_by(TASKS.c.id.desc())
    .limit(_limit)
)
_LAST_REVISION: Final = sa.select(REVISION.c.value)
_CHANGED_SINCE: Final = (
    sa.select(TASKS)
    .where(TASKS.c.revision > sa.bindparam("cursor"))
    .order_by(TASKS.c.revision)
    .limit(_limit)
)


#: The entries of a selection are counted up to this number.
MAX_COUNT: Final = 10_000
#: How many entries a page of a long time looks through, and how many a short one has at most.
_SCANNED: Final = 100_000
_SHORT: Final = 20_000
#: In place of a machine: the file is at an address that all machines can read.
AT_ADDRESS: Final = "*"


class JournalQueries:
    """The reading half of the journal. Every method raises `JournalError` if the database does not
    answer.

    Attributes:
        host: Identifies this machine in a journal that several may use; empty for a file.
    """

    def __init__(self, database: Database, host: str | None = None) -> None:
        self._database = database
        own = "" if database.file is not None else platform.node()[:64]
        self.host = own if host is None else host
        self._loss_logged = False

    @property
    def location(self) -> tuple[str, Path | None]:
        """The kind of database, and its file if it is one."""
        return self._database.backend, self._database.file

    def loss(self, output: Path) -> str:
        """A warning if the journal is missing or empty, although there are files of earlier tasks.

        Args:
            output: The folder for finished files.
        """
        backend, file = self.location
        text = describe_loss(str(file or backend), result_folders(output, file))
        if text and (file is None or file.exists()) and self._has_earlier_entries():
            return ""
        return text

    def report_loss(self, output: Path) -> str:
        """As `loss`, and log the warning once."""
        text = self.loss(output)
        if text and not self._loss_logged:
            self._loss_logged = True
            log.warning("journal: %s", text)
        return text

    def _has_earlier_entries(self) -> bool:
        with self._database.read() as connection:
            return connection.execute(_ANY).first() is not None

    def backup(self, target: Path) -> int:
        """Copy a SQLite journal into a new file, also while it is in use.

        Returns:
            How many requests the copy contains.

        Raises:
            InvalidInput: There is such a file already.
            JournalError: There is no journal, or it is not a file.
        """
        backend, file = self.location
        if file is None:
            raise JournalError(
                Message(
                    "The journal is a {backend} database, which this command cannot copy.",
                    backend=backend,
                ),
                hint=Message("Use the tool of the database, such as pg_dump for PostgreSQL."),
            )
        if not file.exists():
            raise JournalError(
                Message("There is no journal at {file}, so there is nothing to copy.", file=file)
            )
        with self._database.read():
            pass  # it is the current file, undamaged and up to date
        return copy_journal(file, target.absolute())

    def get(self, entry_id: int) -> Entry:
        """The entry of a number that exists.

        Raises:
            JournalError: There is no such entry.
        """
        entry = self.find_by_id(entry_id)
        if entry is None:
            raise JournalError(Message("The journal has no entry #{entry_id}.", entry_id=entry_id))
        return entry

    def find_by_id(self, entry_id: int) -> Entry | None:
        """The entry of a number that the user has typed."""
        return next(iter(self._entries(_BY_ID, entry_id=entry_id)), None)

    def find_by_task_id(self, task_id: str, gateway: str = "") -> Entry | None:
        """The entry of a task id: that of its request, the newest first.

        Args:
            gateway: Prefer the entries of this gateway, if it has any.
        """
        entries = self._entries(BY_TASK_ID, task_id=task_id)
        own = (entry for entry in entries if entry.gateway == gateway)
        return next(own, next(iter(entries), None))

    def may_be_sent(self, entry_id: int, owner: str) -> bool:
        """Whether the owner may still complete the request that it is sending."""
        entry = self.find_by_id(entry_id)
        return entry is not None and (entry.state, entry.owner) == (State.SENT, owner)

    def count_released(self, prompt: str | None) -> int:
        """How many requests of this prompt (of all prompts, if None) have released their claim.

        It grows when a task fails, is refused or is forgotten: from then on the same request
        creates a new task.
        """
        query = _RELEASED if prompt is None else _RELEASED_OF_PROMPT
        with self._database.read() as connection:
            values = {"prompt_text": prompt, "prompt_start": (prompt or "")[:PROMPT_START_LENGTH]}
            return connection.execute(query, values).scalar_one()

    def count_by_state(self) -> Mapping[State, int]:
        """How many entries each state has, in the order of `State`; forgotten ones are included."""
        counts: Counter[State] = Counter()
        with self._database.read() as connection:
            for query in _COUNTS_BY_STATE:
                counts.update({State(state): count for state, count in connection.execute(query)})
        return {state: counts[state] for state in State if state in counts}

    def recent_errors(self, *, limit: int) -> list[Entry]:
        """The entries with an error, the last change first."""
        return self._entries(_WITH_ERRORS, limit=limit)

    def count_missing_files(self, folder: Path) -> int:
        """How many of the newest tasks that this machine has saved have no file, neither at its
        path nor in `folder`.
        """
        entries = self._entries(_SAVED_HERE, hosts=["", self.host], limit=300)
        paths = [Path(entry.file_path) for entry in entries]
        return sum(not path.is_file() and not (folder / path.name).is_file() for path in paths)

    def entries(
        self,
        states: Sequence[State] = (),
        *,
        limit: int = 100,
        with_task: bool = False,
        forgotten: bool = False,
    ) -> list[Entry]:
        """Entries, newest first.

        Args:
            states: Only entries in these states; all states if empty.
            with_task: Only entries with a task id.
            forgotten: Forgotten entries too.
        """
        query = sa.select(TASKS)
        if with_task:
            query = query.where(TASKS.c.task_id.is_not(None))
        if not forgotten:
            query = query.where(TASKS.c.forgotten_at.is_(None))
        with self._database.read() as connection:
            rows = _newest(connection, query, states, limit)
        return [Entry.of(row) for row in rows]

    def page(
        self, *, limit: int, before: int | None = None, selection: Selection = EVERYTHING
    ) -> Page:
        """Entries by number, the newest first, without forgotten ones.

        A search, and a long time, looks through a part of the journal at once: then a page may have
        fewer entries than `limit`, or none, and the next one continues from `Page.before`.

        Args:
            before: Only entries with a smaller number.
        """
        query = sa.select(TASKS).where(TASKS.c.forgotten_at.is_(None))
        query = query.where(*replace(selection, states=frozenset()).conditions())
        with self._database.read() as connection:
            # Read first: a change between the two statements is then seen twice, not missed.
            cursor = connection.execute(_LAST_REVISION).scalar_one()
            order = None
            scanned = _SEARCHED if selection.search else 0
            if not scanned and (selection.since, selection.until) != (None, None):
                if _is_short(connection, selection):
                    order = (TASKS.c.id + 0).desc()  # so that the index of the time is used
                else:
                    scanned = _SCANNED
            end = 0
            if scanned:
                last = connection.execute(_LAST_ID).scalar() or 0
                before = last + 1 if before is None else min(before, last + 1)
                end = max(before - scanned, 0)
                query = query.where(TASKS.c.id >= end)
            if before is not None:
                query = query.where(TASKS.c.id < before)
            states = sorted(selection.states, key=str)
            rows = _newest(connection, query, states, limit + 1, order)
        entries = [Entry.of(row) for row in rows[:limit]]
        if len(rows) > limit:
            return Page(entries, cursor, True, entries[-1].id)
        return Page(entries, cursor, end > 0, end or None)

    def count(self, selection: Selection) -> int:
        """How many entries `page` has for a selection; of many, `MAX_COUNT`."""
        condition = TASKS.c.forgotten_at.is_(None)
        some = sa.select(TASKS.c.id).where(condition, *selection.conditions()).limit(MAX_COUNT)
        query = sa.select(sa.func.count()).select_from(some.subquery())
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def changed_since(self, cursor: int, *, limit: int) -> Page:
        """Entries that have changed since, in the order of their changes; forgotten ones too.

        Args:
            cursor: `Page.cursor` of an earlier page. A number that this journal has not reached
                (a cursor of another journal, or a time, which earlier versions used) means the
                beginning.
        """
        with self._database.read() as connection:
            if not 0 <= cursor <= connection.execute(_LAST_REVISION).scalar_one():
                cursor = 0
            found = connection.execute(_CHANGED_SINCE, {"limit": limit + 1, "cursor": cursor})
            rows = found.mappings().all()
        entries = [Entry.of(row) for row in rows[:limit]]
        return Page(entries, entries[-1].revision if entries else cursor, len(rows) > limit)

    def _entries(self, query: sa.Select[Any], **parameters: object) -> list[Entry]:
        with self._database.read() as connection:
            rows = connection.execute(query, parameters).mappings().all()
        return [Entry.of(row) for row in rows]


def _is_short(connection: sa.Connection, selection: Selection) -> bool:
    """Whether the times of a selection contain few entries, which can be sorted."""
    times = replace(selection, states=frozenset()).conditions()
    some = sa.select(TASKS.c.id).where(*times).limit(_SHORT + 1).subquery()
    count = connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
    return int(count) <= _SHORT


def _newest(
    connection: sa.Connection,
    query: sa.Select[Any],
    states: Sequence[State],
    limit: int,
    order: sa.ColumnElement[Any] | None = None,
) -> Sequence[sa.RowMapping]:
    """The rows of a query with the largest numbers, in these states; in all if there are none.

    One query for each state: an index has the rows of a state in the order of their numbers.

    Args:
        order: How they are ordered, if not by the number itself.
    """
    query = query.order_by(TASKS.c.id.desc() if order is None else order).limit(limit)
    queries = [query.where(TASKS.c.state == state.value) for state in states] or [query]
    found = [row for each in queries for row in connection.execute(each).mappings()]
    return sorted(found, key=lambda row: -row["id"])[:limit]
