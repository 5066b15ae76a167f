"""Checks what the elements of a Matroska or WebM file declare, before FFmpeg reads them.

FFmpeg's demuxer keeps in memory what stands before the first cluster, and what the seek heads there
lead to, wherever that is. All of that is checked element by element. In the clusters only blocks
and their additions are counted. Elements: RFC 8794 (EBML) and RFC 9559 (Matroska).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from .structure import NotMedia, Reader, RefusedMedia, StructureLimits

_SEGMENT: Final = 0x18538067
_CLUSTER: Final = 0x1F43B675
_SEEK_POSITION: Final = 0x53AC
_TRACK_ENTRY: Final = 0xAE
_TRACK_TYPE: Final = 0x83
_ATTACHED_FILE: Final = 0x61A7
_CHAPTER_ATOM: Final = 0xB6
_CUE_POINT: Final = 0xBB
_CUE_POSITIONS: Final = 0xB7
_SIMPLE_TAG: Final = 0x67C8
_SIMPLE_BLOCK: Final = 0xA3
_BLOCK: Final = 0xA1
_BLOCK_GROUP: Final = 0xA0
_BLOCK_ADDITIONS: Final = 0x75A1
_BLOCK_MORE: Final = 0xA6
_VOID: Final = 0xEC


def _ids(text: str) -> frozenset[int]:
    """Ids of elements, in hexadecimal."""
    return frozenset(int(each, 16) for each in text.split())


#: Children of a segment, without clusters.
_TOP: Final = _ids("1549A966 1654AE6B 1941A469 1043A770 1C53BB6B 1254C367 114D9B74")
#: Elements of elements, outside of clusters.
_MASTERS: Final = _TOP | _ids(
    "1A45DFA3 41E4 45B9 4DBB 5034 5035 55B0 55D0 61A7 6240 63C0 67C8 6D80 7373 7670 80 AE B6 B7 BB "
    "E0 E1 E2 E3 E4"
)
#: Elements with a number. FFmpeg does not accept other lengths, and searches the file for the next
#: element that it knows, also within the media data.
_INTEGERS: Final = _ids(
    "23E383 2AD7B1 41E7 41F0 4254 4285 42F2 42F3 42F7 4484 44B4 46AE 47E1 5032 5033 53AB 53AC 53B8 "
    "53C0 54AA 54B0 54B2 54BA 54BB 54CC 54DD 55AA 55AB 55AC 55AD 55AE 55AF 55B1 55B2 55B3 55B4 "
    "55B5 55B6 55B7 55B8 55B9 55BA 55BB 55BC 55BD 55EE 56AA 56BB 6264 63C4 63C5 63C6 68CA 73C4 "
    "73C5 7671 83 88 91 92 9A 9B 9D 9F B0 B3 BA D7 E5 E6 EE F1 F7"
)
_FLOATS: Final = _ids(
    "23314F 2383E3 4489 55D1 55D2 55D3 55D4 55D5 55D6 55D7 55D8 55D9 55DA 7673 7674 7675 78B5 B5"
)
_FILE_DATA: Final = 0x465C
#: Maximum size of an attached file, such as a font, in bytes.
_ATTACHMENT_BYTES: Final = 32 * 1024 * 1024
#: Maximum size of any other data, such as the parameters of a codec. FFmpeg has it for texts.
_DATA_BYTES: Final = 16 * 1024 * 1024
#: Maximum number of attached files.
_ATTACHMENTS: Final = 500
#: Maximum number of elements beside clusters, and of positions of such elements. FFmpeg has 64.
_TOP_ELEMENTS: Final = 60
#: Maximum number of additions to one block. Alpha and HDR take one each.
_ADDITIONS: Final = 64
_VIDEO: Final = 1


class _Element(NamedTuple):
    """An element: its id, where its content begins, and where it ends; None if unknown."""

    kind: int
    start: int
    body: int
    end: int | None


def check_matroska(reader: Reader, limits: StructureLimits) -> int:
    """The number of video tracks of a Matroska or WebM file.

    Raises:
        NotMedia: It declares more than it can hold, or more than `limits`.
    """
    return _Checker(reader, limits).check()


class _Checker:
    def __init__(self, reader: Reader, limits: StructureLimits) -> None:
        self._reader = reader
        self._limits = limits
        self._counts: Counter[int] = Counter()
        self._elements = self._blocks = self._header_bytes = self._video_tracks = 0
        #: Positions in the segment to which seek heads lead.
        self._seeks: list[int] = []

    def check(self) -> int:
        """See `check_matroska`."""
        size = self._reader.size
        for element in self._iterate(0, size):
            if element.kind == _SEGMENT:
                self._walk_segment(element.body, min(element.end or size, size))
                break
            self._enter(element, size, 1)
        else:
            raise NotMedia("it has no segment")
        return self._video_tracks

    def _walk_segment(self, start: int, end: int) -> None:
        seen = set()
        clusters = None
        for element in self._iterate(start, end):
            if element.kind == _CLUSTER:
                clusters = element.start
                break
            seen.add(element.start)
            self._enter(element, end, 1)
        self._limit("top elements", len(seen) + len(self._seeks), _TOP_ELEMENTS)
        for position in [start + each for each in self._seeks]:
            if start <= position < self._reader.size and position not in seen:
                seen.add(position)
                self._walk_seek(position)
        if clusters is not None:
            self._walk_clusters(clusters, end)

    def _walk_seek(self, position: int) -> None:
        """An element to which a seek head leads. FFmpeg reads it wherever it is."""
        for element in self._iterate(position, self._reader.size):
            if element.kind in _TOP:
                self._enter(element, self._reader.size, 1)
            return

    # The walk.

    def _iterate(self, start: int, end: int) -> Iterator[_Element]:
        """The elements between two offsets. One of unknown length is the last."""
        while start < end:
            self._elements += 1
            self._limit("elements", self._elements, self._limits.boxes)
            element = self._element(start)
            yield element
            if element.end is None:
                return
            start = element.end

    def _element(self, start: int) -> _Element:
        head = self._reader.peek(start, 12)
        width = 9 - head[0].bit_length() if head and head[0] >= 0x10 else 0
        if not width or len(head) <= width:
            raise NotMedia("it has an element without an id")
        kind = int.from_bytes(head[:width], "big")
        lead = head[width]
        length = 9 - lead.bit_length()
        number = head[width : width + length]
        if length > 8 or len(number) < length:
            raise NotMedia(f"its element {kind:X} has no length")
        size = int.from_bytes(number, "big") ^ 1 << 7 * length
        body = start + width + length
        return _Element(kind, start, body, None if size + 1 == 1 << 7 * length else body + size)

    def _enter(self, element: _Element, parent_end: int, depth: int) -> None:
        self._limit("levels of elements", depth, self._limits.depth)
        kind, _start, body, end = element
        if end is None:
            raise RefusedMedia(f"its element {kind:X} has no length")
        if end > self._reader.size:
            raise NotMedia(f"it is cut off in its element {kind:X}")
        if end > parent_end:
            raise RefusedMedia(f"its element {kind:X} ends outside of what contains it")
        self._count(kind)
        if kind in _MASTERS:
            for child in self._iterate(body, end):
                self._enter(child, end, depth + 1)
        elif kind != _VOID:
            self._read(kind, body, end)

    def _read(self, kind: int, body: int, end: int) -> None:
        size = end - body
        self._header_bytes += size
        self._limit("bytes of parameters and tags", self._header_bytes, self._limits.header_bytes)
        most = _ATTACHMENT_BYTES if kind == _FILE_DATA else _DATA_BYTES
        self._limit(f"bytes of {kind:X}", size, most)
        if (kind in _INTEGERS and size > 8) or (kind in _FLOATS and size not in (0, 4, 8)):
            raise RefusedMedia(f"its element {kind:X} has {size} bytes")
        if kind in (_SEEK_POSITION, _TRACK_TYPE):
            value = int.from_bytes(self._reader.read(body, size), "big")
            if kind == _SEEK_POSITION:
                self._seeks.append(value)
            else:
                self._video_tracks += value == _VIDEO

    # Clusters.

    def _walk_clusters(self, start: int, end: int) -> None:
        """Count the blocks. A last cluster may be cut off: a recording that stopped."""
        while start < end:
            try:
                element = self._element(start)
            except NotMedia:
                return  # FFmpeg goes on at the next cluster, and keeps nothing of what it skips
            self._elements += 1
            if element.kind == _CLUSTER:
                start = element.body
                self._limit("clusters", self._count(_CLUSTER), self._limits.boxes)
            elif element.end is None:
                return
            else:
                self._count_block(element)
                start = element.end

    def _count_block(self, element: _Element) -> None:
        kind, start, body, end = element
        if kind not in (_SIMPLE_BLOCK, _BLOCK_GROUP):
            return
        self._blocks += 1
        self._limit("samples", self._blocks, self._limits.samples)
        if kind == _SIMPLE_BLOCK:
            self._limit("bytes in one sample", (end or start) - body, self._limits.sample_bytes)
        else:
            self._count_additions(body, min(end or start, self._reader.size))

    def _count_additions(self, start: int, end: int) -> None:
        additions = 0
        while start < end:
            try:
                kind, _start, body, stop = self._element(start)
            except NotMedia:
                return
            if kind == _BLOCK:
                self._limit("bytes in one sample", (stop or body) - body, self._limits.sample_bytes)
            additions += kind == _BLOCK_MORE
            self._limit("additions to a block", additions, _ADDITIONS)
            start = body if kind == _BLOCK_ADDITIONS else stop or end

    # Limits.

    def _count(self, kind: int) -> int:
        self._counts[kind] += 1
        limits = self._limits
        for name, kinds, limit in (
            ("tracks", (_TRACK_ENTRY,), limits.tracks),
            ("attachments", (_ATTACHED_FILE,), _ATTACHMENTS),
            ("chapters", (_CHAPTER_ATOM,), limits.chapters),
            ("tags", (_SIMPLE_TAG,), limits.chapters),
            ("index points", (_CUE_POINT, _CUE_POSITIONS), limits.references),
        ):
            if kind in kinds:
                self._limit(name, self._counts[kind], limit)
        return self._counts[kind]

    def _limit(self, name: str, value: int, limit: int) -> None:
        if value > limit:
            raise RefusedMedia(f"it declares {value} {name}, of which at most {limit} are read")
