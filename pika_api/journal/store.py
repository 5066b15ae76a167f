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
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ..errors import InvalidInput, JournalError
from ..log import log
from ..message import Message
from ..settings import gateway_of, journal_url
from .clocks import Clocks, SystemClocks
from .database import Database, Replaced
from .entries import Claim, Entry, Intent, Reading
from .ledger import Ledger
from .limits import NO_LIMITS, Charge, Limits
from .pauses import Pauses
from .prices import Prices
from .queries import AT_ADDRESS, BY_TASK_ID, JournalQueries
from .schema import EARLIER_ACCOUNTS, TASKS
from .spending import expected_cost
from .spool import Slot, Spool
from .states import REUSABLE, State
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
_claims: Final[sa.BindParameter[Any]] = sa.bindparam("claims", expanding=True)
_BY_CLAIMS: Final = sa.select(TASKS).where(TASKS.c.claim.in_(_claims))
#: The tasks of a request that do not hold its claim: that of another key did, or they had failed
#: and were finished after all. First those of a key, then the newest.
_UNCLAIMED: Final = (
    sa.select(TASKS)
    .where(
        TASKS.c.fingerprint.in_(_claims),
        TASKS.c.state.in_([state.value for state in REUSABLE]),
        # Not `is_(None)`: SQLite would read all rows without a claim, by that index.
        sa.func.coalesce(TASKS.c.claim, "") == "",
        TASKS.c.forgotten_at.is_(None),
    )
    .order_by(TASKS.c.key_id != sa.bindparam("key_id"), TASKS.c.id.desc())
)
_BY_ROW: Final = sa.select(TASKS).where(TASKS.c.id == sa.bindparam("entry_id"))
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

#: What a row of its own takes over for a task whose first row is gone.
_COPIED_COLUMNS: Final = (
    "fingerprint",
    "base_url",
    "key_id",
    "take",
    "prompt",
    "request",
    "node_id",
    "prompt_id",
    "created_at",
    "sent_at",
    "estimate",
)
#: What a record of the spool has only if there is room: values that may be long.
_LONG_COLUMNS: Final = {
    "prompt": "",
    "request": "{}",
    "node_id": "",
    "prompt_id": "",
    "result_url": "",
    "file_path": "",
    "last_error": "",
    "answer": "",
}
_ABANDONED: Final = "The process that sent it ended before an answer was written down."
_UNSENT: Final = "Stopped before it was sent."
_LIST_HINT: Final = Message("`tasks` lists the journal.")


class Journal(JournalQueries):
    """The table of tasks. Opened at its first use; safe in threads and processes.

    Every method raises `JournalError` if the database does not answer.

    Attributes:
        prices: What tasks cost.
        ledger: The paid tasks.
        pauses: Until when a key sends nothing.

    Args:
        url: SQLAlchemy's URL of a SQLite or PostgreSQL database. The folder of a SQLite file is
            created if needed.
        clocks: The clocks that times and leases are taken from. By default those of this machine,
            with the wall clock of the database server if there is one.
        lease: Seconds a lease lasts without being renewed.
        spool: The folder for ids of paid tasks that another database than a SQLite file did not
            take; see `Spool`. A SQLite file has its own folder beside it.
        host: Identifies this machine; None for its name, or nothing with a SQLite file.

    Raises:
        JournalError: Not a valid URL, or not one of these databases.
    """

    def __init__(
        self,
        url: str | sa.URL,
        clocks: Clocks | None = None,
        *,
        lease: float = LEASE,
        spool: Path | None = None,
        host: str | None = None,
    ) -> None:
        database = Database(url, on_open=self._begin_with_file)
        super().__init__(database, host)
        if database.file is not None:
            spool = database.file.with_name(f"{database.file.name}-spool")
        self._spool = Spool(spool)
        self._clocks = clocks or database.server_clocks or SystemClocks()
        self.lease = lease
        self.prices = Prices(database, self._clocks, lease)
        self.ledger = Ledger(database)
        self.pauses = Pauses(database, self._clocks)
        self._spool_unread = True

    @classmethod
    def at(cls, home: Path, environ: Mapping[str, str] = os.environ) -> Journal:
        """The journal for a private folder: ``PIKA_JOURNAL_URL``, else the file in the folder."""
        return cls(journal_url(home, environ), spool=home / "spool")

    def close(self) -> None:
        """Close the connections."""
        self._spool.close()
        self._database.close()

    @property
    def home(self) -> str:
        """The folder of a SQLite journal, for the command line; empty for another database."""
        return self._database.home

    @property
    def is_remote(self) -> bool:
        """Whether other machines can use it by the same address."""
        return self._database.is_remote

    @property
    def identity(self) -> str:
        """Identifies its database: a hash of the address without user and password."""
        return self._database.identity

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

    def now(self) -> float:
        """The time by the wall clock of this journal, in seconds since the epoch."""
        return self._clocks.wall()

    def claim(self, intent: Intent, owner: str, limits: Limits = NO_LIMITS) -> Claim:
        """Enter a request, unless an entry holds its fingerprint already, or has a task of it.

        An entry whose owner's lease has lapsed is settled: it is taken over if it was never sent,
        and becomes unknown if it was.

        Args:
            owner: Who asks, for the lease.
            limits: What a new entry must not exceed.

        Raises:
            LimitReached: It would be a new entry, and exceed a limit. None was entered.
            BalanceNeeded: It would be a new entry, and `limits` need the balance. None was entered.
        """
        looked = False
        while True:
            with contextlib.suppress(Replaced):  # claim in the file that is there now
                self.take_over(all_files=self._spool_unread)
                claim = self._try_claim(intent, owner, limits)
                if claim is None:
                    continue
                # Another process may have its task id in the spool. Once: a record that cannot be
                # deleted is found again and again.
                if claim.entry.state is State.UNKNOWN and not looked:
                    looked = True
                    if self.take_over(all_files=True):
                        continue
                return claim

    @contextmanager
    def reserve(self) -> Iterator[Slot | None]:
        """Room on the disk for a task id, in case that the database fails after the charge.

        Raises:
            JournalError: There is no room, so nothing may be sent.
        """
        with contextlib.ExitStack() as stack:
            try:
                slot = stack.enter_context(self._spool.reserve())
            except OSError as error:
                raise JournalError(
                    Message(
                        "There is no room beside the journal for a task id ({folder}): {strerror}.",
                        folder=self._spool.folder,
                        strerror=error.strerror or error,
                    ),
                    charge_note=Message("Nothing was sent."),
                    hint=Message(
                        "Free some space there, or make the folder writable, and queue again."
                    ),
                ) from error
            yield slot

    def keep_task(self, entry: Entry, task_id: str, slot: Slot | None) -> Path | None:
        """Keep the id of a paid task that the database has not taken. It is recorded at the next
        use that works, or at the next start.

        Returns:
            The file that contains it; None if it is only in memory.
        """
        row = entry.as_row()
        details = {name: row[name] for name in _LONG_COLUMNS}
        return self._spool.add(slot, task_id, row | _LONG_COLUMNS, details)

    def _begin_with_file(self) -> None:
        """Another file was opened than before, or the first one."""
        self._spool_unread = True
        try:
            self.take_over(all_files=True)
        except JournalError as error:
            # Reading works on a full disk, too. The next claim tries again.
            log.warning("journal: the ids in %s are not recorded: %s", self._spool.folder, error)

    def take_over(self, *, all_files: bool = False) -> int:
        """Record the tasks that the spool has from this process. Return how many there were.

        Args:
            all_files: Also those of other processes.
        """
        if not all_files and not self._spool.has_own:
            return 0
        records = self._spool.records(all_files=all_files)
        for record in records:
            self.record_task(Entry.of(record.entry), record.task_id)
            self._spool.remove(record)
            log.info("task %s: recorded from the spool", record.task_id)
        if all_files:
            self._spool_unread = False
        return len(records)

    def _try_claim(self, intent: Intent, owner: str, limits: Limits) -> Claim | None:
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
            acquired = False
            limits.lock(connection)
            earlier = self._earlier_fingerprints(connection, intent)
            row = self._claimed(connection, intent, earlier)
            if row is None:
                row = self._reclaimed(connection, intent, earlier)
            if row is None:
                times = self._lease_parameters()
                times |= {"created_at": times["now"], "lease_until": times["lease_end"]}
                times |= {"lease_boot": times["boot_id"], "lease_boot_until": times["boot_end"]}
                times["estimate"] = expected_cost(connection, intent)
                insert = _INSERT_CLAIM[connection.dialect.name]
                acquired = connection.execute(insert, values | times).rowcount == 1
                row = connection.execute(_BY_CLAIM, holder).mappings().first()
            if row is not None and not acquired:
                acquired = self._settle_lapsed(connection, row, intent, owner)
                row = _row(connection, row["id"])
            if row is not None and acquired:
                charge = Charge(row["id"], intent, row["estimate"])
                limits.check(connection, charge, self._lease_parameters())
        return None if row is None or row["claim"] is None else Claim(Entry.of(row), acquired)

    def _claimed(
        self, connection: sa.Connection, intent: Intent, earlier: Sequence[str]
    ) -> sa.RowMapping | None:
        """The row that holds this request's claim; None if there is none.

        The key was part of the fingerprint before schema 4, so there may be a row for each key.
        """
        claims = {"claims": [*earlier, intent.fingerprint]}
        rows = connection.execute(_BY_CLAIMS, claims).mappings().all()

        def rank(row: sa.RowMapping) -> tuple[bool, bool, bool, int]:
            # Where there is a task, nothing need be sent, whatever became of other attempts.
            state = State(row["state"])
            other_key = row["key_id"] != intent.key_id
            return state not in REUSABLE, state is State.UNKNOWN, other_key, -row["id"]

        return min(rows, key=rank, default=None)

    def _reclaimed(
        self, connection: sa.Connection, intent: Intent, earlier: Sequence[str]
    ) -> sa.RowMapping | None:
        """Give the claim to a task that this request has; None if it has none.

        Each key of another account has made the request's task another one, and a failed task may
        have been finished after all. Before the request is paid again, each of them is tried.
        """
        values = {"claims": [*earlier, intent.fingerprint], "key_id": intent.key_id}
        for row in connection.execute(_UNCLAIMED, values).mappings().all():
            if row["id"] not in intent.passed:
                # On PostgreSQL, another transaction may enter the request at the same moment.
                with contextlib.suppress(sa.exc.IntegrityError), connection.begin_nested():
                    self._apply(connection, Event.RECLAIMED, row["id"], claim=row["fingerprint"])
                    return _row(connection, row["id"])
        return None

    def has_earlier_requests(self, gateway: str) -> bool:
        """Whether requests to a gateway were stored before schema 4.

        Their fingerprints were different ones; see `Intent.earlier`.
        """
        with self._database.read() as connection:
            addresses = connection.scalars(sa.select(EARLIER_ACCOUNTS.c.base_url)).all()
        return any(gateway_of(address) == gateway for address in addresses)

    def _earlier_fingerprints(self, connection: sa.Connection, intent: Intent) -> list[str]:
        return [
            fingerprint
            for base_url, key_id in connection.execute(sa.select(EARLIER_ACCOUNTS)).all()
            if gateway_of(base_url) == intent.gateway
            for fingerprint in intent.earlier(base_url, key_id)
        ]

    def _settle_lapsed(
        self, connection: sa.Connection, row: sa.RowMapping, intent: Intent, owner: str
    ) -> bool:
        """Settle a row whose owner's lease has lapsed. Return whether it is the new owner's."""
        state = State(row["state"])
        if state is State.INTENDED:
            values: dict[str, Any] = {
                name: getattr(intent, name)
                for name in ("base_url", "key_id", "node_id", "prompt_id")
            }
            values |= {"owner": owner, "estimate": expected_cost(connection, intent)}
            return self._apply(connection, Event.TAKEN_OVER, row["id"], **values)
        if state is State.SENT:
            self._apply(connection, Event.ABANDONED, row["id"], last_error=_ABANDONED)
        return False

    def release(self, entry_id: int, reason: str) -> None:
        """Release the claim of a task that the gateway does not know with the current key.

        Args:
            reason: Why it is released, for the entry.
        """
        self._record(Event.RELEASED, entry_id, last_error=reason)

    def adopt(self, task_id: str, base_url: str, key_id: str) -> Entry:
        """The entry of a task of this gateway. A task that was submitted elsewhere gets a new one.

        Args:
            base_url: The address of the gateway.
        """
        gateway = gateway_of(base_url)
        entry = self.find_by_task_id(task_id, gateway)
        if entry is not None and entry.gateway == gateway:
            return entry
        with self._database.write() as connection:
            row = self._adopted(connection, task_id, base_url, key_id)
        return Entry.of(row)

    def _adopted(
        self, connection: sa.Connection, task_id: str, base_url: str, key_id: str
    ) -> sa.RowMapping:
        gateway = gateway_of(base_url)
        row = _row_of_task(connection, task_id, gateway)
        if row is None:
            _lock_task(connection, task_id)
            row = _row_of_task(connection, task_id, gateway)  # of another process, meanwhile
        if row is None:
            values = {"task_id": task_id, "base_url": base_url, "key_id": key_id}
            row = self._insert_task(connection, values)
        return row

    def record_reading(self, task_id: str, base_url: str, key_id: str, reading: Reading) -> None:
        """Record what the feed says of a task of this gateway, in one transaction.

        A task that was submitted elsewhere gets its entry here.

        Args:
            base_url: The address of the gateway.
        """
        with self._database.write() as connection:
            number = self._adopted(connection, task_id, base_url, key_id)["id"]
            if reading.state is State.FINISHED:
                self._finish(connection, number, reading.result_url)
            elif reading.state is State.FAILED:
                self._apply(connection, Event.FAILED, number, last_error=reading.error)
            else:
                self._apply(connection, Event.RUNNING, number, progress=reading.progress)

    def _insert_task(
        self, connection: sa.Connection, values: Mapping[str, object]
    ) -> sa.RowMapping:
        """Insert a submitted task."""
        now = self._clocks.wall()
        values = {"state": State.SUBMITTED.value, "created_at": now, **values, "now": now}
        key = connection.execute(_INSERT_TASK, values).inserted_primary_key
        assert key is not None
        row = _row(connection, key[0])
        assert row is not None
        return row

    def record_task(self, entry: Entry, task_id: str) -> Entry:
        """Record that the gateway has accepted an entry's request as this task.

        If the journal was replaced, its entry may be gone, or not sent yet: then the request that
        waits to be sent gets the task. If the entry does not wait for a task id any more, the task
        gets an entry of its own.

        Returns:
            The entry of the task.
        """
        with self._database.write() as connection:
            _lock_task(connection, task_id)
            row = self._waiting(connection, entry)
            if row is not None:
                applied = self._apply(connection, Event.SUBMITTED, row["id"], task_id=task_id)
                if applied or row["task_id"] == task_id:
                    return Entry.of(_row(connection, row["id"]) or row)
            twins = _rows_of_task(connection, task_id, entry.gateway)
            own = (twin for twin in twins if twin["fingerprint"] == entry.fingerprint)
            row = next(own, None)
            if row is None:
                row = self._insert_task(connection, self._copied(connection, entry, task_id))
                for twin in twins:
                    if twin["fingerprint"] is None:
                        self._absorb(connection, row["id"], Entry.of(twin))
                row = _row(connection, row["id"]) or row
        return Entry.of(row)

    def _waiting(self, connection: sa.Connection, entry: Entry) -> sa.RowMapping | None:
        """The row of an entry, or in another file of the journal that of the same request."""
        row = _row(connection, entry.id)
        if row is not None and row["fingerprint"] == entry.fingerprint:
            return row
        row = connection.execute(_BY_CLAIM, {"fingerprint": entry.fingerprint}).mappings().first()
        # Once it is sent, it may become a task of its own.
        return row if row is not None and row["state"] == State.INTENDED.value else None

    def _copied(
        self, connection: sa.Connection, entry: Entry, task_id: str
    ) -> Mapping[str, object]:
        """The columns of a new row for the task of an entry; with its claim, if that is free."""
        row = entry.as_row()
        values = {name: row[name] for name in _COPIED_COLUMNS}
        values |= {"task_id": task_id, "submitted_at": self._clocks.wall()}
        holder = connection.execute(_BY_CLAIM, {"fingerprint": entry.fingerprint}).first()
        return values | ({"claim": entry.fingerprint} if holder is None else {})

    def settle(self, entry_id: int, task_id: str) -> Entry:
        """Record the task id of an entry whose outcome is unknown, as the user found it.

        An entry that this task has already, because its id was used before, becomes part of this
        one.

        Raises:
            InvalidInput: The entry is not unknown, or the task belongs to another request.
        """
        with self._database.write() as connection:
            _lock_task(connection, task_id)
            self._apply(connection, Event.ABANDONED, entry_id, last_error=_ABANDONED)
            row = _row(connection, entry_id)
            if row is None:
                raise InvalidInput(
                    "task",
                    Message("#{entry_id} is not in the journal.", entry_id=entry_id),
                    _LIST_HINT,
                )
            twins = _rows_of_task(connection, task_id, gateway_of(row["base_url"]))
            if any(each["id"] == entry_id for each in twins):
                return Entry.of(row)
            _check_settling(row, task_id, twins)
            self._apply(connection, Event.SUBMITTED, entry_id, task_id=task_id)
            for twin in twins:
                self._absorb(connection, entry_id, Entry.of(twin))
            row = _row(connection, entry_id) or row
        return Entry.of(row)

    def _absorb(self, connection: sa.Connection, entry_id: int, twin: Entry) -> None:
        """Copy what is known of a task to its entry, and take its other entry off the lists."""
        if twin.result_url:
            self._apply(connection, Event.FINISHED, entry_id, result_url=twin.result_url)
        if twin.sha256:
            self._apply(connection, Event.RECEIVED, entry_id, sha256=twin.sha256)
        if twin.file_path:
            self._apply(connection, Event.SAVED, entry_id, file_path=twin.file_path, host=twin.host)
        if twin.state is State.FAILED:
            self._apply(connection, Event.FAILED, entry_id, last_error=twin.last_error)
        self._apply(connection, Event.FORGOTTEN, twin.id)

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
        self._record(Event.WITHDRAWN, entry_id, owner, last_error=_UNSENT)

    def mark_unknown(self, entry_id: int, owner: str, reason: str, answer: str = "") -> None:
        """It may have been accepted. It keeps its fingerprint, so that it is not sent again.

        Args:
            answer: The gateway's response, without the key; empty if there was none.
        """
        self._record(Event.UNKNOWN, entry_id, owner, last_error=reason, answer=answer)

    def mark_key(self, entry_id: int, key_id: str) -> None:
        """The gateway knows the task with this key, too."""
        self._record(Event.KEY_CHANGED, entry_id, key_id=key_id)

    def mark_running(self, entry_id: int, progress: int) -> None:
        """The gateway is working on it; `progress` in percent."""
        self._record(Event.RUNNING, entry_id, progress=progress)

    def mark_finished(self, entry_id: int, result_url: str) -> None:
        """The gateway has finished it. A saved entry only gets the new link."""
        with self._database.write() as connection:
            self._finish(connection, entry_id, result_url)

    def _finish(self, connection: sa.Connection, entry_id: int, result_url: str) -> None:
        if not self._apply(connection, Event.FINISHED, entry_id, result_url=result_url):
            self._apply(connection, Event.RELINKED, entry_id, result_url=result_url)

    def mark_failed(self, entry_id: int, reason: str) -> None:
        """The gateway has ended it with an error. Releases the fingerprint."""
        self._record(Event.FAILED, entry_id, last_error=reason)

    def mark_received(self, entry_id: int, sha256: str) -> None:
        """Its file was received completely; the SHA-256 of its bytes, 64 hexadecimal digits."""
        self._record(Event.RECEIVED, entry_id, sha256=sha256)

    def mark_saved(
        self, entry_id: int, path: Path | str, *, sha256: str = "", owner: str | None = None
    ) -> None:
        """Its file is completely on disk, or at an address that is a text.

        Args:
            sha256: As `mark_received`, if that is not recorded yet.
            owner: Whose lease ends.
        """
        host = AT_ADDRESS if isinstance(path, str) else self.host
        with self._database.write() as connection:
            if sha256:
                self._apply(connection, Event.RECEIVED, entry_id, sha256=sha256)
            self._apply(connection, Event.SAVED, entry_id, file_path=str(path), host=host)
            if owner is not None:
                values = {"entry_id": entry_id, "old_owner": owner}
                connection.execute(_RELEASE_LEASE, values)

    def record_error(self, entry_id: int, reason: str) -> None:
        """The latest problem with it."""
        self._record(Event.ERROR, entry_id, last_error=reason)

    def forget(self, entry_id: int) -> bool:
        """Remove it from lists and release its fingerprint. The row and its task id are kept.

        Returns:
            False, and nothing has changed, while the request is being sent.
        """
        with self._database.write() as connection:
            # A process that sends it, but is suspended, may continue later.
            self._apply(connection, Event.DROPPED, entry_id, last_error=_UNSENT)
            self._apply(connection, Event.ABANDONED, entry_id, last_error=_ABANDONED)
            return self._apply(connection, Event.FORGOTTEN, entry_id)

    def acquire_lease(self, entry_id: int, owner: str) -> bool:
        """Take the lease if it is free. True if it is the owner's now."""
        with self._database.write() as connection:
            return self._take_lease(connection, entry_id, owner)

    def acquire_task(self, task_id: str, base_url: str, key_id: str, owner: str) -> Entry | None:
        """As `adopt` and `acquire_lease`. The entry, or None if another owner has the lease."""
        with self._database.write() as connection:
            number = self._adopted(connection, task_id, base_url, key_id)["id"]
            row = None
            if self._take_lease(connection, number, owner):
                row = _row(connection, number)
        return None if row is None else Entry.of(row)

    def _take_lease(self, connection: sa.Connection, entry_id: int, owner: str) -> bool:
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
        # A `Message` is stored as its English text; not every driver takes a subclass of str.
        values = {f"new_{n}": str(v) if isinstance(v, Message) else v for n, v in columns.items()}
        values |= {"entry_id": entry_id, "expected_owner": expected_owner}
        values.setdefault("new_host", self.host)
        values |= self._lease_parameters()
        return connection.execute(STATEMENTS[event], values).rowcount == 1


def _row(connection: sa.Connection, entry_id: int) -> sa.RowMapping | None:
    return connection.execute(_BY_ROW, {"entry_id": entry_id}).mappings().first()


def _lock_task(connection: sa.Connection, task_id: str) -> None:
    """Keep other transactions that record the same task id waiting until this one has ended.

    Otherwise two of them could each insert a row for it. The id cannot be unique in the table: a
    forgotten row keeps it. On SQLite, a transaction that writes is alone anyway.
    """
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(task_id.encode()).digest()[:8], "big", signed=True)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def _rows_of_task(connection: sa.Connection, task_id: str, gateway: str) -> Sequence[sa.RowMapping]:
    """The rows of a gateway's task, in the order of `BY_TASK_ID`."""
    rows = connection.execute(BY_TASK_ID, {"task_id": task_id}).mappings()
    return [row for row in rows if gateway_of(row["base_url"]) == gateway]


def _row_of_task(connection: sa.Connection, task_id: str, gateway: str) -> sa.RowMapping | None:
    """The first of `_rows_of_task`."""
    return next(iter(_rows_of_task(connection, task_id, gateway)), None)


def _check_settling(row: sa.RowMapping, task_id: str, twins: Sequence[sa.RowMapping]) -> None:
    """Raise `InvalidInput` if a row cannot get this task id."""
    if row["state"] != State.UNKNOWN.value or row["forgotten_at"] is not None:
        problem = Message("#{number} does not wait for a task id.", number=row["id"])
        known = Message("It is task {task_id}.", task_id=row["task_id"]) if row["task_id"] else ""
        raise InvalidInput(
            "task",
            Message.joined(" ", problem, known),
            Message("Only a request whose outcome is unknown can get one."),
        )
    for twin in twins:
        if twin["fingerprint"] is not None and twin["forgotten_at"] is None:
            raise InvalidInput(
                "task_id",
                Message(
                    "{task_id} is already the task of another request, #{twin}.",
                    task_id=task_id,
                    twin=twin["id"],
                ),
                Message(
                    "Compare the prompt and the time in the gateway's own list, and use the id of "
                    "this request."
                ),
            )
