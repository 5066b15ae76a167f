"""From an IMAGE's pixels to the file that goes out: exact, fitted, and no larger than it may be."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..errors import InvalidInput
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

#: The colour under a transparent picture. The API has no alpha; white is what most viewers show.
BACKGROUND: Final = 255.0
#: Up to this many bytes `AUTO` sends PNG; beyond, a JPEG that looks the same is a fraction of it.
SMALL_PNG: Final = 1_000_000
#: Qualities, best first. The first is past what eyes tell apart; under the last it begins to show,
#: so from there the picture is made smaller instead.
_QUALITIES: Final = (95, 92, 88, 84, 80)
_SHRINK: Final = 0.85
#: Floats that are converted at a time: they stay in the processor's cache.
_BAND: Final = 128 * 1024


@dataclass(frozen=True)
class PreparedImage:
    """A picture that is ready to go.

    Attributes:
        media: The encoded picture.
        note: What was done to it beyond writing it down exactly; empty where nothing was.
        fitted: The pixels that go out, where they are not those that came in; else None.
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
    """Make a picture ready.

    Args:
        image: As `to_rgb8`.
        form: One of `FORMATS`. `AUTO` is PNG while that is small, else JPEG.
        limit: How many characters its Base64 may have; None for no limit.
        fit: One of `FITS`: what to do where the picture's shape is not the video's.
        ratio: The video's width over height; None where it has the picture's own.

    Raises:
        InvalidInput: As `to_rgb8`; or a PNG was asked for and is over the limit.
    """
    if fit == AS_IS or ratio is None:
        return PreparedImage(*_encode(lambda: to_rgb8(image), form, limit))
    pixels = to_rgb8(image)
    fitted = fit_to(pixels, ratio, fit)
    media, note = encode_image(fitted, form, limit)
    if fitted is pixels:
        return PreparedImage(media, note)
    done = "cropped" if fit == "crop" else "padded"
    (height, width), (new_height, new_width) = pixels.shape[:2], fitted.shape[:2]
    change = f"image {done} from {width}x{height} to {new_width}x{new_height}"
    return PreparedImage(media, ", ".join(filter(None, (change, note))), fitted)


def to_rgb8(image: Any) -> Pixels:
    """Floats in 0…1 to ``[H,W,3]`` bytes: clamped, rounded, alpha laid over white.

    Args:
        image: Array of floats, ``[B,H,W,C]`` or ``[H,W,C]``; B is 1; C is 1 (grey), 3 (RGB) or
            4 (RGBA). A CPU torch tensor will do.

    Raises:
        InvalidInput: Several pictures, another shape, or values that are not numbers.
    """
    import numpy as np

    pixels = _one_picture(np.asarray(image))
    height, width, channels = pixels.shape
    made = np.empty((height, width, 3), np.uint8)
    rows = max(_BAND // (width * channels), 1)
    for start in range(0, height, rows):
        _convert(pixels[start : start + rows], made[start : start + rows])
    return made


def _convert(band: npt.NDArray[Any], made: Pixels) -> None:
    """Some rows of floats into their rows of bytes."""
    import numpy as np

    _check_numbers(band)
    with np.errstate(over="ignore"):  # what is far too bright is clamped, however far
        scaled = np.multiply(band, 255.0, dtype=np.float32)
    np.clip(scaled, 0.0, 255.0, out=scaled)
    if band.shape[2] == 4:
        alpha = scaled[:, :, 3:] / np.float32(255.0)
        scaled = scaled[:, :, :3] * alpha + BACKGROUND * (1.0 - alpha)
    np.rint(scaled, out=scaled)
    made[...] = scaled  # grey spreads over the three


def _check_numbers(band: npt.NDArray[Any]) -> None:
    import numpy as np

    # A sum is finite only if all of it is; numbers so large that their sum is not are looked at.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(band.sum()) or np.isfinite(band).all():
            return
    raise InvalidInput(
        "image",
        "it has pixels that are not numbers (NaN or infinite).",
        "Look at the node that made the picture; a VAE in half precision can do this.",
    )


def _one_picture(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if pixels.ndim == 4 and pixels.shape[0] != 1:
        raise InvalidInput(
            "image",
            f"a batch of {pixels.shape[0]} images, and a task takes one.",
            "Pick one (ImageFromBatch), or make the batch a list to get a task for each.",
        )
    picture = pixels[0] if pixels.ndim == 4 else pixels
    if picture.ndim != 3 or picture.shape[2] not in (1, 3, 4) or 0 in picture.shape:
        raise InvalidInput(
            "image",
            f"the shape {tuple(pixels.shape)} is not a picture's.",
            "Connect an IMAGE of shape [1, height, width, 1, 3 or 4].",
        )
    return picture


def fit_to(pixels: Pixels, ratio: float, how: str) -> Pixels:
    """Bring a picture to a shape, about its middle: ``crop`` cuts off, ``pad`` adds black.

    A picture that is less than a pixel away from the shape stays as it is.
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
    made = np.zeros((new_height, new_width, 3), np.uint8)
    made[top : top + height, left : left + width] = pixels
    return made


def pixel_digest(pixels: Pixels) -> str:
    """SHA-256 of a picture: of its pixels and size, whatever file they are written into."""
    import numpy as np

    height, width = pixels.shape[:2]
    digest = hashlib.sha256(f"rgb8 {width}x{height}\0".encode())
    digest.update(np.ascontiguousarray(pixels))
    return digest.hexdigest()


def encode_image(pixels: Pixels, form: str = AUTO, limit: int | None = None) -> tuple[Media, str]:
    """A picture as a file, and a note of what was done where it is not exact.

    Raises:
        InvalidInput: A PNG was asked for and is over the limit.
    """
    return _encode(lambda: pixels, form, limit)


def _encode(make: Callable[[], Pixels], form: str, limit: int | None) -> tuple[Media, str]:
    """As `encode_image`, of pixels that it alone holds, so that it can let go of them early."""
    # Hashing and encoding both leave Python's lock alone: side by side they take the longer's time.
    with ThreadPoolExecutor(1, "pika-digest") as aside:
        return _encode_pixels(make(), aside, form, limit)


def _encode_pixels(
    pixels: Pixels, aside: ThreadPoolExecutor, form: str, limit: int | None
) -> tuple[Media, str]:
    from PIL import Image

    height, width = pixels.shape[:2]
    digest = aside.submit(pixel_digest, pixels)
    if form in (AUTO, "png"):
        way = png.plan_png(pixels)
        if form == "png" or way.expected <= SMALL_PNG:
            media = _media(digest, "png", width, height, png.encode_png(pixels, way))
            if limit is None or media.base64_size <= limit:
                return media, ""
            if form == "png":
                raise _png_too_large(media, limit)
    picture = Image.fromarray(pixels)
    del pixels  # Pillow has its own copy: two at once would be the most memory of all this
    return _lossy(picture, digest, "webp" if form == "webp" else "jpeg", limit)


def _png_too_large(media: Media, limit: int) -> InvalidInput:
    return InvalidInput(
        "image_format",
        f"as PNG the image is {media.base64_size / 1e6:.1f} MB in the request, over the "
        f"{limit / 1e6:.1f} MB allowed (PIKA_MAX_BODY_MB).",
        "Choose auto, connect a smaller image, or raise PIKA_MAX_BODY_MB.",
    )


def _lossy(
    picture: Image.Image, digest: Future[str], form: str, limit: int | None
) -> tuple[Media, str]:
    """The best that stays under the limit: first by quality, then by size."""
    from PIL import Image

    before = f"{picture.width}x{picture.height}"
    for quality in _QUALITIES:
        media = _media(digest, form, *picture.size, _encode_lossy(picture, form, quality))
        if limit is None or media.base64_size <= limit:
            return media, _describe_encoding(media, form, quality)
    while limit is not None and media.base64_size > limit and max(picture.size) > 1:
        width, height = (max(round(side * _SHRINK), 1) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        media = _media(digest, form, *picture.size, _encode_lossy(picture, form, quality))
    return media, f"{_describe_encoding(media, form, quality)}, made smaller from {before}"


def _encode_lossy(picture: Image.Image, form: str, quality: int) -> bytes:
    file = io.BytesIO()
    if form == "webp":
        picture.save(file, "WEBP", quality=quality, method=2)
    else:
        picture.save(file, "JPEG", quality=quality, subsampling=0)  # 4:4:4: colour stays sharp
    return file.getvalue()


def _describe_encoding(media: Media, form: str, quality: int) -> str:
    size = f"{media.width}x{media.height}"
    return f"image sent as {form.upper()}, quality {quality}, {size}, {media.size / 1e6:.2f} MB"


def _media(digest: Future[str], form: str, width: int, height: int, data: bytes) -> Media:
    return Media(digest.result(), f"image/{form}", width, height, data, len(data))


def read_image_file(path: Path) -> Pixels:
    """The pixels of a picture file (PNG, JPEG, WebP …), turned upright, ``[H,W,3]`` bytes.

    Raises:
        InvalidInput: Not a picture, or not readable.
    """
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            if not upright.has_transparency_data:
                return np.array(upright.convert("RGB"))
            pixels = np.asarray(upright.convert("RGBA"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InvalidInput(
            "image", f"{path} is no picture: {error}.", "Give a PNG, JPEG or WebP file."
        ) from error
    return to_rgb8(pixels.astype(np.float32) / 255.0)
