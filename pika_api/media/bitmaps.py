"""Checks what a BMP or TIFF file declares, before Pillow reads it.

No gateway is known to send them, but a result that was paid for may be one. Only what Pillow
decodes in bounded time and memory is opened. Formats: bitmap headers of the Windows GDI, TIFF 6.0.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from .kinds import TIFF_HEADS, is_bmp
from .picture_files import check_limit, check_pixels
from .structure import NotMedia, Reader, StructureLimits, UnreadFormat

#: BMP without compression, and with masks for the colours.
_BMP_PLAIN: Final = (0, 3)
#: TIFF: none, LZW, two of deflate, PackBits. JPEG and others have limits of their own.
_TIFF_COMPRESSIONS: Final = (1, 5, 8, 32946, 32773)
#: Bytes of a value of each type.
_TIFF_TYPES: Final = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION = 256, 257, 258, 259
_STRIP_OFFSETS, _SAMPLES, _ROWS, _STRIP_BYTES = 273, 277, 278, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES = 322, 323, 324, 325
#: Tags that lead to further directories: SubIFDs, Exif, GPS, interoperability.
_DIRECTORIES: Final = (330, 34665, 34853, 40965)
#: Tags whose numbers are read here.
_READ: Final = frozenset(
    (_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _STRIP_OFFSETS, _SAMPLES, _ROWS, _STRIP_BYTES,
     _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES, *_DIRECTORIES)
)  # fmt: skip
#: Maximum number of channels, and of bits in one.
_MAX_SAMPLES: Final = 6
_MAX_BITS: Final = 64
#: Maximum number of bytes for a pixel: four channels of 16 bits.
_PIXEL_BYTES: Final = 8


def check_bitmap(reader: Reader, limits: StructureLimits, pixels: int) -> bool:
    """Whether a file is BMP or TIFF.

    Args:
        pixels: Maximum number of pixels.

    Raises:
        UnreadFormat: It has a compression that is not opened.
        NotMedia: It declares more than `limits` or `pixels`.
    """
    head = reader.peek(0, 64)
    if is_bmp(head):
        check_limit("bytes", reader.size, limits.picture_bytes)
        bmp = _read_bmp(reader)
        if bmp.compression not in _BMP_PLAIN:
            raise UnreadFormat("it is a compressed BMP, which is not opened")
        check_pixels(bmp.width, bmp.height, pixels)
        return True
    if head[:4] in TIFF_HEADS:
        check_limit("bytes", reader.size, limits.picture_bytes)
        _Tiff(reader, limits).check(pixels)
        return True
    return False


def bitmap_end(reader: Reader, limits: StructureLimits) -> int:
    """The offset behind the last byte that a BMP or TIFF file needs. Raises `NotMedia`."""
    if is_bmp(reader.peek(0, 64)):
        return _read_bmp(reader).end
    tiff = _Tiff(reader, limits)
    tiff.read()
    return tiff.end


@dataclass(frozen=True)
class _Bmp:
    width: int
    height: int
    compression: int
    end: int


def _read_bmp(reader: Reader) -> _Bmp:
    head = reader.read(0, 26)
    file_size, _reserved, start, header = struct.unpack_from("<4I", head, 2)
    if header == 12:
        width, height, _planes, bits = struct.unpack_from("<4H", head, 18)
        compression = 0
    else:
        width, height, _planes, bits, compression = struct.unpack("<iiHHI", reader.read(18, 16))
        width, height = abs(width), abs(height)  # a negative height: the first row is at the top
    rows = (width * bits + 31) // 32 * 4 * height
    return _Bmp(
        width, height, compression, start + rows if compression in _BMP_PLAIN else file_size
    )


@dataclass
class _Directory:
    """The numbers of a directory by their tags, and how many values each tag has."""

    values: dict[int, list[int]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)

    def first(self, tag: int, default: int = 0) -> int:
        return next(iter(self.values.get(tag, ())), default)


class _Tiff:
    """The directories of a TIFF file: those of its pages, and those to which their tags lead."""

    def __init__(self, reader: Reader, limits: StructureLimits) -> None:
        self._reader = reader
        self._limits = limits
        self._order = "<" if reader.peek(0, 1) == b"I" else ">"
        self._entries = self._bytes = 0
        self.end = 0

    def read(self) -> list[_Directory]:
        """All directories; the first is that of the picture. Raises `NotMedia`."""
        (start,) = self._numbers("I", self._reader.read(4, 4))
        waiting, seen, directories = [start], {0}, []
        while waiting:
            position = waiting.pop(0)
            if position in seen:
                continue
            seen.add(position)
            directory, following = self._directory(position)
            directories.append(directory)
            waiting += [following]
            waiting += [each for tag in _DIRECTORIES for each in directory.values.get(tag, ())]
        if not directories:
            raise NotMedia("it has no picture")
        return directories

    def check(self, pixels: int) -> None:
        """Check what is decoded: the first picture. Raises `NotMedia`."""
        first = self.read()[0]
        compression = first.first(_COMPRESSION, 1)
        if compression not in _TIFF_COMPRESSIONS:
            raise UnreadFormat(f"it is TIFF with compression {compression}, which is not opened")
        width, height = first.first(_WIDTH), first.first(_HEIGHT)
        samples, bits = first.first(_SAMPLES, 1), max(first.values.get(_BITS, [1]), default=1)
        check_pixels(width, height, pixels)
        check_limit("channels", samples, _MAX_SAMPLES)
        check_limit("bits in a channel", bits, _MAX_BITS)
        check_limit("bytes", width * height * samples * bits // 8, pixels * _PIXEL_BYTES)
        rows = min(first.first(_ROWS, height), height) or 1
        strips = -(-height // rows)
        tile_width, tile_height = first.first(_TILE_WIDTH), first.first(_TILE_HEIGHT)
        tiles = 0
        if tile_width and tile_height:
            check_pixels(tile_width, tile_height, pixels)
            tiles = -(-width // tile_width) * -(-height // tile_height)
        # Each is decoded, also where several are at the same place.
        check_limit("strips", first.counts.get(_STRIP_OFFSETS, 0), strips * samples)
        check_limit("tiles", first.counts.get(_TILE_OFFSETS, 0), tiles * samples)

    def _directory(self, position: int) -> tuple[_Directory, int]:
        """A directory, and the offset of the next one; 0 if there is none."""
        (count,) = self._numbers("H", self._reader.read(position, 2))
        self._entries += count + 1
        check_limit("tags", self._entries, self._limits.picture_chunks)
        data = self._reader.read(position + 2, count * 12 + 4)
        self.end = max(self.end, position + 2 + len(data))
        directory = _Directory()
        for place in range(0, count * 12, 12):
            tag, kind, number = struct.unpack_from(f"{self._order}HHI", data, place)
            size = _TIFF_TYPES.get(kind, 0) * number
            value = data[place + 8 : place + 8 + size]
            if size > 4:
                self._bytes += size
                check_limit("bytes of texts", self._bytes, self._limits.picture_metadata)
                (offset,) = struct.unpack_from(f"{self._order}I", data, place + 8)
                self.end = max(self.end, offset + size)
                value = self._reader.peek(offset, size) if tag in _READ else b""
            directory.counts[tag] = number
            if tag in _READ and kind in (3, 4, 13):
                directory.values[tag] = self._numbers("H" if kind == 3 else "I", value)
        for offsets, sizes in ((_STRIP_OFFSETS, _STRIP_BYTES), (_TILE_OFFSETS, _TILE_BYTES)):
            starts, lengths = (directory.values.get(tag, []) for tag in (offsets, sizes))
            ends = map(sum, zip(starts, lengths, strict=False))
            self.end = max(self.end, max(ends, default=0))
        return directory, self._numbers("I", data[-4:])[0]

    def _numbers(self, form: str, data: bytes) -> list[int]:
        count = len(data) // struct.calcsize(f"={form}")
        return list(struct.unpack_from(f"{self._order}{count}{form}", data))
