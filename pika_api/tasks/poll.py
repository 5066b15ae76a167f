"""Read the feed until a task is finished. Waiting never costs anything."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from typing import Final

from ..errors import FeedError, FeedRefused, JournalError, TaskNotFound, WebPage
from ..gateway import Client, Status, Task, poll_delay
from ..journal import Entry, Journal, Reading, State
from ..log import log
from ..message import Message
from ..progress import Progress, ProgressObserver, pause
from ..settings import Settings
from . import messages
from .policy import ServicePolicy
from .workers import Workers

#: Seconds between two records of the progress of one task, at most; of many tasks, each is recorded
#: in turn, `_RECORDS_PER_SECOND` in all.
_RECORD_INTERVAL: Final = 15.0
_RECORDS_PER_SECOND: Final = 4.0


class Poller:
    """Reads the feed of tasks and records what it says."""

    def __init__(
        self,
        settings: Settings,
        client: Client,
        journal: Journal,
        workers: Workers,
        policy: ServicePolicy,
    ) -> None:
        self._settings = settings
        self._client = client
        self._journal = journal
        self._workers = workers
        self._policy = policy
        self._random = random.Random()
        self._live = 0

    async def ask(self, task_id: str, observer: ProgressObserver) -> Task:
        """See `Service.status`."""
        await self._own_entry(task_id, observer)
        try:
            return await self._read(task_id, observer)
        except TaskNotFound as error:
            raise messages.task_not_found(task_id, error.what) from error
        except FeedError as error:
            raise messages.feed_unreadable(task_id, error) from error

    async def _own_entry(self, task_id: str, observer: ProgressObserver) -> Entry | None:
        """The task's entry; None if it has none yet.

        Raises:
            OtherGateway: It belongs to another gateway. The answer of the current one would say
                nothing about it, and must not change its entry.
        """
        gateway = self._settings.gateway
        entry = await self._workers.disk(observer, self._journal.find_by_task_id, task_id, gateway)
        self.check_gateway(task_id, entry)
        return entry

    def check_gateway(self, task_id: str, entry: Entry | None) -> None:
        """Raise `OtherGateway` if a task's entry belongs to another gateway."""
        if entry is not None and entry.gateway != self._settings.gateway:
            raise messages.other_gateway(task_id, entry.base_url, self._settings.base_url)

    async def settle(self, entry_id: int, task_id: str, observer: ProgressObserver) -> Entry:
        """See `Service.settle`."""
        disk, journal = self._workers.disk, self._journal
        entry = await disk(observer, journal.find_by_id, entry_id)
        if entry is not None and entry.gateway != self._settings.gateway:
            raise messages.other_gateway(task_id, entry.base_url, self._settings.base_url)
        try:
            # Not recorded: the id has no entry yet, or the user has mistyped it.
            task = await self._workers.read(observer, self._client.feed, task_id)
        except TaskNotFound as error:
            raise messages.id_not_known(entry_id, task_id, error.what) from error
        except FeedError as error:
            raise messages.feed_unreadable(task_id, error) from error
        entry = await disk(observer, journal.settle, entry_id, task_id)
        await disk(observer, self._record, task)
        return await disk(observer, journal.get, entry.id)

    async def is_known(self, entry: Entry, observer: ProgressObserver) -> bool:
        """Whether the gateway knows an entry's task with the current key.

        A new task may be unknown for some time, so an answer only counts after that.

        Raises:
            FeedError: The feed could not be read.
        """
        task_id = entry.task_id or ""
        age_at_start, started = self._age(entry), time.monotonic()
        misses = 0
        while True:
            try:
                await self._read(task_id, observer)
            except TaskNotFound as error:
                if not error.stated:
                    # A new task would be paid on the word of a proxy.
                    raise FeedError(error.what, status=404) from error
                misses += 1
            else:
                return True
            age = age_at_start + time.monotonic() - started
            if age > self._policy.new_task_grace and misses >= self._policy.max_misses:
                return False
            await pause(poll_delay(0.0, 0, 0, self._random), observer)

    async def _read(
        self, task_id: str, observer: ProgressObserver, recorded: _Recorded | None = None
    ) -> Task:
        """Read the feed once and record what it says.

        Args:
            recorded: What is in the journal already; None to record the reading in any case.
        """
        return await self._workers.read(
            observer, self._read_and_record, task_id, recorded or _Recorded()
        )

    def _read_and_record(self, task_id: str, recorded: _Recorded) -> Task:
        """In one thread call, so that a cancelled coroutine loses nothing."""
        task = self._client.feed(task_id)
        interval = min(self._live / _RECORDS_PER_SECOND, _RECORD_INTERVAL)
        if not recorded.has(task, interval):
            try:
                self._record(task)
            except JournalError as error:
                # The feed can be read again. Only a submit must not continue without the journal.
                log.warning("task %s: its state is not recorded: %s", task_id, error.what)
            else:
                recorded.note(task)
        return task

    def _record(self, task: Task) -> None:
        """Record a reading. A task that was submitted elsewhere gets its row here."""
        settings = self._settings
        if task.status is Status.FINISHED:
            reading = Reading(State.FINISHED, result_url=task.result_url)
        elif task.status is Status.ERROR:
            reading = Reading(State.FAILED, error=task.error or "The gateway gave no reason.")
        else:
            reading = Reading(State.RUNNING, task.progress)
        self._journal.record_reading(task.id, settings.base_url, settings.key_id, reading)

    async def wait(self, task_id: str, timeout: float | None, observer: ProgressObserver) -> Task:
        """See `Service.wait`."""
        entry = await self._own_entry(task_id, observer)
        return await self.wait_for(task_id, entry, timeout, observer)

    async def wait_for(
        self, task_id: str, entry: Entry | None, timeout: float | None, observer: ProgressObserver
    ) -> Task:
        """As `wait`, for a task of this gateway.

        Args:
            entry: Its entry; None if it has none yet.
        """
        self._live += 1
        try:
            return await self._wait(task_id, entry, timeout, observer)
        finally:
            self._live -= 1

    async def _wait(
        self, task_id: str, entry: Entry | None, timeout: float | None, observer: ProgressObserver
    ) -> Task:
        started = time.monotonic()
        age_at_start = self._age(entry)
        # Only a task that was just submitted may be unknown to the gateway for its first seconds.
        grace = self._policy.new_task_grace if _is_own(entry) else 0.0
        state = _PollState(age_at_start, grace, address_proven=_is_described(entry))
        recorded = _Recorded()
        while True:
            state.age = age_at_start + time.monotonic() - started
            task = await self._read_and_report(task_id, state, recorded, observer)
            if task is not None and task.status is Status.FINISHED:
                return task
            waited = time.monotonic() - started
            state.age = age_at_start + waited
            if timeout is not None and waited >= timeout:
                raise messages.timed_out(task_id, waited, state.last)
            # A task that the gateway does not know yet is polled like a new one.
            age = 0.0 if state.misses else state.age
            delay = poll_delay(age, state.progress, state.failures, self._random, live=self._live)
            if timeout is not None:
                delay = min(delay, timeout - waited)
            await pause(delay, observer)

    def _age(self, entry: Entry | None) -> float:
        """Seconds since the task was submitted; 0 for one that was submitted elsewhere."""
        return 0.0 if entry is None else self._journal.age(entry)

    async def _read_and_report(
        self, task_id: str, state: _PollState, recorded: _Recorded, observer: ProgressObserver
    ) -> Task | None:
        """Read the feed once and report it. None if it could not be read but may be later."""
        policy = self._policy
        try:
            task = await self._read(task_id, observer, recorded)
        except TaskNotFound as error:
            state.record_miss(error.what)
            in_grace = state.grace > 0 and state.age <= state.grace
            if not in_grace and state.misses >= policy.max_misses:
                raise messages.task_not_found(task_id, error.what) from error
            observer.report(
                Progress(Message("not known to the gateway yet"), 0, task_id, state.age)
            )
            return None
        except FeedRefused as error:
            raise messages.feed_unreadable(task_id, error) from error
        except FeedError as error:
            if isinstance(error, WebPage) and not state.address_proven:
                raise messages.feed_unreadable(task_id, error) from error
            state.record_failure(error.what)
            # Logged once: a gateway may be unreachable for hours.
            level = logging.INFO if state.failures == 1 else logging.DEBUG
            log.log(level, "task %s: retry: %s", task_id, error.what)
            observer.report(
                Progress(Message("{cause} Trying again", cause=error.what), 0, task_id, state.age)
            )
            return None
        state.record_reading(task)
        if task.status is Status.ERROR:
            raise messages.task_failed(task)
        if task.status is Status.UNKNOWN and task.error and not task.result_url:
            unclear = state.record_unclear()
            if unclear >= policy.unclear_patience:
                raise messages.task_unclear(task, unclear)
        else:
            state.unclear_since = None
        observer.report(_progress(task, state.age))
        return task


@dataclass
class _Recorded:
    """What one waiting call has recorded. Used by one thread at a time.

    Attributes:
        progress: Per cent; None if nothing was recorded yet.
        at: When, in `time.monotonic` seconds.
    """

    progress: int | None = None
    at: float = 0.0

    def has(self, task: Task, interval: float) -> bool:
        """Whether a reading need not be recorded: it says what is recorded, or its progress is
        recorded soon.

        Args:
            interval: Seconds between two records of the progress.
        """
        if self.progress is None or task.status.over:
            return False
        return task.progress == self.progress or time.monotonic() - self.at < interval

    def note(self, task: Task) -> None:
        """A reading was recorded."""
        self.progress, self.at = task.progress, time.monotonic()


@dataclass
class _PollState:
    """What one waiting call has read so far.

    Attributes:
        age: Seconds since the task was submitted.
        grace: Up to which age the gateway may not know the task. Seconds.
        address_proven: Whether a gateway has answered at this address: it accepted the task, or its
            feed described it. Then a web page is temporary.
        failures: How many readings in a row failed.
        misses: How many answers in a row said that the task does not exist.
        last: The last status or problem, for the time-out error.
        progress: Per cent, from the last reading.
        unclear_since: The age at which the feed began to report an error with a status that is not
            known; None if it does not.
    """

    age: float
    grace: float
    address_proven: bool
    failures: int = 0
    misses: int = 0
    last: str = Message("no answer yet")
    progress: int = 0
    unclear_since: float | None = None

    def record_reading(self, task: Task) -> None:
        self.address_proven = True
        self.failures, self.misses, self.progress = 0, 0, task.progress
        self.last = f"{task.raw_status}, {task.progress} %"

    def record_unclear(self) -> float:
        """Record an error with a status that is not known; returns since how many seconds."""
        if self.unclear_since is None:
            self.unclear_since = self.age
        return self.age - self.unclear_since

    def record_miss(self, problem: str) -> None:
        self.failures, self.misses, self.last = 0, self.misses + 1, problem

    def record_failure(self, problem: str) -> None:
        self.failures, self.misses, self.last = self.failures + 1, 0, problem


def _is_own(entry: Entry | None) -> bool:
    """Whether this journal submitted the task; False for an id that was entered."""
    return entry is not None and entry.submitted_at is not None


def _is_described(entry: Entry | None) -> bool:
    """Whether the gateway accepted the task, or its feed has described it."""
    return _is_own(entry) or (entry is not None and entry.state is not State.SUBMITTED)


#: The words of the sidebar for the states of a task. A status that is not known keeps its own.
_WORDS: Final = {
    Status.QUEUED: Message("Queued"),
    Status.PENDING: Message("Running"),
    Status.FINISHED: Message("Finished"),
    Status.ERROR: Message("Failed"),
}


def _progress(task: Task, age: float) -> Progress:
    word = _WORDS.get(task.status, task.raw_status)
    text = Message.joined(" ", word, f"{task.progress} %") if task.progress else word
    # The video follows at once when a task is finished; a poster would only cover it.
    poster = "" if task.status.over else task.poster_url
    return Progress(text, task.progress, task.id, age, poster)
