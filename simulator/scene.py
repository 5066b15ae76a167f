"""A moving picture for a prompt without an image: shapes in front of a soft gradient."""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw

from .camera import View
from .picture import Colour, hash_of, oklch

# Complex numbers are points: x to the right, y down.
Points: TypeAlias = npt.NDArray[np.complex128]

_TURN = 2 * math.pi
# A prompt that names a colour is drawn in it: the Oklch hue in degrees of each word.
_HUES = {
    "red": 27, "orange": 45, "gold": 50, "golden": 50, "yellow": 70, "green": 155,
    "turquoise": 195, "blue": 255, "purple": 305, "violet": 305, "pink": 355,
    "红": 27, "橙": 45, "金": 50, "黄": 70, "绿": 155, "青": 195, "蓝": 255, "紫": 305, "粉": 355,
}  # fmt: skip
_HUE_WORD = re.compile("|".join(rf"\b{word}\b" if word.isascii() else word for word in _HUES))
# Larger numbers make the lights of the gradient narrower.
_NARROW = 1.4
# The size of the background in frames; the rest is for the camera and for its own motion.
_GROUND = 1.7
# Shapes are more opaque at the top. On shapes with a smaller radius in pixels it is not visible.
_GLOSS_FROM = 20
_GLOSS = Image.linear_gradient("L").point([255 - value * 140 // 255 for value in range(256)])


@dataclass(frozen=True)
class _Shape:
    """A shape on a circular path. Lengths are in half short sides of the frame, `home` counts from
    its middle; `phase` and `spin` (per clip) are in radians, `opacity` is 0 to 255.
    """

    home: complex
    orbit: float
    phase: float
    size: float
    spin: float
    colour: Colour
    opacity: int


class Scene:
    """The frames of one clip. The prompt decides the colours and the outline of the shapes,
    `variation` how they are arranged.
    """

    def __init__(self, prompt: str, variation: str, size: tuple[int, int]) -> None:
        self.size = size
        self._unit = min(size) / 2
        self._reach = complex(*size) / min(size)
        look = np.random.default_rng(hash_of(prompt))
        word = _HUE_WORD.search(prompt.lower())
        # Dark shades between yellow and green look muddy, so chance leaves them out.
        hue = _HUES[word[0]] if word else look.uniform(150, 410)
        accent = oklch(0.74, 0.16, hue + look.uniform(130, 190))
        inks = [accent, oklch(0.85, 0.13, hue + 60), oklch(0.96, 0.03, hue + 40)]
        self._outline = _outline(int(look.integers(3, 10)), look.uniform(0.1, 0.3))
        self._chance = np.random.default_rng(hash_of(f"{variation} {prompt}"))
        self._ground = self._gradient(hue)
        self._add_bubbles(inks[2])
        self._shapes = [*self._confetti(inks), *self._blossom(inks)]

    def frame(self, t: float, motion: int, view: View) -> Image.Image:
        """The scene at a time from 0 to 1; `motion` from 0 to 4 makes the paths longer.

        The scene is the same at both ends, because players repeat a short clip.
        """
        width, height = self.size
        strength = 0.7 + 0.3 * motion
        step = cmath.rect(strength, _TURN * t)
        turn = cmath.rect(view.scale, view.angle)
        seen = complex(view.x * width, view.y * height)
        # The background is far away: it follows the camera, but does not change its size.
        corner = 0.1 * 2 * self._unit * step + seen + complex(*self._ground.size) / 2
        left, top = round(corner.real - width / 2), round(corner.imag - height / 2)
        picture = self._ground.crop((left, top, left + width, top + height))
        for shape in self._shapes:
            orbit = step * cmath.rect(shape.orbit, shape.phase)
            at = ((shape.home + orbit) * self._unit - seen) * turn + complex(width, height) / 2
            spin = cmath.rect(shape.size * self._unit, shape.phase + shape.spin * t)
            _fill(picture, self._outline, at, spin * turn, shape.colour, shape.opacity)
        return picture

    def _gradient(self, hue: float) -> Image.Image:
        """Coloured lights that run into one another, worked out small and enlarged."""
        lights = [
            oklch(0.24, 0.09, hue - 30),
            oklch(0.36, 0.13, hue - 10),
            oklch(0.50, 0.17, hue + 5),
            oklch(0.62, 0.17, hue + 25),
            oklch(0.78, 0.13, hue + 50),
        ]
        size = tuple(round(_GROUND * side) for side in self.size)
        places = _GROUND * np.array(self._scatter(len(lights)))
        reach = _GROUND * self._reach
        cols, rows = (round(24 * side / min(size)) for side in size)
        x = np.linspace(-reach.real, reach.real, cols)
        y = np.linspace(-reach.imag, reach.imag, rows)
        distance = (x[:, None] - places.real) ** 2 + (y[:, None, None] - places.imag) ** 2
        weights = np.exp(-_NARROW * distance) + 1e-4
        colours = weights @ self._chance.permutation(lights) / weights.sum(axis=2, keepdims=True)
        return Image.fromarray(colours.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)

    def _add_bubbles(self, colour: Colour) -> None:
        """Draws large faint circles on the background."""
        middle = complex(*self._ground.size) / 2
        for home in self._scatter(4):
            at = 1.4 * home * self._unit + middle
            size = self._chance.uniform(0.35, 0.9) * self._unit
            opacity = round(self._chance.uniform(25, 60))
            _fill(self._ground, _outline(0, 0), at, size, colour, opacity)

    def _confetti(self, colours: list[Colour]) -> Iterator[_Shape]:
        """Small shapes all over the frame."""
        for home, colour in zip(self._scatter(6), 2 * colours, strict=True):
            orbit, size = self._chance.uniform([0.15, 0.05], [0.3, 0.13])
            phase, spin = self._chance.uniform(0, _TURN), self._chance.choice([-_TURN, _TURN])
            yield _Shape(home, orbit, phase, size, spin, colour, 200)

    def _blossom(self, colours: list[Colour]) -> Iterator[_Shape]:
        """Three large shapes around one centre, which turn against each other."""
        x, y = self._chance.uniform([-0.4, -0.25], [0.4, 0])
        home = complex(x * self._reach.real, y * self._reach.imag)
        phase, spin = self._chance.uniform(0, _TURN), self._chance.choice([-_TURN, _TURN])
        yield _Shape(home, 0.10, phase, 0.62, spin, colours[0], 200)
        yield _Shape(home, 0.13, phase, 0.44, -spin, colours[1], 225)
        yield _Shape(home, 0.16, phase, 0.25, spin, colours[2], 255)

    def _scatter(self, count: int) -> list[complex]:
        """Places that together fill the frame."""
        places = []
        for number in range(count):
            x = (number + self._chance.uniform(0.2, 0.8)) / count
            # Multiples of the golden ratio are spread evenly, whatever the count.
            y = (0.618 * number + self._chance.uniform(0, 0.3)) % 1
            places.append(complex((2 * x - 1) * self._reach.real, (2 * y - 1) * self._reach.imag))
        return places


def _outline(petals: int, depth: float) -> Points:
    """A flower around 0 whose farthest point is 1 away; a depth of 0 makes a circle."""
    angle = np.linspace(0, _TURN, 16 * max(5, petals), endpoint=False)
    return (1 + depth * np.cos(petals * angle)) / (1 + depth) * np.exp(1j * angle)


def _fill(
    picture: Image.Image,
    outline: Points,
    at: complex,
    size: complex,
    colour: Colour,
    opacity: int,
) -> None:
    """Fills an outline around `at`, in pixels, with smooth edges, and more opaque at its top.

    `size` is that of the outline's unit in pixels, and its angle turns the outline.
    """
    reach = math.ceil(abs(size))
    left, top = math.floor(at.real) - reach, math.floor(at.imag) - reach
    # Drawn twice as large, because Pillow's own edges are not smooth.
    mask = Image.new("L", (4 * reach + 4, 4 * reach + 4))
    points = outline * (2 * size) + 2 * (at - complex(left, top))
    ImageDraw.Draw(mask).polygon(points.view(np.float64).tolist(), fill=opacity)
    mask = mask.reduce(2)
    if reach > _GLOSS_FROM:
        gloss = _GLOSS.resize(mask.size, Image.Resampling.NEAREST)
        mask = ImageChops.multiply(mask, gloss)
    picture.paste(colour, (left, top), mask)
