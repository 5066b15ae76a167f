"""Boxes of MP4 and elements of WebM, written by hand: they can declare anything."""

from __future__ import annotations

import struct
from collections.abc import Iterable


def box(kind: bytes, *parts: bytes, size: int | None = None) -> bytes:
    """A box; `size` lies about its length."""
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body) if size is None else size, kind) + body


def full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    """A box with a version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def u16(*values: int) -> bytes:
    return b"".join(struct.pack(">H", value) for value in values)


def u32(*values: int) -> bytes:
    return b"".join(struct.pack(">I", value & 0xFFFFFFFF) for value in values)


def table(kind: bytes, *rows: tuple[int, ...], count: int | None = None) -> bytes:
    """A table of 32-bit rows; `count` lies about how many there are."""
    return full(kind, u32(len(rows) if count is None else count), *(u32(*row) for row in rows))


def sizes(uniform: int, count: int, *each: int) -> bytes:
    """`stsz`."""
    return full(b"stsz", u32(uniform, count), u32(*each))


FTYP = box(b"ftyp", b"isom", u32(0x200), b"isomiso2avc1mp41")
_MATRIX = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def video_entry(
    *children: bytes, codec: bytes = b"mp4v", width: int = 64, height: int = 48
) -> bytes:
    """A sample description of a video."""
    fields = bytes(6) + u16(1) + bytes(16) + u16(width, height) + u32(0x480000, 0x480000, 0)
    return box(codec, fields, u16(1), bytes(32), u16(24, 0xFFFF), *children)


def sound_entry(codec: bytes = b"sowt", version: int = 0, fields: bytes = b"") -> bytes:
    """A sample description of sound."""
    head = bytes(6) + u16(1) + u16(version, 0) + u32(0) + u16(2, 16, 0, 0) + u32(48000 << 16)
    return box(codec, head, fields)


def descriptions(*entries: bytes, count: int | None = None) -> bytes:
    return full(b"stsd", u32(len(entries) if count is None else count), *entries)


def track(
    *tables: bytes,
    handler: bytes = b"vide",
    number: int = 1,
    entry: bytes | None = None,
    edits: bytes = b"",
    before: bytes = b"",
) -> bytes:
    """A `trak` with these sample tables."""
    header = full(
        b"tkhd",
        u32(0, 0, number, 0, 1000, 0, 0, 0, 0),
        _MATRIX,
        u32(64 << 16, 48 << 16),
        flags=3,
    )
    if entry is None:
        entry = video_entry() if handler == b"vide" else sound_entry()
    stbl = box(b"stbl", descriptions(entry), *tables)
    dinf = box(b"dinf", full(b"dref", u32(1), full(b"url ", flags=1)))
    head = full(b"vmhd", u32(0, 0), flags=1) if handler == b"vide" else full(b"smhd", u32(0))
    media = box(
        b"mdia",
        full(b"mdhd", u32(0, 0, 1000, 1000), u16(0x55C4, 0)),
        full(b"hdlr", u32(0), handler, bytes(12), b"x\0"),
        box(b"minf", head, dinf, stbl),
    )
    return box(b"trak", header, edits, before, media)


def movie(*parts: bytes) -> bytes:
    """A `moov` of tracks and whatever else."""
    header = full(
        b"mvhd",
        u32(0, 0, 1000, 1000, 0x10000),
        u16(0x100, 0),
        bytes(8),
        _MATRIX,
        bytes(24),
        u32(2),
    )
    return box(b"moov", header, *parts)


def mp4(*parts: bytes, data: bytes = bytes(64)) -> bytes:
    """A file: `ftyp`, `moov` of `parts`, `mdat`."""
    return FTYP + movie(*parts) + box(b"mdat", data)


def length(size: int, width: int = 8) -> bytes:
    """An EBML length in `width` bytes."""
    return (size | 1 << (7 * width)).to_bytes(width, "big")


UNKNOWN = b"\x01" + b"\xff" * 7


def element(identity: int, *parts: bytes, size: int | None = None, width: int = 0) -> bytes:
    """An EBML element; `size` lies about its length."""
    body = b"".join(parts)
    size = len(body) if size is None else size
    width = width or next(each for each in range(1, 9) if size < (1 << 7 * each) - 1)
    number = identity.to_bytes((identity.bit_length() + 7) // 8, "big")
    return number + length(size, width) + body


def uint(identity: int, value: int) -> bytes:
    return element(identity, value.to_bytes(max((value.bit_length() + 7) // 8, 1), "big"))


EBML = element(
    0x1A45DFA3,
    uint(0x4286, 1),
    uint(0x42F7, 1),
    uint(0x42F2, 4),
    uint(0x42F3, 8),
    element(0x4282, b"webm"),
    uint(0x4287, 4),
    uint(0x4285, 2),
)


def webm_track(number: int = 1, *more: bytes, codec: bytes = b"V_VP8") -> bytes:
    """A TrackEntry of a video."""
    video = element(0xE0, uint(0xB0, 64), uint(0xBA, 48))
    return element(
        0xAE,
        uint(0xD7, number),
        uint(0x73C5, number),
        uint(0x83, 1),
        element(0x86, codec),
        video,
        *more,
    )


def webm(*parts: bytes, tracks: Iterable[bytes] = (webm_track(),), clusters: bytes = b"") -> bytes:
    """A file: EBML header, Segment of Info, `parts`, Tracks, clusters."""
    info = element(
        0x1549A966, uint(0x2AD7B1, 1_000_000), element(0x4D80, b"x"), element(0x5741, b"x")
    )
    body = info + b"".join(parts) + element(0x1654AE6B, *tracks) + clusters
    return EBML + element(0x18538067, body, width=8)


def simple_block(payload: bytes, number: int = 1, time: int = 0, key: bool = True) -> bytes:
    return element(0xA3, bytes([0x80 | number]) + struct.pack(">hB", time, 0x80 * key) + payload)


def cluster(time: int, *blocks: bytes) -> bytes:
    return element(0x1F43B675, uint(0xE7, time), *blocks)
