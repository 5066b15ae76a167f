"""Still pictures: sizes, a landscape for a prompt, and words drawn over a frame."""

from __future__ import annotations

import colorsys
import hashlib
import io
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, ImageOps

# uint8 [H, W, 3], RGB
Frame: TypeAlias = npt.NDArray[np.uint8]
Grid: TypeAlias = npt.NDArray[np.float32]
AnyFont: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

BADGE = "SIMULATED"
BADGE_COLOUR = (255, 190, 40)
_INK = (24, 20, 12)
# Fonts with more than Latin letters, tried by name; without any, boxes are drawn instead.
_WORLD_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSerifCJK-Regular.ttc",
    "NotoSansSC-Regular.otf",
    "msyh.ttc",
    "PingFang.ttc",
    "DejaVuSans.ttf",
)


def frame_size(ratio: float, shorter: int) -> tuple[int, int]:
    """(width, height) in pixels nearest to a ratio, both even since yuv420p needs it."""
    short = max(2, shorter // 2 * 2)
    if ratio >= 1:
        return round(short * ratio / 2) * 2, short
    return short, round(short / ratio / 2) * 2


def open_picture(data: bytes) -> Image.Image:
    """An RGB picture from PNG, JPEG or WebP bytes, turned upright, alpha over grey."""
    with Image.open(io.BytesIO(data)) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGBA")
    ground = Image.new("RGBA", upright.size, (128, 128, 128, 255))
    return Image.alpha_composite(ground, upright).convert("RGB")


def cover(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The picture scaled and cropped so that it fills the frame."""
    if picture.size == (width, height):
        return picture
    return ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)


def seed_of(text: str) -> int:
    """The same number for the same text, on every machine."""
    digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big")


def landscape(prompt: str, width: int, height: int) -> Image.Image:
    """A picture for a prompt without an input: sky, glows, hills and one glossy ball."""
    random = np.random.default_rng(seed_of(prompt))
    hue = random.random()
    rows, cols = _unit_grid(width, height)
    slope = rows + 0.25 * (cols - 0.5) * random.choice([-1, 1]).item()
    picture = _blend(_colour(hue, 0.7, 0.45), _colour(hue + 0.12, 0.45, 1.0), slope)
    wide = width / height
    for _ in range(4):
        x, y, size = random.random(), random.random() * 0.6, 0.15 + 0.25 * random.random()
        reach = ((cols - x) * wide) ** 2 + (rows - y) ** 2
        glow = np.exp(-reach / size**2)[..., None] * 0.55
        picture += (_colour(hue + 0.3 * random.random(), 0.4, 1.0) - picture) * glow
    for layer in range(3):
        picture = _hills(picture, rows, cols, hue, layer, random)
    _ball(picture, rows, cols * wide, (wide * 0.5, 0.5), _colour(hue + 0.5, 0.75, 0.95))
    return Image.fromarray(np.clip(picture * 255, 0, 255).astype(np.uint8))


def _unit_grid(width: int, height: int) -> tuple[Grid, Grid]:
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    cols = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    return rows, cols


def _colour(hue: float, saturation: float, value: float) -> Grid:
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value), dtype=np.float32)


def _blend(first: Grid, second: Grid, amount: Grid) -> Grid:
    share = np.clip(amount, 0, 1)[..., None]
    blended: Grid = first + (second - first) * share
    return blended


def _hills(
    picture: Grid, rows: Grid, cols: Grid, hue: float, layer: int, random: np.random.Generator
) -> Grid:
    """The picture with one more range of hills, nearer ones darker and lower."""
    # Plain floats: numpy's own would turn the whole picture into float64, at twice the time.
    waves = [(layer + 1) * random.uniform(1.5, 3.5) for _ in range(2)]
    phases = [random.uniform(0, 6.3) for _ in range(2)]
    edge = 0.62 + 0.12 * layer
    edge = edge + 0.05 * np.sin(cols * waves[0] * 2 + phases[0])
    edge = edge + 0.025 * np.sin(cols * waves[1] * 5 + phases[1])
    inside = np.clip((rows - edge) * 120, 0, 1)[..., None]
    shade = _colour(hue + 0.04 * layer, 0.55, 0.6 - 0.15 * layer)
    hilly: Grid = picture + (shade - picture) * inside
    return hilly


def _ball(picture: Grid, rows: Grid, cols: Grid, at: tuple[float, float], colour: Grid) -> None:
    """Draws a ball with a highlight and a shadow under it into the picture."""
    radius = 0.24
    # In a tall picture the ball must leave room at both sides.
    size = min(1.0, 2.4 * at[0])
    x, y = (cols - at[0]) / size, (rows - at[1]) / size
    shadow = np.exp(-((x / radius) ** 2) - ((y - 0.27) / 0.05) ** 2)[..., None] * 0.5
    picture *= 1 - shadow
    inside = np.clip((radius - np.hypot(x, y)) * 150, 0, 1)[..., None]
    light = np.clip(1.1 - np.hypot(x + 0.09, y + 0.1) / (radius * 1.7), 0.15, 1)[..., None]
    gloss = np.exp(-((x + 0.09) ** 2 + (y + 0.11) ** 2) / 0.003)[..., None]
    picture += (np.minimum(colour * light + gloss * 0.8, 1) - picture) * inside


@dataclass(frozen=True)
class Caption:
    """Words laid over a frame: what remains of the frame below, and what is added to it."""

    keep: npt.NDArray[np.uint16]
    add: npt.NDArray[np.uint16]
    bands: tuple[slice, ...]

    def stamp(self, frame: Frame) -> Frame:
        """The frame with the words on it; the frame itself is not changed."""
        stamped = frame.copy()
        for band in self.bands:
            mixed = stamped[band] * self.keep[band] + self.add[band]
            stamped[band] = (mixed >> 8).astype(np.uint8)
        return stamped


def caption(prompt: str, width: int, height: int) -> Caption:
    """SIMULATED at the top and the prompt, wrapped to three lines at most, at the bottom."""
    layer = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    size = max(10, min(width, height) // 14)
    pad = size // 2
    badge = ImageFont.load_default(size=size)
    left, top, right, bottom = draw.textbbox((2 * pad, 2 * pad), BADGE, font=badge)
    box = (left - pad, top - pad, right + pad, bottom + pad)
    draw.rounded_rectangle(box, radius=pad, fill=(*BADGE_COLOUR, 255))
    draw.text((2 * pad, 2 * pad), BADGE, font=badge, fill=_INK)
    head = min(height, int(box[3]) + 1)
    words = " ".join("".join(c if c.isprintable() else " " for c in prompt).split())
    words = words.encode("utf-8", "replace").decode()
    font = _font(words, size)
    lines = _wrapped(words, font, width - 4 * pad)
    line_height = round(size * 1.4)
    start = max(head, height - line_height * len(lines) - 2 * pad)
    draw.rectangle((0, start, width, height), fill=(0, 0, 0, 120))
    for index, line in enumerate(lines):
        at = (2 * pad, start + pad + index * line_height)
        draw.text(at, line, font=font, fill=(255, 255, 255, 255))
    pixels = np.asarray(layer).astype(np.uint16)
    alpha = pixels[..., 3:] + (pixels[..., 3:] > 127)
    return Caption(256 - alpha, pixels[..., :3] * alpha, (slice(0, head), slice(start, height)))


def _font(text: str, size: int) -> AnyFont:
    if max(map(ord, text), default=0) > 0x24F:
        for name in _WORLD_FONTS:
            try:
                return ImageFont.truetype(name, size)
            except OSError:
                continue
    return ImageFont.load_default(size=size)


def _wrapped(text: str, font: AnyFont, width: int) -> list[str]:
    """The text in at most three lines that fit the width; any letter may end a line that has
    no space, as Chinese has none.
    """
    lines: list[str] = []
    # No frame shows more letters than this, and measuring a whole essay is slow.
    rest = text[:400]
    while rest and len(lines) < 3:
        fits = next((n for n in range(1, len(rest) + 1) if font.getlength(rest[:n]) > width), 0)
        if not fits:
            return [*lines, rest]
        space = rest.rfind(" ", 0, fits)
        end = space if space > 0 else max(1, fits - 1)
        lines.append(rest[:end])
        rest = rest[end:].lstrip()
    if rest and lines:
        lines[-1] = lines[-1][:-2] + "…"
    return lines
