"""Reads a picture file of the user, in whatever format and mode it is."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..errors import InvalidInput
from ..message import Message
from .images import to_rgb8
from .picture_files import check_picture_file
from .structure import NotMedia

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

    Pixels: TypeAlias = npt.NDArray[np.uint8]

#: Formats that are opened, by Pillow's names. Others run a program, such as EPS, or are data.
_FORMATS: Final = (
    "PNG", "JPEG", "MPO", "WEBP", "GIF", "TIFF", "BMP", "DIB", "AVIF", "JPEG2000", "PPM", "TGA",
    "ICO", "PSD", "QOI", "DDS", "SGI", "PCX",
)  # fmt: skip
_HINT: Final = Message("Use a PNG, JPEG, WebP or TIFF file.")


def read_image_file(path: Path) -> Pixels:
    """The pixels of a picture file: ``[H,W,3]`` bytes, upright as in EXIF, over white.

    Of 16 bits the upper 8 are taken, as Pillow does it for colours.

    Raises:
        InvalidInput: The file is not one picture, or cannot be read.
    """
    from PIL import Image

    try:
        check_picture_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF data; Pillow goes on without it
            with Image.open(path, formats=_known_formats()) as picture:
                _check_single(path, picture)
                return _upright(picture)
    except (NotMedia, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidInput(
            "image", Message("{path} is not a picture: {error}.", path=path, error=error), _HINT
        ) from error


def _known_formats() -> list[str]:
    """The formats that this Pillow has."""
    from PIL import Image

    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _check_single(path: Path, picture: Image) -> None:
    count = getattr(picture, "n_frames", 1)
    # Phones write a second, smaller picture or a map of brightness behind the first.
    if count > 1 and picture.format != "MPO":
        raise InvalidInput(
            "image",
            Message(
                "{path} has {count} pictures, but a task takes only one image.",
                path=path,
                count=count,
            ),
            Message("Save the one that you want as a PNG file."),
        )


def _upright(picture: Image) -> Pixels:
    import numpy as np
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I;16") or (upright.mode == "I" and upright.format == "PNG"):
        return _from_16_bits(upright)
    if upright.mode in ("I", "F"):
        raise ValueError(f"it has numbers of 32 bits (mode {upright.mode}); save it with 8 or 16")
    if not upright.has_transparency_data:
        return np.array(upright.convert("RGB"))
    return _over_white(np.asarray(upright.convert("RGBA")))


def _from_16_bits(picture: Image) -> Pixels:
    """A grey picture of 16 bits, which Pillow's own conversion would make white."""
    import numpy as np

    values = np.asarray(picture).astype(np.uint16)
    grey = (values >> 8).astype(np.uint8)
    transparent: Any = picture.info.get("transparency")
    if isinstance(transparent, int):  # a PNG can make one value transparent
        grey = np.where(values == transparent, np.uint8(255), grey)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _over_white(pixels: Pixels) -> Pixels:
    import numpy as np

    return to_rgb8(pixels.astype(np.float32) / np.float32(255.0))
