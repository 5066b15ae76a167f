"""Interrupt and cancellation: the waiting ends at once, and what is paid for is kept."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pika_api.errors import PikaError
from pika_api.journal import Journal, State
from pika_api.progress import ProgressObserver
from pika_api.settings import sqlite_url
from support.api import ServiceHarness, ask, run
from support.waiting import until

#: Seconds from the user's click to the end of the waiting (design.md says 0.5; and a loaded desk).
AT_ONCE = 0.6


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
def test_a_post_under_way_is_left_to_end_and_its_id_is_kept(
    harness: ServiceHarness, cancel: bool
) -> None:
    """The call ends at once; the id still reaches the journal; the next try takes it up."""
    harness.gateway.fault("submit", delay=1.0)
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
def test_a_wait_for_a_busy_gateway_stops_and_frees_the_request(
    harness: ServiceHarness, cancel: bool
) -> None:
    """Between two tries nothing is on the wire: the next one who asks may send at once."""
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "60"})

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


def test_a_twin_of_a_stopped_submit_gets_its_task(harness: ServiceHarness) -> None:
    """One node is stopped during the POST, an identical one waits on: it gets the id."""
    harness.gateway.fault("submit", delay=0.8)
    twin = harness.another()
    with ThreadPoolExecutor(1) as pool:
        stop_when(
            lambda: harness.posts, lambda observer: harness.service.submit(ask(), observer=observer)
        )
        other = pool.submit(run, twin.submit(ask()))
        found = other.result(10)
    assert ([found.task_id], found.reused) == (harness.gateway.charged, True)


def test_a_wait_for_a_twin_stops(harness: ServiceHarness) -> None:
    """Waiting for somebody else's POST is stopped as quickly, and leaves that POST alone."""
    harness.gateway.fault("submit", delay=1.5)
    twin = harness.another()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(harness.submit)
        until(lambda: harness.posts, what="the POST")
        reports: list[Any] = []

        def watched(observer: ProgressObserver) -> Any:
            return twin.submit(ask(), observer=ProgressObserver(observer.check, reports.append))

        assert stop_when(lambda: reports, watched) < AT_ONCE
        assert [first.result(10)] == harness.gateway.charged


def test_a_submit_stopped_in_the_queue_is_never_sent(harness: ServiceHarness) -> None:
    """All threads are busy; the one behind them is stopped before it ever went out."""
    service = harness.another(max_requests=1)
    harness.gateway.fault("submit", delay=1.0)
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


def test_giving_up_and_sending_never_happen_both(harness: ServiceHarness) -> None:
    """A stopped submit in the queue is begun at the very moment it is withdrawn: one of them wins.

    Were the row read first and changed later, it would be `refused` with its request on the wire.
    """
    journal = Slow(sqlite_url(harness.home))
    service = harness.another(max_requests=1, journal=journal)
    harness.gateway.fault("submit", delay=0.6)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(run, service.submit(ask()))
        until(lambda: harness.posts, what="the first POST")
        journal.after_get = lambda _number: time.sleep(1.5)
        stop_when(
            lambda: len(journal.entries()) == 2,
            lambda observer: service.submit(ask(), take=1, observer=observer),
        )
        first.result(10)
    service.close()
    by_state = {entry.state for entry in harness.another().journal.entries()}
    assert harness.posts == (1 if State.REFUSED in by_state else 2)


@pytest.mark.parametrize("cancel", [False, True])
def test_waiting_for_a_task_stops_and_keeps_it(harness: ServiceHarness, cancel: bool) -> None:
    """A task that takes long: the waiting ends at once, the task stays."""
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


def test_a_slow_feed_does_not_hold_up_the_user(harness: ServiceHarness) -> None:
    """Stopped while the feed is silent."""
    task_id = harness.submit()
    harness.gateway.fault("feed", delay=2.0)
    path = f"/pika/feed/{task_id}"
    seconds = stop_when(
        lambda: harness.gateway.requests("GET", path),
        lambda observer: harness.service.wait(task_id, observer=observer),
    )
    assert seconds < AT_ONCE


def test_a_slow_download_does_not_hold_up_the_user(harness: ServiceHarness) -> None:
    """Stopped while the media host is silent; the next collect brings the file."""
    task_id = harness.submit()
    harness.gateway.fault("media", delay=1.5)
    seconds = stop_when(
        lambda: harness.gateway.requests(server="cdn"),
        lambda observer: harness.service.collect(task_id, observer=observer),
    )
    assert seconds < AT_ONCE
    assert run(harness.service.collect(task_id)).path.is_file()


def test_a_loop_that_ended_early_leaves_no_noise(
    harness: ServiceHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """ComfyUI's loop is gone when the thread comes back: no traceback on the console."""
    harness.gateway.fault("submit", delay=0.6)
    stop_when(
        lambda: harness.posts, lambda observer: harness.service.submit(ask(), observer=observer)
    )
    harness.gateway.fault("submit", status=400)
    until(lambda: harness.journal.entries()[0].task_id, what="the id in the journal")
    harness.close()
    gc.collect()
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


def test_an_error_nobody_waits_for_leaves_no_noise(
    harness: ServiceHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """The POST was given up and then refused: journalled, and nothing is printed."""
    harness.gateway.fault("submit", status=500, delay=0.6)
    stop_when(
        lambda: harness.posts, lambda observer: harness.service.submit(ask(), observer=observer)
    )
    until(lambda: harness.journal.entries()[0].state is State.UNKNOWN, what="the end of the POST")
    harness.close()
    gc.collect()
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []
    with pytest.raises(PikaError, match="ended unclear"):
        run(harness.another().submit(ask()))
