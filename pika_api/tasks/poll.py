"""From a task id to a finished task: ask the feed until it is over. Waiting never costs."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from typing import Final

from ..errors import FeedError, FeedRefused, JournalError, TaskNotFound
from ..gateway import Client, Status, Task, poll_delay
from ..journal import Entry, Journal
from ..log import log
from ..progress import Progress, ProgressObserver, pause
from ..settings import Settings
from . import messages
from .workers import Workers

#: A task that the gateway has just made may be unknown to its feed for this many seconds.
NEW_TASK_GRACE: Final = 60.0
#: How many 404s in a row say that the gateway does not know a task that is not new.
MAX_MISSES: Final = 3


class Poller:
    """Asks the feed."""

    def __init__(
        self, settings: Settings, client: Client, journal: Journal, workers: Workers
    ) -> None:
        self._settings = settings
        self._client = client
        self._journal = journal
        self._workers = workers
        self._random = random.Random()

    async def ask(self, task_id: str, observer: ProgressObserver) -> Task:
        """See `Service.status`."""
        try:
            return await self._ask(task_id, observer)
        except TaskNotFound as error:
            raise messages.task_not_found(task_id, error.what) from error
        except FeedError as error:
            raise messages.feed_unreadable(task_id, error) from error

    async def _ask(self, task_id: str, observer: ProgressObserver) -> Task:
        """Ask once, and write down what the feed says."""
        task = await self._workers.network(observer, self._client.feed, task_id)
        try:
            await self._workers.disk(observer, self._note, task)
        except JournalError as error:
            # What the feed says can be read again; only a submit must not go on without it.
            log.warning("task %s: its state is not written down: %s", task_id, error.what)
        return task

    def _note(self, task: Task) -> None:
        """A task that was submitted elsewhere comes into the journal once the feed knows it."""
        settings = self._settings
        entry = self._journal.adopt(task.id, settings.base_url, settings.key_id)
        if task.status is Status.FINISHED:
            self._journal.mark_finished(entry.id, task.result_url)
        elif task.status is Status.ERROR:
            self._journal.mark_failed(entry.id, task.error or "The gateway gave no reason.")
        else:
            self._journal.mark_running(entry.id, task.progress)

    async def wait(self, task_id: str, timeout: float | None, observer: ProgressObserver) -> Task:
        """See `Service.wait`."""
        started = time.monotonic()
        age = _age(await self._workers.disk(observer, self._journal.find_by_task_id, task_id))
        view = _PollState(age)
        while True:
            task = await self._look(task_id, view, observer)
            if task is not None and task.status is Status.FINISHED:
                return task
            waited = time.monotonic() - started
            view.age = age + waited
            if timeout is not None and waited >= timeout:
                raise messages.timed_out(task_id, waited, view.last)
            # One that is not known at all is asked for as if it were new.
            age_or_new = 0.0 if view.misses else view.age
            delay = poll_delay(age_or_new, view.progress, view.failures, self._random)
            if timeout is not None:
                delay = min(delay, timeout - waited)
            await pause(delay, observer)

    async def _look(
        self, task_id: str, view: _PollState, observer: ProgressObserver
    ) -> Task | None:
        """Ask once and report; None where the feed could not be read, which is not the end."""
        try:
            task = await self._ask(task_id, observer)
        except TaskNotFound as error:
            view.missed(error.what)
            if view.age > NEW_TASK_GRACE and view.misses >= MAX_MISSES:
                raise messages.task_not_found(task_id, error.what) from error
            observer.report(Progress("not known to the gateway yet", 0, task_id, view.age))
            return None
        except FeedRefused as error:
            raise messages.feed_unreadable(task_id, error) from error
        except FeedError as error:
            view.failed(error.what)
            # Once: a gateway may be out of reach for hours.
            level = logging.INFO if view.failures == 1 else logging.DEBUG
            log.log(level, "task %s: asked again: %s", task_id, error.what)
            observer.report(Progress(f"{error.what} Asking again", 0, task_id, view.age))
            return None
        view.saw(task)
        if task.status is Status.ERROR:
            raise messages.task_failed(task)
        observer.report(_report(task, view.age))
        return task


@dataclass
class _PollState:
    """What one who waits has seen so far.

    Attributes:
        age: Seconds since the task was submitted.
        failures: How many answers in a row could not be read.
        misses: How many in a row said that there is no such task.
        last: The last word, for the error of one who gives up.
        progress: Per cent, as last told.
    """

    age: float
    failures: int = 0
    misses: int = 0
    last: str = "nothing yet"
    progress: int = 0

    def saw(self, task: Task) -> None:
        self.failures, self.misses, self.progress = 0, 0, task.progress
        self.last = f"{task.raw_status}, {task.progress} %"

    def missed(self, word: str) -> None:
        self.failures, self.misses, self.last = 0, self.misses + 1, word

    def failed(self, word: str) -> None:
        self.failures, self.misses, self.last = self.failures + 1, 0, word


def _age(entry: Entry | None) -> float:
    """Seconds since the task was submitted; 0 for one whose submit was elsewhere."""
    if entry is None or entry.submitted_at is None:
        return 0.0
    return max(time.time() - entry.submitted_at, 0.0)


def _report(task: Task, age: float) -> Progress:
    text = f"{task.raw_status} {task.progress} %" if task.progress else task.raw_status
    # Once it is finished the video comes, and a poster would only cover it.
    poster = "" if task.status.over else task.poster_url
    return Progress(text, task.progress, task.id, age, poster)
