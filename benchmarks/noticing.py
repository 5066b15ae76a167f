"""From a task's end to when it is noticed, and the requests that costs: on a simulated clock."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from benchmarks.measure import Effort, say
from benchmarks.table import Row, times
from pika_api.gateway import poll_delay

#: Seconds an answer takes.
_ANSWER: Final = 0.05
#: Share of a task's time for which a feed that tells its progress says 0: it is in the queue.
_QUEUED: Final = 0.15
_SHORT: Final = (3, 5, 8, 12, 20, 30, 40, 50, 59)
_LONG: Final = (75, 120, 180, 300, 600, 900, 1200)
_TEN_MINUTES: Final = 600.0
_MOST_SECONDS: Final = 1.0
_MOST_SHARE: Final = 0.03
_MOST_REQUESTS: Final = 60.0

Feed = Callable[[float, float], int]
Delay = Callable[[float, int, Random], float]


def even(age: float, length: float) -> int:
    """Goes up evenly once the task runs."""
    return min(99, int(100 * age / length)) if age >= _QUEUED * length else 0


def uneven(age: float, length: float) -> int:
    """Goes up in steps of ten, quickly at first and slowly at the end."""
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
    """Of one way to ask: seconds, a share of the length, and a number."""

    short: float
    long: float
    requests: float


def rows(their_interval: float, effort: Effort) -> Iterator[Row]:
    """Tasks of 3 s to 20 min, each many times, with slightly different lengths."""
    say("noticing")
    runs = effort.times(400, 60)
    theirs = _measured(silent, lambda _age, _progress, _random: their_interval, runs)
    for name, feed in _FEEDS.items():
        ours = _measured(feed, lambda age, told, random: poll_delay(age, told, 0, random), runs)
        yield Row(
            f"noticed, tasks under 1 min, {name}",
            f"{ours.short:.2f} s late",
            f"{theirs.short:.2f} s late",
            times(theirs.short / ours.short),
            target=f"< {_MOST_SECONDS:g} s",
            met=ours.short < _MOST_SECONDS,
        )
        yield Row(
            f"noticed, tasks of 1 to 20 min, {name}",
            f"{ours.long:.1%} late",
            f"{theirs.long:.1%} late",
            times(theirs.long / ours.long),
            target=f"< {_MOST_SHARE:.0%}",
            met=ours.long < _MOST_SHARE,
        )
        yield Row(
            f"requests for a task of 10 min, {name}",
            f"{ours.requests:.0f}",
            f"{theirs.requests:.0f}",
            times(theirs.requests / ours.requests),
            target=f"< {_MOST_REQUESTS:g}",
            met=ours.requests < _MOST_REQUESTS,
        )


def _measured(feed: Feed, delay: Delay, runs: int) -> _Noticed:
    random = Random(7)

    def late(length: float) -> float:
        varied = [length * random.uniform(0.93, 1.0) for _ in range(runs)]
        return statistics.mean(_followed(feed, delay, one, random)[0] / one for one in varied)

    short = statistics.mean(late(length) * length for length in _SHORT)
    long = statistics.mean(late(length) for length in _LONG)
    asked = statistics.mean(_followed(feed, delay, _TEN_MINUTES, random)[1] for _ in range(runs))
    return _Noticed(short, long, asked)


def _followed(feed: Feed, delay: Delay, length: float, random: Random) -> tuple[float, int]:
    """Seconds from a task's end to when it is known, and how often was asked."""
    age, asked = 0.0, 0
    while True:
        age += _ANSWER
        asked += 1
        if age >= length:
            return age - length, asked
        age += delay(age, feed(age, length), random)
