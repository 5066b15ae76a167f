"""Pictures: from floats to the bytes that are sent."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pika_api.errors import InvalidInput
from pika_api.media import Media, types
from pika_api.media.images import to_rgb8
from support.api import from_picture_file, from_pixels, picture


def reference(image: Any) -> Any:
    """The same in float64, step by step: clamp, composite over white, round, grey to RGB."""
    pixels = np.clip(np.asarray(image, dtype=np.float64)[0], 0.0, 1.0)
    if pixels.shape[2] == 4:
        alpha = pixels[:, :, 3:]
        pixels = pixels[:, :, :3] * alpha + (1.0 - alpha)
    eight = np.rint(pixels * 255.0).astype(np.uint8)
    return np.repeat(eight, 3, axis=2) if eight.shape[2] == 1 else eight


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 5), (1, 9), (64, 33)])
def test_floats_are_converted_like_the_reference(channels: int, height: int, width: int) -> None:
    """Each number of channels and odd sizes. A half may be rounded up or down in float32."""
    image = picture(height, width, channels) * 1.4 - 0.2
    rgb = to_rgb8(image)
    expected = reference(image)
    assert rgb.shape == (height, width, 3)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    different = rgb != expected
    assert np.abs(rgb.astype(int) - expected)[different].max(initial=0) <= 1
    assert different.mean() < 0.002


def test_all_256_values_are_kept() -> None:
    """k/255 becomes k again. Truncating would be off by one for almost half of them."""
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    image = np.repeat(values.reshape(1, 16, 16, 1), 3, axis=3)
    assert (to_rgb8(image)[:, :, 0].ravel() == np.arange(256)).all()


def test_values_are_rounded() -> None:
    """Just under k + 0.5 is rounded down, just over it up."""
    under = np.full((1, 1, 1, 3), 100.49 / 255, np.float32)
    over = np.full((1, 1, 1, 3), 100.51 / 255, np.float32)
    assert to_rgb8(under).max() == 100
    assert to_rgb8(over).min() == 101


def test_values_out_of_range_are_clamped() -> None:
    """No wrap-around: -0.1 is black, 1.5 and a million are white."""
    image = np.array([[[[-0.1, 1.5, 1e6]]]], dtype=np.float32)
    assert to_rgb8(image).ravel().tolist() == [0, 255, 255]


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, 255), (1.0, 51), (0.5, 153), (9.0, 51)])
def test_alpha_is_composited_over_white(alpha: float, expected: int) -> None:
    """Transparent becomes white, opaque stays, half is half. Alpha is clamped, too."""
    image = np.array([[[[0.2, 0.2, 0.2, alpha]]]], dtype=np.float32)
    assert to_rgb8(image).ravel().tolist() == [expected] * 3


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_other_float_types_and_views_give_the_same_pixels(kind: Any) -> None:
    """Half and double precision, and a view that is not contiguous."""
    values = (np.arange(60).reshape(1, 4, 5, 3) * 4 / 255).astype(kind)
    rgb = to_rgb8(values)
    assert (rgb.ravel() == np.arange(60) * 4).all()
    assert (to_rgb8(values.transpose(0, 2, 1, 3)) == rgb.transpose(1, 0, 2)).all()


def test_input_is_not_modified() -> None:
    """ComfyUI passes the same tensor to other nodes."""
    image = picture(4, 4, 4) * 3 - 1
    before = image.copy()
    to_rgb8(image)
    assert (image == before).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("channel", [0, 3])
def test_nan_and_infinity_are_refused(bad: float, channel: int) -> None:
    """In a colour or in alpha: an error, not a black spot that is paid for."""
    image = picture(3, 3, 4)
    image[0, 1, 1, channel] = bad
    with pytest.raises(InvalidInput, match="not numbers"):
        to_rgb8(image)


@pytest.mark.parametrize("count", [0, 2, 16])
def test_batch_is_refused_with_a_hint(count: int) -> None:
    """Never only its first picture."""
    with pytest.raises(InvalidInput, match=f"a batch of {count} images.*\n.*list"):
        to_rgb8(np.zeros((count, 4, 4, 3), np.float32))


@pytest.mark.parametrize(
    "shape",
    [(), (3,), (4, 4), (1, 4, 4, 2), (1, 4, 4, 5), (1, 0, 4, 3), (1, 4, 0, 3), (1, 1, 4, 4, 3)],
)
def test_invalid_shape_is_refused(shape: tuple[int, ...]) -> None:
    """The message contains the shape."""
    with pytest.raises(InvalidInput) as caught:
        to_rgb8(np.zeros(shape, np.float32))
    assert str(shape) in str(caught.value)


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([1, 3, 4]),
    st.integers(0, 2**32 - 1),
    st.floats(0.1, 3.0),
)
def test_any_picture_is_within_half_a_step_of_the_exact_value(
    height: int, width: int, channels: int, seed: int, gain: float
) -> None:
    """For all shapes and values."""
    image = (picture(height, width, channels, seed) - 0.3) * np.float32(gain)
    pixels = np.clip(image.astype(np.float64)[0], 0, 1)
    if channels == 4:
        pixels = pixels[:, :, :3] * pixels[:, :, 3:] + 1 - pixels[:, :, 3:]
    assert np.abs(to_rgb8(image) - pixels * 255).max() <= 0.5 + 1e-4


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 5), (120, 67)])
def test_png_decodes_to_the_same_pixels(height: int, width: int) -> None:
    """Nothing is lost, and the sizes are set."""
    image = picture(height, width)
    media = from_pixels(image)
    assert isinstance(media.data, bytes)
    assert (media.mime, media.width, media.height, media.size) == (
        "image/png", width, height, len(media.data),
    )  # fmt: skip
    with Image.open(io.BytesIO(media.data)) as decoded:
        assert decoded.mode == "RGB"
        assert (np.asarray(decoded) == to_rgb8(image)).all()


def test_repr_contains_no_data() -> None:
    """A log line with a request is not a megabyte long."""
    assert len(repr(from_pixels(picture(64, 64)))) < 300


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        *(("PNG", mode) for mode in ("RGB", "RGBA", "L", "LA", "P", "1")),
        *(("JPEG", mode) for mode in ("RGB", "L", "CMYK", "1")),
        *(("WEBP", mode) for mode in ("RGB", "RGBA", "L", "P")),
    ],
)
def test_picture_file_of_any_mode_becomes_rgb_png(tmp_path: Path, form: str, mode: str) -> None:
    """Palette, grey, CMYK: whatever Pillow opens is sent as RGB."""
    path = tmp_path / "picture"
    Image.new("RGB", (9, 4), (200, 100, 50)).convert(mode).save(path, form)
    media = from_picture_file(path)
    assert (media.mime, media.width, media.height) == ("image/png", 9, 4)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    """The aspect ratio is the one that the user sees."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 10)).save(tmp_path / "phone.jpg", exif=exif)
    media = from_picture_file(tmp_path / "phone.jpg")
    assert (media.width, media.height) == (10, 30)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_file_that_is_not_a_picture_is_refused(tmp_path: Path, data: bytes) -> None:
    """Empty, text, a broken PNG, no file: InvalidInput, before anything is sent."""
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(InvalidInput, match="is not a picture"):
        from_picture_file(tmp_path / "x.png")
    with pytest.raises(InvalidInput, match="is not a picture"):
        from_picture_file(tmp_path / "absent.png")


CHUNK = types._CHUNK_BYTES


@pytest.mark.parametrize(
    "size", [1, 2, 3, 4, *(CHUNK * n + d for n in (1, 2) for d in (-2, -1, 0, 1, 2))]
)
@pytest.mark.parametrize("from_file", [False, True])
def test_base64_chunks_join_to_the_base64_of_the_whole(
    tmp_path: Path, size: int, from_file: bool
) -> None:
    """For sizes around the edges of the chunks, from memory and from a file."""
    data = np.random.default_rng(size).bytes(size)
    path = tmp_path / "data"
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    media = Media(digest, "video/mp4", 1, 1, path if from_file else data, size)
    parts = list(media.base64_chunks())
    assert b"".join(parts) == base64.b64encode(data)
    assert media.base64_size == sum(map(len, parts))


@pytest.mark.parametrize("size", [0, 99, 101, CHUNK + 100])
def test_file_that_changed_its_size_is_not_sent(tmp_path: Path, size: int) -> None:
    """Smaller or larger than before: an error, and never more than the announced size."""
    path = tmp_path / "data"
    path.write_bytes(b"x" * size)
    media = Media("0" * 64, "video/mp4", 1, 1, path, 100)
    sent = 0
    with pytest.raises(InvalidInput, match="changed while it was being sent"):  # noqa: PT012 - the chunks before it are counted
        for part in media.base64_chunks():
            sent += len(part)
    assert sent <= media.base64_size
