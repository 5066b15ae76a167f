"""The journal: every paid task, on disk before anything is sent.

An entry goes ``intended → sent → submitted → running → finished → saved``, or ends as ``refused``
(provably not accepted), ``unknown`` (possibly accepted) or ``failed`` (ended by the gateway). The
entry of a request holds a *claim* on its fingerprint. The claim is unique in the table: this is
what makes two identical requests one task, in any number of threads and processes. The owner of
an entry also holds a *lease*, which ends by itself, so that a killed process is noticed.

The journal never contains the key or the media.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ..errors import JournalError
from .clocks import Clocks, SystemClocks
from .database import Database, Replaced
from .entries import Claim, Entry, Intent
from .queries import BY_TASK_ID, JournalQueries
from .schema import TASKS
from .states import State
from .transitions import (
    CHANGED_AT,
    IS_LEASED,
    STATEMENTS,
    Event,
    lease_parameters,
    new_lease,
)

#: Seconds a lease lasts without being renewed.
LEASE: Final = 12.0

#: Inserts an entry unless another one holds its claim.
_INSERT_CLAIM: Final = {
    name: insert(TASKS)
    .values(changed_at=CHANGED_AT)
    .on_conflict_do_nothing(index_elements=[TASKS.c.claim])
    .execution_options(preserve_rowcount=True)
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_BY_CLAIM: Final = sa.select(TASKS).where(TASKS.c.claim == sa.bindparam("fingerprint"))
_INSERT_TASK: Final = sa.insert(TASKS).values(changed_at=CHANGED_AT)
_TAKE_LEASE: Final = (
    sa.update(TASKS)
    .where(
        TASKS.c.id == sa.bindparam("entry_id"),
        sa.or_(
            TASKS.c.owner.is_(None),
            TASKS.c.owner == sa.bindparam("new_owner"),
            sa.not_(IS_LEASED),
        ),
    )
    .values(owner=sa.bindparam("new_owner"), **new_lease(sa.bindparam("new_owner")))
)
_RENEW_LEASES: Final = (
    sa.update(TASKS)
    .where(TASKS.c.owner.in_(sa.bindparam("owners", expanding=True)))
    .values(new_lease(TASKS.c.owner))
)
_RELEASE_LEASE: Final = (
    sa.update(TASKS)
    .where(TASKS.c.id == sa.bindparam("entry_id"), TASKS.c.owner == sa.bindparam("old_owner"))
    .values(owner=None)
)


class Journal(JournalQueries):
    """The table of tasks. Opened at its first use; safe in threads and processes.

    Every method raises `JournalError` if the database does not answer.

    Args:
        url: SQLAlchemy's URL of a SQLite or PostgreSQL database. The folder of a SQLite file is
            created if needed.
        clocks: The clocks that times and leases are taken from.
        lease: Seconds a lease lasts without being renewed.

    Raises:
        JournalError: Not a valid URL, or not one of these databases.
    """

    def __init__(
        self, url: str | sa.URL, clocks: Clocks | None = None, *, lease: float = LEASE
    ) -> None:
        super().__init__(Database(url))
        self._clocks = clocks or SystemClocks()
        self.lease = lease

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    @property
    def home(self) -> str:
        """The folder of a SQLite journal, for the command line; empty for another database."""
        return self._database.home

    def age(self, entry: Entry) -> float:
        """Seconds since a task was submitted; 0 for one that was submitted elsewhere.

        If the clocks disagree, the shorter time: a wall clock that was set forward must not make a
        new task an old one, which the gateway would have to know.
        """
        if entry.submitted_at is None:
            return 0.0
        ages = [self._clocks.wall() - entry.submitted_at]
        boot = self._clocks.boot()
        if boot is not None and entry.lease_boot == boot.boot and entry.lease_boot_until:
            ages.append(boot.seconds - (entry.lease_boot_until - self.lease))
        return max(min(ages), 0.0)

    def claim(self, intent: Intent, owner: str) -> Claim:
        """Enter a request, unless an entry holds its fingerprint already.

        An entry whose owner's lease has lapsed is settled: it is taken over if it was never sent,
        and becomes unknown if it was.

        Args:
            owner: Who asks, for the lease.
        """
        while True:
            with contextlib.suppress(Replaced):  # claim in the file that is there now
                claim = self._try_claim(intent, owner)
                if claim is not None:
                    return claim

    def _try_claim(self, intent: Intent, owner: str) -> Claim | None:
        """Claim in one transaction. None if another transaction released the fingerprint between
        two statements of this one, which is possible on PostgreSQL.
        """
        values = {
            "state": State.INTENDED.value,
            "fingerprint": intent.fingerprint,
            "claim": intent.fingerprint,
            "owner": owner,
            "lease_owner": owner,
            "base_url": intent.base_url,
            "key_id": intent.key_id,
            "take": str(intent.take),
            "prompt": intent.prompt,
            "request": json.dumps(intent.request),
            "node_id": intent.node_id,
            "prompt_id": intent.prompt_id,
        }
        holder = {"fingerprint": intent.fingerprint}
        with self._database.write() as connection:
            times = self._lease_parameters()
            times |= {"created_at": times["now"], "lease_until": times["lease_end"]}
            times |= {"lease_boot": times["boot_id"], "lease_boot_until": times["boot_end"]}
            insert = _INSERT_CLAIM[connection.dialect.name]
            acquired = connection.execute(insert, values | times).rowcount == 1
            row = connection.execute(_BY_CLAIM, holder).mappings().first()
            if row is not None and not acquired:
                acquired = self._settle(connection, row, owner)
                row = connection.execute(_BY_CLAIM, holder).mappings().first()
        return None if row is None else Claim(Entry.of(row), acquired)

    def _settle(self, connection: sa.Connection, row: sa.RowMapping, owner: str) -> bool:
        """Settle a row whose owner's lease has lapsed. Return whether it is the new owner's."""
        state = State(row["state"])
        if state is State.INTENDED:
            return self._apply(connection, Event.TAKEN_OVER, row["id"], owner=owner)
        if state is State.SENT:
            reason = "The process that sent it ended before an answer was written down."
            self._apply(connection, Event.ABANDONED, row["id"], last_error=reason)
        return False

    def adopt(self, task_id: str, base_url: str, key_id: str) -> Entry:
        """The entry of a task id. A task that was submitted elsewhere gets a new entry."""
        entry = self.find_by_task_id(task_id)
        if entry is not None:
            return entry
        values = {
            "state": State.SUBMITTED.value,
            "task_id": task_id,
            "base_url": base_url,
            "key_id": key_id,
        }
        with self._database.write() as connection:
            now = self._clocks.wall()
            known = connection.execute(BY_TASK_ID, {"task_id": task_id}).first()
            if known is None:
                connection.execute(_INSERT_TASK, values | {"created_at": now, "now": now})
            row = connection.execute(BY_TASK_ID, {"task_id": task_id}).mappings().one()
        return Entry.of(row)

    def mark_sent(self, entry_id: int, owner: str) -> bool:
        """The owner is about to send it.

        Returns:
            False if the entry is no longer the owner's, or not in the journal any more because
            that was deleted or replaced. It must be claimed again.
        """
        try:
            with self._database.write() as connection:
                applied = self._apply(connection, Event.SENT, entry_id, owner)
                file = self._database.file_of(connection)
        except Replaced:
            return False
        return applied and self._database.is_open(file)

    def mark_unsent(self, entry_id: int, owner: str, reason: str) -> None:
        """It was provably not accepted, and its owner will try again."""
        self._record(Event.UNSENT, entry_id, owner, last_error=reason)

    def mark_rejected(self, entry_id: int, owner: str, reason: str) -> None:
        """It was provably not accepted. Releases the fingerprint; only its owner may do so."""
        self._record(Event.REJECTED, entry_id, owner, last_error=reason)

    def mark_withdrawn(self, entry_id: int, owner: str) -> None:
        """Its owner gives it up before it is sent. Releases the fingerprint."""
        self._record(Event.WITHDRAWN, entry_id, owner, last_error="Stopped before it was sent.")

    def mark_unknown(self, entry_id: int, reason: str) -> None:
        """It may have been accepted. It keeps its fingerprint, so that it is not sent again."""
        self._record(Event.UNKNOWN, entry_id, last_error=reason)

    def mark_submitted(self, entry_id: int, task_id: str) -> None:
        """The gateway has accepted it as this task. This also settles an unknown.

        Raises:
            JournalError: No entry waits for a task id. The message names the task.
        """
        if not self._record(Event.SUBMITTED, entry_id, task_id=task_id):
            raise JournalError(f"The journal has no row {entry_id} to write the task {task_id} to.")

    def mark_running(self, entry_id: int, progress: int) -> None:
        """The gateway is working on it; `progress` in percent."""
        self._record(Event.RUNNING, entry_id, progress=progress)

    def mark_finished(self, entry_id: int, result_url: str) -> None:
        """The gateway has finished it. A saved entry only gets the new link."""
        with self._database.write() as connection:
            if not self._apply(connection, Event.FINISHED, entry_id, result_url=result_url):
                self._apply(connection, Event.RELINKED, entry_id, result_url=result_url)

    def mark_failed(self, entry_id: int, reason: str) -> None:
        """The gateway has ended it with an error. Releases the fingerprint."""
        self._record(Event.FAILED, entry_id, last_error=reason)

    def mark_saved(self, entry_id: int, path: Path) -> None:
        """Its file is completely on disk."""
        self._record(Event.SAVED, entry_id, file_path=str(path))

    def record_error(self, entry_id: int, reason: str) -> None:
        """The latest problem with it."""
        self._record(Event.ERROR, entry_id, last_error=reason)

    def forget(self, entry_id: int) -> bool:
        """Remove it from lists and release its fingerprint. The row and its task id are kept.

        Returns:
            False, and nothing has changed, while the request is being sent.
        """
        return self._record(Event.FORGOTTEN, entry_id)

    def acquire_lease(self, entry_id: int, owner: str) -> bool:
        """Take the lease if it is free. True if it is the owner's now."""
        with self._database.write() as connection:
            values = {"entry_id": entry_id, "new_owner": owner, **self._lease_parameters()}
            return connection.execute(_TAKE_LEASE, values).rowcount == 1

    def renew_leases(self, owners: Sequence[str]) -> None:
        """Extend all leases of these owners."""
        with self._database.write() as connection:
            connection.execute(_RENEW_LEASES, {"owners": owners, **self._lease_parameters()})

    def release_lease(self, entry_id: int, owner: str) -> None:
        """Release the lease if it is the owner's."""
        with self._database.write() as connection:
            connection.execute(_RELEASE_LEASE, {"entry_id": entry_id, "old_owner": owner})

    def _lease_parameters(self) -> dict[str, Any]:
        return lease_parameters(self._clocks, self.lease)

    def _record(
        self, event: Event, entry_id: int, expected_owner: str | None = None, **columns: object
    ) -> bool:
        """Apply an event in a transaction of its own. See `_apply`."""
        with self._database.write() as connection:
            return self._apply(connection, event, entry_id, expected_owner, **columns)

    def _apply(
        self,
        connection: sa.Connection,
        event: Event,
        entry_id: int,
        expected_owner: str | None = None,
        **columns: object,
    ) -> bool:
        """Apply an event to a row, as `transitions.TRANSITIONS` says.

        Args:
            expected_owner: The event's owner, where it applies only to a row of its own.
            columns: The new values of `Transition.sets`.

        Returns:
            Whether the event applied; if not, nothing has changed.
        """
        values = {f"new_{name}": value for name, value in columns.items()}
        values |= {"entry_id": entry_id, "expected_owner": expected_owner}
        values |= self._lease_parameters()
        return connection.execute(STATEMENTS[event], values).rowcount == 1
