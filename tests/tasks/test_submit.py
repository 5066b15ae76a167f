"""Submit through the service: journal first, send once, reuse."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pika_api.errors import (
    InvalidInput,
    JournalError,
    Refused,
    SettingsError,
    SubmitUnknown,
    Unreachable,
)
from pika_api.journal import LEASE, Journal, State
from pika_api.media import read_video_file
from pika_api.settings import sqlite_url
from simulator import Simulator
from support.api import Clock, ServiceHarness, ask, free_port, impatient, run, write_video
from support.waiting import until


def only(harness: ServiceHarness) -> Any:
    """The one row of the journal."""
    (entry,) = harness.journal.entries(forgotten=True)
    return entry


def test_submit_without_a_key_does_nothing(harness: ServiceHarness) -> None:
    """No journal row and no request; the error explains how to set a key."""
    service = harness.another(api_key="")
    with pytest.raises(SettingsError, match="No API key"):
        run(service.submit(ask()))
    assert harness.gateway.log == []
    assert not harness.home.exists()


def test_row_is_in_state_sent_during_the_post(harness: ServiceHarness) -> None:
    """Another process that reads the journal during the POST sees it."""
    harness.gateway.fault("submit", delay=0.6)
    onlooker = harness.another().journal
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(harness.submit)
        until(lambda: harness.posts, what="the POST")
        (entry,) = onlooker.entries()
        assert (entry.state, entry.task_id) == (State.SENT, None)
        task_id = waiting.result()
    (entry,) = onlooker.entries()
    assert (entry.state, entry.task_id) == (State.SUBMITTED, task_id)


def test_nothing_is_sent_without_a_journal(harness: ServiceHarness, tmp_path: Path) -> None:
    """A task that cannot be recorded is not created."""
    (tmp_path / "file").write_text("in the way")
    service = harness.another(journal=Journal(sqlite_url(tmp_path / "file" / "home")))
    with pytest.raises(JournalError, match="Nothing is sent"):
        run(service.submit(ask()))
    assert harness.gateway.log == []


def test_same_request_reuses_its_task(harness: ServiceHarness) -> None:
    """Running, finished or saved: its id is returned and nothing is sent."""
    task_id = harness.submit()
    entry = only(harness)
    for step in (
        str,
        lambda: harness.journal.mark_running(entry.id, 5),
        lambda: harness.journal.mark_finished(entry.id, "https://cdn/x"),
        lambda: harness.journal.mark_saved(entry.id, Path("x")),
    ):
        step()
        found = run(harness.service.submit(ask()))
        assert (found.task_id, found.reused) == (task_id, True)
    assert harness.posts == 1


def test_task_is_reused_after_a_restart(harness: ServiceHarness) -> None:
    """A second service on the same journal finds the first one's task."""
    task_id = harness.submit()
    harness.service.close()
    assert run(harness.another().submit(ask())).task_id == task_id
    assert harness.posts == 1


def test_another_take_is_another_task(harness: ServiceHarness) -> None:
    """PikaGenerate's seed chooses the take."""
    assert harness.submit(take=0) != harness.submit(take=1)
    assert harness.posts == 2


def test_failed_task_is_not_reused(harness: ServiceHarness) -> None:
    """The same request creates a new task only if the gateway ended the first with an error."""
    first = harness.submit()
    harness.journal.mark_failed(only(harness).id, "moderation")
    assert harness.submit() != first
    assert harness.posts == 2


@pytest.mark.parametrize("accept", [False, True])
def test_unknown_outcome_is_never_resent_automatically(
    harness: ServiceHarness, accept: bool
) -> None:
    """Every further attempt raises the same error, until the user forgets the request."""
    harness.gateway.fault("submit", reset=True, accept=accept)
    for words in (
        "no complete response came back",
        "The outcome of the last attempt to send this request is unknown",
    ):
        with pytest.raises(SubmitUnknown, match=words) as caught:
            harness.submit()
        number = only(harness).id
        for part in ("may have been accepted and charged", f"forget {number}", "seed"):
            assert part in str(caught.value)
    assert harness.posts == 1
    harness.journal.forget(only(harness).id)
    assert harness.submit()
    assert harness.posts == 2


def test_rejected_request_is_recorded_and_released(harness: ServiceHarness) -> None:
    """The corrected, or the same, request may be sent at once."""
    harness.gateway.fault("submit", status=402, body={"message": "No credit"})
    with pytest.raises(Refused, match="No credit"):
        harness.submit()
    assert only(harness).state is State.REFUSED
    assert "No credit" in only(harness).last_error
    harness.submit()
    assert harness.posts == 2


def test_busy_gateway_is_retried(harness: ServiceHarness) -> None:
    """429, its own 503 that it is overloaded, then success: three requests, one task, one row."""
    overloaded = {"error": {"message": "overloaded", "code": "system_cpu_overloaded"}}
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "0"})
    harness.gateway.fault("submit", status=503, body=overloaded, headers={"Retry-After": "0"})
    task_id = harness.submit()
    assert harness.posts == 3
    assert harness.gateway.charged == [task_id]
    assert only(harness).task_id == task_id


def test_unreachable_gateway_is_retried(tmp_path: Path) -> None:
    """Nothing listens at first: the request was provably not sent, so it is sent again."""
    port = free_port()
    gateway = Simulator(port=port, task_seconds=0.0, clip_seconds=0.2, height=64)
    gateway.url = f"http://127.0.0.1:{port}"
    harness = ServiceHarness(gateway, tmp_path / "home")
    harness.another(base_url=gateway.url)
    try:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(harness.submit)
            until(
                lambda: [e for e in harness.journal.entries() if e.last_error], what="a first try"
            )
            with gateway:
                task_id = waiting.result()
                assert gateway.charged == [task_id]
    finally:
        harness.close()


def test_retries_of_an_unreachable_gateway_end(harness: ServiceHarness) -> None:
    """After a limited time the request is released; nothing was charged."""
    harness.policy = impatient(harness.policy, 0.1)
    service = harness.another(base_url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable, match="nothing was charged"):
        run(service.submit(ask()))
    assert only(harness).state is State.REFUSED


def test_24_identical_requests_create_one_task(harness: ServiceHarness) -> None:
    """At once, in six event loops of two services: one POST, one id."""
    harness.gateway.fault("submit", delay=0.3)
    services = [harness.service, harness.another()]

    async def four(service: Any) -> list[Any]:
        return await asyncio.gather(*(service.submit(ask()) for _ in range(4)))

    with ThreadPoolExecutor(6) as pool:
        found = [
            each
            for loop in pool.map(lambda n: run(four(services[n % 2])), range(6))
            for each in loop
        ]
    assert harness.posts == 1
    assert {each.task_id for each in found} == set(harness.gateway.charged)
    assert [each.reused for each in found].count(False) == 1


def test_different_requests_run_in_parallel(harness: ServiceHarness) -> None:
    """All eight slow requests are at the gateway before the first one is answered."""
    harness.gateway.fault("submit", delay=4.0, times=None)

    async def all_at_once() -> list[Any]:
        tasks = [asyncio.create_task(harness.service.submit(ask(), take=n)) for n in range(8)]
        while harness.posts < len(tasks):  # noqa: ASYNC110 - changed in another thread
            await asyncio.sleep(0.01)
        assert not [task for task in tasks if task.done()]
        return await asyncio.gather(*tasks)

    assert len({each.task_id for each in run(all_at_once())}) == 8


def test_request_sent_by_a_dead_process_is_unknown(harness: ServiceHarness) -> None:
    """Its row is in state sent and its lease has expired: an error, and no POST."""
    harness.submit()
    clock = Clock(time.time() - LEASE - 1)
    dead = Journal(sqlite_url(harness.home), clock)
    entry = dead.claim(_intent_of(harness, take=7), "dead").entry
    dead.mark_sent(entry.id, "dead")
    dead.close()
    with pytest.raises(SubmitUnknown, match="process that sent it ended"):
        harness.submit(take=7)
    assert harness.posts == 1


def test_request_not_sent_by_a_dead_process_is_sent(harness: ServiceHarness) -> None:
    """Its row is in state intended: the request never left, so it may be sent now."""
    harness.submit()
    dead = Journal(sqlite_url(harness.home), Clock(time.time() - LEASE - 1))
    dead.claim(_intent_of(harness, take=7), "dead")
    dead.close()
    assert harness.submit(take=7) in harness.gateway.charged
    assert harness.posts == 2


def _intent_of(harness: ServiceHarness, take: int) -> Any:
    """What the service of `harness` would journal."""
    from pika_api.request import request_fingerprint
    from support.api import intent

    settings = harness.service.settings
    made = request_fingerprint(ask().body(), gateway=settings.gateway, take=take)
    return intent(made, base_url=settings.base_url, key_id=settings.key_id, take=take)


def test_video_that_changes_during_upload_is_rejected(
    harness: ServiceHarness, tmp_path: Path
) -> None:
    """The upload stopped before its last byte: not accepted, and released for the next attempt."""
    path = write_video(tmp_path / "v.mp4")
    video = read_video_file(path)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(InvalidInput, match="changed while it was being sent"):
        harness.submit(ask(video=video))
    assert only(harness).state is State.REFUSED
    assert harness.gateway.charged == []
