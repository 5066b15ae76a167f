"""Adds texts, such as ComfyUI's workflow, to a finished MP4 or PNG file.

Only boxes and chunks are added. Nothing is encoded or multiplexed again, so edit lists, time codes,
colours and further tracks stay as they are. The texts have the form in which ComfyUI's own savers
write them and its editor reads them: in MP4, as FFmpeg's option ``use_metadata_tags`` writes them
(QuickTime File Format Specification, Metadata); in PNG, as ``tEXt`` chunks.
"""

from __future__ import annotations

import io
import os
import re
import struct
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..message import Message
from .completeness import TO_CHUNKS, is_complete, iterate_boxes
from .containers import check_structure
from .kinds import HEAD_BYTES, kind_of
from .probe import DecodeLimits, ffmpeg_errors, open_video
from .structure import NotMedia, Reader

if TYPE_CHECKING:
    from av.container import InputContainer

    #: A piece of the new file: bytes, or a part of the old one from an offset to another.
    Piece: TypeAlias = bytes | tuple[int, int]

#: Maximum size of all texts together, in bytes. The editor reads the first 64 MiB of an MP4 file,
#: and a picture with over 16 MiB of texts is not opened here; see `StructureLimits`.
MAX_TEXTS: Final = 8 * 1024 * 1024
#: Maximum size of an MP4 index that is rewritten, in bytes. It is rewritten in memory.
_MAX_INDEX: Final = 64 * 1024 * 1024
#: How many boxes or chunks are read to find a text.
_MAX_BOXES: Final = 10_000
#: A text's name, in PNG and MP4.
_NAME: Final = re.compile(r"[!-~](?:[ -~]{0,77}[!-~])?")
_MAX_OFFSET: Final = {b"stco": 2**32 - 1, b"co64": 2**63 - 1}
#: Boxes that are found only in a file of fragments, whose parts are found by other offsets.
_FRAGMENTED: Final = frozenset({b"moof", b"mfra", b"sidx", b"styp"})
_UTF8: Final = 1  # the type of a text in QuickTime's metadata
_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_TEXTS: Final = (b"tEXt", b"zTXt", b"iTXt", b"comf")
_BLOCK: Final = 1024 * 1024


class NoPlaceForTexts(Exception):
    """The texts cannot be added to this file.

    Attributes:
        reason: Why, as the end of a sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def add_texts(source: Path, target: Path, texts: Mapping[str, str], limits: DecodeLimits) -> None:
    """Write a copy of a complete, sound file with texts added. It is on the disk on return.

    Args:
        texts: ASCII texts by name.

    Raises:
        NoPlaceForTexts: They do not fit into the file. ``target`` was removed.
        OSError: A file cannot be read or written.
    """
    if sum(map(len, texts.values())) > MAX_TEXTS:
        raise NoPlaceForTexts(Message("it has over {size} MB", size=MAX_TEXTS // 1024**2))
    encoded = {
        name.encode(): text.encode("ascii", "replace")
        for name, text in texts.items()
        if _NAME.fullmatch(name)
    }
    try:
        with source.open("rb") as file, target.open("wb") as copy:
            reader = Reader(file)
            kind = kind_of(reader.peek(0, HEAD_BYTES))
            if kind.suffix not in _WRITERS:
                raise NoPlaceForTexts(Message("the file is {kind}", kind=kind.name))
            for piece in _WRITERS[kind.suffix](reader, encoded):
                _write(reader, piece, copy)
            copy.flush()
            os.fsync(copy.fileno())
        _check(source, target, limits)
    except (NotMedia, struct.error) as error:
        target.unlink(missing_ok=True)
        raise NoPlaceForTexts(str(error)) from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def read_text(path: Path, name: str) -> str | None:
    """A text that `add_texts` has added to a file; None if it has none of this name.

    Raises:
        OSError: The file cannot be read.
    """
    wanted = name.encode()
    try:
        with path.open("rb") as file:
            reader = Reader(file)
            find = _FINDERS.get(kind_of(reader.peek(0, HEAD_BYTES)).suffix)
            data = find(reader, wanted) if find else None
    except (NotMedia, struct.error):
        return None
    return None if data is None else data.decode("utf-8", "replace")


def _write(reader: Reader, piece: Piece, copy: Any) -> None:
    if isinstance(piece, bytes):
        copy.write(piece)
        return
    start, end = piece
    while start < end:
        copy.write(reader.read(start, min(_BLOCK, end - start)))
        start = min(start + _BLOCK, end)


def _check(source: Path, target: Path, limits: DecodeLimits) -> None:
    """Check that a copy is opened like its source, and contains the same media."""
    structure = check_structure(target, limits.pixels, limits.structure)
    if not is_complete(target):
        raise NoPlaceForTexts(Message("the file would not be complete"))
    if structure.demuxer is None:
        return
    with (
        ffmpeg_errors(),
        open_video(source, structure, limits) as before,
        open_video(target, structure, limits) as after,
    ):
        deadline = time.monotonic() + limits.seconds
        for one, other in zip_longest(_media(before), _media(after)):
            if one != other:
                raise NoPlaceForTexts(Message("the file would not play the same"))
            if time.monotonic() > deadline:
                raise NoPlaceForTexts(
                    Message("the copy takes over {seconds:g} s to check", seconds=limits.seconds)
                )


def _media(container: InputContainer) -> Iterator[tuple[object, ...]]:
    """What a player reads of a file: its tracks, then their packets."""
    yield (container.duration, container.start_time, len(container.streams))
    for stream in container.streams:
        context = getattr(stream, "codec_context", None)
        extradata = getattr(context, "extradata", None)
        yield (stream.type, stream.time_base, stream.duration, stream.frames, extradata)
    for packet in container.demux():
        checksum = zlib.crc32(packet) if packet.size else 0
        yield (
            *(packet.stream.index, packet.pts, packet.dts, packet.duration),
            *(packet.is_keyframe, packet.size, checksum),
        )


# MP4.


def _mp4(reader: Reader, texts: Mapping[bytes, bytes]) -> Iterator[Piece]:
    """The index moves in front of the media data: the editor does not find one behind large data,
    and a browser plays the file before it is loaded.
    """
    index: tuple[int, int] | None = None
    first_data: int | None = None
    position = 0
    for kind, _, end in iterate_boxes(reader, 0, reader.size):
        if kind in _FRAGMENTED:
            raise NoPlaceForTexts(Message("the file consists of fragments"))
        if kind == b"moov":
            if index is not None:
                raise NoPlaceForTexts(Message("the file has several indexes"))
            index = position, end
        if kind == b"mdat" and first_data is None:
            first_data = position
        position = end
    if position != reader.size or index is None or first_data is None:
        raise NoPlaceForTexts(Message("the file has an unusual structure"))
    start, end = index
    if end - start > _MAX_INDEX:
        raise NoPlaceForTexts(Message("the index of the file is too large"))
    insert = min(start, first_data)
    moov = _moov(reader.read(start, end - start), texts)
    _move_chunks(moov, insert, index)
    yield 0, insert
    yield bytes(moov)
    yield insert, start
    yield end, reader.size


def _moov(old: bytes, texts: Mapping[bytes, bytes]) -> bytearray:
    """An index with texts. They come first in its user data: the editor reads the first ones."""
    reader = _reader(old)
    _, body, _ = next(iterate_boxes(reader, 0, len(old)))
    parts: list[bytes] = []
    position, added = body, False
    for kind, start, end in iterate_boxes(reader, body, len(old)):
        box = old[position:end]
        if kind == b"udta" and not added:
            box, added = _box(b"udta", _user_data(old[start:end], texts)), True
        parts.append(box)
        position = end
    if position != len(old):
        raise NoPlaceForTexts(Message("the file has an unusual structure"))
    if not added:
        parts.append(_box(b"udta", _meta(texts)))
    return bytearray(_box(b"moov", b"".join(parts)))


def _move_chunks(moov: bytearray, insert: int, old: tuple[int, int]) -> None:
    """Correct the offsets of the chunks of samples.

    Args:
        moov: The new index.
        insert: Its offset.
        old: The offsets of the old index and of its end.
    """
    import numpy as np

    start, end = old
    for kind, body, stop in _chunk_tables(_reader(moov), 8, len(moov)):
        (count,) = struct.unpack_from(">I", moov, body + 4)
        form = ">u4" if kind == b"stco" else ">u8"
        if body + 8 + count * np.dtype(form).itemsize > stop:
            raise NoPlaceForTexts(Message("the file has an unusual structure"))
        table = np.frombuffer(moov, form, count, body + 8)
        offsets = table.astype(np.int64)
        if ((offsets >= start) & (offsets < end)).any() or (offsets < 0).any():
            raise NoPlaceForTexts(Message("the file has an unusual structure"))
        moved = offsets + len(moov) * (offsets >= insert) - (end - start) * (offsets >= end)
        if count and int(moved.max()) > _MAX_OFFSET[kind]:
            raise NoPlaceForTexts(Message("the file is too large"))
        table[:] = moved


def _chunk_tables(
    reader: Reader, start: int, end: int, depth: int = 0
) -> Iterator[tuple[bytes, int, int]]:
    """The tables of offsets: type, start of the content, end."""
    for kind, body, stop in iterate_boxes(reader, start, end):
        if stop > end or kind == b"saio":
            raise NoPlaceForTexts(Message("the file has an unusual structure"))
        if kind in TO_CHUNKS and depth < len(TO_CHUNKS):
            yield from _chunk_tables(reader, body, stop, depth + 1)
        elif kind in _MAX_OFFSET:
            yield kind, body, stop


def _user_data(old: bytes, texts: Mapping[bytes, bytes]) -> bytes:
    """User data with texts in front. Metadata of the same form becomes a part of them."""
    reader = _reader(old)
    kept: list[bytes] = []
    earlier: list[tuple[bytes, bytes]] = []
    position = 0
    for kind, start, end in iterate_boxes(reader, 0, len(old)):
        items = _items(old[start:end]) if kind == b"meta" else None
        if items is None:
            kept.append(old[position:end])
        else:
            earlier += [item for item in items if item[0] not in texts]
        position = end
    # QuickTime ends the list with four zeros.
    return _meta(texts, earlier) + b"".join(kept) + old[position:]


def _items(meta: bytes) -> list[tuple[bytes, bytes]] | None:
    """The names and values of QuickTime's metadata; None if a box of metadata is something else."""
    reader = _reader(meta)
    begin = 0 if meta[4:8] == b"hdlr" else 4
    parts = {kind: meta[start:end] for kind, start, end in iterate_boxes(reader, begin, len(meta))}
    keys, values = parts.get(b"keys"), parts.get(b"ilst")
    if parts.get(b"hdlr", b"")[8:12] != b"mdta" or keys is None or values is None:
        return None
    names = [keys[start:end] for _, start, end in iterate_boxes(_reader(keys), 8, len(keys))]
    items = []
    for number, start, end in iterate_boxes(_reader(values), 0, len(values)):
        index = int.from_bytes(number, "big") - 1
        if index in range(len(names)):
            items.append((names[index], values[start:end]))
    return items


def _reader(data: bytes | bytearray) -> Reader:
    return Reader(io.BytesIO(data))


def _meta(texts: Mapping[bytes, bytes], further: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """QuickTime's metadata: a list of names, and a list of values by the numbers of the names.

    Args:
        further: Further names, with the boxes of their values.
    """
    data = struct.pack(">I4x", _UTF8)
    items = [(name, _box(b"data", data + text)) for name, text in texts.items()] + [*further]
    names = b"".join(_box(b"mdta", name) for name, _ in items)
    values = [_box(struct.pack(">I", number), value) for number, (_, value) in enumerate(items, 1)]
    return _box(
        b"meta",
        bytes(4)
        + _box(b"hdlr", struct.pack(">8x4s13x", b"mdta"))
        + _box(b"keys", struct.pack(">4xI", len(items)) + names)
        + _box(b"ilst", b"".join(values)),
    )


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _find_in_mp4(reader: Reader, wanted: bytes) -> bytes | None:
    """The value of a name in QuickTime's metadata, of which ours is the first user data."""
    for path in ((b"moov", b"udta", b"meta"), (b"moov", b"meta")):
        start, end = 0, reader.size
        for step in path:
            boxes = islice(iterate_boxes(reader, start, end), _MAX_BOXES)
            place = next(((first, last) for kind, first, last in boxes if kind == step), None)
            if place is None or place[1] > end:
                break
            start, end = place
        else:
            if end - start > 2 * MAX_TEXTS:
                return None
            values = dict(_items(reader.read(start, end - start)) or ())
            # A box "data": its head, the type of the value, and four zeros.
            if len(value := values.get(wanted, b"")) > 16:
                return value[16 : int.from_bytes(value[:4], "big")]
    return None


# PNG.


def _png(reader: Reader, texts: Mapping[bytes, bytes]) -> Iterator[Piece]:
    """The texts come behind the header. Texts of the same names are left out: the editor reads the
    last one.
    """
    head = 8 + 12 + 13
    if reader.peek(0, 16) != _PNG_SIGNATURE + b"\0\0\0\x0dIHDR":
        raise NoPlaceForTexts(Message("the file has an unusual structure"))
    yield 0, head
    for name, text in texts.items():
        yield _png_chunk(b"tEXt", name + b"\0" + text)
    position = start = head
    while len(chunk := reader.peek(position, 8)) == 8:
        size, kind = struct.unpack(">I4s", chunk)
        end = position + 12 + size
        if kind in _PNG_TEXTS and _keyword(reader, position, size) in texts:
            yield start, position
            start = end
        position = end
        if kind == b"IEND":
            break
    yield start, reader.size


def _keyword(reader: Reader, position: int, size: int) -> bytes:
    return reader.peek(position + 8, min(size, 80)).partition(b"\0")[0]


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def _find_in_png(reader: Reader, wanted: bytes) -> bytes | None:
    position = 8
    for _ in range(_MAX_BOXES):
        if len(chunk := reader.peek(position, 8)) < 8:
            break
        size, kind = struct.unpack(">I4s", chunk)
        if kind == b"tEXt" and size <= MAX_TEXTS and _keyword(reader, position, size) == wanted:
            return reader.read(position + 8, size).partition(b"\0")[2]
        position += 12 + size
    return None


_FINDERS: Final = {".mp4": _find_in_mp4, ".png": _find_in_png}
_WRITERS: Final = {".mp4": _mp4, ".png": _png}
