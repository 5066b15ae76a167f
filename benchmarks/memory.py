"""From an IMAGE to a request body: memory at its peak."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from benchmarks.alone import alone
from benchmarks.encoding import WAYS
from benchmarks.measure import Effort, say
from benchmarks.picture import SIZES, Picture
from benchmarks.table import Row, megabytes, times

_SMALLER: Final = 2.0
_QUICK: Final = "1080p"


def rows(pictures: Mapping[str, Picture], effort: Effort) -> Iterator[Row]:
    """Each in a fresh process, beyond what that process has with the picture loaded."""
    chosen = [_QUICK] if effort.quick else SIZES
    with ThreadPoolExecutor(2) as pool:
        for way in ["auto"] if effort.quick else WAYS:
            for name in chosen:
                say(f"memory: {name}, {way}")
                path = pictures[name].path
                # Both at once: that costs them time, which is not what is measured.
                ours, theirs = pool.map(
                    lambda whose, way=way, path=path: alone("memory", whose, way, path),
                    ("ours", "theirs"),
                )
                yield _row(name, way, ours, theirs)


def _row(name: str, way: str, ours: int, theirs: int) -> Row:
    ratio = theirs / max(ours, 1)
    return Row(
        f"peak memory {name}: {'PNG / PNG' if way == 'lossless' else 'auto / their default'}",
        megabytes(ours),
        megabytes(theirs),
        times(ratio),
        target=f"≥ {_SMALLER:g}×",
        met=ratio >= _SMALLER,
    )
