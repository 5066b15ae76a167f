"""Many tasks at once against one after another."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.measure import Effort, say, timed
from benchmarks.ours import REQUEST
from benchmarks.table import Row, times
from pika_api.journal import Journal
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Service
from simulator import Simulator

_TASKS: Final = 64
_SECONDS: Final = 1.0
_LEAST_RATIO: Final = 19.2  # of 64 tasks of 3 s in under 10 s


def rows(folder: Path, effort: Effort) -> Iterator[Row]:
    """Submit, wait and bring the file, of 64 takes of one request."""
    few = effort.times(8, 2)
    say(f"many: {few} tasks one after another, then {_TASKS} at once")
    home = folder / "many"
    home.mkdir()
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]  # the gateway is on this machine
    with Simulator(task_seconds=_SECONDS) as gateway:
        settings = Settings(api_key=gateway.key, base_url=gateway.url)
        service = Service(settings, Journal(sqlite_url(home)), home / "output")
        try:
            asyncio.run(_one(service, 0))  # the file is drawn at the first task only
            after = timed(lambda: asyncio.run(_in_turn(service, range(1, 1 + few))))
            at_once = timed(lambda: asyncio.run(_together(service, range(100, 100 + _TASKS))))
        finally:
            service.close()
    scaled = after * _TASKS / few
    yield Row(
        f"{_TASKS} tasks of {_SECONDS:g} s at once / in turn (of {few}, scaled)",
        f"{at_once:.1f} s",
        f"{scaled:.0f} s",
        times(scaled / at_once),
        target=f"≥ {_LEAST_RATIO}×",
        met=scaled / at_once >= _LEAST_RATIO,
    )


async def _one(service: Service, take: int) -> None:
    submitted = await service.submit(REQUEST, take=take)
    await service.collect(submitted.task_id)


async def _in_turn(service: Service, takes: Sequence[int]) -> None:
    for take in takes:
        await _one(service, take)


async def _together(service: Service, takes: Sequence[int]) -> None:
    await asyncio.gather(*(_one(service, take) for take in takes))
