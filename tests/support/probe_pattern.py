"""The pixels of the probe pack's image, calculated a second time as the reference."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def expected_pixels(width: int, height: int, channels: int) -> np.ndarray:
    """8-bit RGB ``[H,W,3]`` of the probe's ramp, in float64. Transparency is laid over white."""
    values = np.arange(height * width * channels, dtype=np.int64) * 37 % 256
    ramp = (values.reshape(height, width, channels) / 255.0).astype(np.float32).astype(np.float64)
    if channels == 4:
        ramp = ramp[..., :3] * ramp[..., 3:] + (1.0 - ramp[..., 3:])
    pixels = np.floor(ramp * 255.0 + 0.5).astype(np.uint8)
    return np.broadcast_to(pixels, (height, width, 3)).copy()


def png_pixels(data: bytes) -> np.ndarray:
    """The pixels of an encoded image, as the receiver decodes them."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))
