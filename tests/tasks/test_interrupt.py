"""Interrupt and cancellation: the waiting ends at once, and paid tasks are kept."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pika_api.errors import PikaError
from pika_api.journal import Journal, State
from pika_api.progress import ProgressObserver
from pika_api.settings import sqlite_url
from support.api import ServiceHarness, ask, run
from support.waiting import until

#: Seconds from the user's click to the end of the waiting (0.5 on an idle machine), at most.
AT_ONCE = 3.0
#: Seconds until the gateway answers. Longer than the above, so that the answer cannot end a wait.
SILENCE = 4.0


class Stopped(Exception):
    """What ComfyUI's interrupt raises."""


class Button:
    """A user who presses stop."""

    def __init__(self) -> None:
        self.pressed = 0.0

    def press(self) -> None:
        self.pressed = time.monotonic()

    def check(self) -> None:
        if self.pressed:
            raise Stopped

    @property
    def observer(self) -> ProgressObserver:
        return ProgressObserver(check=self.check)


def stop_when(seen: Callable[[], object], work: Callable[[ProgressObserver], Any]) -> float:
    """Press stop once something is seen; the seconds until the call ended with it."""
    button = Button()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run, work(button.observer))
        until(seen, what="the moment to stop")
        button.press()
        with pytest.raises(Stopped):
            waiting.result(10)
        return time.monotonic() - button.pressed


def cancel_when(seen: Callable[[], object], work: Any) -> float:
    """Cancel the coroutine once something is seen; the seconds until it ended."""

    async def both() -> float:
        task = asyncio.create_task(work)
        while not seen():  # noqa: ASYNC110 - seen in another thread
            await asyncio.sleep(0.01)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - started

    return run(both())


@pytest.mark.parametrize("cancel", [False, True])
def test_interrupted_post_is_completed_and_its_id_recorded(
    harness: ServiceHarness, cancel: bool
) -> None:
    """The call ends at once, the id still reaches the journal, and the next attempt reuses it."""
    harness.gateway.fault("submit", delay=SILENCE)
    service = harness.service
    if cancel:
        seconds = cancel_when(lambda: harness.posts, service.submit(ask()))
    else:
        seconds = stop_when(
            lambda: harness.posts, lambda observer: service.submit(ask(), observer=observer)
        )
    assert seconds < AT_ONCE
    (entry,) = harness.journal.entries()
    assert entry.state is State.SENT
    until(lambda: harness.journal.entries()[0].task_id, what="the id in the journal")
    again = run(service.submit(ask()))
    assert ([again.task_id], again.reused) == (harness.gateway.charged, True)
    assert harness.posts == 1


@pytest.mark.parametrize("cancel", [False, True])
def test_interrupt_between_attempts_releases_the_request(
    harness: ServiceHarness, cancel: bool
) -> None:
    """Nothing is on the wire then: the next call may send, as soon as the gateway allows it."""
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "5"})

    def waiting() -> object:
        return [e for e in harness.journal.entries() if e.state is State.INTENDED and e.last_error]

    first = harness.service
    if cancel:
        seconds = cancel_when(waiting, first.submit(ask()))
    else:
        seconds = stop_when(waiting, lambda observer: first.submit(ask(), observer=observer))
    assert seconds < AT_ONCE
    until(lambda: harness.journal.entries()[0].state is State.REFUSED, what="the row to be free")
    assert not run(harness.another().submit(ask())).reused


def test_identical_node_gets_the_task_of_an_interrupted_one(harness: ServiceHarness) -> None:
    """One node is stopped during the POST; an identical one keeps waiting and gets the id."""
    harness.gateway.fault("submit", delay=0.8)
    duplicate = harness.another()
    with ThreadPoolExecutor(1) as pool:
        stop_when(
            lambda: harness.posts, lambda observer: harness.service.submit(ask(), observer=observer)
        )
        other = pool.submit(run, duplicate.submit(ask()))
        found = other.result(10)
    assert ([found.task_id], found.reused) == (harness.gateway.charged, True)


def test_waiting_for_an_identical_request_can_be_interrupted(harness: ServiceHarness) -> None:
    """It stops as quickly, and the other POST is not affected."""
    harness.gateway.fault("submit", delay=SILENCE)
    duplicate = harness.another()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(harness.submit)
        until(lambda: harness.posts, what="the POST")
        reports: list[Any] = []

        def watched(observer: ProgressObserver) -> Any:
            observer = ProgressObserver(observer.check, reports.append)
            return duplicate.submit(ask(), observer=observer)

        assert stop_when(lambda: reports, watched) < AT_ONCE
        assert [first.result(10)] == harness.gateway.charged


def test_submit_interrupted_in_the_queue_is_never_sent(harness: ServiceHarness) -> None:
    """All threads are busy; the request behind them is stopped before it is sent."""
    service = harness.another(max_requests=1)
    harness.gateway.fault("submit", delay=SILENCE)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(run, service.submit(ask()))
        until(lambda: harness.posts, what="the first POST")
        seconds = stop_when(
            lambda: len(service.journal.entries()) == 2,
            lambda observer: service.submit(ask(), take=1, observer=observer),
        )
        assert seconds < AT_ONCE
        first.result(10)
    service.close()
    harness.gateway.requests()
    assert harness.posts == 1


class Slow(Journal):
    """A journal whose reads are held up at a bad moment."""

    after_get: Callable[[int], None] | None = None

    def get(self, entry_id: int) -> Any:
        entry = super().get(entry_id)
        if self.after_get is not None:
            self.after_get(entry_id)
        return entry


def test_a_request_is_either_withdrawn_or_sent(harness: ServiceHarness) -> None:
    """An interrupted submit starts in its thread at the very moment it is withdrawn: only one of
    the two happens. If the row were read first and changed later, it would be `refused` with its
    request on the wire."""
    journal = Slow(sqlite_url(harness.home))
    service = harness.another(max_requests=1, journal=journal)
    harness.gateway.fault("submit", delay=2.0)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(run, service.submit(ask()))
        until(lambda: harness.posts, what="the first POST")

        def after_get(_number: int) -> None:
            futures.wait([first], 10)
            time.sleep(0.5)  # in which the thread takes the second request

        journal.after_get = after_get
        stop_when(
            lambda: len(journal.entries()) == 2,
            lambda observer: service.submit(ask(), take=1, observer=observer),
        )
        first.result(10)
    service.close()
    by_state = {entry.state for entry in harness.another().journal.entries()}
    assert harness.posts == (1 if State.REFUSED in by_state else 2)


@pytest.mark.parametrize("cancel", [False, True])
def test_interrupt_while_waiting_keeps_the_task(harness: ServiceHarness, cancel: bool) -> None:
    """The waiting ends at once, the task stays."""
    harness.gateway.fault("task", stuck=True)
    task_id = harness.submit()

    def asked() -> object:
        return harness.gateway.requests("GET", f"/pika/feed/{task_id}")

    if cancel:
        seconds = cancel_when(asked, harness.service.wait(task_id))
    else:
        seconds = stop_when(
            asked, lambda observer: harness.service.wait(task_id, observer=observer)
        )
    assert seconds < AT_ONCE
    assert harness.submit() == task_id


def test_interrupt_during_a_silent_feed_ends_at_once(harness: ServiceHarness) -> None:
    """Stopped while the feed does not answer."""
    task_id = harness.submit()
    harness.gateway.fault("feed", delay=SILENCE)
    path = f"/pika/feed/{task_id}"
    seconds = stop_when(
        lambda: harness.gateway.requests("GET", path),
        lambda observer: harness.service.wait(task_id, observer=observer),
    )
    assert seconds < AT_ONCE


def test_interrupt_during_a_silent_download_ends_at_once(harness: ServiceHarness) -> None:
    """Stopped while the media host does not answer; the next collect gets the file."""
    task_id = harness.submit()
    harness.gateway.fault("media", delay=SILENCE)
    seconds = stop_when(
        lambda: harness.gateway.requests(server="cdn"),
        lambda observer: harness.service.collect(task_id, observer=observer),
    )
    assert seconds < AT_ONCE
    assert run(harness.service.collect(task_id)).path.is_file()


def test_closed_event_loop_causes_no_traceback(
    harness: ServiceHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """ComfyUI's loop is gone when the thread returns: nothing is printed on the console."""
    harness.gateway.fault("submit", delay=0.6)
    stop_when(
        lambda: harness.posts, lambda observer: harness.service.submit(ask(), observer=observer)
    )
    harness.gateway.fault("submit", status=400)
    until(lambda: harness.journal.entries()[0].task_id, what="the id in the journal")
    harness.close()
    gc.collect()
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


def test_error_after_an_interrupt_is_recorded_quietly(
    harness: ServiceHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """The POST was interrupted and then rejected: it is in the journal, and nothing is printed."""
    harness.gateway.fault("submit", status=500, delay=0.6)
    stop_when(
        lambda: harness.posts, lambda observer: harness.service.submit(ask(), observer=observer)
    )
    until(lambda: harness.journal.entries()[0].state is State.UNKNOWN, what="the end of the POST")
    harness.close()
    gc.collect()
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []
    with pytest.raises(PikaError, match="is unknown"):
        run(harness.another().submit(ask()))
