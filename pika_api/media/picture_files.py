"""Checks what a picture file declares, before Pillow reads it.

Pillow has limits of its own for pixels and texts, but any other pack can change them, and none for
the passes over a progressive JPEG or the number of blocks. Formats: W3C PNG (Third Edition), ITU-T
T.81 (JPEG), GIF89a, RFC 9649 (WebP).
"""

from __future__ import annotations

import re
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from .structure import DEFAULT_STRUCTURE_LIMITS, Reader, RefusedMedia, StructureLimits

_PNG: Final = b"\x89PNG\r\n\x1a\n"
#: PNG chunks that Pillow decompresses, and where in them the data begins, behind a keyword.
_PNG_TEXTS: Final = (b"zTXt", b"iCCP", b"iTXt")
_PNG_DATA: Final = (b"IDAT", b"fdAT")
#: A marker within the entropy-coded data of a JPEG which ends it.
_JPEG_END: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG_SCAN: Final = 0xDA
JPEG_STOP: Final = 0xD9
#: Markers without a length: TEM, RST0 to RST7, SOI.
JPEG_BARE: Final = frozenset((0x01, *range(0xD0, 0xD9)))
#: Bytes that a GIF may have before its first frame. Pillow joins a comment block by block, which
#: takes time with the square of its length.
_GIF_PREAMBLE: Final = 4 * 1024 * 1024
#: Bytes that are read at once.
_BLOCK: Final = 1024 * 1024


def check_picture(reader: Reader, limits: StructureLimits, pixels: int) -> bool:
    """Whether a file is a picture that the pack opens: PNG, JPEG, GIF or WebP.

    Args:
        pixels: Maximum number of pixels of the canvas.

    Raises:
        NotMedia: It declares more than `limits` or `pixels`.
    """
    head = reader.peek(0, 16)
    check: Callable[[Reader, StructureLimits, int], None]
    if head.startswith(_PNG[:6]):
        check = _check_png
    elif head.startswith(b"\xff\xd8\xff"):
        check = _check_jpeg
    elif head.startswith(b"GIF8"):
        check = _check_gif
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        check = _check_webp
    else:
        return False
    check_limit("bytes", reader.size, limits.picture_bytes)
    check(reader, limits, pixels)
    return True


def check_picture_file(path: Path) -> None:
    """Check a picture that the user chose, of whatever size and format. Raises as `check_picture`.

    Pillow's own limit of pixels applies to it.
    """
    with path.open("rb") as file:
        check_picture(Reader(file), DEFAULT_STRUCTURE_LIMITS, sys.maxsize)


def check_limit(name: str, value: int, limit: int) -> None:
    """Raise `RefusedMedia` if a picture declares more than the limit."""
    if value > limit:
        raise RefusedMedia(
            f"the picture declares {value} {name}, of which at most {limit} are read"
        )


def check_pixels(width: int, height: int, pixels: int) -> None:
    """Raise `RefusedMedia` if a picture has more pixels than the limit."""
    if width * height > pixels:
        raise RefusedMedia(f"{width}x{height} is more than {pixels // 1_000_000} million pixels")


def _check_png(reader: Reader, limits: StructureLimits, pixels: int) -> None:
    position, chunks, metadata = len(_PNG), 0, 0
    while len(head := reader.peek(position, 16)) >= 8:
        size, kind = struct.unpack_from(">I4s", head)
        chunks += 1
        check_limit("chunks", chunks, limits.picture_chunks)
        if kind == b"IHDR" and size >= 8:
            width, height = struct.unpack(">II", reader.read(position + 8, 8))
            check_pixels(width, height, pixels)
        if kind == b"IEND":
            return
        if kind not in _PNG_DATA:
            metadata += size
            check_limit("bytes of texts", metadata, limits.picture_metadata)
        if kind in _PNG_TEXTS:
            data = reader.peek(position + 8, size)
            metadata += _inflated(kind, data, limits.picture_metadata - metadata)
            check_limit("bytes of texts", metadata, limits.picture_metadata)
        position += 12 + size


def _inflated(kind: bytes, data: bytes, most: int) -> int:
    """Size of a compressed text or profile, counted no further than just over `most`."""
    _keyword, _, rest = data.partition(b"\0")
    if kind == b"iTXt":
        if rest[:1] != b"\1":
            return 0
        _language, _, rest = rest[2:].partition(b"\0")
        _translated, _, rest = rest.partition(b"\0")
    else:
        rest = rest[1:]
    unpacker = zlib.decompressobj()
    size = 0
    try:
        while rest and size <= most and not unpacker.eof:
            size += len(unpacker.decompress(rest, _BLOCK))
            rest = unpacker.unconsumed_tail
    except zlib.error:
        pass  # Pillow says what is wrong with it
    return size


def _check_jpeg(reader: Reader, limits: StructureLimits, pixels: int) -> None:
    scans = metadata = 0
    for number, (marker, position) in enumerate(_jpeg_markers(reader)):
        check_limit("segments", number, limits.picture_chunks)
        size = int.from_bytes(reader.peek(position, 2), "big")
        if marker == _JPEG_SCAN:
            scans += 1
            check_limit("passes", scans, limits.scans)
        elif marker in range(0xE0, 0xF0) or marker == 0xFE:
            metadata += size
            check_limit("bytes of texts", metadata, limits.picture_metadata)
        elif marker in range(0xC0, 0xD0) and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", reader.read(position + 3, 4))
            check_pixels(width, height, pixels)


def _jpeg_markers(reader: Reader) -> Iterator[tuple[int, int]]:
    """The markers of a JPEG up to its end, and the offset behind each."""
    position = 2
    while found := find_marker(reader, position):
        marker, position = found
        if marker == JPEG_STOP:
            return
        if marker in JPEG_BARE:
            continue
        yield marker, position
        position += max(int.from_bytes(reader.peek(position, 2), "big"), 2)


def find_marker(reader: Reader, position: int) -> tuple[int, int] | None:
    """The next marker from an offset, and the offset behind it."""
    while len(block := reader.peek(position, _BLOCK)) > 1:
        if match := _JPEG_END.search(block):
            return block[match.start() + 1], position + match.end()
        position += len(block) - 1
    return None


def _check_gif(reader: Reader, limits: StructureLimits, pixels: int) -> None:
    head = reader.read(0, 13)
    width, height = struct.unpack_from("<HH", head, 6)
    check_pixels(width, height, pixels)
    position, blocks = 13 + gif_table(head[10]), 0
    while (kind := reader.peek(position, 1)) == b"\x21":
        position += 2
        while length := reader.read(position, 1)[0]:
            position += 1 + length
            blocks += 1
            check_limit("blocks before its first frame", blocks, limits.picture_chunks)
            check_limit("bytes before its first frame", position, _GIF_PREAMBLE)
        position += 1
    if kind == b"\x2c":
        left, top, width, height = struct.unpack("<HHHH", reader.read(position + 1, 8))
        check_pixels(left + width, top + height, pixels)


def gif_table(flags: int) -> int:
    """Bytes of the colour table of a GIF."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _check_webp(reader: Reader, limits: StructureLimits, pixels: int) -> None:
    position, chunks, metadata = 12, 0, 0
    while len(head := reader.peek(position, 18)) >= 8:
        kind, size = struct.unpack_from("<4sI", head)
        chunks += 1
        check_limit("chunks", chunks, limits.picture_chunks)
        if kind in (b"ICCP", b"EXIF", b"XMP "):
            metadata += size
            check_limit("bytes of texts", metadata, limits.picture_metadata)
        elif kind == b"VP8X" and len(head) == 18:
            width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (12, 15))
            check_pixels(width, height, pixels)
        elif kind == b"VP8 " and len(head) == 18:
            width, height = (each & 0x3FFF for each in struct.unpack_from("<HH", head, 14))
            check_pixels(width, height, pixels)
        elif kind == b"VP8L" and len(head) >= 13:
            (bits,) = struct.unpack_from("<I", head, 9)
            check_pixels((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, pixels)
        position += 8 + size + size % 2
