"""How long the other async nodes of a prompt stand still while one encodes."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from benchmarks import ours
from benchmarks.encoding import WAYS
from benchmarks.measure import Effort, say
from benchmarks.picture import LARGEST, Picture
from benchmarks.table import Row, milliseconds, times
from benchmarks.theirs import Helper
from pika_api.progress import NO_OBSERVER, run_in_thread

_TICK: Final = 0.005
_MOST: Final = 0.050
_QUICK: Final = "1080p"


def rows(pictures: Mapping[str, Picture], helper: Helper, effort: Effort) -> Iterator[Row]:
    """The longest time between two ticks that should be 5 ms apart."""
    name = _QUICK if effort.quick else LARGEST
    image = pictures[name].load()
    count = effort.times(3, 1)
    with ThreadPoolExecutor(4) as pool:
        for way, lossless in WAYS.items():
            say(f"stall: {name}, {way}")
            mine = partial(ours.to_body, image, lossless=lossless)
            other = partial(helper.to_body, image, lossless=lossless)
            # Ours as `Service.prepare_image` does it, theirs in the coroutine, as their nodes do.
            measured = [
                (
                    asyncio.run(longest_pause(partial(run_in_thread, pool, NO_OBSERVER, mine))),
                    asyncio.run(longest_pause(partial(_at_once, other))),
                )
                for _ in range(count)
            ]
            pause = statistics.median(pair[0] for pair in measured)
            yield Row(
                f"siblings stand still, {name}: "
                f"{'PNG / PNG' if lossless else 'auto / their default'}",
                milliseconds(pause),
                milliseconds(statistics.median(pair[1] for pair in measured)),
                times(statistics.median(pair[1] / pair[0] for pair in measured)),
                target=f"< {milliseconds(_MOST)}",
                met=pause < _MOST,
            )


async def _at_once(call: Callable[[], object]) -> None:
    call()


async def longest_pause(work: Callable[[], Awaitable[object]]) -> float:
    """Seconds for which an event loop turned to nothing else at most, while it did this."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        last = time.perf_counter()
        while True:
            await asyncio.sleep(_TICK)
            now = time.perf_counter()
            longest = max(longest, now - last)
            last = now

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(4 * _TICK)
    await work()
    await asyncio.sleep(4 * _TICK)
    ticking.cancel()
    return longest
