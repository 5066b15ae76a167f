"""What the first bytes of a file say, and whether its structure shows that its end is there."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pika_api.media import is_complete, kind_of_file
from support.api import write_video
from support.sizes import sized

#: Parts of an endless file: at 2,000,000 a reader that is slow for each of them is noticed.
PARTS = sized(400_000, 2_000_000)
PIXELS = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)


def video(name: str, codec: str = "libx264", **options: bool) -> Callable[[Path], Path]:
    return lambda folder: write_video(folder / name, codec=codec, **options)


def picture(form: str, mode: str = "RGB", **options: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "picture"
        Image.fromarray(PIXELS).convert(mode).save(path, form, **options)
        return path

    return write


def frames(form: str) -> Callable[[Path], Path]:
    """Several pictures in one file."""
    others = [Image.fromarray(PIXELS[::-1].copy()), Image.fromarray(PIXELS)]
    return picture(form, save_all=True, append_images=others)


#: Files whose end can be proved, with their suffixes.
PROVED: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "mp4": (".mp4", video("a.mp4")),
    "mp4 with the index first": (".mp4", video("a.mp4", faststart=True)),
    "mov": (".mp4", video("a.mov")),
    "webm": (".webm", video("a.webm", "libvpx-vp9")),
    "mkv": (".webm", video("a.mkv")),
    "avi": (".avi", video("a.avi", "mpeg4")),
    "png": (".png", picture("PNG")),
    "jpeg": (".jpg", picture("JPEG")),
    "progressive jpeg": (".jpg", picture("JPEG", progressive=True)),
    "two jpegs": (".jpg", frames("MPO")),
    "gif": (".gif", picture("GIF")),
    "animated gif": (".gif", frames("GIF")),
    "webp": (".webp", picture("WEBP")),
    "lossless webp": (".webp", picture("WEBP", lossless=True)),
    "bmp": (".bmp", picture("BMP")),
    "bmp with a palette": (".bmp", picture("BMP", "P")),
    "bmp of one bit": (".bmp", picture("BMP", "1")),
    "tiff": (".tiff", picture("TIFF")),
    "tiff with lzw": (".tiff", picture("TIFF", compression="tiff_lzw")),
    "tiff with jpeg": (".tiff", picture("TIFF", compression="jpeg")),
    "tiff of several pages": (".tiff", frames("TIFF")),
    "big endian tiff": (".tiff", picture("TIFF", "I;16B")),
}
#: Bytes at the end that no picture needs.
PADDING = {"tiff of several pages": 4}
#: Files that are complete, and whose structure does not prove it.
UNPROVED: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "ts": (".ts", video("a.ts")),
    "flv": (".flv", video("a.flv")),
    "mpg": (".mpg", video("a.mpg", "mpeg2video")),
}


@pytest.mark.parametrize("name", sorted(PROVED))
def test_file_may_be_cut_anywhere(tmp_path: Path, name: str) -> None:
    """The whole file is complete; cut at any place, it is not."""
    suffix, write = PROVED[name]
    path = write(tmp_path)
    data = path.read_bytes()
    assert kind_of_file(path).suffix == suffix
    assert is_complete(path)
    cut = tmp_path / "cut"
    needed = len(data) - PADDING.get(name, 0)
    last = range(max(needed - 40, 1), needed)
    for size in [*range(0, needed, max(len(data) // 150, 1)), *last]:
        cut.write_bytes(data[:size])
        assert not is_complete(cut), size


@pytest.mark.parametrize("name", sorted(UNPROVED))
def test_end_that_cannot_be_proved(tmp_path: Path, name: str) -> None:
    """A stream of packets does not say how many there are."""
    suffix, write = UNPROVED[name]
    path = write(tmp_path)
    assert kind_of_file(path).suffix == suffix
    assert not is_complete(path)


def test_mp4_whose_samples_are_missing(tmp_path: Path) -> None:
    """Cut between two boxes: the boxes end where the file ends, and the samples are not there."""
    data = write_video(tmp_path / "a.mp4", faststart=True).read_bytes()
    start = data.index(b"mdat") - 4
    path = tmp_path / "cut"
    path.write_bytes(data[:start])
    assert not is_complete(path)
    path.write_bytes(data[:start] + struct.pack(">I4s", 8, b"mdat"))
    assert not is_complete(path)
    path.write_bytes(data)
    assert is_complete(path)


def test_last_fragment_may_be_missing(tmp_path: Path) -> None:
    """Cut between two fragments: only the index at the end shows that there are no more."""
    import av

    path = tmp_path / "a.mp4"
    flags = {"movflags": "frag_keyframe+empty_moov", "g": "4"}
    with av.open(str(path), "w", options=flags) as container:
        stream = container.add_stream("libx264", rate=24, options={"g": "4"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    assert is_complete(path)
    path.write_bytes(data[: data.rindex(b"moof") - 4])
    assert not is_complete(path)
    path.write_bytes(data[: data.rindex(b"mfra") - 4])
    assert not is_complete(path)


@pytest.mark.parametrize("depth", [3, 5000])
@pytest.mark.parametrize("kind", [b"moov", b"trak"])
def test_nested_boxes_end(tmp_path: Path, depth: int, kind: bytes) -> None:
    """Boxes in boxes are followed to a fixed depth."""
    data = b""
    for _ in range(depth):
        data = struct.pack(">I4s", len(data) + 8, kind) + data
    path = tmp_path / "a.mp4"
    path.write_bytes(struct.pack(">I4s", len(data) + 8, b"moov") + data)
    assert not is_complete(path)


@pytest.mark.parametrize(
    ("data", "suffix", "text"),
    [
        (b"", ".bin", True),
        (b"<html>", ".txt", True),
        (b"BMW is not a picture", ".txt", True),
        (b"Gone.\n" + b"G" * 900, ".txt", True),
        (b"GIF8 is a text here", ".txt", True),
        ("{'message': '链接已过期'}".encode(), ".txt", True),
        ("﻿<html>".encode(), ".txt", True),
        ("<html>".encode("utf-16-le"), ".bin", False),
        ("<html>".encode("utf-16"), ".txt", True),
        (b"BM" + bytes(100), ".bin", False),
        (b"\x1f\x8b\x08" + bytes(100), ".gz", False),
        (b"RIFF\0\0\0\0WAVE" + bytes(100), ".bin", False),
        (bytes(600), ".bin", False),
    ],
)
def test_kind_of_other_files(tmp_path: Path, data: bytes, suffix: str, text: bool) -> None:
    """A text is known by its characters, whatever its first letters are."""
    path = tmp_path / "a"
    path.write_bytes(data)
    kind = kind_of_file(path)
    assert (kind.suffix, kind.text) == (suffix, text)


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a\1\0\1\0\0\0\0\x21\xfe" + b"\1x" * 2 * PARTS,
        b"\xff\xd8\xff\xe0\0\x02" + b"\xff\xe1\0\x02" * PARTS,
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sI", 0, b"tEXt", 0) * 2 * PARTS,
        struct.pack(">I4s", 8 + 8 * 2 * PARTS, b"moov")
        + struct.pack(">I4s", 8, b"trak") * 2 * PARTS,
    ],
    ids=["gif", "jpeg", "png", "mp4"],
)
def test_endless_structure_ends(tmp_path: Path, data: bytes) -> None:
    """Many empty parts take time in proportion to their number, and prove nothing."""
    path = tmp_path / "a"
    path.write_bytes(data)
    started = time.monotonic()
    assert not is_complete(path)
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a\1\0\1\0\0\0\0\x55" + bytes(20),
        b"\x1a\x45\xdf\xa3\x00" + bytes(20),
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01" + b"\xff" * 7 + bytes(20),
        b"RIFF" + struct.pack("<I", 4) + b"WEBP" + b"more",
        b"RIFF" + struct.pack("<I", 4) + b"AVI " + b"RIF",
        struct.pack(">I4s", 16, b"ftyp") + b"isom\0\0\0\0" + struct.pack(">I4s", 3, b"moov"),
        b"\xff\xd8\xff\xe0\0\x10",
    ],
    ids=["gif", "webm", "webm_without_a_length", "webp", "avi", "mp4", "jpeg"],
)
def test_structure_with_a_strange_part_proves_nothing(tmp_path: Path, data: bytes) -> None:
    """What follows cannot be known, so the file is not called complete."""
    path = tmp_path / "a"
    path.write_bytes(data)
    assert not is_complete(path)
