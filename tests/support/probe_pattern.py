"""The probe pack's picture, worked out a second time: the reference for what must arrive."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def expected_pixels(width: int, height: int, channels: int) -> np.ndarray:
    """8-bit RGB ``[H,W,3]`` of the probe's ramp, by float64 arithmetic: white under alpha."""
    values = np.arange(height * width * channels, dtype=np.int64) * 37 % 256
    given = (values.reshape(height, width, channels) / 255.0).astype(np.float32).astype(np.float64)
    if channels == 4:
        given = given[..., :3] * given[..., 3:] + (1.0 - given[..., 3:])
    pixels = np.floor(given * 255.0 + 0.5).astype(np.uint8)
    return np.broadcast_to(pixels, (height, width, 3)).copy()


def png_pixels(data: bytes) -> np.ndarray:
    """The pixels of an encoded picture, as the receiver sees them."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))
