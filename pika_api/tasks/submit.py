"""Turn a request into a paid task: journal first, send once, record the id before returning."""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import AccountError, FeedError, InvalidInput, JournalError, NotAccepted, SubmitUnknown
from ..gateway import Client, resend_delay
from ..journal import (
    SUBMITTING,
    BalanceNeeded,
    BalanceReading,
    Claim,
    Entry,
    Intent,
    Journal,
    Limits,
    Slot,
    State,
)
from ..log import log
from ..message import Message
from ..progress import NO_OBSERVER, Progress, ProgressObserver, pause
from ..request import (
    GenerateRequest,
    Payload,
    describe_body,
    earlier_fingerprints,
    request_fingerprint,
)
from ..settings import Settings
from ..text import format_duration, format_size
from . import messages
from .account import Account
from .policy import ServicePolicy
from .poll import Poller
from .workers import Workers


@dataclass(frozen=True)
class Submitted:
    """A paid task.

    Attributes:
        task_id: The gateway's id.
        reused: Whether the task existed already: nothing was sent or charged by this call.
        replaced: The earlier task of the same request that this new one replaces, because the
            gateway does not know it with the current key; empty if there is none.
        estimate: What a new task is expected to cost; None if that is not known.
    """

    task_id: str
    reused: bool
    replaced: str = ""
    estimate: float | None = None


class _OwnershipLost(Exception):
    """Before it was sent, the request was withdrawn here or taken over by another process.

    The lease of this process expired, because the computer was suspended for example.
    """


class Submitter:
    """Submits requests."""

    def __init__(
        self,
        settings: Settings,
        client: Client,
        journal: Journal,
        poller: Poller,
        workers: Workers,
        account: Account,
        policy: ServicePolicy,
    ) -> None:
        self._settings = settings
        self._client = client
        self._journal = journal
        self._poller = poller
        self._workers = workers
        self._account = account
        self._policy = policy
        self._random = random.Random()
        self._limits = Limits(
            daily_tasks=settings.daily_limit,
            run_tasks=settings.run_limit,
            daily_cost=settings.daily_cost_limit,
            min_balance=settings.min_balance,
            currency=settings.currency,
        )

    async def submit(
        self,
        request: GenerateRequest,
        take: int,
        node_id: str,
        prompt_id: str,
        observer: ProgressObserver,
    ) -> Submitted:
        """See `Service.submit`."""
        body = request.body()
        settings = self._settings
        intent = Intent(
            fingerprint=request_fingerprint(body, gateway=settings.gateway, take=take),
            base_url=settings.base_url,
            key_id=settings.key_id,
            take=take,
            prompt=request.prompt_text,
            request=describe_body(body),
            node_id=node_id,
            prompt_id=prompt_id,
            earlier=lambda base_url, key_id: earlier_fingerprints(
                body, base_url=base_url, key_id=key_id, take=take
            ),
            price=settings.price,
        )
        payload = Payload(body, data_uri=settings.base64_style == "data-uri")
        owner = str(uuid.uuid4())
        replaced = ""
        with self._workers.keeper.keeping(owner):
            while True:
                claim = await self._claim(intent, owner, observer)
                entry = claim.entry
                if not claim.acquired:
                    if await self._reuse(entry, intent, observer):
                        return Submitted(entry.task_id or "", reused=True)
                    intent = replace(intent, passed=intent.passed | {entry.id})
                    replaced = replaced or entry.task_id or ""
                    continue
                try:
                    task_id = await self._send(entry, payload, owner, observer)
                except _OwnershipLost:
                    log.info("request #%d: taken over by another process", entry.id)
                except BaseException:
                    # Stopped between two attempts: the next caller may send it at once. While a
                    # thread is still sending, the row's state is SENT and this changes nothing.
                    self._workers.start(self._journal.mark_withdrawn, entry.id, owner)
                    raise
                else:
                    return Submitted(
                        task_id, reused=False, replaced=replaced, estimate=entry.estimate
                    )

    async def _reuse(self, entry: Entry, intent: Intent, observer: ProgressObserver) -> bool:
        """Whether the request's task can be reused. If not, its claim is released.

        A task of another key is reused if the gateway knows it with the current key.

        Raises:
            SubmitUnknown: It is unknown whether there is a task.
            FeedError: The gateway does not say whether it knows the task.
        """
        if entry.task_id is None:
            raise messages.earlier_submit_unknown(entry, self._journal.home)
        if entry.key_id != intent.key_id and not _has_file(entry):
            observer.report(
                Progress(
                    Message("Looking up task {task_id} with the new key", task_id=entry.task_id)
                )
            )
            try:
                known = await self._poller.is_known(entry, observer)
            except FeedError as error:
                raise messages.other_key_unclear(entry, error, self._journal.home) from error
            if not known:
                reason = "The gateway does not know it with the key that was set later."
                log.info("task %s: %s", entry.task_id, reason)
                await self._workers.disk(observer, self._journal.release, entry.id, reason)
                return False
            await self._workers.disk(observer, self._journal.mark_key, entry.id, intent.key_id)
        log.debug("task %s: reused, no new charge", entry.task_id)
        return True

    async def _claim(self, intent: Intent, owner: str, observer: ProgressObserver) -> Claim:
        """The claim on this request, once no other worker is sending it."""
        balance = self._account.fresh_reading()
        while True:
            limits = replace(self._limits, balance=balance)
            try:
                claim = await self._workers.write(
                    observer, self._journal.claim, intent, owner, limits
                )
            except BalanceNeeded:
                # Nothing is read for a task that is reused, and not while the journal is locked.
                balance = await self._read_balance(observer)
                continue
            if claim.acquired or claim.entry.state not in SUBMITTING:
                return claim
            observer.report(
                Progress(Message("The same request is being sent; waiting for its task"))
            )
            await pause(self._policy.row_check, observer)
            balance = self._account.fresh_reading()

    async def _read_balance(self, observer: ProgressObserver) -> BalanceReading:
        """The balance, for the limit of it. Raises `LimitReached` if it cannot be read."""
        observer.report(Progress(Message("Reading the balance for your limit")))
        try:
            return await self._account.read_for_limit(observer)
        except AccountError as error:
            raise self._limits.unread(error.what) from error

    async def _send(
        self, entry: Entry, payload: Payload, owner: str, observer: ProgressObserver
    ) -> str:
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            upload = _upload_observer(payload, observer, self._account.describe(entry.estimate))
            try:
                return await self._workers.submit(upload, self._send_once, entry, payload, owner)
            except NotAccepted as error:
                waited = time.monotonic() - started
                delay = resend_delay(
                    error, attempt, waited, self._random, policy=self._policy.retry
                )
                if delay is None:
                    await self._workers.disk(
                        NO_OBSERVER, self._journal.mark_rejected, entry.id, owner, error.what
                    )
                    raise
                log.info("request #%d: not accepted, retry in %.1f s: %s", entry.id, delay, error)
                observer.report(
                    Progress(
                        Message(
                            "{cause} Retry in {delay}",
                            cause=error.what,
                            delay=format_duration(delay),
                        )
                    )
                )
                await pause(delay, observer)

    def _send_once(self, entry: Entry, payload: Payload, owner: str) -> str:
        """Journal, POST, journal: all in one thread, so that no interrupt can come between."""
        with self._workers.keeper.keeping(owner), self._journal.reserve() as slot:
            if not self._journal.mark_sent(entry.id, owner):
                raise self._ownership_lost(entry)
            try:
                task_id = self._client.submit(payload, lambda: self._confirm(entry, owner))
            except _OwnershipLost as error:
                # The last bytes were not sent.
                self._journal.mark_rejected(entry.id, owner, "It was not sent completely.")
                raise self._ownership_lost(entry) from error
            except NotAccepted as error:
                self._journal.mark_unsent(entry.id, owner, error.what)
                raise
            except InvalidInput as error:
                # A media file changed during the upload: the body ended before its last byte.
                self._journal.mark_rejected(entry.id, owner, error.what)
                raise
            except SubmitUnknown as error:
                try:
                    self._journal.mark_unknown(entry.id, owner, error.what, error.answer)
                except JournalError as failure:
                    # The row's state is SENT, which without an answer has the same meaning.
                    log.warning(
                        "request #%d: outcome unknown, and not recorded: %s", entry.id, failure.what
                    )
                raise messages.submit_unknown(
                    error.what,
                    entry,
                    self._journal.home,
                    error.status,
                    answer=error.answer,
                    task_ids=error.task_ids,
                ) from error
            self._record(entry, task_id, slot)
        self._account.submitted()
        log.info("task %s: submitted (request #%d)", task_id, entry.id)
        return task_id

    def _confirm(self, entry: Entry, owner: str) -> None:
        """Raise `_OwnershipLost` if the request may not be completed any more.

        This process may have been suspended since it began to send it.
        """
        try:
            may_be_sent = self._journal.may_be_sent(entry.id, owner)
        except JournalError as error:
            what = Message("The request was not sent completely. {cause}", cause=error.what)
            raise NotAccepted(what, hint=error.hint) from error
        if not may_be_sent:
            raise _OwnershipLost

    def _ownership_lost(self, entry: Entry) -> Exception:
        current = self._journal.find_by_id(entry.id)
        forgotten = (
            current is not None
            and current.fingerprint == entry.fingerprint
            and current.forgotten_at is not None
        )
        return messages.forgotten(entry) if forgotten else _OwnershipLost()

    def _record(self, entry: Entry, task_id: str, slot: Slot | None) -> None:
        """Write the id to the journal, and try again for some seconds if that fails.

        Meanwhile and afterwards it is in the spool.
        """
        path = None
        for attempt, delay in enumerate((*self._policy.record_retries, None)):
            try:
                if attempt:
                    self._journal.take_over()
                else:
                    self._journal.record_task(entry, task_id)
            except Exception as error:  # whatever it is, the id is kept
                failure = (
                    error
                    if isinstance(error, JournalError)
                    else JournalError(Message("{error}.", error=repr(error)))
                )
                log.warning("task %s: paid, and not recorded: %s", task_id, failure.what)
                if not attempt:
                    path = self._journal.keep_task(entry, task_id, slot)
                if delay is None:
                    raise messages.id_not_recorded(task_id, failure, path) from error
                time.sleep(delay)
            else:
                return


def _has_file(entry: Entry) -> bool:
    """Whether its file is here, so that the gateway need not be asked."""
    return entry.state is State.SAVED and Path(entry.file_path).is_file()


def _upload_observer(
    payload: Payload, observer: ProgressObserver, cost: str = ""
) -> ProgressObserver:
    """An observer that also reports how much of the request has been sent, and what it costs."""
    if observer is NO_OBSERVER:
        return observer
    total = len(payload)
    reported = -1

    def check() -> None:
        nonlocal reported
        observer.check()
        per_cent = 100 * payload.sent // total
        if per_cent != reported:
            reported = per_cent
            text = Message(
                "Sending the request, {per_cent} % of {total}",
                per_cent=per_cent,
                total=format_size(total),
            )
            observer.report(Progress(Message.joined(" · ", text, cost), per_cent))

    start = Message("Sending the request ({total})", total=format_size(total))
    observer.report(Progress(Message.joined(" · ", start, cost)))
    return ProgressObserver(check, observer.report)
