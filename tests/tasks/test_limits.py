"""Spending limits hold before the POST, for all nodes and processes on one journal together."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pika_api.errors import LimitReached, PikaError, Refused, SubmitUnknown
from pika_api.journal import Journal, Limits
from pika_api.journal.limits import start_of_day
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Service
from support.api import Clock, ServiceHarness, ask, intent, run
from support.sizes import sized


def submit_all(service: Service, takes: range, **options: Any) -> list[object]:
    """Submit several takes at once; the results and errors."""

    async def all_at_once() -> list[object]:
        calls = (service.submit(ask(), take=take, **options) for take in takes)
        return await asyncio.gather(*calls, return_exceptions=True)

    return run(all_at_once())


def test_daily_limit_holds_for_parallel_requests(harness: ServiceHarness) -> None:
    """Three of eight are sent. The error names the limit, what was used, and where to change it."""
    service = harness.another(daily_limit=3)
    results = submit_all(service, range(8))
    errors = [each for each in results if isinstance(each, LimitReached)]
    assert len(errors) == 5
    assert harness.posts == 3
    for words in ("3 paid tasks today", "3 so far", "Settings → Pika", "PIKA_DAILY_LIMIT"):
        assert words in str(errors[0])
    assert errors[0].charged is False


def test_existing_tasks_are_still_reused(harness: ServiceHarness) -> None:
    """The limit is about new charges only."""
    task_id = harness.submit()
    service = harness.another(daily_limit=1)
    assert run(service.submit(ask())).task_id == task_id
    with pytest.raises(LimitReached):
        run(service.submit(ask(), take=1))
    assert run(service.collect(task_id)).path.is_file()


def test_refused_requests_do_not_count(harness: ServiceHarness) -> None:
    """They were not charged. An unknown one may have been, so it counts."""
    service = harness.another(daily_limit=2)
    for take in range(3):
        harness.gateway.fault("submit", status=400, body={"error": {"message": "no"}})
        with pytest.raises(Refused):
            run(service.submit(ask(), take=take))
    harness.gateway.fault("submit", reset=True, accept=True)
    with pytest.raises(SubmitUnknown):
        run(service.submit(ask(), take=4))
    assert run(service.submit(ask(), take=5)).task_id
    with pytest.raises(LimitReached):
        run(service.submit(ask(), take=6))


def test_limit_per_run(harness: ServiceHarness) -> None:
    """Each run may create two tasks. Outside of ComfyUI there are no runs, and no such limit."""
    service = harness.another(run_limit=2)
    for prompt_id in ("run-1", "run-2"):
        results = submit_all(service, range(4), prompt_id=prompt_id)
        taken = [each for each in results if not isinstance(each, PikaError)]
        reused = [each for each in taken if getattr(each, "reused", False)]
        assert len(taken) - len(reused) == 2
    assert harness.posts == 4
    assert run(service.submit(ask(), take=99)).task_id


def test_forgotten_and_failed_tasks_count(harness: ServiceHarness) -> None:
    """They were paid for."""
    service = harness.another(daily_limit=2)
    run(service.submit(ask()))
    assert service.journal.forget(1)
    run(service.submit(ask()))
    service.journal.mark_failed(2, "moderation")
    with pytest.raises(LimitReached):
        run(service.submit(ask()))


def claim(journal: Journal, name: str, daily: int = 1, run_id: str = "") -> bool:
    """Whether another request may be sent."""
    try:
        journal.claim(intent(name, prompt_id=run_id), "me", Limits(daily_tasks=daily))
    except LimitReached:
        return False
    return True


def test_a_new_day_begins_at_midnight(tmp_path: Path) -> None:
    """In the computer's time zone. A clock that is set back does not free the limit."""
    clock = Clock()
    clock.now = start_of_day(1_800_000_000.0) + 23 * 3600
    with closing(Journal(sqlite_url(tmp_path), clock)) as journal:
        assert claim(journal, "a")
        assert journal.mark_sent(1, "me")
        assert not claim(journal, "b")
        clock.now += 3601
        assert claim(journal, "b")
        assert journal.mark_sent(2, "me")
        clock.now -= 48 * 3600
        assert not claim(journal, "c")


def test_request_of_a_dead_process_does_not_count(tmp_path: Path) -> None:
    """It was never sent, and its lease has lapsed."""
    clock = Clock()
    with closing(Journal(sqlite_url(tmp_path), clock)) as journal:
        assert claim(journal, "a")
        assert not claim(journal, "b")
        clock.now += journal.lease + 1
        assert claim(journal, "b")


def submit_in_process(
    home: Path, url: str, key: str, limit: int, barrier: Any, answers: Any
) -> None:
    """Submit a request of its own at the same moment as other processes."""
    settings = Settings(api_key=key, base_url=url, daily_limit=limit)
    with (
        closing(Journal(sqlite_url(home))) as journal,
        closing(Service(settings, journal, home / "output")) as service,
    ):
        barrier.wait(60)
        try:
            run(service.submit(ask(), take=multiprocessing.current_process().pid or 0))
        except LimitReached:
            answers.put("limit")
        except Exception as error:  # noqa: BLE001 - the parent process fails on it
            answers.put(repr(error))
        else:
            answers.put("sent")


@pytest.mark.slow
def test_processes_against_a_limit_of_half_as_many(harness: ServiceHarness) -> None:
    """One half is sent, the other half is told. The long form has twenty processes."""
    limit = sized(4, 10)
    spawn = multiprocessing.get_context("spawn")
    barrier, answers = spawn.Barrier(2 * limit), spawn.Queue()
    gateway = harness.gateway
    arguments = (harness.home, gateway.url, gateway.key, limit, barrier, answers)
    processes = [spawn.Process(target=submit_in_process, args=arguments) for _ in range(2 * limit)]
    for process in processes:
        process.start()
    found = sorted(answers.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(30)
    answers.close()
    assert found == ["limit"] * limit + ["sent"] * limit
    assert harness.posts == limit


def test_threads_with_services_of_their_own(harness: ServiceHarness) -> None:
    """As several ComfyUIs on one journal."""
    services = [harness.another(daily_limit=3) for _ in range(4)]

    def submit(number: int) -> bool:
        try:
            run(services[number % 4].submit(ask(), take=number))
        except LimitReached:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(submit, range(8))) == 3
    assert harness.posts == 3
