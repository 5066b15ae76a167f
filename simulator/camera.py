"""The camera: where it looks at each moment, and how it sees a still picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

# From the first to the last frame: a factor, a share of the frame, and radians to either side.
_ZOOM = 1.35
_SHIFT = 0.14
_ANGLE = math.radians(7)


@dataclass(frozen=True)
class View:
    """What the camera sees: its centre, as shares of the width and height from the middle, its
    angle in radians (clockwise), and its scale.
    """

    x: float = 0.0
    y: float = 0.0
    angle: float = 0.0
    scale: float = 1.0


def view_at(t: float, camera: Mapping[str, str], motion: int, size: tuple[int, int]) -> View:
    """The view at a time from 0 to 1, which never shows an edge of a picture of this size.

    `motion` adds a slow sway; with 0 and no camera the view stays the same.
    """
    glide = t * t * (3 - 2 * t)
    sway = 0.012 * motion
    x = sway * math.sin(2 * math.pi * t)
    y = 0.6 * sway * math.sin(4 * math.pi * t)
    # The view moves to the right, so what is seen moves to the left.
    x += _SHIFT * (glide - 0.5) * {"right": 1, "left": -1}.get(camera.get("pan", ""), 0)
    y += _SHIFT * (glide - 0.5) * {"down": 1, "up": -1}.get(camera.get("tilt", ""), 0)
    angle = _ANGLE * (2 * glide - 1) * {"cw": 1, "ccw": -1}.get(camera.get("rotate", ""), 0)
    # The picture must be this much larger than the frame for its edges to stay outside.
    across = sway + (_SHIFT / 2 if "pan" in camera else 0)
    down = 0.6 * sway + (_SHIFT / 2 if "tilt" in camera else 0)
    scale = 1 / (1 - 2 * max(across, down))
    if "rotate" in camera:
        scale *= math.cos(_ANGLE) + math.sin(_ANGLE) * max(size) / min(size)
    scale *= 1 + (_ZOOM - 1) * {"in": glide, "out": 1 - glide}.get(camera.get("zoom", ""), 0.0)
    return View(x, y, angle, scale)


@dataclass(frozen=True)
class Still:
    """A picture in front of the camera. It does not move itself."""

    picture: Image.Image

    def frame(self, _t: float, _motion: int, view: View) -> Image.Image:
        """The picture as the camera sees it, in the same size."""
        if view == View():
            return self.picture
        width, height = self.picture.size
        x, y = width * (0.5 + view.x), height * (0.5 + view.y)
        across, down = width / 2 / view.scale, height / 2 / view.scale
        if not view.angle:
            # Equal to the transformation below, but twice as fast. Rounding errors must not put
            # the view outside of the picture.
            left, top = max(0, x - across), max(0, y - down)
            box = (left, top, min(width, x + across), min(height, y + down))
            return self.picture.resize((width, height), Image.Resampling.BILINEAR, box)
        cos, sin = math.cos(view.angle), math.sin(view.angle)
        left, top = x - cos * across - sin * down, y + sin * across - cos * down
        cos, sin = cos / view.scale, sin / view.scale
        matrix = (cos, sin, left, -sin, cos, top)
        return self.picture.transform(
            (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
        )
