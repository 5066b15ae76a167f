"""Encoding of a picture: format, size limit, fit, and the PNG encoder."""

from __future__ import annotations

import io
import itertools
import struct
import zlib

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from pika_api.errors import InvalidInput, Refused
from pika_api.media import Media, encode_image, images, png
from pika_api.media.images import SMALL_PNG, fit_to, prepare_image
from pika_api.progress import Progress, ProgressObserver
from pika_api.request import Payload
from simulator import Simulator
from support.api import PROMPT, ServiceHarness, ask, client_of, run


def noisy_gradient(width: int, height: int, spread: int, seed: int = 1) -> np.ndarray:
    """A gradient with noise like that of a photograph, ``[H,W,3]`` bytes."""
    slope = np.linspace(40, 200, width)[None, :, None] + np.zeros((height, 1, 3))
    noise = np.random.default_rng(seed).integers(-spread, spread + 1, (height, width, 3))
    return np.clip(slope + noise, 0, 255).astype(np.uint8)


def drawing(width: int, height: int) -> np.ndarray:
    """Flat colours that repeat, as on a screenshot."""
    rows, columns = np.mgrid[0:height, 0:width]
    shade = ((rows // 16 + columns // 24) % 5 * 50).astype(np.uint8)
    return np.stack([shade, 255 - shade, shade // 2], axis=2)


def opened(media: Media) -> Image.Image:
    """The picture as the gateway decodes it."""
    assert isinstance(media.data, bytes)
    return Image.open(io.BytesIO(media.data))


@given(
    arrays.arrays(
        np.uint8,
        st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)),
    )
)
def test_png_is_lossless(pixels: np.ndarray) -> None:
    """Any picture, with each candidate of filter and strategy, decodes to the same pixels."""
    for kind, level, strategy in png._CANDIDATES:
        data = png.encode_png(pixels, png.Plan(kind, level, strategy, 0))
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            assert picture.mode == "RGB"
            assert np.array_equal(np.asarray(picture), pixels)


@pytest.mark.parametrize("size", [(2000, 30), (30, 2000), (700, 500)])
def test_png_of_several_bands_is_lossless(size: tuple[int, int]) -> None:
    """Bands and samples join without a seam, in wide and in tall pictures."""
    pixels = noisy_gradient(*size, spread=40)
    with Image.open(io.BytesIO(png.encode_png(pixels))) as picture:
        assert np.array_equal(np.asarray(picture), pixels)


def smooth(width: int, height: int) -> np.ndarray:
    """A picture without grain, as after scaling up."""
    small = noisy_gradient(width // 8 + 2, height // 8 + 2, 40)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG file. Their checksums are right, and nothing is behind the last."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    found, position = [], 8
    while position < len(data):
        (size,) = struct.unpack_from(">I", data, position)
        body = data[position + 4 : position + 8 + size]
        assert data[position + 8 + size : position + 12 + size] == struct.pack(
            ">I", zlib.crc32(body)
        )
        found.append((body[:4], body[4:]))
        position += 12 + size
    return found


#: Sizes of one band, of several, with a last band of one row, and with rows longer than a band.
BANDS = [(1, 1), (700, 90), (700, 500), (1300, 1 + 2 * (png._BAND_BYTES // 3900)), (180_000, 3)]


@pytest.mark.parametrize("size", BANDS, ids=str)
@pytest.mark.parametrize("candidate", png._CANDIDATES, ids=str)
def test_bands_are_one_zlib_stream(candidate: tuple[int, int, int], size: tuple[int, int]) -> None:
    """A strict decoder reads it to its end and finds nothing behind it; FFmpeg and Pillow decode
    the same pixels. The file is the same for any number of threads.
    """
    pixels = noisy_gradient(*size, spread=9)
    plan = png.Plan(*candidate, 0)
    data = png.encode_png(pixels, plan, threads=1)
    assert {png.encode_png(pixels, plan, threads=count) for count in (2, 3, 7)} == {data}
    kinds, bodies = zip(*chunks(data), strict=True)
    assert set(kinds[1:-1]) == {b"IDAT"}
    assert (kinds[0], kinds[-1], bodies[-1]) == (b"IHDR", b"IEND", b"")
    unpacker = zlib.decompressobj()
    raw = unpacker.decompress(b"".join(bodies[1:-1]))
    assert (unpacker.eof, unpacker.unused_data) == (True, b"")
    assert len(raw) == size[1] * (1 + 3 * size[0])
    with Image.open(io.BytesIO(data)) as picture:
        assert np.array_equal(np.asarray(picture), pixels)
    if max(size) < 32_768:  # FFmpeg decodes nothing wider
        with av.open(io.BytesIO(data), format="png_pipe") as container:
            frame = next(container.decode(video=0))
        assert np.array_equal(frame.to_ndarray(format="rgb24"), pixels)


def paeth(left: int, above: int, corner: int) -> int:
    """The predictor as the PNG specification describes it (9.4)."""
    estimate = left + above - corner
    return min((left, above, corner), key=lambda value: abs(estimate - value))


def test_paeth_predictor_is_that_of_the_specification() -> None:
    """For all kinds of neighbours, also where two are equally close: left first, then above."""
    values = [0, 1, 2, 3, 84, 85, 86, 126, 127, 128, 129, 169, 170, 171, 253, 254, 255]
    neighbours = list(itertools.product(values, repeat=3))
    neighbours += np.random.default_rng(1).integers(0, 256, (10_000, 3)).tolist()
    rows = np.array([[left] * 3 + [0] * 3 for left, _, _ in neighbours], np.uint8)
    upper = np.array([[corner] * 3 + [above] * 3 for _, above, corner in neighbours], np.uint8)
    expected = [paeth(*each) for each in neighbours]
    assert png._predict_paeth(rows, upper)[:, 3].tolist() == expected


@pytest.mark.parametrize(
    ("pixels", "kinds"),
    [
        (noisy_gradient(900, 700, 12), {3, 4}),
        (smooth(900, 700), {4}),
        (drawing(900, 700), {2}),
    ],
    ids=["photo", "smooth", "drawing"],
)
def test_only_a_picture_that_repeats_is_searched(pixels: np.ndarray, kinds: set[int]) -> None:
    """The full search takes several times as long, and gains nothing for grain and gradients."""
    plan = png.plan_png(pixels)
    assert plan.filter in kinds
    assert (plan.strategy == zlib.Z_RLE) == (plan.filter != 2)


@pytest.mark.parametrize(
    "pixels",
    [noisy_gradient(640, 480, 3), drawing(640, 480), smooth(640, 480)],
    ids=["photo", "drawing", "smooth"],
)
def test_png_is_not_much_larger_than_usual(pixels: np.ndarray) -> None:
    """At most a third larger than from a general encoder at its default, for photographs, which do
    not repeat, and for drawings, which do.
    """
    usual = io.BytesIO()
    Image.fromarray(pixels).save(usual, "PNG")
    assert len(png.encode_png(pixels)) <= 1.34 * len(usual.getvalue())


def test_expected_png_size_is_within_a_fifth() -> None:
    """The sample predicts the size of the file."""
    for pixels in (noisy_gradient(900, 700, 4), noisy_gradient(900, 700, 60)):
        plan = png.plan_png(pixels)
        assert abs(len(png.encode_png(pixels, plan)) - plan.expected) < 0.2 * plan.expected


def test_auto_sends_a_small_png() -> None:
    """It is exact, so there is no note."""
    media, note = encode_image(drawing(800, 600))
    assert (media.mime, note) == ("image/png", "")


def test_auto_sends_a_large_picture_as_jpeg() -> None:
    """The best JPEG, without chroma subsampling, and a note."""
    pixels = noisy_gradient(1000, 800, 8)
    assert len(png.encode_png(pixels)) > SMALL_PNG
    media, note = encode_image(pixels)
    picture = opened(media)
    assert picture.format == "JPEG"
    assert picture.size == (1000, 800)
    assert note == f"image sent as JPEG, quality 95, 1000x800, {media.size / 1e6:.2f} MB"
    # 4:4:4: the three components have the same sampling.
    assert {component[1:3] for component in picture.layer} == {(1, 1)}  # type: ignore[attr-defined]
    assert np.abs(np.asarray(picture).astype(int) - pixels).mean() < 4


@pytest.mark.parametrize("form", ["auto", "jpeg", "webp"])
@pytest.mark.parametrize("limit", [400_000, 100_000, 20_000, 4_000])
def test_encoded_size_is_within_the_limit(form: str, limit: int) -> None:
    """The quality is lowered first, then the size. The ratio stays, and the note says what was
    changed.
    """
    media, note = encode_image(noisy_gradient(600, 400, 40), form, limit)
    assert media.base64_size <= limit
    assert abs(media.width / media.height - 1.5) < 0.05
    assert f"{media.width}x{media.height}" in note
    assert ("scaled down from 600x400" in note) == (media.width < 600)


def test_quality_is_lowered_before_the_size() -> None:
    """Just under the size of the best quality, the picture keeps its pixels."""
    best, _note = encode_image(noisy_gradient(600, 400, 40), "jpeg")
    media, note = encode_image(noisy_gradient(600, 400, 40), "jpeg", best.base64_size - 1)
    assert (media.width, media.height) == (600, 400)
    assert "quality 92" in note


def test_png_over_the_limit_is_an_error() -> None:
    """The error names the input, the sizes and what to do."""
    with pytest.raises(InvalidInput, match="image_format") as caught:
        encode_image(noisy_gradient(600, 400, 40), "png", 100_000)
    for word in ("0.1 MB", "PIKA_MAX_BODY_MB", "auto"):
        assert word in str(caught.value)


def test_digest_does_not_depend_on_the_format() -> None:
    """The same pixels have the same digest in each format; other pixels have another."""
    pixels = noisy_gradient(60, 40, 40)
    digests = {encode_image(pixels, form)[0].digest for form in ("png", "jpeg", "webp")}
    assert len(digests) == 1
    assert encode_image(noisy_gradient(60, 40, 40, seed=2))[0].digest not in digests


@pytest.mark.parametrize("how", ["crop", "pad"])
@pytest.mark.parametrize("ratio", [0.4, 9 / 16, 1.0, 16 / 9, 2.5])
@pytest.mark.parametrize("size", [(64, 48), (48, 64), (101, 7), (3, 90), (1, 1)])
def test_fit_reaches_the_ratio(how: str, ratio: float, size: tuple[int, int]) -> None:
    """Within a pixel, and never empty. Crop only removes, and pad only adds."""
    pixels = noisy_gradient(*size, spread=20)
    height, width = pixels.shape[:2]
    new_height, new_width = fit_to(pixels, ratio, how).shape[:2]
    assert abs(new_width - new_height * ratio) <= max(1, ratio)
    if how == "crop":
        assert new_width <= width
        assert new_height <= height
    else:
        assert new_width >= width
        assert new_height >= height


def test_picture_with_the_right_ratio_is_unchanged() -> None:
    """No change and no note."""
    image = noisy_gradient(160, 90, 5)[None] / np.float32(255)
    for fit in images.FITS:
        prepared = prepare_image(image, fit=fit, ratio=16 / 9)
        assert (prepared.note, prepared.fitted) == ("", None)


def test_413_reports_sizes_and_what_to_change() -> None:
    """The size of the request and of its image, and which input to change."""
    image = encode_image(noisy_gradient(200, 100, 60), "png")[0]
    with (
        Simulator(max_body=20_000) as gateway,
        client_of(gateway.url, gateway.key) as client,
        pytest.raises(Refused) as caught,
    ):
        client.submit(Payload(ask(image=image).body()))
    for word in ("413", "of which the image takes", "image_format", "image_url"):
        assert word in str(caught.value)


def test_upload_progress_is_reported(harness: ServiceHarness) -> None:
    """A request that takes a while to send reports how much was sent."""
    harness.gateway.fault("submit", delay=0.8)
    image = encode_image(noisy_gradient(1200, 900, 60), "png")[0]
    seen: list[Progress] = []
    run(
        harness.service.submit(
            ask(PROMPT, image=image), observer=ProgressObserver(report=seen.append)
        )
    )
    shares = [report.text for report in seen if "%" in report.text]
    assert shares
    assert all("MB" in text for text in shares)
    assert any(report.progress >= 99 for report in seen)
