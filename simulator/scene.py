"""A moving picture for a prompt without an image: what it names, in a place, as simple shapes."""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from .camera import View
from .picture import Colour, hash_of, oklch
from .subjects import STANDING, TRAVELLERS, Part, parts_of
from .words import read

_TURN: Final = 2 * math.pi
# Larger numbers make the lights of the sky narrower.
_NARROW: Final = 1.4
# The size of the sky in frames; the rest is for the camera and for its own motion.
_SKY: Final = 1.7
# The lightness of the sky's lights is changed by this.
_LIGHTS: Final = {"night": -0.13, "day": 0.12}
# How often the ground passes by in a clip, from the front to the back: whole numbers, because
# players repeat a short clip. With a subject that stays where it is, and with one that travels.
_STILL_LAPS: Final = (1, 0)
_LAPS: Final = (2, 1)
# Where each ridge begins, from the front to the back, in half frames below the middle.
_RIDGES: Final = (0.42, 0.1)
# Particles of each kind: how often they fall through the frame in a clip, and how many there are.
_FALL: Final = {"snow": 1, "rain": 4, "petals": 1, "smoke": -1, "stars": 0}
_PARTICLES: Final = {"rain": 26}
_SOME_PARTICLES: Final = 18


@dataclass(frozen=True)
class _Ridge:
    """A silhouette that passes by: its mask, which is two frames wide, and its top in pixels."""

    mask: Image.Image
    top: int
    laps: int
    colour: Colour


@dataclass(frozen=True)
class _Particle:
    """`home` is in shares of the frame, `laps` as `_FALL`; it sways in half short sides."""

    home: complex
    laps: int
    sway: float
    phase: float
    colour: Colour
    mask: Image.Image


class Scene:
    """The frames of one clip. The prompt decides what is drawn in which colours, `variation` how
    it is arranged, and what the prompt leaves open.
    """

    def __init__(self, prompt: str, variation: str, size: tuple[int, int]) -> None:
        self.size = size
        self._unit = min(size) / 2
        self._reach = complex(*size) / min(size)
        look = np.random.default_rng(hash_of(prompt))
        self._chance = np.random.default_rng(hash_of(f"{variation} {prompt}"))
        self._reading = reading = read(prompt)
        # Dark shades between yellow and green look muddy, so chance leaves them out.
        by_chance = look.uniform(150, 410)
        hue = by_chance if reading.hue is None else reading.hue
        contrast = hue + look.uniform(130, 190)
        self._hue = hue + self._chance.uniform(-14, 14)
        self._inks = self._mix(contrast if reading.own_hue is None else reading.own_hue)
        # The light makes the takes of a prompt that does not name one different.
        lights = ("", "day", "night") if reading.has_colour else ("", "day", "night", "sunset")
        self._light = reading.light or str(self._chance.choice(lights))
        self._parts = parts_of(self._reading.subject, look)
        self._mirror = bool(self._chance.integers(2))
        self._sky = self._gradient()
        self._ridges = list(self._landscape()) if self._reading.place != "space" else []
        self._home, self._half = self._place_subject()
        self._particles = list(self._scatter_particles())

    def frame(self, t: float, motion: int, view: View) -> Image.Image:
        """The scene at a time from 0 to 1; `motion` from 0 to 4 makes the paths longer.

        The scene is the same at both ends, because players repeat a short clip.
        """
        width, height = self.size
        seen = complex(view.x * width, view.y * height)
        # The sky is far away: it follows the camera, but does not change its size.
        drift = 0.1 * 2 * self._unit * cmath.rect(0.7 + 0.3 * motion, _TURN * t)
        corner = drift + seen + complex(*self._sky.size) / 2
        left, top = round(corner.real - width / 2), round(corner.imag - height / 2)
        picture = self._sky.crop((left, top, left + width, top + height))
        floating = self._reading.subject in ("boat", "fish")
        for number, ridge in enumerate(reversed(self._ridges)):
            if number == 1 and floating:
                self._draw_subject(picture, t, motion, view, seen)
            self._draw_ridge(picture, ridge, t, seen)
        if not floating or len(self._ridges) < len(_RIDGES):
            self._draw_subject(picture, t, motion, view, seen)
        for particle in self._particles:
            self._draw_particle(picture, particle, t, seen)
        return picture

    def _mix(self, hue: float) -> list[Colour]:
        """The inks of the subject, by their numbers."""
        second = {"fruit": 140.0, "flower": 150.0, "orb": hue}.get(
            self._reading.subject, hue + self._chance.choice([-35, 35])
        )
        light = 0.88 if self._reading.subject == "orb" else 0.74
        return [
            oklch(light, 0.17 - (light - 0.74) / 2, hue),
            oklch(light - 0.13, 0.14, second),
            oklch(0.95, 0.05, hue + 30),
            oklch(0.24, 0.05, hue),
        ]

    def _gradient(self) -> Image.Image:
        """Coloured lights that run into one another, worked out small and enlarged."""
        hue, lighter = self._hue, _LIGHTS.get(self._light, 0.0)
        hues = [hue - 30, hue - 10, hue + 5, hue + 25, hue + 50]
        if self._light == "sunset":
            hues = [340, 10, 30, 55, 75]
        levels = ((0.24, 0.09), (0.36, 0.13), (0.5, 0.17), (0.62, 0.17), (0.78, 0.13))
        lights = [
            oklch(light + lighter, chroma, each)
            for (light, chroma), each in zip(levels, hues, strict=True)
        ]
        size = tuple(round(_SKY * side) for side in self.size)
        places = _SKY * np.array(self._scatter(len(lights)))
        reach = _SKY * self._reach
        cols, rows = (round(24 * side / min(size)) for side in size)
        x = np.linspace(-reach.real, reach.real, cols)
        y = np.linspace(-reach.imag, reach.imag, rows)
        distance = (x[:, None] - places.real) ** 2 + (y[:, None, None] - places.imag) ** 2
        weights = np.exp(-_NARROW * distance) + 1e-4
        colours = weights @ self._chance.permutation(lights) / weights.sum(axis=2, keepdims=True)
        sky = Image.fromarray(colours.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
        self._hang(sky)
        return sky

    def _hang(self, sky: Image.Image) -> None:
        """Draws a sun or a moon with its glow, or large faint circles, on the sky."""
        light = self._light
        middle = complex(*sky.size) / 2
        if self._reading.subject != "orb" and light in ("night", "sunset", "day"):
            x = self._chance.uniform(-0.7, 0.7) * self._reach.real
            at = middle + complex(x, -0.55 * self._reach.imag) * self._unit
            colour = oklch(0.93, 0.07, 95) if light == "night" else oklch(0.9, 0.12, 85)
            for size, opacity in ((0.62, 28), (0.42, 44), (0.26, 235)):
                _disc(sky, at, size * self._unit, colour, opacity)
            return
        for home in self._scatter(4):
            size = self._chance.uniform(0.35, 0.9) * self._unit
            opacity = round(self._chance.uniform(25, 60))
            _disc(sky, 1.4 * home * self._unit + middle, size, self._inks[2], opacity)

    def _landscape(self) -> Iterator[_Ridge]:
        """The ground in front and what is far behind it, as outlines that repeat."""
        width, height = self.size
        travels = self._reading.subject in TRAVELLERS
        place = self._reading.place
        pale = 0.2 if place == "snow" else 0.0
        laps = _LAPS if travels else _STILL_LAPS
        for number, (start, speed) in enumerate(zip(_RIDGES, laps, strict=True)):
            far = number == 1
            rises = _outline(place, far, width, self._chance) * self._unit
            top = round(height / 2 + start * height / 2 - float(rises.max()))
            mask = Image.new("L", (2 * width, height - top))
            profile = float(rises.max()) - np.tile(rises, 2)
            corners = [(0, height), *enumerate(profile.tolist()), (2 * width, height)]
            ImageDraw.Draw(mask).polygon(corners, fill=255)
            level = (0.46, 0.09) if far else (0.3, 0.08)
            lighter = _LIGHTS.get(self._light, 0.0) / 2 + pale * (2 if far else 2.6)
            colour = oklch(level[0] + lighter, level[1] * (1 - 3 * pale), self._hue - 15)
            yield _Ridge(mask, top, speed, colour)

    def _draw_ridge(self, picture: Image.Image, ridge: _Ridge, t: float, seen: complex) -> None:
        width, height = self.size
        nearness = 0.5 + 0.5 * ridge.laps
        passed = ridge.laps * t * width * (-1 if self._mirror else 1)
        left = round(passed + nearness * seen.real) % width
        down = round(ridge.top - nearness * seen.imag)
        if down < height:
            mask = ridge.mask.crop((left, 0, left + width, ridge.mask.height))
            picture.paste(ridge.colour, (0, down), mask)
            # Where the camera looks below the outline, the ground goes on.
            if (end := down + mask.height) < height:
                picture.paste(ridge.colour, (0, end, width, height))

    def _place_subject(self) -> tuple[complex, float]:
        """Where the subject is and half its size, in half short sides of the frame."""
        subject = self._reading.subject
        half = self._chance.uniform(0.55, 0.72)
        x = self._chance.uniform(-0.35, 0.35) * self._reach.real
        y = self._chance.uniform(-0.3, -0.1) * self._reach.imag
        if subject in STANDING and self._ridges:
            y = _RIDGES[0] * self._reach.imag - (0.95 if subject == "flower" else 0.62) * half
        if subject in ("boat", "fish") and self._ridges:
            y = (_RIDGES[0] - 0.1) * self._reach.imag - 0.45 * half
        return complex(x, y), half

    def _draw_subject(
        self, picture: Image.Image, t: float, motion: int, view: View, seen: complex
    ) -> None:
        """Draws all parts twice as large on the picture behind them: so edges are smooth."""
        strength = 0.7 + 0.3 * motion
        subject, action = self._reading.subject, self._reading.action
        wave = math.sin(_TURN * t)
        path = complex(0.22 * math.cos(_TURN * t), 0.1 * math.sin(2 * _TURN * t))
        turn = 1 + 0j
        if subject in STANDING:
            path = complex(path.real, 0.0)
        if action == "jump":
            path -= 0.35j * abs(math.sin(2 * _TURN * t))
        if action == "spin" and subject not in STANDING | {"boat"}:
            turn = cmath.rect(1, _TURN * t)
        fading = 0.5 - 0.5 * math.cos(_TURN * t) if action == "vanish" else 0.0
        path -= 0.3j * fading
        if not subject or subject in ("fruit", "orb", "rocket", "bird"):
            turn *= cmath.rect(1, 0.12 * strength * wave)
        camera = cmath.rect(view.scale, view.angle)
        at = ((self._home + strength * path) * self._unit - seen) * camera
        at += complex(*self.size) / 2
        size = self._half * self._unit * turn * camera
        reach = math.ceil(1.15 * abs(size))
        left, top = math.floor(at.real) - reach, math.floor(at.imag) - reach
        box = (left, top, left + 2 * reach, top + 2 * reach)
        behind = picture.crop(box)
        drawn = behind.resize((4 * reach, 4 * reach), Image.Resampling.NEAREST)
        draw = ImageDraw.Draw(drawn)
        for part in self._parts:
            points = 2 * (self._seen_from_its_side(part, t) * size + at - complex(left, top))
            draw.polygon(points.view(np.float64).tolist(), fill=self._inks[part.ink])
        finished = drawn.reduce(2)
        if fading:
            finished = Image.blend(finished, behind, 0.85 * fading)
        picture.paste(finished, (left, top))

    def _seen_from_its_side(self, part: Part, t: float) -> npt.NDArray[np.complex128]:
        points = part.at(t)
        return -points.conj() if self._mirror else points

    def _scatter_particles(self) -> Iterator[_Particle]:
        """What falls or rises all over the frame. What the prompt names, or else a few lights."""
        kind = self._reading.weather
        colours = [self._inks[2], oklch(0.85, 0.13, self._hue + 60)]
        if kind in ("snow", "rain", "stars"):
            colours = [oklch(0.96, 0.02, self._hue), oklch(0.88, 0.04, self._hue)]
        masks = [_particle(kind, size * self._unit) for size in (0.03, 0.045, 0.06)]
        count = _PARTICLES.get(kind, _SOME_PARTICLES)
        for number, home in enumerate(self._scatter(count)):
            laps = _FALL.get(kind, self._chance.choice([-1, 1]))
            sway = 0.0 if kind == "rain" else self._chance.uniform(0.03, 0.16)
            phase = self._chance.uniform(0, _TURN)
            place = complex(home.real / self._reach.real, home.imag / self._reach.imag)
            share = (place + 1 + 1j) / 2
            yield _Particle(share, laps, sway, phase, colours[number % 2], masks[number % 3])

    def _draw_particle(
        self, picture: Image.Image, particle: _Particle, t: float, seen: complex
    ) -> None:
        width, height = self.size
        sway = particle.sway * self._unit * cmath.rect(1, _TURN * t + particle.phase)
        x = particle.home.real * width + sway.real - seen.real
        y = (particle.home.imag + particle.laps * t) % 1 * (height + 2 * particle.mask.height)
        y += sway.imag - 2 * particle.mask.height - seen.imag
        picture.paste(particle.colour, (round(x), round(y)), particle.mask)

    def _scatter(self, count: int) -> list[complex]:
        """Places that together fill the frame."""
        places = []
        for number in range(count):
            x = (number + self._chance.uniform(0.2, 0.8)) / count
            # Multiples of the golden ratio are spread evenly, whatever the count.
            y = (0.618 * number + self._chance.uniform(0, 0.3)) % 1
            places.append(complex((2 * x - 1) * self._reach.real, (2 * y - 1) * self._reach.imag))
        return places


def _outline(
    place: str, far: bool, width: int, chance: np.random.Generator
) -> npt.NDArray[np.float64]:
    """The height of a ridge at each pixel of a frame, in half short sides. It repeats."""
    x = np.arange(width) / width
    waves = [
        chance.uniform(0.4, 1) / each * np.sin(_TURN * (each * x + chance.uniform()))
        for each in (1, 2, 3, 5)
    ]
    hills: npt.NDArray[np.float64] = 0.09 * np.sum(waves, axis=0)
    if place == "sea":
        return (0.03 if far else 0.07) * np.abs(np.sin(_TURN * (3 if far else 4) * x))
    if place == "city" and far:
        blocks = chance.uniform(0.25, 0.95, 14)
        return np.asarray(blocks[(x * 14).astype(int)])
    if place == "forest" and far:
        teeth = 1 - np.abs((x * 22) % 1 * 2 - 1)
        return hills + teeth * chance.uniform(0.25, 0.5, 22)[(x * 22).astype(int)]
    if place in ("mountains", "snow") and far:
        peaks = 1 - np.abs((x * 5) % 1 * 2 - 1)
        return hills + peaks * chance.uniform(0.35, 0.8, 5)[(x * 5).astype(int)]
    return hills * (1.6 if far else 0.6)


def _disc(picture: Image.Image, at: complex, size: float, colour: Colour, opacity: int) -> None:
    """Fills a circle around `at`, in pixels, with smooth edges."""
    reach = math.ceil(size)
    mask = Image.new("L", (4 * reach, 4 * reach))
    box = (2 * reach - 2 * size, 2 * reach - 2 * size, 2 * reach + 2 * size, 2 * reach + 2 * size)
    ImageDraw.Draw(mask).ellipse(box, fill=opacity)
    place = (round(at.real) - reach, round(at.imag) - reach)
    picture.paste(colour, place, mask.reduce(2))


def _particle(kind: str, size: float) -> Image.Image:
    """The mask of a particle, with smooth edges."""
    side = max(2, math.ceil(size))
    wide, high = {"rain": (0.3, 2.2), "petals": (1.3, 0.8)}.get(kind, (1.0, 1.0))
    mask = Image.new("L", (max(8, round(4 * wide * side)), max(8, round(4 * high * side))))
    ImageDraw.Draw(mask).ellipse((0, 0, mask.width - 1, mask.height - 1), fill=210)
    return mask.reduce(4)
