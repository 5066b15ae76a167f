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
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from ..errors import JournalError
from ..settings import sqlite_url
from .database import Database, DuplicateRow
from .entries import Entry, Intent, Page
from .queries import JournalQueries
from .schema import TASKS
from .states import ACTIVE, SUBMITTING, State

__all__ = ["LEASE", "Entry", "Intent", "Journal", "Page", "sqlite_url"]

#: Seconds a lease lasts without being renewed.
LEASE: Final = 12.0
#: The least step between two changes, in seconds: well above what a float can tell apart.
_STEP: Final = 1e-5


class Journal(JournalQueries):
    """The table of tasks. Opening is put off to the first use; safe in threads and processes.

    Every method raises `JournalError` where the database does not answer.

    Args:
        url: SQLAlchemy's address of a database; its folder is made if it is a SQLite file.
        clock: Seconds since the epoch.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        super().__init__(Database(url))
        self._clock = clock

    def close(self) -> None:
        """Give the connections back."""
        self._database.close()

    @property
    def home(self) -> str:
        """The folder of a SQLite journal, for the command line; empty for another database."""
        return self._database.home

    def _stamp(self, connection: sa.Connection) -> float:
        """The time of a change: later than any other's, whatever the clock does, so that who has
        seen all up to one change misses none after it.
        """
        newest = connection.execute(sa.select(sa.func.max(TASKS.c.changed_at))).scalar()
        return max(self._clock(), (newest or 0.0) + _STEP)

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
                    row["changed_at"] = self._stamp(connection)
                    key = connection.execute(TASKS.insert().values(row)).inserted_primary_key
                    if key is None:
                        raise SQLAlchemyError("the database did not tell the new row's number")
                    return self._read(connection, TASKS.c.id == key[0]), True
            except DuplicateRow:
                found = self._find(TASKS.c.claim == intent.fingerprint)
                if found is not None:
                    return self._settle(found, owner)
                # It was given up between the two statements: try again.

    def _settle(self, entry: Entry, owner: str) -> tuple[Entry, bool]:
        """A row that is there already; if whoever worked on it is gone, say what that means."""
        if entry.state not in SUBMITTING or entry.lease_until > self._clock():
            return entry, False
        if entry.state is State.INTENDED:
            # It never came to sending, so it may be sent now, by one of those who see this.
            mine = self._change(
                entry.id, (State.INTENDED,), {"owner": owner}, was_owner=entry.owner
            )
            return self.get(entry.id), mine
        self.mark_unknown(
            entry.id, "The process that sent it ended before an answer was written down."
        )
        return self.get(entry.id), False

    def mark_sent(self, entry_id: int, owner: str) -> bool:
        """Note that the request is about to leave; False if it is not the owner's any more."""
        return self._change(
            entry_id,
            (State.INTENDED,),
            {"state": State.SENT.value, "sent_at": self._clock(), "owner": owner},
            was_owner=owner,
        )

    def mark_unsent(self, entry_id: int, owner: str, reason: str) -> None:
        """It provably was not accepted, and its owner will try again."""
        self._change(
            entry_id,
            (State.SENT,),
            {"state": State.INTENDED.value, "last_error": reason},
            was_owner=owner,
        )

    def mark_rejected(self, entry_id: int, owner: str, reason: str) -> None:
        """It provably was not accepted, and that is that: the fingerprint is free again.

        Only its owner can say so: whoever took it over may be sending it.
        """
        self._change(
            entry_id,
            (State.INTENDED, State.SENT),
            {"state": State.REFUSED.value, "claim": None, "owner": None, "last_error": reason},
            was_owner=owner,
        )

    def mark_withdrawn(self, entry_id: int, owner: str) -> None:
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

    def mark_unknown(self, entry_id: int, reason: str) -> None:
        """Nobody can say whether it was accepted. It keeps its claim."""
        self._change(
            entry_id,
            (State.SENT,),
            {"state": State.UNKNOWN.value, "owner": None, "last_error": reason},
        )

    def mark_submitted(self, entry_id: int, task_id: str) -> None:
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
        condition = TASKS.c.task_id == task_id
        row = {
            "state": State.SUBMITTED.value,
            "task_id": task_id,
            "base_url": base_url,
            "key_id": key_id,
            "created_at": self._clock(),
        }
        with self._begin() as connection:
            if connection.execute(sa.select(TASKS.c.id).where(condition)).first() is None:
                stamped = {**row, "changed_at": self._stamp(connection)}
                connection.execute(TASKS.insert().values(stamped))
            return self._read(connection, condition)

    def mark_running(self, entry_id: int, progress: int) -> None:
        """The feed knows it and it is not finished."""
        self._change(entry_id, ACTIVE, {"state": State.RUNNING.value, "progress": progress})

    def mark_finished(self, entry_id: int, result_url: str) -> None:
        """The gateway has finished it; a saved one only gets its new link."""
        values = {
            "state": State.FINISHED.value,
            "result_url": result_url,
            "progress": 100,
            "finished_at": self._clock(),
        }
        if not self._change(entry_id, (*ACTIVE, State.FINISHED), values):
            self._change(entry_id, (State.SAVED,), {"result_url": result_url})

    def mark_failed(self, entry_id: int, reason: str) -> None:
        """The gateway ended it with an error: the fingerprint is free again."""
        self._change(
            entry_id,
            ACTIVE,
            {
                "state": State.FAILED.value,
                "claim": None,
                "last_error": reason,
                "finished_at": self._clock(),
            },
        )

    def mark_saved(self, entry_id: int, path: Path) -> None:
        """Its file is on disk, whole."""
        self._change(
            entry_id,
            (*ACTIVE, State.FINISHED, State.SAVED),
            {
                "state": State.SAVED.value,
                "file_path": str(path),
                "saved_at": self._clock(),
                "last_error": "",
            },
        )

    def record_error(self, entry_id: int, reason: str) -> None:
        """Keep the last thing that went wrong with it."""
        self._change(entry_id, tuple(State), {"last_error": reason})

    def forget(self, entry_id: int) -> bool:
        """Take it out of lists and give its fingerprint free. The row and its task id stay.

        Returns:
            False, and nothing is changed, where somebody is sending it at this moment.
        """
        now = self._clock()
        being_sent = sa.and_(
            TASKS.c.state.in_([state.value for state in SUBMITTING]), TASKS.c.lease_until > now
        )
        with self._begin() as connection:
            changed = connection.execute(
                TASKS.update()
                .where(TASKS.c.id == entry_id, sa.not_(being_sent))
                .values(claim=None, forgotten_at=now, changed_at=self._stamp(connection))
            )
            return changed.rowcount == 1

    def acquire_lease(self, entry_id: int, owner: str) -> bool:
        """Take the lease if nobody holds it; True if it is the owner's now."""
        now = self._clock()
        free = sa.or_(TASKS.c.owner.is_(None), TASKS.c.owner == owner, TASKS.c.lease_until <= now)
        with self._begin() as connection:
            changed = connection.execute(
                TASKS.update()
                .where(TASKS.c.id == entry_id, free)
                .values(owner=owner, lease_until=now + LEASE)
            )
            return changed.rowcount == 1

    def renew_leases(self, owners: Sequence[str]) -> None:
        """Put the leases of these owners off."""
        with self._begin() as connection:
            connection.execute(
                TASKS.update()
                .where(TASKS.c.owner.in_(owners))
                .values(lease_until=self._clock() + LEASE)
            )

    def release_lease(self, entry_id: int, owner: str) -> None:
        """Give the lease back, if it is still the owner's."""
        with self._begin() as connection:
            connection.execute(
                TASKS.update()
                .where(TASKS.c.id == entry_id, TASKS.c.owner == owner)
                .values(owner=None)
            )

    def _change(
        self,
        entry_id: int,
        states: Sequence[State] | frozenset[State],
        values: Mapping[str, object],
        *,
        was_owner: str | None = None,
    ) -> bool:
        """Change a row only if it is in one of these states (and leased to this owner)."""
        update = TASKS.update().where(
            TASKS.c.id == entry_id, TASKS.c.state.in_([state.value for state in states])
        )
        if was_owner is not None:
            update = update.where(TASKS.c.owner == was_owner)
        if values.get("owner"):
            values = {**values, "lease_until": self._clock() + LEASE}
        with self._begin() as connection:
            stamped = {**values, "changed_at": self._stamp(connection)}
            return connection.execute(update.values(**stamped)).rowcount == 1
