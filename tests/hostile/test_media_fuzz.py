"""Mutated media files are read or refused, in little memory."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_samples import VIDEOS
from media_worker import Worker

from support.sizes import at_most

#: Megabytes that one inspection may take. A frame of at most a million pixels is a part of it.
ROOM = 128
#: Files to start from: sample tables, fragments, chunks of sound, an index of segments, elements.
SEEDS = (
    "mp4_with_sound",
    "mp4_edit_list",
    "mp4_fragments",
    "mp4_segment_index",
    "mp4_itunes_tags",
    "mov_uncompressed_sound",
    "webm_vp9",
    "mkv",
)
#: Numbers that are likely to hurt.
NUMBERS = st.sampled_from(
    [0, 1, 2, 255, 4096, 65_535, 10**6, 60_000_000, 2**28, 2**31 - 1, 2**31, 2**32 - 1]
) | st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files to start from."""
    folder = tmp_path_factory.mktemp("seeds")
    return {name: VIDEOS[name](folder).read_bytes() for name in SEEDS}


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Worker]:
    """A process with limited memory and time for each file."""
    process = Worker(pixels=1_000_000, seconds=5.0, open_seconds=5.0)
    try:
        yield process
    finally:
        process.close()


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The offsets and ends of the boxes in a file, at every level."""
    while end - start >= 8:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < 8 or start + size > end:
            return
        yield start, start + size
        if kind in b"moov trak mdia minf stbl edts moof traf mvex udta dinf".split():
            yield from boxes(data, start + 8, start + size)
        start += size


@st.composite
def mutations(draw: st.DrawFn, data: bytes) -> bytes:
    """A file with some of its numbers, boxes and bytes changed."""
    changed = bytearray(data)
    spans = list(boxes(data, 0, len(data))) or [(0, min(len(data), 1000))]
    for _ in range(draw(st.integers(1, 4))):
        start, end = draw(st.sampled_from(spans))
        how = draw(st.sampled_from(["number", "number", "size", "kind", "twice", "gone", "byte"]))
        if how == "number":
            # Behind the version and flags there are counts; further on there are entries.
            place = start + draw(st.integers(8, max(min(end - start, 200) - 4, 8)))
            changed[place : place + 4] = struct.pack(">I", draw(NUMBERS))
        elif how == "size":
            changed[start : start + 4] = struct.pack(">I", draw(NUMBERS))
        elif how == "kind":
            other, _end = draw(st.sampled_from(spans))
            changed[start + 4 : start + 8] = data[other + 4 : other + 8]
        elif how == "twice":
            changed[end:end] = data[start:end] * draw(st.integers(1, 30))
        elif how == "gone":
            del changed[start:end]
        else:
            place = draw(st.integers(0, len(data) - 1))
            changed[place : place + 1] = bytes([draw(st.integers(0, 255))])
    return bytes(changed)


@pytest.mark.parametrize("name", SEEDS)
@settings(max_examples=at_most(60), database=None)  # the files differ, and with them what is drawn
@given(choice=st.data())
def test_mutated_file_takes_little_memory(
    originals: dict[str, bytes], fuzzed: Worker, name: str, choice: st.DataObject
) -> None:
    """The process neither dies nor hangs, and raises nothing but `NotMedia`."""
    data = choice.draw(mutations(originals[name]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a")
        path.write_bytes(data)
        verdict = fuzzed.inspect(path)
    assert verdict.error in ("", "NotMedia", "RefusedMedia"), verdict
    assert verdict.megabytes < ROOM, verdict
