"""How a still picture is moved: camera words and the strength of motion."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from PIL import Image

from .picture import Frame

_ZOOM = 0.35
_SHIFT = 0.14
_TURN = math.radians(7)


def view(picture: Image.Image, camera: Mapping[str, str], motion: int, t: float) -> Frame:
    """The picture as the camera sees it at time `t`, 0 to 1; uint8 [H, W, 3], no bare edges.

    `motion` 0 … 4 adds a slow sway; with 0 and no camera the picture stands still.
    """
    width, height = picture.size
    glide = t * t * (3 - 2 * t)
    sway = 0.012 * motion
    x = sway * math.sin(2 * math.pi * t)
    y = 0.6 * sway * math.sin(4 * math.pi * t)
    # The view moves right, so what is seen moves left.
    x += _SHIFT * (glide - 0.5) * {"right": 1, "left": -1}.get(camera.get("pan", ""), 0)
    y += _SHIFT * (glide - 0.5) * {"down": 1, "up": -1}.get(camera.get("tilt", ""), 0)
    angle = _TURN * (2 * glide - 1) * {"cw": 1, "ccw": -1}.get(camera.get("rotate", ""), 0)
    scale = _least_scale(camera, sway, width / height)
    scale *= 1 + _ZOOM * {"in": glide, "out": 1 - glide}.get(camera.get("zoom", ""), 0.0)
    if scale == 1 and not angle:
        return np.asarray(picture)
    if not angle:
        # The same as below, and three times as fast.
        left, top = width * (0.5 + x - 0.5 / scale), height * (0.5 + y - 0.5 / scale)
        right, bottom = left + width / scale, top + height / scale
        # Rounding may put the view a hair outside the picture, which Pillow refuses.
        box = (max(0.0, left), max(0.0, top), min(width, right), min(height, bottom))
        return np.asarray(picture.resize(picture.size, Image.Resampling.BILINEAR, box))
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    middle_x, middle_y = width * (0.5 + x), height * (0.5 + y)
    moved = picture.transform(
        picture.size,
        Image.Transform.AFFINE,
        (
            cos, sin, middle_x - cos * width / 2 - sin * height / 2,
            -sin, cos, middle_y + sin * width / 2 - cos * height / 2,
        ),
        Image.Resampling.BILINEAR,
    )  # fmt: skip
    return np.asarray(moved)


def _least_scale(camera: Mapping[str, str], sway: float, ratio: float) -> float:
    """How much larger than the frame the picture must be, for its edges to stay outside."""
    across = sway + (_SHIFT / 2 if "pan" in camera else 0)
    down = 0.6 * sway + (_SHIFT / 2 if "tilt" in camera else 0)
    turned = 1.0
    if "rotate" in camera:
        turned = math.cos(_TURN) + math.sin(_TURN) * max(ratio, 1 / ratio)
    return turned / (1 - 2 * max(across, down))
