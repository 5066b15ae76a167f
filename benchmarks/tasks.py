"""Many tasks at once, and how late the end of a task is noticed."""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from benchmarks import ours
from benchmarks.measure import Effort, say, timed
from benchmarks.table import Row, times
from simulator import Simulator

if TYPE_CHECKING:
    from pika_api.tasks import Service

_LEAST_RATIO: Final = 19.2  # of 64 tasks of 3 s in under 10 s

#: Seconds that a response takes in the simulation.
_RESPONSE: Final = 0.05
#: Part of a task's time in which it is queued and its progress is 0.
_QUEUED: Final = 0.15
#: Lengths of tasks in seconds.
_SHORT: Final = (3, 5, 8, 12, 20, 30, 40, 50, 59)
_LONG: Final = (75, 120, 180, 300, 600, 900, 1200)
_TEN_MINUTES: Final = 600.0
_MOST_SECONDS: Final = 1.0
_MOST_SHARE: Final = 0.03
_MOST_REQUESTS: Final = 60.0

#: Progress in percent for an age and a length in seconds.
Feed = Callable[[float, float], int]
#: Seconds to the next status request, for an age in seconds and a progress.
Delay = Callable[[float, int, Random], float]


def rows(folder: Path, their_interval: float, effort: Effort) -> Iterator[Row]:
    """Concurrent tasks against the simulator, and noticing on a simulated clock."""
    yield _concurrent(folder, effort)
    yield from _noticing(their_interval, effort)


def _concurrent(folder: Path, effort: Effort) -> Row:
    """Submit, wait for and download many takes of one request."""
    count, few = effort.choose(64, 64, 3), effort.choose(8, 2, 1)
    seconds = effort.choose(1.0, 1.0, 0.1)
    say(f"tasks: {few} one after another, then {count} at once")
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]  # the simulator is on this machine
    home = folder / "tasks"
    home.mkdir()
    with (
        Simulator(task_seconds=seconds) as gateway,
        ours.service(home, gateway.url, gateway.key) as service,
    ):
        asyncio.run(_one(service, 0))  # the simulator renders its clip for the first task only
        in_turn = timed(lambda: asyncio.run(_in_turn(service, range(1, 1 + few))))
        at_once = timed(lambda: asyncio.run(_at_once(service, range(100, 100 + count))))
    scaled = in_turn * count / few
    return Row(
        f"{count} tasks of {seconds:g} s at once / in turn (of {few}, scaled)",
        f"{at_once:.1f} s",
        f"{scaled:.0f} s",
        times(scaled / at_once),
        target=f"≥ {_LEAST_RATIO}×",
        met=scaled / at_once >= _LEAST_RATIO,
    )


async def _one(service: Service, take: int) -> None:
    submitted = await service.submit(ours.REQUEST, take=take)
    await service.collect(submitted.task_id)


async def _in_turn(service: Service, takes: Sequence[int]) -> None:
    for take in takes:
        await _one(service, take)


async def _at_once(service: Service, takes: Sequence[int]) -> None:
    await asyncio.gather(*(_one(service, take) for take in takes))


def even(age: float, length: float) -> int:
    """Increases evenly once the task runs."""
    return min(99, int(100 * age / length)) if age >= _QUEUED * length else 0


def uneven(age: float, length: float) -> int:
    """Increases in steps of ten, first quickly and then slowly."""
    return min(99, int(10 * (age / length) ** 0.6) * 10) if age >= _QUEUED * length else 0


def silent(_age: float, _length: float) -> int:
    """Stays at 0."""
    return 0


_FEEDS: Final[Mapping[str, Feed]] = {
    "even progress": even,
    "progress in uneven steps": uneven,
    "stuck at 0": silent,
}


@dataclass(frozen=True)
class _Noticed:
    """Means: seconds late, late as a share of the length, and requests for ten minutes."""

    short: float
    long: float
    requests: float


def _noticing(their_interval: float, effort: Effort) -> Iterator[Row]:
    """Tasks of 3 s to 20 min, each many times, with slightly different lengths."""
    say("noticing")
    runs = effort.choose(400, 60, 2)
    theirs = _measured(silent, lambda _age, _progress, _random: their_interval, runs)
    for name, feed in _FEEDS.items():
        noticed = _measured(
            feed, lambda age, now, random: ours.poll_delay(age, now, 0, random), runs
        )
        yield Row(
            f"noticed, tasks under 1 min, {name}",
            f"{noticed.short:.2f} s late",
            f"{theirs.short:.2f} s late",
            times(theirs.short / noticed.short),
            target=f"< {_MOST_SECONDS:g} s",
            met=noticed.short < _MOST_SECONDS,
        )
        yield Row(
            f"noticed, tasks of 1 to 20 min, {name}",
            f"{noticed.long:.1%} late",
            f"{theirs.long:.1%} late",
            times(theirs.long / noticed.long),
            target=f"< {_MOST_SHARE:.0%}",
            met=noticed.long < _MOST_SHARE,
        )
        yield Row(
            f"requests for a task of 10 min, {name}",
            f"{noticed.requests:.0f}",
            f"{theirs.requests:.0f}",
            times(theirs.requests / noticed.requests),
            target=f"< {_MOST_REQUESTS:g}",
            met=noticed.requests < _MOST_REQUESTS,
        )


def _measured(feed: Feed, delay: Delay, runs: int) -> _Noticed:
    random = Random(7)

    def late(length: float) -> float:
        lengths = [length * random.uniform(0.93, 1.0) for _ in range(runs)]
        return statistics.mean(_followed(feed, delay, each, random)[0] / each for each in lengths)

    short = statistics.mean(late(length) * length for length in _SHORT)
    long = statistics.mean(late(length) for length in _LONG)
    sent = statistics.mean(_followed(feed, delay, _TEN_MINUTES, random)[1] for _ in range(runs))
    return _Noticed(short, long, sent)


def _followed(feed: Feed, delay: Delay, length: float, random: Random) -> tuple[float, int]:
    """Seconds from the end of a task until it is noticed, and the number of requests."""
    age, sent = 0.0, 0
    while True:
        age += _RESPONSE
        sent += 1
        if age >= length:
            return age - length, sent
        age += delay(age, feed(age, length), random)
