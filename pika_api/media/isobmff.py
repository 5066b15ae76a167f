"""Checks what the boxes of an MP4 or QuickTime file declare, before FFmpeg reads them.

The walk enters every box that FFmpeg's ``mov`` demuxer enters (libavformat/mov.c of 7.1 and 8.0),
wherever it is, so that no table escapes it. It reads headers and counts, and sums run lengths in
blocks; it never loads a file. Boxes: ISO/IEC 14496-12 and the QuickTime File Format Specification.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from .structure import NotMedia, Reader, RefusedMedia, StructureLimits


def _kinds(text: bytes) -> frozenset[bytes]:
    """Types of boxes, separated by bars: some contain a space."""
    return frozenset(text.split(b"|"))


#: Boxes of boxes.
_CONTAINERS: Final = _kinds(
    b"moov|trak|mdia|minf|dinf|stbl|edts|mvex|moof|traf|tref|udta|sinf|schi|ilst|wave|meta|mfra"
)
#: Boxes in which cameras write what is not boxes. FFmpeg cuts a box there at its parent's end.
_TAGS: Final = _kinds(b"udta|meta|ilst")
#: Boxes that FFmpeg reads whole or copies.
_HEADERS: Final = _kinds(
    b"ACLR|APRG|AALP|ARES|avss|av1C|chpl|colr|DpxE|enda|fiel|adrm|ftyp|glbl|jp2h|SMI |alac|avcC|"
    b"sbas|strf|esds|wfex|chan|chnl|dvc1|hvcC|vvcC|uuid|----|tenc|dfLa|sv3d|vexu|evcC|idat|lhvC|"
    b"lvcC|apvC|kind|hdlr|pssh|stsd"
)
#: Tables with a count after version and flags, and the bytes of each entry. Where entries vary, it
#: is the least that one has.
_TABLES: Final = {
    b"stts": 8,
    b"ctts": 8,
    b"stsc": 12,
    b"stco": 4,
    b"co64": 8,
    b"stss": 4,
    b"stps": 4,
    b"stsd": 8,
    b"dref": 12,
    b"keys": 8,
    b"senc": 1,
    b"ssix": 4,
    b"subs": 6,
}
#: Structures that a video does not need and whose memory FFmpeg does not bound.
_REFUSED: Final = {
    b"iloc": "items of a HEIF picture",
    b"iinf": "items of a HEIF picture",
    b"iprp": "items of a HEIF picture",
    b"iref": "items of a HEIF picture",
    b"cmov": "a compressed index",
    b"iacb": "IAMF sound",
}
#: What has no place in the sample descriptions of pictures and sound. FFmpeg reads boxes there too,
#: at offsets that depend on colour tables and versions, so they are searched for.
_NOT_IN_DESCRIPTION: Final = re.compile(
    b"stts|ctts|stsc|stsz|stz2|stco|co64|stss|stps|sdtp|sbgp|sgpd|elst|trun|trak|moof|tfhd|sidx|"
    b"iloc|iinf|iprp|iref|cmov|iacb|saiz|saio|senc|chap"
)
#: Maximum size of the sample descriptions of a track, in bytes.
_DESCRIPTION_BYTES: Final = 4 * 1024 * 1024
#: FFmpeg's own limit.
_DESCRIPTIONS: Final = 1024
#: Formats of uncompressed sound, which FFmpeg indexes in pieces of up to 1024 samples.
_PCM: Final = _kinds(b"sowt|twos|lpcm|in24|in32|fl32|fl64|raw |NONE|ulaw|alaw|ipcm|fpcm")
_PCM_PIECE: Final = 800
#: The shortest piece of other sound of constant size, in samples: that of GSM.
_OTHER_PIECE: Final = 160
#: Samples of sound in one byte: MACE 6:1 has six.
_SOUND_PER_BYTE: Final = 8
#: Bytes that are read at once from a table; a multiple of the size of every row.
_BLOCK: Final = 1024 * 1024 // 24 * 24
#: Bytes in which the handler of a `meta` box begins.
_META_HEAD: Final = 64 * 1024


class _Box(NamedTuple):
    """A box: its type, its start, where its content begins, and where it ends."""

    kind: bytes
    start: int
    body: int
    end: int

    @property
    def size(self) -> int:
        """Bytes of its content."""
        return self.end - self.body

    @property
    def name(self) -> str:
        """Its type as text; it can be any four bytes."""
        return self.kind.decode("ascii", "backslashreplace")


@dataclass
class _Track:
    """What the boxes of a track declare.

    Attributes:
        number: Its id, to which the references of chapters lead.
        described: Whether it has a handler.
        handlers: Handler types that FFmpeg knows. A track has one; FFmpeg takes the last.
        samples: Samples, according to the table of sizes.
        timed_samples: Samples, according to `stts`.
        run_samples: Samples, according to the run lengths of another table. The largest number.
        times, compositions: Entries of `stts` and `ctts`.
        constant: Whether a table `stts` says that each sample takes one tick, as in uncompressed
            sound.
        chunks: Chunks.
        chunk_runs: The tables `stsc`.
        edits: Edits, without empty ones at the start.
        piece: Samples in one entry of FFmpeg's index, if it is sound of constant size.
    """

    number: int = 0
    described: bool = False
    handlers: set[bytes] = field(default_factory=set)
    samples: int = 0
    timed_samples: int = 0
    run_samples: int = 0
    times: int = 0
    compositions: int = 0
    constant: bool = False
    chunks: int = 0
    chunk_runs: list[_Box] = field(default_factory=list)
    edits: int = 0
    piece: int = _OTHER_PIECE

    @property
    def may_be_in_pieces(self) -> bool:
        """Whether FFmpeg may index it in pieces of chunks. It takes one of several tables."""
        return b"soun" in self.handlers and self.constant

    @property
    def is_in_pieces(self) -> bool:
        """Whether FFmpeg certainly does so, and not sample by sample."""
        alone = self.handlers == {b"soun"} and self.times == 1 and not self.compositions
        return alone and self.constant


def check_isobmff(reader: Reader, limits: StructureLimits) -> int:
    """The number of video tracks of an MP4 or QuickTime file.

    Raises:
        NotMedia: It declares more than it can hold, or more than `limits`.
    """
    return _Checker(reader, limits).check()


class _Checker:
    def __init__(self, reader: Reader, limits: StructureLimits) -> None:
        self._reader = reader
        self._limits = limits
        self._tracks: list[_Track] = []
        #: Boxes marked as free space which contain a movie, with their depth.
        self._spare: list[tuple[_Box, int]] = []
        #: Offsets to which the index of fragments leads.
        self._targets: list[int] = []
        self._chapter_tracks: list[int] = []
        self._boxes = self._movies = self._fragments = self._runs = self._marks = 0
        self._samples = self._header_bytes = self._table_bytes = 0
        self._handlers: dict[bytes, Callable[[_Box], None]] = {
            b"stts": self._read_times,
            b"ctts": self._read_composition,
            b"stsc": self._read_chunk_runs,
            b"stco": self._read_chunks,
            b"co64": self._read_chunks,
            b"stsd": self._read_descriptions,
            b"stsz": self._read_sizes,
            b"stz2": self._read_compact_sizes,
            b"sdtp": self._read_dependencies,
            b"sbgp": self._read_groups,
            b"sgpd": self._read_group_descriptions,
            b"saiz": self._read_auxiliary_sizes,
            b"saio": self._read_auxiliary_offsets,
            b"pssh": self._read_protection,
            b"elst": self._read_edits,
            b"trun": self._read_run,
            b"tfra": self._read_random_access,
            b"sidx": self._read_segments,
            b"chap": self._read_chapter_references,
            b"HMMT": self._read_highlights,
            b"hdlr": self._read_handler,
            b"tkhd": self._read_track_header,
        }

    def check(self) -> int:
        """See `check_isobmff`."""
        size = self._reader.size
        starts = set()
        for box in self._iterate(0, size):
            starts.add(box.start)
            self._enter(box, size, 1, cut=not self._is_known(box.kind))
        self._walk_index_at_end(starts)
        # FFmpeg takes a movie in free space if there is no other.
        while self._spare:
            box, depth = self._spare.pop()
            if box.kind == b"hoov" or not self._movies:
                self._walk(box, depth)
        self._check_fragments(starts)
        self._check_chapters()
        return sum(b"vide" in track.handlers for track in self._tracks)

    # The walk.

    def _is_known(self, kind: bytes) -> bool:
        known = kind in _CONTAINERS or kind in _TABLES or kind in _HEADERS
        return known or kind in self._handlers

    def _iterate(self, start: int, end: int) -> Iterator[_Box]:
        """The boxes between two offsets, as far as FFmpeg reads them. Their ends are unchecked."""
        while end - start >= 8:
            self._boxes += 1
            self._limit("boxes", self._boxes, self._limits.boxes)
            head = self._reader.peek(start, 16)
            size, kind = struct.unpack_from(">I4s", head)
            body = start + 8
            if size == 1 and end - start >= 16:
                size = int.from_bytes(head[8:16], "big")
                body = start + 16
            elif size == 0:
                size = end - start
            if size < body - start:
                return
            yield _Box(kind, start, body, start + size)
            start += size

    def _walk(self, box: _Box, depth: int) -> None:
        """Enter the boxes of a box whose end was checked."""
        self._limit("levels of boxes", depth, self._limits.depth)
        for child in self._iterate(box.body, box.end):
            self._enter(child, box.end, depth + 1, cut=box.kind in _TAGS)
            # FFmpeg reads any other box in these as a text.
            if box.kind in (b"udta", b"ilst") and not self._is_known(child.kind):
                self._count_header(min(child.end, box.end) - child.body)

    def _enter(self, box: _Box, parent_end: int, depth: int, *, cut: bool) -> None:
        if box.kind in _REFUSED:
            raise RefusedMedia(f"it contains {_REFUSED[box.kind]} ({box.name})")
        if box.end > parent_end:
            if not cut and box.end > self._reader.size:
                raise NotMedia(f"it is cut off in its box {box.name}")
            if not cut:
                raise RefusedMedia(f"its box {box.name} ends outside of what contains it")
            box = box._replace(end=parent_end)
        if box.kind == b"trak":
            self._walk_track(box, depth)
        elif box.kind == b"meta":
            self._walk_meta(box, depth)
        elif box.kind in _CONTAINERS:
            self._movies += box.kind == b"moov"
            self._fragments += box.kind == b"moof"
            self._walk(box, depth)
        elif box.kind in (b"free", b"hoov"):
            if self._reader.peek(box.body + 4, 4) in (b"mvhd", b"cmov"):
                self._spare.append((box, depth))
        else:
            self._read_leaf(box)

    def _read_leaf(self, box: _Box) -> None:
        if box.kind in _HEADERS:
            self._count_header(box.size)
        if box.kind in _TABLES:
            (count,) = self._fields(box, ">I")
            self._check_table(box, count, 4 + 4 + count * _TABLES[box.kind])
        if handler := self._handlers.get(box.kind):
            handler(box)

    def _walk_track(self, box: _Box, depth: int) -> None:
        track = _Track()
        self._tracks.append(track)
        self._limit("tracks", len(self._tracks), self._limits.tracks)
        self._walk(box, depth)
        samples = track.run_samples
        if track.may_be_in_pieces:
            sound = max((self._sound_samples(track, box) for box in track.chunk_runs), default=0)
            self._check_density(sound, self._reader.size * _SOUND_PER_BYTE)
            samples = max(samples, track.chunks + sound // track.piece)
        if not track.is_in_pieces:
            samples = max(samples, track.samples, track.timed_samples)
        self._count_samples(samples, max(track.edits, 1))

    def _walk_meta(self, box: _Box, depth: int) -> None:
        """QuickTime's `meta` has no version and MP4's has one: FFmpeg searches for the handler."""
        head = self._reader.peek(box.body, min(_META_HEAD, box.size))
        for offset in range(0, len(head) - 3, 4):
            if head[offset : offset + 4] == b"hdlr":
                self._walk(box._replace(body=box.body + offset - 4), depth)
                return
        if box.size > _META_HEAD:
            raise RefusedMedia("its box meta has no handler")

    def _walk_index_at_end(self, starts: set[int]) -> None:
        """The last bytes of a file can lead to an index of fragments."""
        size = self._reader.size
        if size < 16:
            return
        (length,) = struct.unpack(">I", self._reader.read(size - 4, 4))
        start = size - length
        if length < 8 or start < 0 or start in starts:
            return
        if self._reader.peek(start + 4, 4) == b"mfra":
            self._walk(_Box(b"mfra", start, start + 8, size), 1)

    def _check_fragments(self, starts: set[int]) -> None:
        references = len(self._targets)
        self._limit("references to fragments", references, self._limits.references)
        tracks = max(len(self._tracks), 1)
        entries = (self._fragments + references) * tracks
        self._limit("fragments of tracks", entries, self._limits.fragments)
        compared = self._runs * references
        self._limit("comparisons of fragments", compared, self._limits.comparisons)
        # FFmpeg reads boxes wherever a reference leads, so none may lead into media data.
        if any(target not in starts for target in self._targets if target < self._reader.size):
            raise RefusedMedia("its index of fragments leads to the middle of a box")

    def _check_chapters(self) -> None:
        lengths = {track.number: track.samples for track in self._tracks}
        chapters = sum(lengths.get(number, 0) for number in self._chapter_tracks)
        self._limit("chapters", chapters + self._marks, self._limits.chapters)

    # Limits.

    def _limit(self, name: str, value: int, limit: int) -> None:
        if value > limit:
            raise RefusedMedia(f"it declares {value} {name}, of which at most {limit} are read")

    def _check_fit(self, box: _Box, count: int, needed: int) -> None:
        """Check that `count` entries, which take `needed` bytes with their head, fit into a box."""
        if needed > box.size:
            raise RefusedMedia(f"its table {box.name} declares {count} entries in {box.size} bytes")
        self._limit(f"entries of {box.name}", count, self._limits.samples)

    def _check_table(self, box: _Box, count: int, needed: int) -> None:
        """The same for a table that FFmpeg keeps."""
        self._check_fit(box, count, needed)
        self._table_bytes += box.size
        self._limit("bytes of tables", self._table_bytes, self._limits.table_bytes)

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        self._limit("bytes of parameters and tags", self._header_bytes, self._limits.header_bytes)

    def _check_density(self, samples: int, most: int) -> None:
        if samples > most:
            raise RefusedMedia(f"it declares {samples} samples in {self._reader.size} bytes")

    def _count_samples(self, count: int, edits: int = 1) -> None:
        """Count the samples in FFmpeg's index, which repeats them for each edit.

        A sample takes at least a byte of the file.
        """
        self._check_density(count, self._reader.size)
        self._samples += count * edits
        self._limit("samples", self._samples, self._limits.samples)

    # Reading.

    @property
    def _track(self) -> _Track:
        """The track to which FFmpeg assigns a table: the last one."""
        if not self._tracks:
            self._tracks.append(_Track())
        return self._tracks[-1]

    def _fields(self, box: _Box, form: str, offset: int = 4) -> tuple[int, ...]:
        """Numbers of a box, behind its version and flags unless `offset` says otherwise."""
        size = struct.calcsize(form)
        if offset + size > box.size:
            raise NotMedia(f"its box {box.name} is too short")
        return struct.unpack(form, self._reader.read(box.body + offset, size))

    def _sum_columns(self, start: int, count: int, width: int) -> tuple[list[int], int]:
        """The sums of the columns of a table of 32-bit numbers, and the maximum of the first."""
        import numpy as np

        size = count * width * 4
        sums = np.zeros(width, np.uint64)
        largest = 0
        for offset in range(0, size, _BLOCK):
            data = self._reader.read(start + offset, min(_BLOCK, size - offset))
            rows = np.frombuffer(data, ">u4").reshape(-1, width)
            sums += rows.sum(axis=0, dtype=np.uint64)
            largest = max(largest, int(rows[:, 0].max()))
        return [int(each) for each in sums], largest

    # Boxes.

    def _read_times(self, box: _Box) -> None:
        (count,) = self._fields(box, ">I")
        (samples, ticks), _ = self._sum_columns(box.body + 8, count, 2)
        track = self._track
        track.times += count
        track.timed_samples += samples
        track.constant = track.constant or (count == 1 and ticks == 1)

    def _read_composition(self, box: _Box) -> None:
        (count,) = self._fields(box, ">I")
        (samples, _), _ = self._sum_columns(box.body + 8, count, 2)
        self._track.compositions += count
        self._track.run_samples = max(self._track.run_samples, samples)

    def _read_chunk_runs(self, box: _Box) -> None:
        self._track.chunk_runs.append(box)

    def _read_chunks(self, box: _Box) -> None:
        (count,) = self._fields(box, ">I")
        self._track.chunks += count

    def _sound_samples(self, track: _Track, box: _Box) -> int:
        """The samples of a sound track, according to a table of its chunks. Raises `NotMedia`."""
        import numpy as np

        (left,) = self._fields(box, ">I")
        samples, first, count, start = 0, 0, 0, box.body + 8
        while left:
            number = min(left, _BLOCK // 12)
            rows = np.frombuffer(self._reader.read(start, number * 12), ">u4").reshape(-1, 3)
            steps = np.diff(np.concatenate(([first], rows[:, 0])).astype(np.int64))
            # FFmpeg repairs a table that is not in order, and takes other numbers.
            if (steps < 1).any() or not ((rows[:, 1] > 0) & (rows[:, 1] < 2**31)).all():
                raise RefusedMedia("the chunks of its sound are out of order")
            counts = np.concatenate(([count], rows[:-1, 1]))
            samples += int(steps.astype(float) @ counts.astype(float))
            first, count = int(rows[-1, 0]), int(rows[-1, 1])
            start += number * 12
            left -= number
        return samples + max(track.chunks + 1 - first, 0) * count

    def _read_descriptions(self, box: _Box) -> None:
        (count,) = self._fields(box, ">I")
        self._limit("sample descriptions", count, _DESCRIPTIONS)
        self._limit("bytes of sample descriptions", box.size, _DESCRIPTION_BYTES)
        data = self._reader.read(box.body, box.size)
        track = self._track
        # FFmpeg reads boxes only in those of pictures and sound.
        read = not track.described or track.handlers & {b"vide", b"soun"}
        if read and (table := _NOT_IN_DESCRIPTION.search(data)):
            raise RefusedMedia(f"its sample descriptions contain a box {table.group().decode()}")
        # FFmpeg fails if there is another table of descriptions.
        if count == 1 and data[12:16] in _PCM and _samples_per_frame(data) < _OTHER_PIECE:
            track.piece = _PCM_PIECE

    def _read_sizes(self, box: _Box) -> None:
        size, count = self._fields(box, ">2I")
        track = self._track
        if size == 0:
            self._check_table(box, count, 12 + 4 * count)
            _, size = self._sum_columns(box.body + 12, count, 1)
        track.samples = max(track.samples, count)
        self._limit("bytes in one sample", size, self._limits.sample_bytes)

    def _read_compact_sizes(self, box: _Box) -> None:
        bits, count = self._fields(box, ">2I")
        bits &= 0xFF
        self._check_table(box, count, 12 + (count * bits + 7) // 8)
        self._track.samples = max(self._track.samples, count)

    def _read_dependencies(self, box: _Box) -> None:
        self._check_table(box, max(box.size - 4, 0), 0)

    def _read_groups(self, box: _Box) -> None:
        version = self._fields(box, ">B", 0)[0]
        head = 12 if version == 1 else 8
        (count,) = self._fields(box, ">I", head)
        self._check_table(box, count, head + 4 + 8 * count)
        (samples, _), _ = self._sum_columns(box.body + head + 4, count, 2)
        self._track.run_samples = max(self._track.run_samples, samples)

    def _read_group_descriptions(self, box: _Box) -> None:
        version = self._fields(box, ">B", 0)[0]
        head = 8 + 4 * min(version, 2)
        (count,) = self._fields(box, ">I", head)
        size = self._fields(box, ">I", 8)[0] if version else 0
        self._check_table(box, count, head + 4 + count * (size or (4 if version else 1)))

    def _read_auxiliary_sizes(self, box: _Box) -> None:
        flags = self._fields(box, ">I", 0)[0]
        head = 12 if flags & 1 else 4
        size, count = self._fields(box, ">BI", head)
        self._check_table(box, count, head + 5 + (0 if size else count))
        self._check_density(count, self._reader.size)

    def _read_auxiliary_offsets(self, box: _Box) -> None:
        flags = self._fields(box, ">I", 0)[0]
        head = 12 if flags & 1 else 4
        (count,) = self._fields(box, ">I", head)
        self._check_table(box, count, head + 4 + count * (8 if flags >> 24 else 4))

    def _read_protection(self, box: _Box) -> None:
        version = self._fields(box, ">B", 0)[0]
        head = 20
        if version:
            (count,) = self._fields(box, ">I", head)
            self._check_table(box, count, head + 4 + 16 * count)
            head += 4 + 16 * count
        (size,) = self._fields(box, ">I", head)
        self._check_table(box, size, head + 4 + size)

    def _read_edits(self, box: _Box) -> None:
        version, (count,) = self._fields(box, ">B", 0)[0], self._fields(box, ">I")
        size, form = (20, ">QqI") if version == 1 else (12, ">IiI")
        self._check_table(box, count, 8 + size * count)
        # FFmpeg goes by the size of the box where the two differ.
        count = (box.size - 8) // size
        self._limit("edits", count, self._limits.chapters)
        edits = struct.iter_unpack(form, self._reader.read(box.body + 8, count * size))
        begun = False
        number = 0
        for _duration, time, _rate in edits:
            begun = begun or time != -1
            number += begun
        self._track.edits = max(self._track.edits, number)

    def _read_run(self, box: _Box) -> None:
        flags, count = self._fields(box, ">2I", 0)
        fields = (flags & 0x001, flags & 0x004)
        columns = (flags & 0x100, flags & 0x200, flags & 0x400, flags & 0x800)
        head = 8 + 4 * sum(map(bool, fields))
        self._check_fit(box, count, head + 4 * count * sum(map(bool, columns)))
        self._runs += 1
        self._count_samples(count)

    def _read_random_access(self, box: _Box) -> None:
        version = self._fields(box, ">B", 0)[0]
        lengths, count = self._fields(box, ">2I", 8)
        rest = sum((lengths >> shift & 3) + 1 for shift in (0, 2, 4))
        form = f">QQ{rest}x" if version == 1 else f">II{rest}x"
        size = struct.calcsize(form)
        self._check_fit(box, count, 16 + count * size)
        self._limit("references to fragments", count, self._limits.references)
        entries = struct.iter_unpack(form, self._reader.read(box.body + 16, count * size))
        self._targets += [offset for _time, offset in entries]

    def _read_segments(self, box: _Box) -> None:
        version = self._fields(box, ">B", 0)[0]
        form = ">QQHH" if version else ">IIHH"
        _time, first, _reserved, count = self._fields(box, form, 12)
        head = 12 + struct.calcsize(form)
        self._check_fit(box, count, head + 12 * count)
        offset = box.end + first
        for size, _duration, _flags in struct.iter_unpack(
            ">3I", self._reader.read(box.body + head, 12 * count)
        ):
            self._targets.append(offset)
            offset += size & 0x7FFFFFFF
        self._limit("references to fragments", len(self._targets), self._limits.references)

    def _read_chapter_references(self, box: _Box) -> None:
        count = box.size // 4
        self._limit("tracks of chapters", count, self._limits.tracks)
        self._chapter_tracks += struct.unpack(f">{count}I", self._reader.read(box.body, 4 * count))

    def _read_highlights(self, box: _Box) -> None:
        self._marks += self._fields(box, ">I", 0)[0] if box.size >= 4 else 0
        self._limit("chapters", self._marks, self._limits.chapters)

    def _read_handler(self, box: _Box) -> None:
        kind = self._reader.peek(box.body + 8, 4)
        self._track.described = True
        if kind in (b"vide", b"soun", b"subp", b"clcp"):
            self._track.handlers.add(kind)

    def _read_track_header(self, box: _Box) -> None:
        version = self._fields(box, ">B", 0)[0]
        (number,) = self._fields(box, ">I", 20 if version == 1 else 12)
        # FFmpeg takes a larger one as negative, and searches a thousand million fragments for each
        # run of samples.
        self._limit("as the number of a track", number, 2**31 - 1)
        self._track.number = number


def _samples_per_frame(description: bytes) -> int:
    """Samples in a frame, from the description of a sound track in QuickTime's versions 1 and 2."""
    version = int.from_bytes(description[24:26], "big")
    place = {1: 44, 2: 76}.get(version)
    return int.from_bytes(description[place : place + 4], "big") if place else 1
