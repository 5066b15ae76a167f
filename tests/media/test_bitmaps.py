"""BMP and TIFF files: opened within limits, or kept unopened."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pika_api.media import (
    NotMedia,
    RefusedMedia,
    UnreadFormat,
    check_structure,
    first_frame,
    inspect_file,
    open_picture,
)

PIXELS = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
LIMIT = 1_000_000


def encoded(form: str, mode: str = "RGB", **options: Any) -> bytes:
    data = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(data, form, **options)
    return data.getvalue()


def bmp(width: int, height: int, *, header: int = 40, compression: int = 0) -> bytes:
    """A BMP of this size without pixels."""
    if header == 12:
        body = struct.pack("<I4H", 12, width, height, 1, 24)
    else:
        body = struct.pack("<IiiHHI", header, width, height, 1, 24, compression).ljust(
            header, b"\0"
        )
    return struct.pack("<2sIII", b"BM", 14 + len(body), 0, 14 + len(body)) + body + bytes(100)


def tiff(*entries: tuple[int, int, int, int], order: str = "<", following: int = 0) -> bytes:
    """A TIFF with a directory of these entries: tag, type, number of values, value."""
    rows = b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    count = struct.pack(f"{order}H", len(entries))
    return head + count + rows + struct.pack(f"{order}I", following) + bytes(100)


SIZE = ((256, 4, 1, 60), (257, 4, 1, 40))
HOSTILE = {
    "bmp": bmp(100_000, 100_000),
    "bmp from the top": bmp(100_000, -100_000),
    "bmp of OS/2": bmp(60_000, 60_000, header=12),
    "tiff": tiff((256, 4, 1, 100_000), (257, 4, 1, 100_000)),
    "tiff tile": tiff(*SIZE, (322, 4, 1, 100_000), (323, 4, 1, 100_000)),
    "tiff channels": tiff(*SIZE, (277, 4, 1, 60_000)),
    "tiff bits": tiff(*SIZE, (258, 4, 1, 4096)),
    "tiff of wide pixels": tiff(
        (256, 4, 1, 1000), (257, 4, 1, 999), (277, 4, 1, 6), (258, 4, 1, 64)
    ),
    "tiff strips": tiff(*SIZE, (273, 4, 20, 8)),
    "tiff tiles": tiff(*SIZE, (322, 4, 1, 60), (323, 4, 1, 40), (324, 4, 20, 8)),
    "tiff texts": tiff(*SIZE, *((40_000 + each, 7, 10_000_000, 8) for each in range(2))),
    "tiff text behind a pointer": tiff(*SIZE, (34665, 4, 1, 8), (700, 1, 20_000_000, 8)),
    "big endian tiff": tiff((256, 4, 1, 100_000), (257, 4, 1, 100_000), order=">"),
}
#: Files that are opened: Pillow's name, its mode, and its options.
OPENED = {
    "bmp": ("BMP", "RGB", {}),
    "bmp of one bit": ("BMP", "1", {}),
    "bmp with a palette": ("BMP", "P", {}),
    "bmp with alpha": ("BMP", "RGBA", {}),
    "tiff": ("TIFF", "RGB", {}),
    "tiff with lzw": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    "tiff with deflate": ("TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
    "tiff with packbits": ("TIFF", "RGB", {"compression": "packbits"}),
    "tiff with alpha": ("TIFF", "RGBA", {}),
    "tiff in gray": ("TIFF", "L", {}),
    "tiff of one bit": ("TIFF", "1", {}),
    "tiff with a palette": ("TIFF", "P", {}),
    "tiff for print": ("TIFF", "CMYK", {}),
    "tiff with a profile": ("TIFF", "RGB", {"icc_profile": bytes(3000), "dpi": (72, 72)}),
    "tiff in strips": ("TIFF", "RGB", {"strip_size": 600}),
    "tiff with exif": ("TIFF", "RGB", {"exif": b"Exif\0\0" + tiff((271, 2, 4, 0))}),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(OPENED))
def test_picture_is_read(tmp_path: Path, name: str) -> None:
    """With its exact pixels, where the format keeps them."""
    form, mode, options = OPENED[name]
    path = tmp_path / "a"
    path.write_bytes(encoded(form, mode, **options))
    inspection = inspect_file(path)
    assert inspection.problem == ""
    assert (inspection.probe.kind, inspection.probe.container) == ("image", form.lower())
    assert (inspection.probe.width, inspection.probe.height) == (60, 40)
    frame = first_frame(path)[0]
    if mode in ("RGB", "RGBA"):
        assert (np.rint(frame * 255) == PIXELS).all()


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_picture_is_refused(name: str) -> None:
    """By what it declares, before Pillow opens it."""
    with pytest.raises(RefusedMedia) as caught:
        check_structure(io.BytesIO(HOSTILE[name]), LIMIT)
    assert not isinstance(caught.value, UnreadFormat)


@pytest.mark.parametrize(
    "data",
    [encoded("TIFF", compression="jpeg"), bmp(60, 40, compression=1), bmp(60, 40, compression=4)],
    ids=["tiff with jpeg", "bmp with runs", "bmp with jpeg"],
)
def test_compression_with_its_own_limits_is_not_opened(tmp_path: Path, data: bytes) -> None:
    """It is kept, and another program may open it."""
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(UnreadFormat, match="compress"):
        inspect_file(path)


def test_pointer_to_itself_ends() -> None:
    """A directory that leads to itself, or to one that leads back, is read once."""
    for data in (tiff(*SIZE, (330, 4, 1, 8)), tiff(*SIZE, following=8)):
        assert check_structure(io.BytesIO(data), LIMIT).demuxer is None


@pytest.mark.parametrize("form", ["BMP", "TIFF"])
def test_poster_has_another_format(form: str) -> None:
    """Thumbnails and previews open what feeds are known to show, and nothing else."""
    with pytest.raises(NotMedia), open_picture(io.BytesIO(encoded(form))):
        pass


def test_tiff_without_bits_is_refused_or_read() -> None:
    """Its number of bits per sample is a list without an entry."""
    data = bytearray(encoded("TIFF"))
    for place in range(min(len(data), 400)):
        changed = bytes(data[:place]) + b"\0" + bytes(data[place + 1 :])
        with contextlib.suppress(NotMedia):
            check_structure(io.BytesIO(changed), LIMIT)


@given(st.sampled_from(sorted(OPENED)), st.data())
def test_changed_picture_raises_nothing_else(name: str, choice: st.DataObject) -> None:
    """Whatever bytes are changed or cut off."""
    form, mode, options = OPENED[name]
    data = bytearray(encoded(form, mode, **options))
    for _ in range(choice.draw(st.integers(1, 4))):
        near = choice.draw(st.booleans())
        place = choice.draw(st.integers(0, min(len(data), 200) - 1 if near else len(data) - 1))
        data[place] = choice.draw(st.integers(0, 255))
    data = data[: choice.draw(st.integers(0, len(data)) | st.just(len(data)))]
    with contextlib.suppress(NotMedia):
        check_structure(io.BytesIO(bytes(data)), LIMIT)
