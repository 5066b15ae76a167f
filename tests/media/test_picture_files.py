"""Picture files as people have them, through the command line: their pixels, or a clear error."""

from __future__ import annotations

import base64
import io
import json
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pika_api.cli import main
from pika_api.errors import InvalidInput
from pika_api.media import read_image_file
from simulator import Simulator
from support.api import KEY

#: A colour picture in which no two rows or columns are the same, and a grey one of 16 bits.
COLOUR = np.random.default_rng(1).integers(0, 256, (9, 14, 3), np.uint8)
GREY = np.linspace(0, 65535, 9 * 14).astype(np.uint16).reshape(9, 14)
ALPHA = np.arange(9 * 14, dtype=np.uint8).reshape(9, 14) * 2


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(channels: int, transparent: bytes = b"") -> bytes:
    """A PNG of 16 bits, which Pillow cannot write in colour: grey, grey and alpha, RGB or RGBA."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    values = np.repeat(GREY[:, :, None], channels, axis=2).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    head = struct.pack(">IIBBBBB", 14, 9, 16, kind, 0, 0, 0)
    hidden = chunk(b"tRNS", transparent) if transparent else b""
    body = chunk(b"IHDR", head) + hidden + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def saved(pixels: np.ndarray, form: str, mode: str | None = None, **options: object) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(file, form, **options)
    return file.getvalue()


def over_white(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[:, :, 3:].astype(float) / 255
    return np.rint(rgba[:, :, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def by_pillow(data: bytes) -> np.ndarray:
    """Pillow's own conversion to RGB, over white where it is transparent."""
    with Image.open(io.BytesIO(data)) as picture:
        if not picture.has_transparency_data:
            return np.asarray(picture.convert("RGB"))
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        return np.asarray(Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB"))


def grey8(values: np.ndarray) -> np.ndarray:
    return np.repeat((values >> 8).astype(np.uint8)[:, :, None], 3, axis=2)


def palette(form: str, transparent: object = None) -> bytes:
    picture = Image.fromarray(COLOUR).quantize(16)
    file = io.BytesIO()
    options = {} if transparent is None else {"transparency": transparent}
    picture.save(file, form, **options)
    return file.getvalue()


RGBA = np.dstack([COLOUR, ALPHA])
LA = Image.fromarray(COLOUR).convert("L")
#: File, and its pixels; None for those of Pillow.
FILES: dict[str, tuple[Callable[[], bytes], Callable[[], np.ndarray] | None]] = {
    "16-bit grey PNG": (lambda: saved(GREY, "PNG"), lambda: grey8(GREY)),
    "16-bit grey TIFF": (lambda: saved(GREY, "TIFF"), lambda: grey8(GREY)),
    "16-bit grey TIFF, compressed": (
        lambda: saved(GREY, "TIFF", compression="tiff_lzw"), lambda: grey8(GREY),
    ),
    "16-bit grey TIFF, big-endian": (
        lambda: saved(GREY.astype(">u2"), "TIFF"), lambda: grey8(GREY),
    ),
    "16-bit grey PNG, one value transparent": (
        lambda: png16(1, struct.pack(">H", int(GREY[3, 3]))),
        lambda: np.where((GREY[3, 3] == GREY)[:, :, None], np.uint8(255), grey8(GREY)),
    ),
    "16-bit RGB PNG": (lambda: png16(3), lambda: grey8(GREY)),
    "16-bit grey and alpha PNG": (
        lambda: png16(2), lambda: over_white(np.dstack([grey8(GREY), GREY >> 8])),
    ),
    "16-bit RGBA PNG": (
        lambda: png16(4), lambda: over_white(np.dstack([grey8(GREY), GREY >> 8])),
    ),
    "RGB PNG": (lambda: saved(COLOUR, "PNG"), lambda: COLOUR),
    "RGBA PNG": (lambda: saved(RGBA, "PNG"), lambda: over_white(RGBA)),
    "RGBA WebP": (lambda: saved(RGBA, "WEBP", lossless=True, exact=True), lambda: over_white(RGBA)),
    "RGB TIFF": (lambda: saved(COLOUR, "TIFF"), lambda: COLOUR),
    "BMP": (lambda: saved(COLOUR, "BMP"), lambda: COLOUR),
    "grey PNG": (lambda: saved(COLOUR, "PNG", "L"), None),
    "grey and alpha PNG": (lambda: saved(RGBA, "PNG", "LA"), None),
    "black and white PNG": (lambda: saved(COLOUR, "PNG", "1"), None),
    "palette PNG": (lambda: palette("PNG"), None),
    "palette PNG, one colour transparent": (lambda: palette("PNG", 3), None),
    "palette PNG, colours half transparent": (
        lambda: palette("PNG", bytes(range(0, 256, 16))), None,
    ),
    "palette GIF, one colour transparent": (lambda: palette("GIF", 3), None),
    "JPEG": (lambda: saved(COLOUR, "JPEG", quality=90), None),
    "grey JPEG": (lambda: saved(COLOUR, "JPEG", "L"), None),
    "CMYK JPEG": (lambda: saved(COLOUR, "JPEG", "CMYK", quality=95), None),
    "CMYK TIFF": (lambda: saved(COLOUR, "TIFF", "CMYK"), None),
}  # fmt: skip


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], np.ndarray]:
    """Runs ``generate --image``; the pixels that the gateway decodes."""

    def run(path: Path) -> np.ndarray:
        with Simulator(key=KEY) as gateway:
            monkeypatch.setenv("PIKA_API_KEY", gateway.key)
            monkeypatch.setenv("PIKA_BASE_URL", gateway.url)
            monkeypatch.setenv("PIKA_HOME", str(tmp_path / "home"))
            assert main(["generate", "x", "--image", str(path)]) == 0
            text = gateway.requests(method="POST", path="/pika/generate")[-1].text
        data = base64.b64decode(json.loads(text or "")["image"])
        with Image.open(io.BytesIO(data)) as picture:
            assert (picture.format, picture.mode) == ("PNG", "RGB")
            return np.asarray(picture)

    return run


@pytest.mark.parametrize("kind", FILES)
def test_picture_is_sent_with_its_pixels(
    tmp_path: Path, sent: Callable[[Path], np.ndarray], kind: str
) -> None:
    """Those of Pillow, except where it would make a picture of 16 bits white."""
    make, expected = FILES[kind]
    data = make()
    path = tmp_path / "picture"
    path.write_bytes(data)
    pixels = by_pillow(data) if expected is None else expected()
    away = np.abs(sent(path).astype(int) - pixels)
    assert away.max() <= 1  # Pillow rounds alpha in another way
    assert (away > 0).mean() < (
        0.2 if "alpha" in kind or "half" in kind or "RGBA" in kind else 0.001
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(
    tmp_path: Path, sent: Callable[[Path], np.ndarray], form: str, orientation: int
) -> None:
    """All eight of them, as a viewer shows the picture."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    quarters = np.zeros((32, 48, 3), np.uint8)
    quarters[:16, :24], quarters[:16, 24:], quarters[16:, :24] = 250, 170, 90
    data = saved(quarters, form, exif=exif)
    path = tmp_path / "picture"
    path.write_bytes(data)
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda pixels: pixels,
        2: lambda pixels: pixels[:, ::-1],
        3: lambda pixels: pixels[::-1, ::-1],
        4: lambda pixels: pixels[::-1],
        5: lambda pixels: pixels.transpose(1, 0, 2),
        6: lambda pixels: np.rot90(pixels, -1),
        7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: lambda pixels: np.rot90(pixels),
    }
    upright = turns[orientation](quarters)
    pixels = sent(path)
    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).mean() < 6


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08"],
)
def test_damaged_exif_is_ignored(tmp_path: Path, exif: bytes) -> None:
    """The picture itself is whole. There is no warning either."""
    path = tmp_path / "picture"
    path.write_bytes(saved(COLOUR, "JPEG", exif=exif))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image_file(path).shape == COLOUR.shape


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animation_is_refused(tmp_path: Path, form: str) -> None:
    """Which of its pictures is meant is not known, and a task costs money."""
    path = tmp_path / "picture"
    other = Image.fromarray(COLOUR[::-1])
    path.write_bytes(saved(COLOUR, form, save_all=True, append_images=[other, other]))
    with pytest.raises(InvalidInput, match=r"has [23] pictures.*\n.*PNG"):
        read_image_file(path)


def test_second_picture_of_a_phone_is_left_out(tmp_path: Path) -> None:
    """A JPEG with a map of brightness behind the photograph is one picture."""
    path = tmp_path / "picture"
    path.write_bytes(saved(COLOUR, "MPO", save_all=True, append_images=[Image.new("L", (4, 4))]))
    assert read_image_file(path).shape == COLOUR.shape


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_32_bits_are_refused(tmp_path: Path, kind: type) -> None:
    """Nothing says which number is white."""
    path = tmp_path / "picture"
    path.write_bytes(saved(GREY.astype(kind), "TIFF"))
    with pytest.raises(InvalidInput, match=r"32 bits.*8 or 16"):
        read_image_file(path)


@pytest.mark.parametrize("data", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"GRIB"])
def test_format_that_runs_a_program_is_not_opened(tmp_path: Path, data: bytes) -> None:
    """Pillow would start Ghostscript for an EPS file."""
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match="is not a picture"):
        read_image_file(path)
