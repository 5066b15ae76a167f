"""Real processes on one journal: one task, one POST, one download, even if one is suspended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from pika_api.errors import SubmitUnknown
from pika_api.journal import LEASE as LEASE_OF_USERS
from pika_api.journal import Claim, Journal, State
from pika_api.settings import sqlite_url
from simulator import Simulator
from support.api import PROMPT, Clock, ServiceHarness, intent, run
from support.money import Worker, hold, rows, workers
from support.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture
def pair(harness: ServiceHarness) -> Iterator[list[Worker]]:
    """Two processes on the gateway and the journal of `harness`."""
    with workers(2) as made:
        yield [
            worker.open(harness.gateway, harness.home, database=harness.database) for worker in made
        ]


@pytest.fixture
def other(harness: ServiceHarness) -> Iterator[Worker]:
    """One process on the gateway and the journal of `harness`."""
    with workers(1) as (made,):
        yield made.open(harness.gateway, harness.home, database=harness.database)


def test_two_processes_at_the_same_instant_create_one_task(
    quick: Simulator, tmp_path: Path
) -> None:
    """Ten rounds, half of them on a journal that is new to both: one POST and one charge each. Both
    get the id, one of them as reused."""
    with workers(2) as pair:
        for take in range(10):
            home = tmp_path / (f"fresh-{take}" if take % 2 else "home")
            for worker in pair:
                worker.open(quick, home)
            at = time.time() + 0.1
            for worker in pair:
                worker.tell("submit", prompt=PROMPT, take=take, at=at)
            found = [worker.answer() for worker in pair]
            (task_id,) = quick.charged[take:]
            assert [each.get("task_id") for each in found] == [task_id] * 2, found
            assert sorted(each["taken_up"] for each in found) == [False, True]
            assert len(quick.requests("POST")) == take + 1


def test_two_processes_download_a_file_once(harness: ServiceHarness, pair: list[Worker]) -> None:
    """Both collect the same finished task at the same instant: one downloads it, both have the
    file."""
    for take in range(3):
        task_id = harness.submit(take=take)
        at = time.time() + 0.1
        for worker in pair:
            worker.tell("collect", task_id=task_id, at=at)
        found = [worker.answer() for worker in pair]
        assert found[0] == found[1]
        assert found[0]["task_id"] == task_id
        got = [seen for seen in harness.gateway.requests(server="cdn") if seen.task_id == task_id]
        assert len(got) == 1


def test_suspended_process_does_not_send_a_request_that_was_taken_over(
    harness: ServiceHarness, other: Worker
) -> None:
    """A process waits out a 429 and is suspended; its lease expires and another process sends.
    Resumed during that POST, the first process neither sends nor changes the row. It returns the
    other's id."""
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "1"})
    other.tell("submit", prompt=PROMPT)
    until(lambda: [e for e in harness.journal.entries() if e.last_error], what="the 429")
    hold(other, harness)
    harness.gateway.fault("submit", delay=3.0)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(harness.submit)
        until(lambda: harness.gateway.charged, what="the charge of the one who took over")
        other.go_on()
        task_id = second.result(20)
    assert harness.gateway.charged == [task_id]
    assert other.answer() == {"task_id": task_id, "taken_up": True}
    (entry,) = rows(harness.journal)
    assert (entry.state, entry.task_id) == (State.SUBMITTED, task_id)
    assert harness.submit() == task_id
    assert harness.posts == 2  # the one that was answered 429, and the one that was accepted


def test_suspended_process_records_its_answer_after_all(
    harness: ServiceHarness, other: Worker
) -> None:
    """A process is suspended between charge and answer. For others the outcome is unknown, and
    nothing is sent again. Resumed, it records the id; then all reuse the task."""
    harness.gateway.fault("submit", delay=0.3)
    other.tell("submit", prompt=PROMPT)
    until(lambda: harness.gateway.charged, what="the charge")
    hold(other, harness)
    with pytest.raises(SubmitUnknown, match="may have been accepted"):
        harness.submit()
    (entry,) = rows(harness.journal)
    assert (entry.state, entry.task_id) == (State.UNKNOWN, None)
    other.go_on()
    (task_id,) = harness.gateway.charged
    assert other.answer() == {"task_id": task_id, "taken_up": False}
    assert harness.submit() == task_id
    assert harness.posts == 1


def test_suspended_download_leaves_a_complete_file(harness: ServiceHarness, other: Worker) -> None:
    """Another process downloads the file once the lease has expired. Resumed, the first process
    finds the file or ends with it."""
    task_id = harness.submit()
    harness.gateway.fault("media", delay=0.3)
    other.tell("collect", task_id=task_id)
    until(lambda: harness.gateway.requests(server="cdn"), what="the download")
    hold(other, harness)
    path = run(harness.service.collect(task_id)).path
    whole = path.read_bytes()
    other.go_on()
    assert other.answer() == {"task_id": task_id, "path": str(path)}
    assert path.read_bytes() == whole
    assert rows(harness.journal)[0].state is State.SAVED


def test_former_owner_cannot_change_a_row_that_was_taken_over(tmp_path: Path) -> None:
    """While its new owner sends or waits, the former owner cannot send, withdraw or release the
    row."""
    clock = Clock()
    with closing(Journal(sqlite_url(tmp_path), clock)) as journal:
        number = journal.claim(intent(), "first").entry.id
        clock.now += LEASE_OF_USERS + 1.0
        assert journal.claim(intent(), "second") == Claim(journal.get(number), True)
        for begun in (False, True):
            if begun:
                assert journal.mark_sent(number, "second")
            before = journal.get(number)
            assert not journal.mark_sent(number, "first")
            journal.mark_unsent(number, "first", "429")
            journal.mark_rejected(number, "first", "400")
            journal.mark_withdrawn(number, "first")
            journal.release_lease(number, "first")
            assert journal.get(number) == before
