"""Real processes on one journal: one task, one POST, one download, whoever is held up."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from pika_api.errors import SubmitUnknown
from pika_api.journal import LEASE as LEASE_OF_USERS
from pika_api.journal import Journal, State
from pika_api.settings import sqlite_url
from simulator import Simulator
from support.api import PROMPT, Clock, ServiceHarness, intent, run
from support.money import Worker, rows, workers
from support.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture
def pair(harness: ServiceHarness) -> Iterator[list[Worker]]:
    """Two processes at the desk's gateway and journal."""
    with workers(2) as made:
        yield [worker.open(harness.gateway, harness.home) for worker in made]


@pytest.fixture
def other(harness: ServiceHarness) -> Iterator[Worker]:
    """One process at the desk's gateway and journal."""
    with workers(1) as (made,):
        yield made.open(harness.gateway, harness.home)


def test_two_processes_at_one_instant_make_one_task(quick: Simulator, tmp_path: Path) -> None:
    """Ten rounds, half of them on a journal that neither has opened yet: one POST and one charge
    each, and both get its id, one of them as taken up."""
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


def test_two_processes_download_once(harness: ServiceHarness, pair: list[Worker]) -> None:
    """Both want the same finished task at one instant: one fetches it, both have the file."""
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


def hold(worker: Worker, harness: ServiceHarness) -> None:
    """Stop a process while it writes nothing: the journal's file would be locked for all."""

    def held() -> bool:
        worker.stop()
        with closing(sqlite3.connect(harness.home / "journal.sqlite3", timeout=0.0)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                worker.go_on()
                return False
        return True

    until(held, what="a moment without a write")


def test_one_held_up_before_sending_does_not_send_what_was_taken_over(
    harness: ServiceHarness, other: Worker
) -> None:
    """A process waits out a 429 and is stopped; its lease lapses and another sends. Woken during
    that POST, the first neither sends nor spoils the other's row; it ends with the other's id."""
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


def test_one_held_up_after_sending_still_settles_its_row(
    harness: ServiceHarness, other: Worker
) -> None:
    """A process is stopped between the charge and the answer: to others the request is unknown and
    is not sent again. Woken, it reads the answer and writes the id down; then all take it up."""
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


def test_one_held_up_while_it_downloads_leaves_a_whole_file(
    harness: ServiceHarness, other: Worker
) -> None:
    """Another brings the file once the lease is over; woken, the first finds it or ends with it."""
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


def test_a_row_that_was_taken_over_is_no_longer_its_first_owners(tmp_path: Path) -> None:
    """Whatever the one that was held up still does, to the row as its new owner sends it or waits
    to: it cannot send, give up, or give free what is another's now."""
    clock = Clock()
    with closing(Journal(sqlite_url(tmp_path), clock)) as journal:
        number = journal.claim(intent(), "first")[0].id
        clock.now += LEASE_OF_USERS + 1.0
        assert journal.claim(intent(), "second") == (journal.get(number), True)
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
