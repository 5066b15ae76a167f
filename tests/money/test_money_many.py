"""Many tasks in one service: it keeps its limits and leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pika_api.journal import State
from simulator import Request, Simulator
from support.api import GENERATE, KEY, ServiceHarness, ask, run
from support.money import assert_nothing_lost, rows
from support.sizes import sized
from support.waiting import until

pytestmark = pytest.mark.slow

#: More of them nightly (`PIKA_TEST_LONG`).
TASKS = sized(150, 500)
#: Every so many tasks, the file is brought too.
COLLECT_EVERY = 10
MOST_REQUESTS = 6
#: Bytes that the memory may grow by from the first fifth of the tasks to the last.
GROWTH = 20e6


class Counter:
    """How many requests the gateway and its media host were at, at most, at one moment."""

    def __init__(self) -> None:
        self.spans: list[tuple[float, float]] = []

    def __call__(self, request: Request) -> None:
        self.spans.append((request.monotonic, time.monotonic()))

    @property
    def most(self) -> int:
        """The height of the highest pile of spans."""
        steps = [(start, 1) for start, _ in self.spans] + [(end, -1) for _, end in self.spans]
        height = highest = 0
        for _, step in sorted(steps):
            height += step
            highest = max(highest, height)
        return highest


@pytest.fixture
def counter() -> Counter:
    """Counts the answers of the gateway of `harness`."""
    return Counter()


@pytest.fixture
def quick(counter: Counter) -> Iterator[Simulator]:
    """A gateway whose tasks are finished at once, and counted."""
    with Simulator(echo=counter, key=KEY, task_seconds=0.0, clip_seconds=0.2, height=64) as running:
        yield running


@pytest.fixture
def harness(quick: Simulator, tmp_path: Path) -> Iterator[ServiceHarness]:
    """Services with the real length of leases and the real interval of checks."""
    made = ServiceHarness(quick, tmp_path / "home")
    try:
        yield made
        assert_nothing_lost(quick, made.journal)
    finally:
        made.close()


def sockets_to(gateway: Simulator) -> list[object]:
    """This process's ends of connections to the gateway."""
    ports = {int(url.rpartition(":")[2]) for url in (gateway.url, gateway.cdn_url)}
    return [
        each
        for each in psutil.Process().net_connections("tcp")
        if each.raddr and each.raddr.port in ports and each.status == psutil.CONN_ESTABLISHED
    ]


def test_many_tasks_stay_within_limits(harness: ServiceHarness, counter: Counter) -> None:
    """All are charged once and recorded. Never more requests at once than allowed, no growth of
    memory, and no thread or socket is left after `close`."""
    service = harness.another(max_requests=MOST_REQUESTS)
    process = psutil.Process()
    memory: list[int] = []
    harness.gateway.fault("submit", delay=0.03, times=None)  # so that they meet

    async def one(take: int) -> None:
        task_id = (await service.submit(ask(), take=take)).task_id
        await service.wait(task_id)
        if take % COLLECT_EVERY == 0:
            await service.collect(task_id)
        memory.append(process.memory_info().rss)

    async def all_at_once() -> None:
        await asyncio.gather(*(one(take) for take in range(TASKS)))

    run(all_at_once())
    assert len(harness.gateway.charged) == harness.posts == len(memory) == TASKS
    entries = rows(service.journal)
    assert {entry.task_id for entry in entries} == set(harness.gateway.charged)
    assert sum(entry.state is State.SAVED for entry in entries) == TASKS / COLLECT_EVERY
    assert MOST_REQUESTS / 2 <= counter.most <= MOST_REQUESTS
    assert memory[-1] - memory[TASKS // 5] < GROWTH

    service.close()
    assert [each.name for each in threading.enumerate() if each.name.startswith("pika-")] == []
    assert sockets_to(harness.gateway) == []
    until(lambda: harness.gateway.connections == 0, what="the gateway's last connection to close")


@pytest.mark.parametrize("place", ["submit", "feed"])
def test_429_pauses_all_requests(harness: ServiceHarness, place: str) -> None:
    """After a 429 with Retry-After only requests that were already on the wire arrive until then.
    In the end all requests become tasks."""
    wait, room = 6.0, 4.0
    service = harness.another(max_requests=MOST_REQUESTS)
    harness.gateway.fault("task", seconds=0.5, times=40)
    if place == "submit":
        harness.gateway.fault("submit", delay=0.05, times=10)
    harness.gateway.fault(place, status=429, headers={"Retry-After": f"{wait:g}"})

    async def one(take: int) -> str:
        task_id = (await service.submit(ask(), take=take)).task_id
        return (await service.wait(task_id)).id

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*(one(take) for take in range(40)))

    task_ids = run(all_at_once())
    assert sorted(task_ids) == sorted(harness.gateway.charged)
    assert len(task_ids) == 40
    (limited,) = [seen for seen in harness.gateway.log if seen.status == 429]
    # Room for the answer's way back, and for what had left by then, on a machine with other work.
    quiet = [
        seen
        for seen in harness.gateway.log
        if limited.monotonic + room < seen.monotonic < limited.monotonic + wait
    ]
    assert quiet == []
    # Not because everything was over by then.
    assert harness.gateway.log[-1].monotonic >= limited.monotonic + wait


def test_gateway_with_three_slots_accepts_twelve_tasks_in_the_end(tmp_path: Path) -> None:
    """An account that runs three tasks at a time answers 429 again and again; every request becomes
    one task."""
    with Simulator(
        key=KEY, task_seconds=0.8, clip_seconds=0.2, height=64, max_running=3
    ) as gateway:
        harness = ServiceHarness(gateway, tmp_path / "home")

        async def all_at_once() -> list[str]:
            found = await asyncio.gather(
                *(harness.service.submit(ask(), take=take) for take in range(12))
            )
            return [each.task_id for each in found]

        try:
            assert sorted(run(all_at_once())) == sorted(gateway.charged)
            assert len(gateway.charged) == 12
            assert any(seen.status == 429 for seen in gateway.requests("POST", GENERATE))
            assert_nothing_lost(gateway, harness.journal)
        finally:
            harness.close()
