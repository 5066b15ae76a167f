"""Encodes pictures for a request: exactly or lossy, fitted to a ratio, within a size limit."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..errors import InvalidInput
from ..message import Message
from . import png
from .types import Media

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    Pixels: TypeAlias = npt.NDArray[np.uint8]

AUTO: Final = "auto"
FORMATS: Final = (AUTO, "png", "jpeg", "webp")
AS_IS: Final = "as is"
FITS: Final = (AS_IS, "crop", "pad")

#: Grey level, 0…255, under a transparent picture. The API has no alpha channel, and most viewers
#: show white.
BACKGROUND: Final = 255.0
#: `AUTO` sends PNG up to this size in bytes. A JPEG of a larger picture looks the same and has a
#: fraction of the size.
SMALL_PNG: Final = 1_000_000
#: JPEG and WebP qualities in the order in which they are tried. At the first no difference is
#: visible. Below the last artefacts become visible, so the picture is scaled down instead.
_QUALITIES: Final = (95, 92, 88, 84, 80)
#: Factor by which each side is scaled down at a time.
_SHRINK: Final = 0.85
#: How many floats are converted at a time, so that they stay in the processor's cache.
_BAND_VALUES: Final = 128 * 1024


@dataclass(frozen=True)
class PreparedImage:
    """A picture that is ready to be sent.

    Attributes:
        media: The encoded picture.
        note: How it was changed, for the user; empty if it is sent exactly.
        fitted: The fitted pixels, ``[H,W,3]`` bytes; None if the picture was not fitted.
    """

    media: Media
    note: str = ""
    fitted: Pixels | None = None


def prepare_image(
    image: Any,
    *,
    form: str = AUTO,
    limit: int | None = None,
    fit: str = AS_IS,
    ratio: float | None = None,
) -> PreparedImage:
    """Fit and encode a picture.

    Args:
        image: See `to_rgb8`.
        form: One of `FORMATS`. `AUTO` is PNG while that is small, else JPEG.
        limit: Maximum number of Base64 characters; None for no limit.
        fit: One of `FITS`: what to do if the picture does not have the ratio of the video.
        ratio: Width of the video divided by its height; None if it has the ratio of the picture.

    Raises:
        InvalidInput: See `to_rgb8`. Or a PNG was asked for and is over the limit.
    """
    if fit == AS_IS or ratio is None:
        return PreparedImage(*_encode(lambda: to_rgb8(image), form, limit))
    pixels = to_rgb8(image)
    fitted = fit_to(pixels, ratio, fit)
    media, note = encode_image(fitted, form, limit)
    if fitted is pixels:
        return PreparedImage(media, note)
    before, after = (f"{each.shape[1]}x{each.shape[0]}" for each in (pixels, fitted))
    change = Message("image padded from {before} to {after}", before=before, after=after)
    if fit == "crop":
        change = Message("image cropped from {before} to {after}", before=before, after=after)
    return PreparedImage(media, Message.joined(", ", change, note), fitted)


def to_rgb8(image: Any, name: str = "image") -> Pixels:
    """Convert floats in 0…1 to ``[H,W,3]`` bytes: clamped, rounded, composited over white.

    Args:
        image: Array of floats, ``[B,H,W,C]`` or ``[H,W,C]``; B is 1; C is 1 (grey), 3 (RGB) or
            4 (RGBA). A torch tensor on the CPU works, too.
        name: The input that an error names.

    Raises:
        InvalidInput: A batch of several pictures, another shape, or values that are not finite.
    """
    import numpy as np

    pixels = _single_picture(np.asarray(image), name)
    height, width, channels = pixels.shape
    rgb = np.empty((height, width, 3), np.uint8)
    rows = max(_BAND_VALUES // (width * channels), 1)
    for start in range(0, height, rows):
        _convert(pixels[start : start + rows], rgb[start : start + rows], name)
    return rgb


def _convert(band: npt.NDArray[Any], target: Pixels, name: str) -> None:
    """Convert some rows of floats to bytes in ``target``."""
    import numpy as np

    _check_finite(band, name)
    with np.errstate(over="ignore"):  # values far over 1 overflow here and are clamped below
        scaled = np.multiply(band, 255.0, dtype=np.float32)
    np.clip(scaled, 0.0, 255.0, out=scaled)
    if band.shape[2] == 4:
        alpha = scaled[:, :, 3:] / np.float32(255.0)
        scaled = scaled[:, :, :3] * alpha + BACKGROUND * (1.0 - alpha)
    np.rint(scaled, out=scaled)
    target[...] = scaled  # a grey channel is broadcast to three


def _check_finite(band: npt.NDArray[Any], name: str) -> None:
    import numpy as np

    # The sum is quick, and finite only if all values are. A sum that overflows is no proof.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(band.sum()) or np.isfinite(band).all():
            return
    raise InvalidInput(
        name,
        Message("it has pixels that are not numbers (NaN or infinite)."),
        Message("Check the node that created the picture; a VAE in half precision can cause this."),
    )


def _single_picture(pixels: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    if pixels.ndim == 4 and pixels.shape[0] != 1:
        raise InvalidInput(
            name,
            Message(
                "a batch of {count} images, but a task takes only one image.", count=pixels.shape[0]
            ),
            Message(
                "Select one (ImageFromBatch), or convert the batch to a list to get a task for "
                "each."
            ),
        )
    picture = pixels[0] if pixels.ndim == 4 else pixels
    if picture.ndim != 3 or picture.shape[2] not in (1, 3, 4) or 0 in picture.shape:
        raise InvalidInput(
            name,
            Message("the shape {shape} is not that of a picture.", shape=tuple(pixels.shape)),
            Message("Connect an IMAGE of shape [1, height, width, 1, 3 or 4]."),
        )
    return picture


def fit_to(pixels: Pixels, ratio: float, how: str) -> Pixels:
    """Bring a picture to a ratio, centred: ``crop`` cuts off, ``pad`` adds black.

    A picture that is less than a pixel away from the ratio is returned unchanged.

    Args:
        pixels: ``[H,W,3]`` bytes.
        ratio: Width divided by height.
        how: ``crop`` or ``pad``.
    """
    import numpy as np

    height, width = pixels.shape[:2]
    grows_wide = (width / height < ratio) == (how == "pad")
    new_width = round(height * ratio) if grows_wide else width
    new_height = height if grows_wide else round(width / ratio)
    new_width, new_height = max(new_width, 1), max(new_height, 1)
    if (new_width, new_height) == (width, height):
        return pixels
    left, top = abs(new_width - width) // 2, abs(new_height - height) // 2
    if how == "crop":
        return pixels[top : top + new_height, left : left + new_width]
    padded = np.zeros((new_height, new_width, 3), np.uint8)
    padded[top : top + height, left : left + width] = pixels
    return padded


def pixel_digest(pixels: Pixels) -> str:
    """SHA-256 of the size and the pixels of a picture. It does not depend on the encoding."""
    import numpy as np

    height, width = pixels.shape[:2]
    digest = hashlib.sha256(f"rgb8 {width}x{height}\0".encode())
    digest.update(np.ascontiguousarray(pixels))
    return digest.hexdigest()


def encode_image(pixels: Pixels, form: str = AUTO, limit: int | None = None) -> tuple[Media, str]:
    """Encode a picture.

    Args:
        pixels: ``[H,W,3]`` bytes.
        form: One of `FORMATS`.
        limit: Maximum number of Base64 characters; None for no limit.

    Returns:
        The encoded picture, and a note for the user on how it was changed; empty if it is exact.

    Raises:
        InvalidInput: A PNG was asked for and is over the limit.
    """
    return _encode(lambda: pixels, form, limit)


def _encode(create_pixels: Callable[[], Pixels], form: str, limit: int | None) -> tuple[Media, str]:
    """Like `encode_image`. No caller holds the pixels, so their memory can be freed early."""
    # Hashing and encoding both release the GIL, so they run in parallel.
    with ThreadPoolExecutor(1, "pika-digest") as hasher:
        return _encode_pixels(create_pixels(), hasher, form, limit)


def _encode_pixels(
    pixels: Pixels, hasher: ThreadPoolExecutor, form: str, limit: int | None
) -> tuple[Media, str]:
    from PIL import Image

    height, width = pixels.shape[:2]
    digest = hasher.submit(pixel_digest, pixels)
    if form in (AUTO, "png"):
        plan = png.plan_png(pixels)
        if form == "png" or plan.expected <= SMALL_PNG:
            media = _media(digest, "png", width, height, png.encode_png(pixels, plan))
            if limit is None or media.base64_size <= limit:
                return media, ""
            if form == "png":
                raise _png_too_large(media, limit)
    picture = Image.fromarray(pixels)
    del pixels  # Pillow has a copy; both at the same time would be the peak of memory
    return _lossy(picture, digest, "webp" if form == "webp" else "jpeg", limit)


def _png_too_large(media: Media, limit: int) -> InvalidInput:
    return InvalidInput(
        "image_format",
        Message(
            "as PNG the image is {size:.1f} MB in the request, over the {limit:.1f} MB "
            "allowed (PIKA_MAX_BODY_MB).",
            size=media.base64_size / 1e6,
            limit=limit / 1e6,
        ),
        Message("Choose auto, connect a smaller image, or raise PIKA_MAX_BODY_MB."),
    )


def _lossy(
    picture: Image.Image, digest: Future[str], form: str, limit: int | None
) -> tuple[Media, str]:
    """The best encoding under the limit: lower the quality first, then the size."""
    from PIL import Image

    original = f"{picture.width}x{picture.height}"
    for quality in _QUALITIES:
        media = _media(digest, form, *picture.size, _encode_lossy(picture, form, quality))
        if limit is None or media.base64_size <= limit:
            return media, _describe_encoding(media, form, quality)
    while limit is not None and media.base64_size > limit and max(picture.size) > 1:
        width, height = (max(round(side * _SHRINK), 1) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        media = _media(digest, form, *picture.size, _encode_lossy(picture, form, quality))
    scaled = Message("scaled down from {original}", original=original)
    return media, Message.joined(", ", _describe_encoding(media, form, quality), scaled)


def _encode_lossy(picture: Image.Image, form: str, quality: int) -> bytes:
    file = io.BytesIO()
    if form == "webp":
        picture.save(file, "WEBP", quality=quality, method=2)
    else:
        picture.save(file, "JPEG", quality=quality, subsampling=0)  # 4:4:4 keeps colour sharp
    return file.getvalue()


def _describe_encoding(media: Media, form: str, quality: int) -> Message:
    return Message(
        "image sent as {form}, quality {quality}, {width}x{height}, {size:.2f} MB",
        form=form.upper(),
        quality=quality,
        width=media.width,
        height=media.height,
        size=media.size / 1e6,
    )


def _media(digest: Future[str], form: str, width: int, height: int, data: bytes) -> Media:
    return Media(digest.result(), f"image/{form}", width, height, data, len(data))
