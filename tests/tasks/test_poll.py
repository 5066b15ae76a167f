"""Waiting for a task costs nothing, and almost nothing ends it."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pika_api.errors import (
    FeedRefused,
    TaskFailed,
    TaskNotFound,
    TaskTimeout,
    TaskUnclear,
    WebPage,
)
from pika_api.gateway import Status, Task
from pika_api.journal import State
from pika_api.progress import Progress, ProgressObserver
from pika_api.tasks import ServicePolicy
from support.api import RawServer, ServiceHarness, answer, ask, run
from support.waiting import until


def feeds(harness: ServiceHarness, task_id: str) -> list[Any]:
    """The times the feed was asked for a task."""
    return harness.gateway.requests("GET", f"/pika/feed/{task_id}")


def test_finished_task_is_recorded_and_returned(harness: ServiceHarness) -> None:
    """Link and state are in the journal before the call returns."""
    task_id = harness.submit()
    task = run(harness.service.wait(task_id))
    assert (task.id, task.status, task.progress) == (task_id, Status.FINISHED, 100)
    (entry,) = harness.journal.entries()
    assert (entry.state, entry.result_url) == (State.FINISHED, task.result_url)


def all_waits(harness: ServiceHarness, task_ids: list[str], reports: list[Progress]) -> list[Task]:
    """The ends of several tasks, waited for together."""

    async def together() -> list[Task]:
        observer = ProgressObserver(report=reports.append)
        return await asyncio.gather(
            *(harness.service.wait(each, observer=observer) for each in task_ids)
        )

    return run(together())


def test_reading_that_says_nothing_new_is_not_recorded(harness: ServiceHarness) -> None:
    """A task is recorded as running once, and again when its progress changes. Its row does not
    change with every reading of the feed."""
    harness.gateway.fault("task", no_progress=True, seconds=4.0)
    task_id = harness.submit()
    revisions = []

    def note(_progress: Progress) -> None:
        (entry,) = harness.journal.entries()
        revisions.append((entry.state, entry.revision))

    run(harness.service.wait(task_id, observer=ProgressObserver(report=note)))
    running = {revision for state, revision in revisions if state is State.RUNNING}
    assert len(running) == 1
    assert len(feeds(harness, task_id)) > 2
    (entry,) = harness.journal.entries()
    assert entry.state is State.FINISHED


def test_new_task_may_be_unknown_at_first(harness: ServiceHarness) -> None:
    """Unknown to the feed, without its video, with an unknown status: the waiting continues."""
    harness.gateway.fault("task", hide_for=1.2)
    harness.gateway.fault("task", empty_for=1.2)
    harness.gateway.fault("task", raw_status="baking", seconds=4.0)
    harness.gateway.fault("task", no_progress=True, seconds=1.2)
    task_ids = [harness.submit(take=take) for take in range(4)]
    reports: list[Progress] = []
    tasks = all_waits(harness, task_ids, reports)
    assert [task.status for task in tasks] == [Status.FINISHED] * 4
    assert all(len(feeds(harness, each)) >= 2 for each in task_ids)
    assert any("baking" in report.text for report in reports)


def test_feed_errors_do_not_end_the_waiting(harness: ServiceHarness) -> None:
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
    task_ids = [harness.submit(take=take) for take in range(len(faults))]
    for task_id, fault in zip(task_ids, faults, strict=True):
        harness.gateway.fault("feed", task_id=task_id, **fault)
    reports: list[Progress] = []
    tasks = all_waits(harness, task_ids, reports)
    assert [task.status for task in tasks] == [Status.FINISHED] * len(faults)
    told = {report.task_id for report in reports if "Trying again" in report.text}
    assert told == set(task_ids)


def test_timeout_names_the_task_and_keeps_it(harness: ServiceHarness) -> None:
    """The error has the id, says that the task is kept and how to continue; the same request reuses
    it."""
    harness.gateway.fault("task", stuck=True)
    task_id = harness.submit()
    started = time.monotonic()
    with pytest.raises(TaskTimeout) as caught:
        run(harness.service.wait(task_id, timeout=0.5))
    assert 0.5 <= time.monotonic() - started < 2
    assert caught.value.task_id == task_id
    for words in (task_id, "paid for and kept", "pending"):
        assert words in str(caught.value)
    (entry,) = harness.journal.entries()
    assert (entry.state, entry.task_id) == (State.RUNNING, task_id)
    assert harness.submit() == task_id
    assert harness.posts == 1


def test_failed_task_error_has_the_gateways_words(harness: ServiceHarness) -> None:
    """The row is in state failed, and the same request is a new task."""
    harness.gateway.fault("task", error="NSFW content detected")
    task_id = harness.submit()
    with pytest.raises(TaskFailed, match="NSFW content detected") as caught:
        run(harness.service.wait(task_id))
    assert task_id in str(caught.value)
    (entry,) = harness.journal.entries()
    assert entry.state is State.FAILED
    assert "NSFW" in entry.last_error
    assert harness.submit() != task_id


def test_rejected_key_ends_the_waiting(harness: ServiceHarness) -> None:
    """Asking again does not help; the task stays."""
    task_id = harness.submit()
    harness.gateway.fault("feed", status=401, body={"message": "Token revoked"})
    with pytest.raises(FeedRefused, match="Token revoked"):
        run(harness.service.wait(task_id))
    assert harness.journal.entries()[0].task_id == task_id


def test_several_404s_for_an_old_task_mean_not_found(harness: ServiceHarness) -> None:
    """For a task that is not new they mean a wrong id or account."""
    harness.policy = ServicePolicy(new_task_grace=0.1)
    with pytest.raises(TaskNotFound, match="does not know task nobody") as caught:
        run(harness.service.wait("nobody"))
    assert len(feeds(harness, "nobody")) == harness.policy.max_misses
    assert "PIKA_BASE_URL" in str(caught.value)
    assert harness.journal.entries() == []


TASK_NOT_EXIST = {"code": "task_not_exist", "message": "task_not_exist", "data": None}


@pytest.mark.parametrize("fault", [{"status": 404}, {"status": 400, "body": TASK_NOT_EXIST}])
def test_entered_id_that_is_not_known_is_reported_within_seconds(
    harness: ServiceHarness, fault: dict[str, Any]
) -> None:
    """The grace of a new task is for tasks that this journal submitted. The answer of an earlier
    reading, which added the id to the journal, makes no difference."""
    harness.gateway.fault("feed", task_id="typed", times=None, **fault)
    harness.journal.adopt("typed", harness.gateway.url, "key")
    started = time.monotonic()
    with pytest.raises(TaskNotFound, match="Check the id"):
        run(harness.service.wait("typed"))
    assert time.monotonic() - started < 5
    assert len(feeds(harness, "typed")) == harness.policy.max_misses


def test_new_task_may_not_exist_at_first(harness: ServiceHarness) -> None:
    """400 task_not_exist is the same as 404, for longer than an entered id would be waited for."""
    task_id = harness.submit()
    harness.gateway.fault("feed", task_id=task_id, status=400, body=TASK_NOT_EXIST, times=4)
    assert run(harness.service.wait(task_id)).status is Status.FINISHED


PAGE = "<!doctype html><html><head><title>New API</title></head><body><div id='root'></div></body>"


def test_web_page_for_an_entered_id_is_reported_at_once(harness: ServiceHarness) -> None:
    """Nothing shows that there is a gateway at this address. One request; the text names the base
    URL and has no HTML."""
    harness.gateway.fault("feed", task_id="typed", body=PAGE, times=None)
    with pytest.raises(WebPage, match="PIKA_BASE_URL") as caught:
        run(harness.service.wait("typed"))
    assert "<" not in str(caught.value)
    assert len(feeds(harness, "typed")) == 1


def test_web_page_for_a_paid_task_is_waited_out(harness: ServiceHarness) -> None:
    """The address is right, because the task was submitted there: the page is temporary. The node
    says what it is at once."""
    task_id = harness.submit()
    harness.gateway.fault("feed", task_id=task_id, body=PAGE, times=2)
    reports: list[Progress] = []
    assert all_waits(harness, [task_id], reports)[0].status is Status.FINISHED
    assert any("New API" in report.text for report in reports)
    assert not any("<" in report.text for report in reports)


def video(**fields: Any) -> bytes:
    """An answer of the feed about one video."""
    return answer(200, {"videos": [fields]})


def test_error_with_an_unknown_status_is_reported_after_a_while(harness: ServiceHarness) -> None:
    """It does not end the task in the journal, and a task that goes on is not given up before."""
    harness.policy = ServicePolicy(unclear_patience=1.0)
    with RawServer(video(status="stalled", progress=40, error="GPU lost")) as server:
        service = harness.another(base_url=server.url)
        with pytest.raises(TaskUnclear, match=r"«stalled».*GPU lost") as caught:
            run(service.wait("t"))
        assert len(server.seen) > 1
    assert "nothing is sent again" in str(caught.value)
    assert harness.journal.entries()[0].state is State.RUNNING


@pytest.mark.parametrize(
    "other",
    [
        {"status": "stalled", "progress": 50},
        {"status": "pending", "error": "warning"},
        {"status": "stalled", "error": "late", "resultUrl": "https://cdn.example/v.mp4"},
    ],
    ids=["no error", "known status", "link"],
)
def test_unknown_status_without_a_lasting_error_is_waited_out(
    harness: ServiceHarness, other: dict[str, Any]
) -> None:
    """An error that passes, and an unknown word alone, end nothing."""
    harness.policy = ServicePolicy(unclear_patience=1.5)
    stalled = video(status="stalled", error="GPU lost")
    done = video(status="finished", resultUrl="https://cdn.example/v.mp4")
    with RawServer(stalled, video(**other), stalled, video(**other), done) as server:
        assert run(harness.another(base_url=server.url).wait("t")).status is Status.FINISHED


def test_failure_that_is_taken_back_is_finished(harness: ServiceHarness) -> None:
    """The failed entry becomes finished, and then saved. The same request uses it again."""
    task_id = harness.submit()
    failed = {"id": task_id, "videos": [{"status": "error", "error": "node lost"}]}
    harness.gateway.fault("feed", task_id=task_id, body=failed)
    with pytest.raises(TaskFailed, match="node lost"):
        run(harness.service.wait(task_id))
    assert harness.journal.entries()[0].state is State.FAILED
    assert run(harness.service.wait(task_id)).status is Status.FINISHED
    assert harness.journal.entries()[0].state is State.FINISHED
    assert run(harness.service.collect(task_id)).path.is_file()
    assert harness.journal.entries()[0].state is State.SAVED
    assert harness.submit() == task_id


def test_feed_without_credit_ends_the_waiting_and_pauses_nothing(harness: ServiceHarness) -> None:
    """A 429 about credit is no rate limit: other requests go on at once."""
    harness.policy = ServicePolicy(rate_limit_pause=30.0)
    task_id = harness.submit()
    body = {"error": {"message": "quota", "code": "insufficient_quota"}}
    harness.gateway.fault("feed", task_id=task_id, status=429, body=body)
    started = time.monotonic()
    with pytest.raises(FeedRefused, match="top it up"):
        run(harness.service.wait(task_id))
    assert run(harness.service.wait(task_id)).status is Status.FINISHED
    assert time.monotonic() - started < 20


def test_task_submitted_elsewhere_gets_a_row(harness: ServiceHarness) -> None:
    """An id that another machine paid for is waited for, and recorded from then on."""
    elsewhere = ServiceHarness(harness.gateway, harness.home.with_name("elsewhere"))
    try:
        task_id = elsewhere.submit()
    finally:
        elsewhere.close()
    assert run(harness.service.status(task_id)).id == task_id
    assert [entry.task_id for entry in harness.journal.entries()] == [task_id]


def test_status_sends_one_request(harness: ServiceHarness) -> None:
    """PikaStatus asks once."""
    task_id = harness.submit()
    run(harness.service.status(task_id))
    assert len(feeds(harness, task_id)) == 1


def test_429_on_one_feed_pauses_all_requests(harness: ServiceHarness) -> None:
    """No other task's feed is read and nothing is sent until then."""
    harness.gateway.fault("task", stuck=True, times=2)
    first, second = harness.submit(take=0), harness.submit(take=1)
    harness.gateway.fault("feed", task_id=first, status=429, headers={"Retry-After": "2"})
    with ThreadPoolExecutor(2) as pool:
        waits = [
            pool.submit(run, harness.service.wait(task_id, timeout=2.5))
            for task_id in (first, second)
        ]
        until(lambda: any(seen.status == 429 for seen in feeds(harness, first)), what="the 429")
        braked = next(seen for seen in feeds(harness, first) if seen.status == 429).monotonic
        task_id = run(harness.service.submit(ask(), take=2)).task_id
        for each in waits:
            with pytest.raises(TaskTimeout):
                each.result(30)
    assert task_id in harness.gateway.charged
    # One that was on its way when the brake came may still arrive.
    during = [seen for seen in harness.gateway.log if braked + 0.2 < seen.monotonic < braked + 1.9]
    assert during == []


def test_young_task_is_polled_rarely(harness: ServiceHarness) -> None:
    """Two seconds of a young task are at most four requests."""
    harness.gateway.fault("task", stuck=True)
    task_id = harness.submit()
    with pytest.raises(TaskTimeout):
        run(harness.service.wait(task_id, timeout=2.0))
    assert 2 <= len(feeds(harness, task_id)) <= 5


def test_invalid_link_is_waited_out(harness: ServiceHarness) -> None:
    """Finished, with an invalid URL: a moment later there may be a valid one."""

    def feed(link: str) -> bytes:
        return answer(200, {"videos": [{"status": "finished", "resultUrl": link}]})

    with RawServer(feed("http://[bad"), feed("https://cdn.example/v.mp4")) as server:
        task = run(harness.another(base_url=server.url).wait("t"))
    assert task.result_url == "https://cdn.example/v.mp4"
