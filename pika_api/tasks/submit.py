"""From a request to a paid task: entered first, sent once, written down before it is told."""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass
from typing import Final

from ..errors import InvalidInput, JournalError, NotAccepted, SubmitUnknown
from ..gateway import Client, resend_delay
from ..journal import SUBMITTING, Entry, Intent, Journal
from ..log import log
from ..progress import CHECK_EVERY, NO_OBSERVER, Progress, ProgressObserver, pause
from ..request import GenerateRequest, Payload, describe_body, request_fingerprint
from ..settings import Settings
from ..text import format_duration, format_size
from . import messages
from .workers import Workers

#: Seconds between tries to write down the id of a task that has been paid for.
_WRITE_DOWN_AGAIN: Final = (0.1, 0.5, 2.0, 5.0)


@dataclass(frozen=True)
class Submitted:
    """A task that is paid for.

    Attributes:
        task_id: The gateway's id.
        taken_up: Whether it was there already, so that nothing was sent or charged now.
    """

    task_id: str
    reused: bool


class _TakenOver(Exception):
    """Before it was sent, the request was given up here, or begun by somebody else: this process
    was held up, by a suspended computer for one, until its lease was over.
    """


class Submitter:
    """Makes requests tasks."""

    def __init__(
        self, settings: Settings, client: Client, journal: Journal, workers: Workers
    ) -> None:
        self._settings = settings
        self._client = client
        self._journal = journal
        self._workers = workers
        self._random = random.Random()

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
            fingerprint=request_fingerprint(
                body, base_url=settings.base_url, key_id=settings.key_id, take=take
            ),
            base_url=settings.base_url,
            key_id=settings.key_id,
            take=take,
            prompt=request.prompt_text,
            request=describe_body(body),
            node_id=node_id,
            prompt_id=prompt_id,
        )
        payload = Payload(body, data_uri=settings.base64_style == "data-uri")
        owner = str(uuid.uuid4())
        with self._workers.keeper.keeping(owner):
            while True:
                entry, mine = await self._claim(intent, owner, observer)
                if not mine:
                    return self._take_up(entry)
                try:
                    task_id = await self._send(entry, payload, owner, observer)
                except _TakenOver:
                    log.info("request #%d: begun elsewhere meanwhile", entry.id)
                except BaseException:
                    # Given up between two tries: the next one who asks may send it at once. While
                    # a thread is still sending, the row says so, and this changes nothing.
                    self._workers.later(self._journal.mark_withdrawn, entry.id, owner)
                    raise
                else:
                    return Submitted(task_id, reused=False)

    def _take_up(self, entry: Entry) -> Submitted:
        if entry.task_id is None:
            raise messages.earlier_submit_unknown(entry, self._journal.home)
        log.debug("task %s: taken up, nothing is charged", entry.task_id)
        return Submitted(entry.task_id, reused=True)

    async def _claim(
        self, intent: Intent, owner: str, observer: ProgressObserver
    ) -> tuple[Entry, bool]:
        """The row that answers for this request, once nobody else is busy sending it."""
        while True:
            entry, mine = await self._workers.disk(observer, self._journal.claim, intent, owner)
            if mine or entry.state not in SUBMITTING:
                return entry, mine
            observer.report(
                Progress("The same request is being sent already; waiting for its task")
            )
            await pause(CHECK_EVERY, observer)

    async def _send(
        self, entry: Entry, payload: Payload, owner: str, observer: ProgressObserver
    ) -> str:
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            shown = _showing_upload(payload, observer)
            try:
                return await self._workers.network(shown, self._send_once, entry, payload, owner)
            except NotAccepted as error:
                delay = resend_delay(error, attempt, time.monotonic() - started, self._random)
                if delay is None:
                    await self._workers.disk(
                        NO_OBSERVER, self._journal.mark_rejected, entry.id, owner, error.what
                    )
                    raise
                log.info("request #%d: not accepted, again in %.1f s: %s", entry.id, delay, error)
                observer.report(Progress(f"{error.what} Again in {format_duration(delay)}"))
                await pause(delay, observer)

    def _send_once(self, entry: Entry, payload: Payload, owner: str) -> str:
        """Journal, POST, journal: one piece, in one thread, which nothing interrupts."""
        with self._workers.keeper.keeping(owner):
            if not self._journal.mark_sent(entry.id, owner):
                raise _TakenOver
            try:
                task_id = self._client.submit(payload)
            except NotAccepted as error:
                self._journal.mark_unsent(entry.id, owner, error.what)
                raise
            except InvalidInput as error:
                # A file changed under our hands: the body broke off before its end.
                self._journal.mark_rejected(entry.id, owner, error.what)
                raise
            except SubmitUnknown as error:
                try:
                    self._journal.mark_unknown(entry.id, error.what)
                except JournalError as broken:
                    # The row says that it was sent: without an answer that comes to the same.
                    log.warning(
                        "request #%d: unclear, and not written down: %s", entry.id, broken.what
                    )
                raise messages.submit_unknown(
                    error.what, entry, self._journal.home, error.status
                ) from error
            self._write_down(entry, task_id)
        log.info("task %s: submitted (request #%d)", task_id, entry.id)
        return task_id

    def _write_down(self, entry: Entry, task_id: str) -> None:
        """The id to disk; a journal that fails just now gets a few seconds to come back."""
        for wait in (*_WRITE_DOWN_AGAIN, None):
            try:
                self._journal.mark_submitted(entry.id, task_id)
            except JournalError as error:
                log.warning("task %s: paid for and not written down: %s", task_id, error.what)
                if wait is None:
                    raise JournalError(
                        f"Task {task_id} was made, and the journal could not keep it: {error.what}",
                        charge_note=f"It is charged. Write its id down: {task_id}",
                        hint="Mend what the message says, then give the id to PikaResult.",
                    ) from error
                time.sleep(wait)
            else:
                return


def _showing_upload(payload: Payload, observer: ProgressObserver) -> ProgressObserver:
    """A watch that also reports how much of the request has left."""
    total = len(payload)
    shown = -1

    def check() -> None:
        nonlocal shown
        observer.check()
        per_cent = 100 * payload.sent // total
        if per_cent != shown:
            shown = per_cent
            text = f"Sending the request, {per_cent} % of {format_size(total)}"
            observer.report(Progress(text, per_cent))

    observer.report(Progress(f"Sending the request ({format_size(total)})"))
    return ProgressObserver(check, observer.report)
