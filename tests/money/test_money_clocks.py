"""Real processes whose wall clocks lie: nothing is blocked for hours, nothing is paid twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from pika_api.errors import SubmitUnknown
from pika_api.journal import Journal, State
from pika_api.settings import sqlite_url
from support.api import PROMPT, ServiceHarness, WrongClocks, ask, run
from support.money import LEASE, Worker, hold, rows, workers
from support.waiting import until

pytestmark = pytest.mark.slow

#: Steps of the clock, in seconds.
STEPS = [-8 * 3600.0, -30.0, 30.0, 8 * 3600.0]


@pytest.fixture
def other() -> Iterator[Worker]:
    """Another process."""
    with workers(1) as (worker,):
        yield worker


@pytest.mark.parametrize("step", STEPS)
def test_clock_that_was_set_after_a_crash_blocks_nothing(
    harness: ServiceHarness, other: Worker, step: float
) -> None:
    """A process is killed while it waits for the answer, and the clock is set. For the next one the
    outcome is unknown after a lease, not after eight hours, and nothing is sent again."""
    other.open(harness.gateway, harness.home, clock=-step)
    harness.gateway.fault("submit", delay=30.0)
    other.tell("submit", prompt=PROMPT)
    until(lambda: harness.posts, what="the POST")
    other.kill()
    started = time.monotonic()
    with pytest.raises(SubmitUnknown, match="may have been accepted"):
        harness.submit()
    assert time.monotonic() - started < 10 * LEASE
    assert harness.posts == 1


@pytest.mark.parametrize("step", STEPS)
def test_clock_that_is_set_during_a_send_ends_no_lease(
    harness: ServiceHarness, other: Worker, step: float
) -> None:
    """Another process with another time waits for the task, and neither sends nor gives up."""
    other.open(harness.gateway, harness.home)
    harness.gateway.fault("submit", delay=3 * LEASE)
    other.tell("submit", prompt=PROMPT)
    until(lambda: harness.posts, what="the POST")
    with closing(Journal(sqlite_url(harness.home), WrongClocks(step), lease=LEASE)) as journal:
        service = harness.another(journal=journal)
        submitted = run(service.submit(ask()))
        service.close()
    assert submitted.reused
    assert other.answer() == {"task_id": submitted.task_id, "taken_up": False}
    assert harness.gateway.charged == [submitted.task_id]
    assert harness.posts == 1


def test_owner_whose_clock_is_set_while_it_waits_goes_on(
    harness: ServiceHarness, other: Worker
) -> None:
    """Its clock is set forward and back between a 429 and the next attempt."""
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "1"})
    clocks = WrongClocks(0.0)
    journal = Journal(sqlite_url(harness.home), clocks, lease=LEASE)
    service = harness.another(journal=journal)
    other.open(harness.gateway, harness.home)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(run, service.submit(ask()))
        until(lambda: [entry for entry in rows(journal) if entry.last_error], what="the 429")
        other.tell("submit", prompt=PROMPT)
        for step in STEPS:
            clocks.wrong = step
            time.sleep(0.2)
        task_id = first.result(30).task_id
    assert other.answer() == {"task_id": task_id, "taken_up": True}
    assert harness.gateway.charged == [task_id]
    assert harness.posts == 2


@pytest.mark.parametrize("status", [400, 402, 429])
def test_proven_refusal_counts_after_a_suspension(
    harness: ServiceHarness, other: Worker, status: int
) -> None:
    """A process is suspended while the gateway refuses, and another one records "unknown"
    meanwhile. Resumed, the first one hears the refusal: the request is free again, or it sends it
    again itself after a 429. One charge in the end."""
    other.open(harness.gateway, harness.home)
    body = {"error": {"message": "No", "type": "invalid_request_error"}}
    harness.gateway.fault("submit", status=status, body=body, delay=0.5)
    other.tell("submit", prompt=PROMPT)
    until(lambda: harness.posts, what="the POST")
    hold(other, harness)
    with pytest.raises(SubmitUnknown, match="may have been accepted"):
        harness.submit()
    assert rows(harness.journal)[0].state is State.UNKNOWN
    other.go_on()
    answer = other.answer()
    if status == 429:
        assert answer == {"task_id": harness.gateway.charged[0], "taken_up": False}
    else:
        assert answer["error"] == "Refused"
        assert rows(harness.journal)[0].state is State.REFUSED
    assert harness.submit() in harness.gateway.charged
    assert len(harness.gateway.charged) == 1
