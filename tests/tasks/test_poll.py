"""Waiting for a task costs nothing, and almost nothing ends it."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pika_api.errors import FeedRefused, TaskFailed, TaskNotFound, TaskTimeout
from pika_api.gateway import Status, Task
from pika_api.journal import State
from pika_api.progress import Progress, ProgressObserver
from pika_api.tasks import ServicePolicy
from support.api import Desk, RawServer, answer, ask, run
from support.waiting import until


def feeds(desk: Desk, task_id: str) -> list[Any]:
    """The times the feed was asked for a task."""
    return desk.gateway.requests("GET", f"/pika/feed/{task_id}")


def test_finished_task_is_recorded_and_returned(desk: Desk) -> None:
    """Link and state are in the journal before the call returns."""
    task_id = desk.submit()
    task = run(desk.service.wait(task_id))
    assert (task.id, task.status, task.progress) == (task_id, Status.FINISHED, 100)
    (entry,) = desk.journal.entries()
    assert (entry.state, entry.result_url) == (State.FINISHED, task.result_url)


def all_waits(desk: Desk, task_ids: list[str], reports: list[Progress]) -> list[Task]:
    """The ends of several tasks, waited for together."""

    async def together() -> list[Task]:
        observer = ProgressObserver(report=reports.append)
        return await asyncio.gather(
            *(desk.service.wait(each, observer=observer) for each in task_ids)
        )

    return run(together())


def test_new_task_may_be_unknown_at_first(desk: Desk) -> None:
    """Unknown to the feed, without its video, with an unknown status: the waiting continues."""
    desk.gateway.fault("task", hide_for=1.2)
    desk.gateway.fault("task", empty_for=1.2)
    desk.gateway.fault("task", raw_status="baking", seconds=1.2)
    desk.gateway.fault("task", no_progress=True, seconds=1.2)
    task_ids = [desk.submit(take=take) for take in range(4)]
    reports: list[Progress] = []
    tasks = all_waits(desk, task_ids, reports)
    assert [task.status for task in tasks] == [Status.FINISHED] * 4
    assert all(len(feeds(desk, each)) >= 2 for each in task_ids)
    assert any("baking" in report.text for report in reports)


def test_feed_errors_do_not_end_the_waiting(desk: Desk) -> None:
    """The task is paid for: whatever the feed answers, it is asked again and says so."""
    faults: list[dict[str, Any]] = [
        {"status": 500},
        {"status": 502, "body": "<html><body>Bad Gateway</body></html>"},
        {"status": 429, "headers": {"Retry-After": "1"}},
        {"body": "<html><body>Welcome</body></html>"},
        {"body": '{"id": "x", "vid'},
        {"cut": 5},
        {"reset": True},
        {"body": [1, 2]},
    ]
    task_ids = [desk.submit(take=take) for take in range(len(faults))]
    for task_id, fault in zip(task_ids, faults, strict=True):
        desk.gateway.fault("feed", task_id=task_id, **fault)
    reports: list[Progress] = []
    tasks = all_waits(desk, task_ids, reports)
    assert [task.status for task in tasks] == [Status.FINISHED] * len(faults)
    told = {report.task_id for report in reports if "Trying again" in report.text}
    assert told == set(task_ids)


def test_timeout_names_the_task_and_keeps_it(desk: Desk) -> None:
    """The error has the id, says that the task is kept and how to continue; the same request reuses
    it."""
    desk.gateway.fault("task", stuck=True)
    task_id = desk.submit()
    started = time.monotonic()
    with pytest.raises(TaskTimeout) as caught:
        run(desk.service.wait(task_id, timeout=0.5))
    assert 0.5 <= time.monotonic() - started < 2
    assert caught.value.task_id == task_id
    for words in (task_id, "paid for and kept", "pending"):
        assert words in str(caught.value)
    (entry,) = desk.journal.entries()
    assert (entry.state, entry.task_id) == (State.RUNNING, task_id)
    assert desk.submit() == task_id
    assert desk.posts == 1


def test_failed_task_error_has_the_gateways_words(desk: Desk) -> None:
    """The row is in state failed, and the same request is a new task."""
    desk.gateway.fault("task", error="NSFW content detected")
    task_id = desk.submit()
    with pytest.raises(TaskFailed, match="NSFW content detected") as caught:
        run(desk.service.wait(task_id))
    assert task_id in str(caught.value)
    (entry,) = desk.journal.entries()
    assert entry.state is State.FAILED
    assert "NSFW" in entry.last_error
    assert desk.submit() != task_id


def test_rejected_key_ends_the_waiting(desk: Desk) -> None:
    """Asking again does not help; the task stays."""
    task_id = desk.submit()
    desk.gateway.fault("feed", status=401, body={"message": "Token revoked"})
    with pytest.raises(FeedRefused, match="Token revoked"):
        run(desk.service.wait(task_id))
    assert desk.journal.entries()[0].task_id == task_id


def test_several_404s_for_an_old_task_mean_not_found(desk: Desk) -> None:
    """For a task that is not new they mean a wrong id or account."""
    desk.policy = ServicePolicy(new_task_grace=0.1)
    with pytest.raises(TaskNotFound, match="does not know task nobody") as caught:
        run(desk.service.wait("nobody"))
    assert len(feeds(desk, "nobody")) == desk.policy.max_misses
    assert "PIKA_BASE_URL" in str(caught.value)
    assert desk.journal.entries() == []


def test_task_submitted_elsewhere_gets_a_row(desk: Desk) -> None:
    """An id that another machine paid for is waited for, and recorded from then on."""
    elsewhere = Desk(desk.gateway, desk.home.with_name("elsewhere"))
    try:
        task_id = elsewhere.submit()
    finally:
        elsewhere.close()
    assert run(desk.service.status(task_id)).id == task_id
    assert [entry.task_id for entry in desk.journal.entries()] == [task_id]


def test_status_sends_one_request(desk: Desk) -> None:
    """PikaStatus asks once."""
    task_id = desk.submit()
    run(desk.service.status(task_id))
    assert len(feeds(desk, task_id)) == 1


def test_429_on_one_feed_pauses_all_requests(desk: Desk) -> None:
    """No other task's feed is read and nothing is sent until then."""
    desk.gateway.fault("task", stuck=True, times=2)
    first, second = desk.submit(take=0), desk.submit(take=1)
    desk.gateway.fault("feed", task_id=first, status=429, headers={"Retry-After": "2"})
    with ThreadPoolExecutor(2) as pool:
        waits = [
            pool.submit(run, desk.service.wait(task_id, timeout=2.5)) for task_id in (first, second)
        ]
        until(lambda: any(seen.status == 429 for seen in feeds(desk, first)), what="the 429")
        braked = next(seen for seen in feeds(desk, first) if seen.status == 429).monotonic
        task_id = run(desk.service.submit(ask(), take=2)).task_id
        for each in waits:
            with pytest.raises(TaskTimeout):
                each.result(30)
    assert task_id in desk.gateway.charged
    # One that was on its way when the brake came may still arrive.
    during = [seen for seen in desk.gateway.log if braked + 0.2 < seen.monotonic < braked + 1.9]
    assert during == []


def test_young_task_is_polled_rarely(desk: Desk) -> None:
    """Two seconds of a young task are at most four requests."""
    desk.gateway.fault("task", stuck=True)
    task_id = desk.submit()
    with pytest.raises(TaskTimeout):
        run(desk.service.wait(task_id, timeout=2.0))
    assert 2 <= len(feeds(desk, task_id)) <= 5


def test_invalid_link_is_waited_out(desk: Desk) -> None:
    """Finished, with an invalid URL: a moment later there may be a valid one."""

    def feed(link: str) -> bytes:
        return answer(200, {"videos": [{"status": "finished", "resultUrl": link}]})

    with RawServer(feed("http://[bad"), feed("https://cdn.example/v.mp4")) as server:
        task = run(desk.another(base_url=server.url).wait("t"))
    assert task.result_url == "https://cdn.example/v.mp4"
