"""Whether a file is there to its end, as far as its structure shows that.

A response without a length ends when the connection ends, whatever the reason. Nothing is decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from .bitmaps import bitmap_end
from .kinds import HEAD_BYTES, kind_of
from .picture_files import JPEG_BARE, JPEG_STOP, find_marker, gif_table
from .structure import DEFAULT_STRUCTURE_LIMITS, NotMedia, Reader

#: Maximum of what is read, in bytes, where each read counts like some hundred bytes more.
_MOST: Final = 1024 * 1024 * 1024
_READ_COSTS: Final = 512
#: Boxes on the way to the tables of chunks.
TO_CHUNKS: Final = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
#: Tables of chunks, and the format of an entry.
_CHUNKS: Final = {b"stco": ">u4", b"co64": ">u8"}
_SEGMENT: Final = 0x18538067


def is_complete(path: Path) -> bool:
    """Whether the structure of a file proves that its end is there.

    False also where nothing can prove it: in a live recording, in a transport stream, and in a file
    of an unknown kind.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        reader = _BoundedReader(file)
        check = _CHECKS.get(kind_of(reader.peek(0, HEAD_BYTES)).suffix)
        try:
            return bool(check and check(reader))
        except (NotMedia, struct.error):
            return False


class _BoundedReader(Reader):
    """A reader that ends an endless walk through a hostile file."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._left = _MOST

    def peek(self, start: int, count: int) -> bytes:
        """See `Reader.peek`. Raises `NotMedia` when too much was read."""
        data = super().peek(start, count)
        self._left -= len(data) + _READ_COSTS
        if self._left < 0:
            raise NotMedia("its structure has too many parts")
        return data

    def read(self, start: int, count: int) -> bytes:
        """See `Reader.read`. Raises `NotMedia` also when too much was read."""
        data = self.peek(start, count)
        if len(data) < count:
            raise NotMedia("the file ends within its structure")
        return data


# MP4.


def _isobmff(reader: Reader) -> bool:
    """The boxes end where the file ends, and those with the samples are among them."""
    kinds: list[bytes] = []
    position = 0
    for kind, start, end in iterate_boxes(reader, 0, reader.size):
        if end > reader.size:
            return False
        kinds.append(kind)
        position = end
        if kind == b"moov" and not _has_chunks(reader, start, end):
            return False
    if position != reader.size:
        return False
    if b"moof" in kinds:
        return kinds[-1:] == [b"mfra"]  # without it, further fragments may be missing
    return b"mdat" in kinds and (b"moov" in kinds or b"meta" in kinds)


def iterate_boxes(reader: Reader, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, start of the content, and end of each box. One without a size is not returned."""
    while True:
        head = reader.peek(start, 16)
        if end - start < 8 or len(head) < 8:
            return
        size, kind = struct.unpack_from(">I4s", head)
        body = 8
        if size == 1 and len(head) == 16:
            size, body = int.from_bytes(head[8:], "big"), 16
        if size < body:
            return
        yield kind, start + body, start + size
        start += size


def _has_chunks(reader: Reader, start: int, end: int, depth: int = 0) -> bool:
    """Whether all chunks of samples begin within the file."""
    import numpy as np

    for kind, body, stop in iterate_boxes(reader, start, end):
        stop = min(stop, end)
        if kind in TO_CHUNKS:
            if depth == len(TO_CHUNKS) or not _has_chunks(reader, body, stop, depth + 1):
                return False
        elif form := _CHUNKS.get(kind):
            if stop - body > DEFAULT_STRUCTURE_LIMITS.table_bytes:
                return False
            table = reader.peek(body + 8, max(stop - body - 8, 0))  # behind version, flags, count
            width = int(form[-1])
            offsets = np.frombuffer(table[: len(table) // width * width], form)
            if offsets.size and int(offsets.max()) >= reader.size:
                return False
    return True


# Matroska.


def _matroska(reader: Reader) -> bool:
    """The segment has a length, and ends within the file."""
    position = 0
    while True:
        head = reader.peek(position, 12)
        width = 9 - head[0].bit_length() if head and head[0] >= 0x10 else 0
        length = 9 - head[width].bit_length() if width and len(head) > width else 9
        if length > 8 or len(head) < width + length:
            return False
        size = int.from_bytes(head[width : width + length], "big") ^ 1 << 7 * length
        if size + 1 == 1 << 7 * length:
            return False  # unknown
        position += width + length + size
        if int.from_bytes(head[:width], "big") == _SEGMENT:
            return position <= reader.size


# Pictures.


def _png(reader: Reader) -> bool:
    position = 8
    while True:
        head = reader.peek(position, 8)
        if len(head) < 8:
            return False
        size, kind = struct.unpack(">I4s", head)
        position += 12 + int(size)
        if kind == b"IEND":
            return position <= reader.size


def _jpeg(reader: Reader) -> bool:
    position = 2
    while marked := find_marker(reader, position):
        marker, position = marked
        if marker == JPEG_STOP:
            # There may be a second picture behind the first.
            return reader.peek(reader.size - 2, 2) == b"\xff\xd9"
        if marker not in JPEG_BARE:
            position += max(int.from_bytes(reader.peek(position, 2), "big"), 2)
    return False


def _gif(reader: Reader) -> bool:
    position = 13 + gif_table(reader.read(0, 13)[10])
    while True:
        kind = reader.read(position, 1)
        if kind == b"\x3b":
            return True
        if kind == b"\x21":
            position += 2
        elif kind == b"\x2c":
            position += 11 + gif_table(reader.read(position + 9, 1)[0])
        else:
            return False
        while length := reader.read(position, 1)[0]:
            position += 1 + length
        position += 1


def _riff(reader: Reader) -> bool:
    """The parts end where the file ends. A large AVI file has several."""
    position = 0
    while True:
        head = reader.peek(position, 8)
        if len(head) < 8 or head[:4] != b"RIFF":
            return False
        size = int.from_bytes(head[4:], "little")
        position += 8 + size + size % 2
        if position >= reader.size:
            return position - size % 2 <= reader.size


def _bitmap(reader: Reader) -> bool:
    return bitmap_end(reader, DEFAULT_STRUCTURE_LIMITS) <= reader.size


_CHECKS: Final[dict[str, Callable[[Reader], bool]]] = {
    ".mp4": _isobmff,
    ".webm": _matroska,
    ".png": _png,
    ".jpg": _jpeg,
    ".gif": _gif,
    ".webp": _riff,
    ".avi": _riff,
    ".bmp": _bitmap,
    ".tiff": _bitmap,
}
