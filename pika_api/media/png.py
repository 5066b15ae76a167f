"""A lossless PNG encoder that is several times faster than general ones.

General encoders try each filter on each row and search for repetitions. A photograph has none,
because of its noise. So one good filter (Average) and entropy coding alone give the same size in a
fraction of the time. Drawings and screenshots do repeat: that shows in a sample of the rows, and
they get the full search of zlib. The format is W3C PNG (Third Edition), 8-bit RGB.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels: TypeAlias = npt.NDArray[np.uint8]

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
#: Filter types of PNG.
_UP: Final = 2
_AVERAGE: Final = 3
#: How many bytes are filtered and compressed at a time, so that they stay in the processor's cache.
_BAND_BYTES: Final = 256 * 1024
#: The sample: bands of this many rows, spread over the picture, and about this many bytes in total.
_SAMPLE_ROWS: Final = 4
_SAMPLE_BYTES: Final = 32 * 1024
#: The search for repetitions is worth its time if the sample shrinks below this part.
_WORTH_SEARCHING: Final = 0.8


@dataclass(frozen=True)
class Plan:
    """How a picture is compressed.

    Attributes:
        filter: The filter type of all rows.
        level, strategy: Parameters of zlib.
        expected: Approximate size of the file in bytes.
    """

    filter: int
    level: int
    strategy: int
    expected: int


#: Level of zlib for the full search. The sample is compressed at level 1.
_SEARCH_LEVEL: Final = 6
#: The two candidates (filter, level, strategy): for photographs, and for pictures that repeat.
_PHOTO: Final = (_AVERAGE, 1, zlib.Z_RLE)
_REPEATING: Final = (_UP, 1, zlib.Z_DEFAULT_STRATEGY)
_CANDIDATES: Final = (_PHOTO, _REPEATING)


def plan_png(pixels: Pixels) -> Plan:
    """Choose how to compress a picture, ``[H,W,3]`` bytes, by a sample of its rows."""
    height, width = pixels.shape[:2]
    bands = max(_SAMPLE_BYTES // (3 * width * _SAMPLE_ROWS), 2)
    step = max(height // bands, _SAMPLE_ROWS)
    starts = range(0, height, step)
    rows = sum(min(start + _SAMPLE_ROWS, height) - start for start in starts)
    sizes = {
        candidate: sum(_sample_size(pixels, start, *candidate) for start in starts)
        for candidate in _CANDIDATES
    }
    expected = {candidate: size * height // rows for candidate, size in sizes.items()}
    if sizes[_REPEATING] < _WORTH_SEARCHING * sizes[_PHOTO]:
        return Plan(_UP, _SEARCH_LEVEL, zlib.Z_DEFAULT_STRATEGY, expected[_REPEATING])
    return Plan(*_PHOTO, expected[_PHOTO])


def _sample_size(pixels: Pixels, start: int, kind: int, level: int, strategy: int) -> int:
    compressor = _compressor(level, strategy)
    rows = _filter_rows(pixels, start, start + _SAMPLE_ROWS, kind)
    return len(compressor.compress(rows)) + len(compressor.flush())


def _compressor(level: int, strategy: int) -> zlib._Compress:
    return zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)


def encode_png(pixels: Pixels, plan: Plan | None = None) -> bytes:
    """The PNG file of a picture.

    Args:
        pixels: ``[H,W,3]`` bytes.
        plan: The result of `plan_png`; None to let it choose.
    """
    plan = plan or plan_png(pixels)
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [_SIGNATURE, *_chunk(b"IHDR", header)]
    for data in _compress(pixels, plan):
        parts += _chunk(b"IDAT", data)
    parts += _chunk(b"IEND", b"")
    return b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    crc = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)), kind, data, struct.pack(">I", crc)


def _compress(pixels: Pixels, plan: Plan) -> Iterator[bytes]:
    height, width = pixels.shape[:2]
    compressor = _compressor(plan.level, plan.strategy)
    rows = max(_BAND_BYTES // (3 * width), 1)
    for start in range(0, height, rows):
        if data := compressor.compress(_filter_rows(pixels, start, start + rows, plan.filter)):
            yield data
    yield compressor.flush()


def _filter_rows(pixels: Pixels, start: int, stop: int, kind: int) -> Pixels:
    """Filtered rows as PNG stores them: each begins with its filter type."""
    import numpy as np

    stop = min(stop, pixels.shape[0])
    rows = pixels[start:stop].reshape(stop - start, -1)
    above = np.empty_like(rows)
    above[1:] = rows[:-1]
    above[0] = pixels[start - 1].reshape(-1) if start else 0
    if kind == _AVERAGE:
        left = np.zeros_like(rows)
        left[:, 3:] = rows[:, :-3]
        # floor((left + above) / 2) in 8 bits
        shared = left & above
        np.bitwise_xor(left, above, out=left)
        np.right_shift(left, 1, out=left)
        np.add(shared, left, out=above)
    filtered = np.empty((rows.shape[0], 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = kind
    np.subtract(rows, above, out=filtered[:, 1:])
    return filtered
