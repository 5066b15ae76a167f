"""From an IMAGE to a request body: time, size, peak memory, and how long other nodes wait."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks import comfyui, ours
from benchmarks.comfyui import Helper
from benchmarks.measure import Effort, in_pairs, isolated, peak_growth, say
from benchmarks.pictures import LARGEST, SIZES, SMALL, SMOOTH, Picture
from benchmarks.table import Row, megabytes, milliseconds, times

#: Lossless on both sides, and what each side does by default.
_MODES: Final = {"PNG / PNG": True, "auto / their default": False}
_LOSSLESS_FASTER: Final = 4.0
#: The same for pictures without grain, of which their PNG is quicker, too.
_SMOOTH_FASTER: Final = 3.0
_LOSSLESS_LARGER: Final = 1.3
_AUTO_FASTER: Final = 15.0
_LESS_MEMORY: Final = 2.0
#: Seconds between two turns of the ticker, and the longest pause that is allowed.
_TICK: Final = 0.005
_MOST_PAUSE: Final = 0.050


def rows(pictures: Mapping[str, Picture], helper: Helper, effort: Effort) -> Iterator[Row]:
    """All measurements of encoding."""
    yield from _times(pictures, helper, effort)
    yield from _peaks(pictures, effort)
    yield from _pauses(pictures, helper, effort)


def _times(pictures: Mapping[str, Picture], helper: Helper, effort: Effort) -> Iterator[Row]:
    for mode, lossless in _MODES.items():
        for name, picture in pictures.items():
            if name in SMOOTH and not lossless:
                continue  # as JPEG they are like the photograph
            say(f"encoding: {name}, {mode}")
            count = effort.choose(3 if name == LARGEST else 7, 2, 1)
            faster = _SMOOTH_FASTER if name in SMOOTH else _LOSSLESS_FASTER
            faster = faster if lossless else _AUTO_FASTER
            what = f"encode {name}: {mode}"
            yield _time(what, picture.load(), helper, lossless, faster, count)


def _time(what: str, image: Any, helper: Helper, lossless: bool, faster: float, count: int) -> Row:
    rest = ours.REQUEST.body()
    sizes: dict[str, int] = {}

    def our_body(pixels: Any = image) -> None:
        sizes["ours"] = ours.image_body(pixels, lossless=lossless)

    def their_body(pixels: Any = image) -> None:
        sizes["theirs"] = helper.image_body(pixels, rest, lossless=lossless)

    # The first call also imports modules.
    small = image[:, :64, :64]
    our_body(small)
    their_body(small)
    pairs = in_pairs(our_body, their_body, count)
    larger = sizes["ours"] / sizes["theirs"]
    target, met = f"≥ {faster:g}×", pairs.ratio >= faster
    if lossless:
        target += f", ≤ {_LOSSLESS_LARGER:g} bytes"
        met = met and larger <= _LOSSLESS_LARGER
    return Row(
        what,
        milliseconds(pairs.ours),
        milliseconds(pairs.theirs),
        times(pairs.ratio),
        megabytes(sizes["ours"]),
        megabytes(sizes["theirs"]),
        f"{larger:.2f}",
        target,
        met,
    )


def _peaks(pictures: Mapping[str, Picture], effort: Effort) -> Iterator[Row]:
    names: list[str] = effort.choose(list(SIZES), ["1080p"], [SMALL])
    for mode, lossless in _MODES.items():
        if lossless and effort is not Effort.FULL:
            continue
        for name in names:
            say(f"memory: {name}, {mode}")
            # Both at the same time: only their duration suffers.
            with ThreadPoolExecutor(2) as pool:
                measured = [
                    pool.submit(isolated(effort), call, str(pictures[name].path), lossless)
                    for call in (our_peak, their_peak)
                ]
            our_bytes, their_bytes = (each.result() for each in measured)
            ratio = their_bytes / max(our_bytes, 1)
            yield Row(
                f"peak memory {name}: {mode}",
                megabytes(our_bytes),
                megabytes(their_bytes),
                times(ratio),
                target=f"≥ {_LESS_MEMORY:g}×",
                met=ratio >= _LESS_MEMORY,
            )


def our_peak(picture: str, lossless: bool) -> int:
    """Bytes that our encoding needs at most, beyond the picture."""
    return _peak(picture, partial(ours.image_body, lossless=lossless))


def their_peak(picture: str, lossless: bool) -> int:
    """Bytes that their encoding needs at most, beyond the picture."""
    helper = comfyui.load()
    return _peak(picture, partial(helper.image_body, rest=ours.REQUEST.body(), lossless=lossless))


def _peak(picture: str, encode: Callable[[Any], int]) -> int:
    image = Picture(Path(picture)).load()
    encode(image[:, :64, :64])  # the first call also imports modules
    return peak_growth(lambda: encode(image))


def _pauses(pictures: Mapping[str, Picture], helper: Helper, effort: Effort) -> Iterator[Row]:
    name = effort.choose(LARGEST, "1080p", SMALL)
    image = pictures[name].load()
    with ThreadPoolExecutor(4) as pool:
        for mode, lossless in _MODES.items():
            say(f"pauses: {name}, {mode}")
            work = partial(ours.image_body, image, lossless=lossless)
            other = partial(helper.image_body, image, ours.REQUEST.body(), lossless=lossless)
            # Ours in a thread, as in our nodes; theirs in the coroutine, as in their nodes.
            pairs = [
                (
                    asyncio.run(_longest_pause(partial(ours.in_thread, pool, work))),
                    asyncio.run(_longest_pause(partial(_directly, other))),
                )
                for _ in range(effort.choose(3, 1, 1))
            ]
            pause = statistics.median(pair[0] for pair in pairs)
            yield Row(
                f"other nodes wait, {name}: {mode}",
                milliseconds(pause),
                milliseconds(statistics.median(pair[1] for pair in pairs)),
                times(statistics.median(pair[1] / pair[0] for pair in pairs)),
                target=f"< {milliseconds(_MOST_PAUSE)}",
                met=pause < _MOST_PAUSE,
            )


async def _directly(call: Callable[[], object]) -> None:
    call()


async def _longest_pause(work: Callable[[], Awaitable[object]]) -> float:
    """Seconds between two turns of a ticker in the same event loop, at most."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        last = time.perf_counter()
        while True:
            await asyncio.sleep(_TICK)
            now = time.perf_counter()
            longest = max(longest, now - last)
            last = now

    ticker = asyncio.create_task(tick())
    await asyncio.sleep(4 * _TICK)
    await work()
    await asyncio.sleep(4 * _TICK)
    ticker.cancel()
    return longest
