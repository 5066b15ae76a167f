"""From an IMAGE to a request body: time and size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from benchmarks import ours
from benchmarks.measure import Effort, in_pairs, say
from benchmarks.picture import Picture
from benchmarks.table import Row, megabytes, milliseconds, times
from benchmarks.theirs import Helper

_LOSSLESS_FASTER: Final = 4.0
_LOSSLESS_LARGER: Final = 1.3
_AUTO_FASTER: Final = 15.0
#: Pairs of each picture: in full, and quick.
_PAIRS: Final = {"4K": (3, 1)}
_MORE_PAIRS: Final = (7, 2)
WAYS: Final = {"lossless": True, "auto": False}


def rows(pictures: Mapping[str, Picture], helper: Helper, effort: Effort) -> Iterator[Row]:
    """Lossless against lossless, and our default against theirs."""
    for way, lossless in WAYS.items():
        for name, picture in pictures.items():
            say(f"encoding: {name}, {way}")
            count = effort.times(*_PAIRS.get(name, _MORE_PAIRS))
            yield _row(name, picture.load(), helper, lossless, count)


def _row(name: str, image: Any, helper: Helper, lossless: bool, count: int) -> Row:
    small = image[:, :64, :64]
    ours.to_body(small, lossless=lossless)
    helper.to_body(small, lossless=lossless)
    sizes: dict[str, int] = {}

    def mine() -> None:
        sizes["ours"] = ours.to_body(image, lossless=lossless)

    def other() -> None:
        sizes["theirs"] = helper.to_body(image, lossless=lossless)

    pairs = in_pairs(mine, other, count)
    larger = sizes["ours"] / sizes["theirs"]
    if lossless:
        what = f"encode {name}: PNG / PNG"
        target = f"≥ {_LOSSLESS_FASTER:g}×, ≤ {_LOSSLESS_LARGER:g} bytes"
        met = pairs.ratio >= _LOSSLESS_FASTER and larger <= _LOSSLESS_LARGER
    else:
        what = f"encode {name}: auto / their default"
        target, met = f"≥ {_AUTO_FASTER:g}×", pairs.ratio >= _AUTO_FASTER
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
