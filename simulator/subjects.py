"""The outlines of what a prompt names, made of simple parts that move."""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

# Complex numbers are points: x to the right, y down.
Points: TypeAlias = npt.NDArray[np.complex128]

_TURN: Final = 2 * math.pi
#: Numbers of the inks: the thing itself, its second colour, a light one, and a dark one.
MAIN, SECOND, LIGHT, DARK = range(4)


@dataclass(frozen=True)
class Part:
    """A filled outline. Lengths are in half sizes of the subject, which faces right.

    It turns by `swing` radians to each side of its pivot, `beats` times per clip, or flaps: then
    its height above the pivot changes by this share. `turns` is how often it spins per clip.
    """

    points: Points
    ink: int = MAIN
    pivot: complex = 0
    swing: float = 0.0
    flap: float = 0.0
    turns: int = 0
    phase: float = 0.0
    beats: int = 4

    def at(self, t: float) -> Points:
        """The outline at a time from 0 to 1. It is the same at both ends."""
        if not (self.swing or self.flap or self.turns):
            return self.points
        wave = math.sin(_TURN * self.beats * t + self.phase)
        away = self.points - self.pivot
        if self.flap:
            away = away.real + 1j * away.imag * (1 - self.flap * (1 + wave) / 2)
        return away * cmath.rect(1, self.swing * wave + _TURN * self.turns * t) + self.pivot


def blossom(petals: int, depth: float, size: float = 1.0) -> Points:
    """A flower around 0 whose farthest point is `size` away; a depth of 0 makes a circle."""
    angle = np.linspace(0, _TURN, 16 * max(5, petals), endpoint=False)
    return size * (1 + depth * np.cos(petals * angle)) / (1 + depth) * np.exp(1j * angle)


def _oval(middle: complex, width: float, height: float) -> Points:
    angle = np.linspace(0, _TURN, 40, endpoint=False)
    return middle + width * np.cos(angle) + 1j * height * np.sin(angle)


def _shape(*points: complex) -> Points:
    return np.array(points)


def _limb(top: complex, bottom: complex, width: float) -> Points:
    side = width * 1j * (bottom - top) / abs(bottom - top)
    return _shape(top + side, top - side, bottom - 0.7 * side, bottom + 0.7 * side)


def _animal() -> Iterator[Part]:
    for x, phase in ((-0.32, 0.0), (0.26, math.pi)):
        yield Part(_limb(x + 0.1j, x + 0.62j, 0.07), SECOND, x + 0.1j, 0.6, phase=phase + 1)
    yield Part(
        _shape(-0.4 - 0.1j, -0.75 - 0.42j, -1.0 - 0.3j, -0.8 - 0.05j, -0.4 + 0.1j),
        pivot=-0.4,
        swing=0.25,
        beats=3,
    )
    yield Part(_oval(0, 0.52, 0.25))
    for x, phase in ((-0.4, math.pi), (0.34, 0.0)):
        yield Part(_limb(x + 0.08j, x + 0.62j, 0.08), MAIN, x + 0.1j, 0.6, phase=phase)
    yield Part(_shape(0.36 - 0.4j, 0.4 - 0.78j, 0.56 - 0.46j), SECOND)
    yield Part(_shape(0.54 - 0.46j, 0.66 - 0.76j, 0.72 - 0.38j), SECOND)
    yield Part(_oval(0.52 - 0.32j, 0.23, 0.2))
    yield Part(_shape(0.62 - 0.42j, 0.92 - 0.24j, 0.6 - 0.14j), LIGHT)
    yield Part(_oval(0.56 - 0.36j, 0.035, 0.035), DARK)


def _bird() -> Iterator[Part]:
    wing = _shape(-0.2 - 0.04j, 0.24 - 0.06j, -0.02 - 0.9j, -0.34 - 0.82j)
    yield Part(wing + 0.1, SECOND, 0.1, flap=1.5, beats=6)
    yield Part(_shape(-0.3, -0.85 - 0.14j, -0.8 + 0.08j), SECOND)
    yield Part(_oval(0, 0.46, 0.18))
    yield Part(_oval(0.42 - 0.12j, 0.17, 0.15))
    yield Part(_shape(0.54 - 0.18j, 0.8 - 0.08j, 0.54 - 0.04j), LIGHT)
    yield Part(wing, LIGHT, 0, flap=1.5, beats=6)
    yield Part(_oval(0.46 - 0.15j, 0.03, 0.03), DARK)


def _fish() -> Iterator[Part]:
    tail = _shape(-0.5, -0.95 - 0.32j, -0.85, -0.95 + 0.32j)
    yield Part(tail, SECOND, -0.5, 0.35, beats=5)
    yield Part(_shape(-0.1 - 0.24j, 0.0 - 0.5j, 0.3 - 0.2j), SECOND)
    yield Part(_oval(0, 0.64, 0.3))
    yield Part(_oval(0.08 + 0.12j, 0.46, 0.14), LIGHT)
    yield Part(_shape(-0.05 + 0.05j, -0.3 + 0.36j, 0.15 + 0.1j), SECOND, 0.05j, 0.4)
    yield Part(_oval(0.4 - 0.08j, 0.05, 0.05), DARK)


def _boat() -> Iterator[Part]:
    rocking = partial(Part, pivot=0.5j, swing=0.07, beats=2)
    yield rocking(_limb(-0.85j, 0.25j, 0.025), DARK)
    yield rocking(_shape(0.05 - 0.85j, 0.05 + 0.12j, 0.62 + 0.12j), LIGHT)
    yield rocking(_shape(-0.05 - 0.65j, -0.05 + 0.12j, -0.5 + 0.12j), SECOND)
    yield rocking(_shape(-0.75 + 0.2j, 0.85 + 0.2j, 0.5 + 0.58j, -0.55 + 0.58j))


def _car() -> Iterator[Part]:
    yield Part(_shape(-0.42 - 0.1j, -0.25 - 0.42j, 0.25 - 0.42j, 0.5 - 0.1j), SECOND)
    yield Part(_shape(-0.2 - 0.12j, -0.14 - 0.34j, 0.02 - 0.34j, 0.02 - 0.12j), LIGHT)
    yield Part(_shape(0.08 - 0.12j, 0.08 - 0.34j, 0.2 - 0.34j, 0.36 - 0.12j), LIGHT)
    yield Part(_shape(-0.85 - 0.1j, 0.7 - 0.12j, 0.9 + 0.05j, 0.88 + 0.3j, -0.88 + 0.3j))
    for x in (-0.5, 0.5):
        yield Part(_oval(x + 0.32j, 0.19, 0.19), DARK)
        spokes = np.concatenate([_limb(0.12j, -0.12j, 0.03), _limb(0.12, -0.12, 0.03)])
        yield Part(spokes + x + 0.32j, LIGHT, x + 0.32j, turns=6)
    yield Part(_oval(0.82 + 0.02j, 0.05, 0.05), LIGHT)


def _rocket() -> Iterator[Part]:
    yield Part(_shape(-0.5 - 0.16j, -1.1, -0.5 + 0.16j), LIGHT, -0.5, flap=0.6, beats=9)
    yield Part(_shape(-0.3 - 0.1j, -0.65 - 0.42j, -0.05 - 0.2j), SECOND)
    yield Part(_shape(-0.3 + 0.1j, -0.65 + 0.42j, -0.05 + 0.2j), SECOND)
    nose = np.linspace(-1, 1, 20)
    yield Part(np.concatenate([0.85 - 0.75 * nose**2 + 0.24j * nose, [-0.55 + 0.2j, -0.55 - 0.2j]]))
    yield Part(_oval(0.22, 0.12, 0.12), LIGHT)
    yield Part(_oval(0.22, 0.07, 0.07), DARK)


def _house() -> Iterator[Part]:
    yield Part(_shape(0.3 - 0.75j, 0.48 - 0.75j, 0.48 - 0.2j, 0.3 - 0.2j), SECOND)
    yield Part(_shape(-0.55 - 0.12j, 0.55 - 0.12j, 0.55 + 0.62j, -0.55 + 0.62j))
    yield Part(_shape(-0.75 - 0.1j, -0.8j, 0.75 - 0.1j), SECOND)
    yield Part(_shape(-0.12 + 0.2j, 0.12 + 0.2j, 0.12 + 0.62j, -0.12 + 0.62j), DARK)
    for x in (-0.35, 0.35):
        pane = _shape(x - 0.11, x + 0.11, x + 0.11 + 0.22j, x - 0.11 + 0.22j)
        yield Part(pane, LIGHT)


def _fruit() -> Iterator[Part]:
    angle = np.linspace(0, _TURN, 64, endpoint=False)
    dent = 1 - 0.22 * np.exp(-8 * (1 + np.sin(angle)))
    yield Part(_limb(-0.4j, 0.1 - 0.85j, 0.04), DARK, swing=0.08, beats=2)
    body = 0.72 * dent * np.exp(1j * angle) * (1 - 0.06 * np.cos(2 * angle))
    yield Part(body, swing=0.08, beats=2)
    leaf = _oval(0.0, 0.26, 0.1) * cmath.rect(1, -0.5) + 0.32 - 0.78j
    yield Part(leaf, SECOND, 0.08 - 0.65j, 0.3, beats=3)
    yield Part(_oval(-0.3 - 0.22j, 0.13, 0.2), LIGHT, swing=0.08, beats=2)


def _person() -> Iterator[Part]:
    yield Part(_limb(0.05 - 0.25j, 0.05 + 0.2j, 0.07), SECOND, -0.25j, 0.9, phase=math.pi)
    for phase in (math.pi, 0.0):
        yield Part(_limb(0.12j, 0.75j, 0.1), SECOND, 0.12j, 0.5, phase=phase)
    yield Part(_shape(-0.2 - 0.35j, 0.2 - 0.35j, 0.16 + 0.2j, -0.16 + 0.2j))
    yield Part(_oval(-0.6j, 0.2, 0.22), LIGHT)
    yield Part(_oval(-0.02 - 0.68j, 0.21, 0.16), DARK)
    yield Part(_limb(-0.26j, 0.2j, 0.07), MAIN, -0.26j, 0.9)


def _orb() -> Iterator[Part]:
    yield Part(_oval(0, 0.75, 0.75))
    for at, size in ((-0.3 - 0.25j, 0.16), (0.28 + 0.1j, 0.22), (-0.1 + 0.4j, 0.11)):
        yield Part(_oval(at, size, size), SECOND, 0, 0.5, beats=1)
    yield Part(_oval(-0.3 - 0.45j, 0.12, 0.07), LIGHT)


def _flower() -> Iterator[Part]:
    bending = partial(Part, pivot=1j, swing=0.12, beats=2)
    yield bending(_limb(0, 1j, 0.045), SECOND)
    yield bending(_oval(0.0, 0.3, 0.1) * cmath.rect(1, -0.4) + 0.25 + 0.5j, SECOND)
    yield Part(blossom(8, 0.3, 0.68) - 0.2j, MAIN, -0.2j, turns=1)
    yield Part(blossom(8, 0.3, 0.42) - 0.2j, LIGHT, -0.2j, turns=-1)
    yield Part(_oval(-0.2j, 0.16, 0.16), DARK)


_KINDS: Final = {
    "animal": _animal,
    "bird": _bird,
    "fish": _fish,
    "boat": _boat,
    "car": _car,
    "rocket": _rocket,
    "house": _house,
    "fruit": _fruit,
    "person": _person,
    "orb": _orb,
    "flower": _flower,
}
#: What moves on, so that what is behind it passes by.
TRAVELLERS: Final = {"animal", "bird", "fish", "boat", "car", "rocket", "person"}
#: What stands on the ground with its lowest part.
STANDING: Final = {"animal", "car", "house", "person", "flower"}


def parts_of(kind: str, chance: np.random.Generator) -> list[Part]:
    """The parts of a subject from back to front. What is not known is a flower of the prompt."""
    if kind in _KINDS:
        return list(_KINDS[kind]())
    petals, depth = int(chance.integers(3, 10)), chance.uniform(0.1, 0.3)
    inks = (MAIN, SECOND, LIGHT)
    sizes = (0.9, 0.62, 0.36)
    return [
        Part(blossom(petals, depth, size), ink, turns=turns)
        for ink, size, turns in zip(inks, sizes, (1, -1, 1), strict=True)
    ]
