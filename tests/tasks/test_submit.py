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
from pika_api.gateway import retry
from pika_api.journal import LEASE, Journal, State
from pika_api.media import read_video_file
from pika_api.settings import sqlite_url
from simulator import Simulator
from support.api import Clock, Desk, ask, free_port, run, write_video
from support.waiting import until


def only(desk: Desk) -> Any:
    """The one row of the journal."""
    (entry,) = desk.journal.entries(forgotten=True)
    return entry


def test_submit_without_a_key_does_nothing(desk: Desk) -> None:
    """No journal row and no request; the error explains how to set a key."""
    service = desk.another(api_key="")
    with pytest.raises(SettingsError, match="No API key"):
        run(service.submit(ask()))
    assert desk.gateway.log == []
    assert not desk.home.exists()


def test_row_is_in_state_sent_during_the_post(desk: Desk) -> None:
    """Another process that reads the journal during the POST sees it."""
    desk.gateway.fault("submit", delay=0.6)
    onlooker = desk.another().journal
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(desk.submit)
        until(lambda: desk.posts, what="the POST")
        (entry,) = onlooker.entries()
        assert (entry.state, entry.task_id) == (State.SENT, None)
        task_id = waiting.result()
    (entry,) = onlooker.entries()
    assert (entry.state, entry.task_id) == (State.SUBMITTED, task_id)


def test_nothing_is_sent_without_a_journal(desk: Desk, tmp_path: Path) -> None:
    """A task that cannot be recorded is not created."""
    (tmp_path / "file").write_text("in the way")
    service = desk.another(journal=Journal(sqlite_url(tmp_path / "file" / "home")))
    with pytest.raises(JournalError, match="Nothing is sent"):
        run(service.submit(ask()))
    assert desk.gateway.log == []


def test_same_request_reuses_its_task(desk: Desk) -> None:
    """Running, finished or saved: its id is returned and nothing is sent."""
    task_id = desk.submit()
    entry = only(desk)
    for step in (
        str,
        lambda: desk.journal.mark_running(entry.id, 5),
        lambda: desk.journal.mark_finished(entry.id, "https://cdn/x"),
        lambda: desk.journal.mark_saved(entry.id, Path("x")),
    ):
        step()
        found = run(desk.service.submit(ask()))
        assert (found.task_id, found.reused) == (task_id, True)
    assert desk.posts == 1


def test_task_is_reused_after_a_restart(desk: Desk) -> None:
    """A second service on the same journal finds the first one's task."""
    task_id = desk.submit()
    desk.service.close()
    assert run(desk.another().submit(ask())).task_id == task_id
    assert desk.posts == 1


def test_another_take_is_another_task(desk: Desk) -> None:
    """PikaGenerate's seed chooses the take."""
    assert desk.submit(take=0) != desk.submit(take=1)
    assert desk.posts == 2


def test_another_key_is_another_task(desk: Desk) -> None:
    """A task of one key is not a task of another."""
    desk.submit()
    with pytest.raises(Refused):
        run(desk.another(api_key="another").submit(ask()))
    assert desk.posts == 2


def test_failed_task_is_not_reused(desk: Desk) -> None:
    """The same request creates a new task only if the gateway ended the first with an error."""
    first = desk.submit()
    desk.journal.mark_failed(only(desk).id, "moderation")
    assert desk.submit() != first
    assert desk.posts == 2


@pytest.mark.parametrize("accept", [False, True])
def test_unknown_outcome_is_never_resent_automatically(desk: Desk, accept: bool) -> None:
    """Every further attempt raises the same error, until the user forgets the request."""
    desk.gateway.fault("submit", reset=True, accept=accept)
    for words in (
        "no whole answer came back",
        "The outcome of the last attempt to send this request is unknown",
    ):
        with pytest.raises(SubmitUnknown, match=words) as caught:
            desk.submit()
        number = only(desk).id
        for part in ("may have been accepted and charged", f"forget {number}", "seed"):
            assert part in str(caught.value)
    assert desk.posts == 1
    desk.journal.forget(only(desk).id)
    assert desk.submit()
    assert desk.posts == 2


def test_rejected_request_is_recorded_and_released(desk: Desk) -> None:
    """The corrected, or the same, request may be sent at once."""
    desk.gateway.fault("submit", status=402, body={"message": "No credit"})
    with pytest.raises(Refused, match="No credit"):
        desk.submit()
    assert only(desk).state is State.REFUSED
    assert "No credit" in only(desk).last_error
    desk.submit()
    assert desk.posts == 2


def test_429_and_503_with_retry_after_are_retried(desk: Desk) -> None:
    """429, 503 with Retry-After, then success: three requests, one task, one row."""
    desk.gateway.fault("submit", status=429, headers={"Retry-After": "0"})
    desk.gateway.fault("submit", status=503, headers={"Retry-After": "0"})
    task_id = desk.submit()
    assert desk.posts == 3
    assert desk.gateway.charged == [task_id]
    assert only(desk).task_id == task_id


def test_unreachable_gateway_is_retried(tmp_path: Path) -> None:
    """Nothing listens at first: the request was provably not sent, so it is sent again."""
    port = free_port()
    gateway = Simulator(port=port, task_seconds=0.0, clip_seconds=0.2, height=64)
    gateway.url = f"http://127.0.0.1:{port}"
    desk = Desk(gateway, tmp_path / "home")
    desk.another(base_url=gateway.url)
    try:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(desk.submit)
            until(lambda: [e for e in desk.journal.entries() if e.last_error], what="a first try")
            with gateway:
                task_id = waiting.result()
                assert gateway.charged == [task_id]
    finally:
        desk.close()


def test_retries_of_an_unreachable_gateway_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a limited time the request is released; nothing was charged."""
    monkeypatch.setattr(retry, "UNREACHABLE_PATIENCE", 0.1)
    service = desk.another(base_url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable, match="nothing was charged"):
        run(service.submit(ask()))
    assert only(desk).state is State.REFUSED


def test_24_identical_requests_create_one_task(desk: Desk) -> None:
    """At once, in six event loops of two services: one POST, one id."""
    desk.gateway.fault("submit", delay=0.3)
    services = [desk.service, desk.another()]

    async def four(service: Any) -> list[Any]:
        return await asyncio.gather(*(service.submit(ask()) for _ in range(4)))

    with ThreadPoolExecutor(6) as pool:
        found = [
            each
            for loop in pool.map(lambda n: run(four(services[n % 2])), range(6))
            for each in loop
        ]
    assert desk.posts == 1
    assert {each.task_id for each in found} == set(desk.gateway.charged)
    assert [each.reused for each in found].count(False) == 1


def test_different_requests_run_in_parallel(desk: Desk) -> None:
    """Eight slow submits overlap."""
    desk.gateway.fault("submit", delay=0.5, times=None)

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(desk.service.submit(ask(), take=n) for n in range(8)))

    started = time.monotonic()
    assert len({each.task_id for each in run(all_at_once())}) == 8
    assert time.monotonic() - started < 2.5


def test_request_sent_by_a_dead_process_is_unknown(desk: Desk) -> None:
    """Its row is in state sent and its lease has expired: an error, and no POST."""
    desk.submit()
    clock = Clock(time.time() - LEASE - 1)
    dead = Journal(sqlite_url(desk.home), clock)
    entry, _ = dead.claim(_intent_of(desk, take=7), "dead")
    dead.mark_sent(entry.id, "dead")
    dead.close()
    with pytest.raises(SubmitUnknown, match="process that sent it ended"):
        desk.submit(take=7)
    assert desk.posts == 1


def test_request_not_sent_by_a_dead_process_is_sent(desk: Desk) -> None:
    """Its row is in state intended: the request never left, so it may be sent now."""
    desk.submit()
    dead = Journal(sqlite_url(desk.home), Clock(time.time() - LEASE - 1))
    dead.claim(_intent_of(desk, take=7), "dead")
    dead.close()
    assert desk.submit(take=7) in desk.gateway.charged
    assert desk.posts == 2


def _intent_of(desk: Desk, take: int) -> Any:
    """What the desk's service would journal."""
    from pika_api.request import request_fingerprint
    from support.api import intent

    settings = desk.service.settings
    made = request_fingerprint(
        ask().body(), base_url=settings.base_url, key_id=settings.key_id, take=take
    )
    return intent(made, base_url=settings.base_url, key_id=settings.key_id, take=take)


def test_video_that_changes_during_upload_is_rejected(desk: Desk, tmp_path: Path) -> None:
    """The upload stopped before its last byte: not accepted, and released for the next attempt."""
    path = write_video(tmp_path / "v.mp4")
    video = read_video_file(path)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(InvalidInput, match="changed while it was being sent"):
        desk.submit(ask(video=video))
    assert only(desk).state is State.REFUSED
    assert desk.gateway.charged == []
