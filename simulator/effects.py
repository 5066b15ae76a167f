"""The sixteen pikaffects, each so simple that one look tells which it is.

An effect turns a frame and a time from 0 to 1 into a frame of the same shape. The names are the
seed's ten and the six of public pages; what they look like is the simulator's own guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from .picture import Frame, Grid


@dataclass(frozen=True)
class Stage:
    """What every frame of a clip shares. `rows` and `cols` are pixel coordinates from the
    centre in units of half the shorter side; `noise` is 0 to 1 and even, `smooth` slow.
    """

    ground: Frame
    rows: Grid
    cols: Grid
    noise: Grid
    smooth: Grid

    @property
    def unit(self) -> float:
        """Pixels in one unit."""
        height, width = self.ground.shape[:2]
        return float(min(height, width)) / 2

    @property
    def reach(self) -> tuple[float, float]:
        """(half the height, half the width) in units."""
        height, width = self.ground.shape[:2]
        return height / 2 / self.unit, width / 2 / self.unit


def stage_for(first: Frame) -> Stage:
    """The stage of a clip; behind what an effect removes is the first frame, dark and blurred."""
    height, width = first.shape[:2]
    random = np.random.default_rng(7)
    unit = min(height, width) / 2
    rows = (np.arange(height, dtype=np.float32)[:, None] - height / 2 + 0.5) / np.float32(unit)
    cols = (np.arange(width, dtype=np.float32)[None, :] - width / 2 + 0.5) / np.float32(unit)
    slow = np.interp(np.linspace(0, 11, width), np.arange(12), random.random(12))
    mean = first[::8, ::8].mean(axis=(0, 1)) * 0.4
    shade = np.linspace(0.8, 1.3, height)[:, None, None] * mean
    ground = np.broadcast_to(shade, first.shape).astype(np.uint8)
    return Stage(
        ground,
        np.ascontiguousarray(np.broadcast_to(rows, (height, width))),
        np.ascontiguousarray(np.broadcast_to(cols, (height, width))),
        random.random((height, width), dtype=np.float32),
        slow.astype(np.float32)[None, :],
    )


def _sample(frame: Frame, stage: Stage, rows: Grid, cols: Grid) -> Frame:
    """The frame's pixels at other coordinates; the ground shows where there are none."""
    height, width = frame.shape[:2]
    y = np.floor(rows * stage.unit + height / 2).astype(np.int32)
    x = np.floor(cols * stage.unit + width / 2).astype(np.int32)
    outside = (y < 0) | (y >= height) | (x < 0) | (x >= width)
    index = y * width + x
    index[outside] = 0
    taken: Frame = frame.reshape(-1, 3).take(index.ravel(), axis=0).reshape(frame.shape)
    return _pick(outside, stage.ground, taken)


def _mixed(frame: Frame, colour: tuple[int, int, int], share: Grid) -> Frame:
    mask = Image.fromarray((np.clip(share, 0, 1) * 255).astype(np.uint8))
    under = Image.fromarray(frame)
    over = Image.new("RGB", under.size, colour)
    # Pillow mixes several times faster than numpy, which would go through floats.
    return np.asarray(Image.composite(over, under, mask))


def _pick(mask: npt.NDArray[np.bool_], yes: Frame, no: Frame) -> Frame:
    """The pixels of one frame where the mask is set, of the other elsewhere."""
    chosen = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    return np.asarray(Image.composite(Image.fromarray(yes), Image.fromarray(no), chosen))


def _tiles(frame: Frame, stage: Stage, move: Callable[[int, float, float], Grid]) -> Frame:
    """The frame cut in tiles, each moved by (rows, cols) pixels that `move` gives for its
    number and its centre in units.
    """
    moved = stage.ground.copy()
    height, width = frame.shape[:2]
    side = max(4, round(stage.unit / 4))
    number = 0
    for top in range(0, height, side):
        for left in range(0, width, side):
            number += 1
            middle = (top + side / 2 - height / 2) / stage.unit
            down, right = move(number, middle, (left + side / 2 - width / 2) / stage.unit)
            y, x = top + int(down), left + int(right)
            y0, x0 = max(y, 0), max(x, 0)
            y1, x1 = min(y + side, top + height, height), min(x + side, width)
            tile = frame[top + y0 - y : top + y1 - y, left + x0 - x : left + x1 - x]
            if y1 > y0 and x1 > x0 and tile.size:
                moved[y0 : y0 + tile.shape[0], x0 : x0 + tile.shape[1]] = tile
    return moved


def dissolve(frame: Frame, stage: Stage, t: float) -> Frame:
    gone = stage.noise < t * 1.05
    edge = np.clip(1 - np.abs(stage.noise - t * 1.05) * 12, 0, 1) * min(1, 6 * t)
    return _pick(gone, stage.ground, _mixed(frame, (255, 240, 210), edge))


def melt(frame: Frame, stage: Stage, t: float) -> Frame:
    high = stage.reach[0]
    depth = (stage.rows + high) / (2 * high)
    drip = (0.4 + 1.6 * stage.smooth) * t * t * 2 * high
    wave = 0.05 * t * np.sin(stage.rows * 9 + t * 8)
    return _sample(frame, stage, stage.rows - drip * (0.35 + 0.65 * depth), stage.cols + wave)


def crush(frame: Frame, stage: Stage, t: float) -> Frame:
    high, shake = stage.reach[0], 0.03 * math.sin(t * 60) * (1 - t)
    rows = high - (high - stage.rows) / (1 - 0.85 * t)
    return _sample(frame, stage, rows, stage.cols / (1 + 0.3 * t) + shake)


def inflate(frame: Frame, stage: Stage, t: float) -> Frame:
    radius = np.hypot(stage.rows, stage.cols)
    pull = np.clip(radius / (0.35 + 0.9 * t), 0, 1) ** (1.3 * t)
    return _sample(frame, stage, stage.rows * pull, stage.cols * pull)


def deflate(frame: Frame, stage: Stage, t: float) -> Frame:
    high = stage.reach[0]
    size = 1 - 0.7 * t
    wrinkle = 0.12 * t * np.sin(stage.cols * 9 + 14 * t) + 0.1 * t * np.sin(stage.cols * 23)
    return _sample(
        frame, stage, high - (high - stage.rows) / size**1.5 + wrinkle, stage.cols / size**0.5
    )


def crumble(frame: Frame, stage: Stage, t: float) -> Frame:
    late = np.random.default_rng(3).random(4096)
    height = frame.shape[0]

    def fall(number: int, row: float, _col: float) -> Grid:
        wait = 0.5 * late[number % 4096] + 0.25 * (1 - row) / 2
        return np.array([max(0.0, t * 1.5 - wait) ** 2 * height * 1.6, 0], dtype=np.float32)

    return _tiles(frame, stage, fall)


def squish(frame: Frame, stage: Stage, t: float) -> Frame:
    squeeze = 0.5 * math.sin(t * 3 * math.pi) ** 2
    waist = 1 - squeeze * np.exp(-((stage.rows / 0.6) ** 2))
    return _sample(frame, stage, stage.rows * (1 - 0.3 * squeeze), stage.cols / waist)


def explode(frame: Frame, stage: Stage, t: float) -> Frame:
    wild = np.random.default_rng(5).normal(size=(4096, 2)) * 0.5
    push = t * t * 3 * stage.unit

    def fly(number: int, row: float, col: float) -> Grid:
        return (np.array([row, col]) * 1.6 + wild[number % 4096]).astype(np.float32) * push

    blast = np.exp(-np.hypot(stage.rows, stage.cols) / (0.2 + 2 * t)) * math.sin(math.pi * t) ** 2
    return _mixed(_tiles(frame, stage, fly), (255, 190, 90), blast)


def cake_ify(frame: Frame, stage: Stage, t: float) -> Frame:
    part = 0.75 * t
    lean = stage.cols - 0.15 * stage.rows
    split = _sample(frame, stage, stage.rows, np.where(lean > part, stage.cols - part, stage.cols))
    cream = (np.mod(stage.rows * 4 + 0.06 * stage.smooth, 1) < 0.3)[..., None]
    crumb = (235 - 40 * stage.noise)[..., None] * np.array([0.98, 0.78, 0.5], dtype=np.float32)
    inside = np.where(cream, np.array([255, 246, 236], np.float32), crumb).astype(np.uint8)
    return _pick((lean > 0) & (lean <= part), inside, split)


def ta_da(frame: Frame, stage: Stage, t: float) -> Frame:
    width = stage.reach[1]
    edge = width * min(1.0, max(0.0, (t - 0.1) * 1.6)) ** 1.5 * 1.1
    fold = 0.55 + 0.3 * np.sin(stage.cols * 16 + 2 * np.sin(stage.rows))
    cloth = (fold[..., None] * np.array([200, 20, 45], dtype=np.float32)).astype(np.uint8)
    shut = np.abs(stage.cols) > edge + 0.04 * np.sin(stage.rows * 5)
    spark = np.random.default_rng(int(t * 12)).random((40, 2)) * 2 - 1
    lit = _pick(shut, cloth, frame).copy()
    high = stage.reach[0]
    for row, col in spark * np.array([high, width]) if t > 0.4 else []:
        y, x = int((row + high) * stage.unit), int((col + width) * stage.unit)
        arm = max(1, round(stage.unit / 40))
        lit[max(0, y - 3 * arm) : y + 3 * arm, x : x + arm] = (255, 245, 180)
        lit[y : y + arm, max(0, x - 3 * arm) : x + 3 * arm] = (255, 245, 180)
    return lit


def levitate(frame: Frame, stage: Stage, t: float) -> Frame:
    high = stage.reach[0]
    size = 1 - 0.4 * min(1.0, t * 2)
    lift = 0.2 * min(1.0, t * 2) + 0.06 * math.sin(t * 10) * t
    card = _sample(frame, stage, (stage.rows + lift) / size, stage.cols / size)
    shadow = np.exp(-((stage.cols / size) ** 2) - ((stage.rows - 0.62 * high) / 0.1) ** 2)
    below = stage.rows + lift > size * high
    return _mixed(card, (0, 0, 0), shadow * below * 0.9)


def peel(frame: Frame, stage: Stage, t: float) -> Frame:
    high, wide = stage.reach
    along = (stage.rows + stage.cols) / math.sqrt(2)
    corner = (high + wide) / math.sqrt(2)
    fold = corner * (1 - 1.5 * t)
    back = (fold - along) * math.sqrt(2)
    flap = _sample(frame, stage, stage.rows + back, stage.cols + back)
    # The turned corner lies where its mirror image is still inside the picture.
    turned = (np.abs(stage.rows + back) < high) & (np.abs(stage.cols + back) < wide)
    flap = _mixed(flap, (250, 248, 240), np.full_like(along, 0.7))
    return _pick(along > fold, stage.ground, _pick(turned & (along < fold), flap, frame))


def poke(frame: Frame, stage: Stage, t: float) -> Frame:
    push = math.sin(t * 2 * math.pi) ** 2
    far = np.hypot(stage.rows, stage.cols)
    dent = 1 + 1.8 * push * np.exp(-((far / 0.35) ** 2))
    ring = 1 + 0.06 * push * np.sin(far * 18 - t * 20) * np.exp(-far)
    dark = 0.6 * push * np.exp(-((far / 0.22) ** 2))
    return _mixed(_sample(frame, stage, stage.rows * dent * ring, stage.cols * dent * ring),
                  (0, 0, 0), dark)  # fmt: skip


def tear(frame: Frame, stage: Stage, t: float) -> Frame:
    gap = 0.9 * t * stage.reach[1]
    jag = 0.06 * np.sin(stage.rows * 11) + 0.04 * np.sin(stage.rows * 29 + 1)
    left, right = stage.cols < jag - gap, stage.cols > jag + gap
    shift = left * np.float32(gap) - right * np.float32(gap)
    torn = _sample(frame, stage, stage.rows, stage.cols + shift)
    torn = _pick(left | right, torn, stage.ground)
    rim = np.abs(np.abs(stage.cols - jag) - gap - 0.02) < 0.02
    return _mixed(torn, (255, 252, 245), rim.astype(np.float32) * min(1.0, 8 * t))


def eye_pop(frame: Frame, stage: Stage, t: float) -> Frame:
    grow = 0.12 + 0.38 * t + 0.05 * math.sin(t * 25) * t
    shown = min(1.0, 4 * t)
    high, wide = stage.reach
    popped = frame.copy()
    for side in (-0.45, 0.45):
        # Only the square around the eye is drawn: the rest of the frame stays.
        top, bottom = (round((high - 0.2 + s * 2 * grow) * stage.unit) for s in (-1, 1))
        left, right = (round((wide + side + s * 2 * grow) * stage.unit) for s in (-1, 1))
        box = (slice(max(0, top), max(0, bottom)), slice(max(0, left), max(0, right)))
        far = np.hypot(stage.rows[box] + 0.2, stage.cols[box] - side) / grow
        ball = np.clip((1 - far) * 12, 0, 1) * shown
        eye = _mixed(popped[box], (0, 0, 0), np.exp(-((far / 1.2) ** 4)) * 0.5 * shown)
        eye = _mixed(eye, (255, 255, 250), ball)
        eye = _mixed(eye, (40, 90, 160), (far < 0.5) * ball)
        popped[box] = _mixed(eye, (10, 10, 15), (far < 0.25) * ball)
    return popped


def decapitate(frame: Frame, stage: Stage, t: float) -> Frame:
    neck = -0.05 + 0.12 * stage.cols
    slide, drop = 2.2 * t * t, 1.6 * max(0.0, t - 0.35) ** 2
    turn = -0.5 * t * t
    down, right = stage.rows - drop, stage.cols - slide
    rows = down * math.cos(turn) - right * math.sin(turn)
    cols = down * math.sin(turn) + right * math.cos(turn)
    head = rows < -0.05 + 0.12 * cols
    inside = (np.abs(rows) < stage.reach[0]) & (np.abs(cols) < stage.reach[1])
    body = _pick(stage.rows < neck, stage.ground, frame)
    return _pick(head & inside, _sample(frame, stage, rows, cols), body)


EFFECTS: dict[str, Callable[[Frame, Stage, float], Frame]] = {
    "Ta-da": ta_da,
    "Deflate": deflate,
    "Crumble": crumble,
    "Dissolve": dissolve,
    "Squish": squish,
    "Inflate": inflate,
    "Melt": melt,
    "Crush": crush,
    "Cake-ify": cake_ify,
    "Explode": explode,
    "Decapitate": decapitate,
    "Eye-pop": eye_pop,
    "Levitate": levitate,
    "Peel": peel,
    "Poke": poke,
    "Tear": tear,
}
