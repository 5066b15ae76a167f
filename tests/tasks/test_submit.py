"""Submit through the service: journalled first, sent once, found again."""

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
from support.api import Clock, ServiceHarness, ask, free_port, limit_patience, run, write_video
from support.waiting import until


def only(harness: ServiceHarness) -> Any:
    """The one row of the journal."""
    (entry,) = harness.journal.entries(forgotten=True)
    return entry


def test_without_a_key_nothing_happens(harness: ServiceHarness) -> None:
    """No journal row, no request: just the way to a key."""
    service = harness.another(api_key="")
    with pytest.raises(SettingsError, match="No API key"):
        run(service.submit(ask()))
    assert harness.gateway.log == []
    assert not harness.home.exists()


def test_the_row_says_sent_while_the_gateway_thinks(harness: ServiceHarness) -> None:
    """Another process that looks at the journal during the POST sees it there."""
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


def test_without_a_journal_nothing_is_sent(harness: ServiceHarness, tmp_path: Path) -> None:
    """A paid task that cannot be written down is not made."""
    (tmp_path / "file").write_text("in the way")
    service = harness.another(journal=Journal(sqlite_url(tmp_path / "file" / "home")))
    with pytest.raises(JournalError, match="Nothing is sent"):
        run(service.submit(ask()))
    assert harness.gateway.log == []


def test_the_same_request_is_the_same_task(harness: ServiceHarness) -> None:
    """Running, finished or saved: its id comes back, and nothing is sent."""
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


def test_another_process_takes_it_up_after_a_restart(harness: ServiceHarness) -> None:
    """A second service on the same journal finds the first one's task."""
    task_id = harness.submit()
    harness.service.close()
    assert run(harness.another().submit(ask())).task_id == task_id
    assert harness.posts == 1


def test_another_take_is_another_task(harness: ServiceHarness) -> None:
    """The seed of PikaGenerate, on purpose."""
    assert harness.submit(take=0) != harness.submit(take=1)
    assert harness.posts == 2


def test_another_account_is_another_task(harness: ServiceHarness) -> None:
    """One key's task is not another's."""
    harness.submit()
    with pytest.raises(Refused):
        run(harness.another(api_key="another").submit(ask()))
    assert harness.posts == 2


def test_a_failed_task_is_made_anew(harness: ServiceHarness) -> None:
    """Only a task that the gateway calls failed."""
    first = harness.submit()
    harness.journal.mark_failed(only(harness).id, "moderation")
    assert harness.submit() != first
    assert harness.posts == 2


@pytest.mark.parametrize("accept", [False, True])
def test_an_unknown_is_never_sent_again_by_itself(harness: ServiceHarness, accept: bool) -> None:
    """The error says so, every time, until the user forgets it on purpose."""
    harness.gateway.fault("submit", reset=True, accept=accept)
    for words in (
        "no complete response came back",
        "The last try of this very request ended unclear",
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


def test_a_refusal_is_journalled_and_free(harness: ServiceHarness) -> None:
    """A corrected, or the same, request may be sent at once."""
    harness.gateway.fault("submit", status=402, body={"message": "No credit"})
    with pytest.raises(Refused, match="No credit"):
        harness.submit()
    assert only(harness).state is State.REFUSED
    assert "No credit" in only(harness).last_error
    harness.submit()
    assert harness.posts == 2


def test_busy_is_waited_for(harness: ServiceHarness) -> None:
    """429, 503 with Retry-After, then yes: three requests, one task, one row."""
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "0"})
    harness.gateway.fault("submit", status=503, headers={"Retry-After": "0"})
    task_id = harness.submit()
    assert harness.posts == 3
    assert harness.gateway.charged == [task_id]
    assert only(harness).task_id == task_id


def test_a_gateway_that_comes_up_is_waited_for(tmp_path: Path) -> None:
    """Nothing listens, then it does: proven unsent, so it is sent again."""
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


def test_a_gateway_that_stays_away_ends_it(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patience has an end; the request is free again and nothing was charged."""
    limit_patience(monkeypatch, 0.1)
    service = harness.another(base_url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable, match="nothing was charged"):
        run(service.submit(ask()))
    assert only(harness).state is State.REFUSED


def test_twenty_four_twins_are_one_task(harness: ServiceHarness) -> None:
    """Identical requests at once, in six event loops of two services: one POST, one id."""
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


def test_different_requests_do_not_wait_for_each_other(harness: ServiceHarness) -> None:
    """Eight slow submits take about as long as one."""
    harness.gateway.fault("submit", delay=0.5, times=None)

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(harness.service.submit(ask(), take=n) for n in range(8)))

    started = time.monotonic()
    assert len({each.task_id for each in run(all_at_once())}) == 8
    assert time.monotonic() - started < 2.5


def test_what_a_dead_process_sent_is_unknown(harness: ServiceHarness) -> None:
    """Its row says sent, its lease is over: an error, and no POST."""
    harness.submit()
    clock = Clock(time.time() - LEASE - 1)
    dead = Journal(sqlite_url(harness.home), clock)
    entry, _ = dead.claim(_intent_of(harness, take=7), "dead")
    dead.mark_sent(entry.id, "dead")
    dead.close()
    with pytest.raises(SubmitUnknown, match="process that sent it ended"):
        harness.submit(take=7)
    assert harness.posts == 1


def test_what_a_dead_process_only_meant_is_sent(harness: ServiceHarness) -> None:
    """Its row says intended: it never went out, so it may now."""
    harness.submit()
    dead = Journal(sqlite_url(harness.home), Clock(time.time() - LEASE - 1))
    dead.claim(_intent_of(harness, take=7), "dead")
    dead.close()
    assert harness.submit(take=7) in harness.gateway.charged
    assert harness.posts == 2


def _intent_of(harness: ServiceHarness, take: int) -> Any:
    """What the desk's service would journal."""
    from pika_api.request import request_fingerprint
    from support.api import intent

    settings = harness.service.settings
    made = request_fingerprint(
        ask().body(), base_url=settings.base_url, key_id=settings.key_id, take=take
    )
    return intent(made, base_url=settings.base_url, key_id=settings.key_id, take=take)


def test_a_video_that_changed_on_the_way_is_not_unknown(
    harness: ServiceHarness, tmp_path: Path
) -> None:
    """The body broke off by our own doing: not accepted, and free for the next try at once."""
    path = write_video(tmp_path / "v.mp4")
    video = read_video_file(path)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(InvalidInput, match="changed while it was being sent"):
        harness.submit(ask(video=video))
    assert only(harness).state is State.REFUSED
    assert harness.gateway.charged == []
