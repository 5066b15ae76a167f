"""Still pictures: sizes, colours, input pictures, and the labels on every frame."""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TypeAlias

from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps

Colour: TypeAlias = tuple[int, int, int]
Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

BADGE = "SIMULATED"
BADGE_COLOUR = (255, 190, 40)
_BADGE_INK = (24, 20, 12)
_WHITE = (255, 255, 255)
_GREY = (220, 220, 226)
# Pixels of the shorter side; the details would not be readable on a smaller frame.
_DETAILS_FROM = 200
# Measuring a long prompt is slow, and no frame has room for more characters.
_LONGEST_TEXT = 400
# Behind the text: nothing at the top, nearly black at the bottom.
_SHADE = Image.linear_gradient("L").point([min(175, value * 3 // 2) for value in range(256)])
# The same over the text of another clip, which must not be readable through it.
_COVER = Image.linear_gradient("L").point([min(250, value * 6) for value in range(256)])
# The share of the top left corner that has the badge's colour where there is a badge, and how far
# an encoded colour may be from it.
_BADGE_SHARE = 0.1
_NEAR = 60
# Fonts with more than Latin letters, tried by name. Without any of them, boxes are drawn.
_WORLD_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSerifCJK-Regular.ttc",
    "NotoSansSC-Regular.otf",
    "msyh.ttc",
    "PingFang.ttc",
    "DejaVuSans.ttf",
)


def frame_size(ratio: float, shorter: int) -> tuple[int, int]:
    """(width, height) in pixels nearest to a ratio, both even because yuv420p needs it."""
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


def cover(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture scaled and cropped so that it fills the frame."""
    if picture.size == size:
        return picture
    return ImageOps.fit(picture, size, Image.Resampling.BILINEAR)


def hash_of(text: str) -> int:
    """A 64-bit number, the same for the same text on every machine."""
    digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big")


def oklch(lightness: float, chroma: float, hue: float) -> Colour:
    """RGB of an Oklch colour: colours of equal lightness look equally light. `hue` in degrees.

    Numbers: Björn Ottosson, "A perceptual color space for image processing", 2020.
    """
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )
    red, green, blue = (round(255 * min(1, max(0, part)) ** (1 / 2.2)) for part in linear)
    return red, green, blue


def is_labelled(picture: Image.Image) -> bool:
    """Whether a picture is a frame of a simulated clip, by its badge."""
    corner = picture.crop((0, 0, max(1, picture.width // 3), max(1, picture.height // 5)))
    away = ImageChops.difference(corner, Image.new("RGB", corner.size, BADGE_COLOUR))
    near = [band.point([255 * (value < _NEAR) for value in range(256)]) for band in away.split()]
    both = ImageChops.darker(near[0], ImageChops.darker(near[1], near[2]))
    return both.histogram()[255] > _BADGE_SHARE * corner.width * corner.height


def labels(
    size: tuple[int, int],
    prompt: str,
    details: str,
    effect: tuple[str, Colour] | None,
    *,
    cover: bool = False,
) -> Image.Image:
    """A transparent layer for all frames of a clip: SIMULATED and the effect at the top, the prompt
    and details at the bottom. `effect` is a name with its colour. Small frames have no details.
    With `cover`, nothing is readable through the part with the prompt.
    """
    width, height = size
    short = min(size)
    gap = max(3, short // 30)
    layer = Image.new("RGBA", size)
    head = _add_pill(layer, gap, BADGE, BADGE_COLOUR, _BADGE_INK) + gap
    if effect is not None:
        head = _add_pill(layer, head, *effect, _WHITE) + gap
    lines = _wrap(prompt, max(10, short // 13), _WHITE, width - 4 * gap, 3)
    if short >= _DETAILS_FROM:
        lines += _wrap(details, short // 23, _GREY, width - 4 * gap, 2)
    # In a low frame the text must not reach the badge.
    while len(lines) > 1 and sum(line.height for line in lines) > height - head - 2 * gap:
        lines.pop()
    top = max(head, height - 2 * gap - sum(line.height for line in lines))
    # The shade begins a little above the text, so that its edge is soft.
    start = max(head, top - 3 * gap)
    shade = (_COVER if cover else _SHADE).resize((width, height - start), Image.Resampling.NEAREST)
    black = Image.new("L", shade.size)
    layer.paste(Image.merge("RGBA", (black, black, black, shade)), (0, start))
    draw = ImageDraw.Draw(layer)
    for line in lines:
        draw.text((2 * gap, top), line.text, line.colour, line.font)
        top += line.height
    return layer


@dataclass(frozen=True)
class _Line:
    text: str
    font: Font
    colour: Colour
    height: int


def _add_pill(layer: Image.Image, top: int, text: str, colour: Colour, ink: Colour) -> int:
    """Draws text on a rounded background; returns where that ends at the bottom."""
    left, size = max(3, min(layer.size) // 30), max(10, min(layer.size) // 18)
    room = layer.width - 2 * left
    while (font := ImageFont.load_default(size)).getlength(text) + size > room and size > 7:
        size -= 1
    width, height = min(room, round(font.getlength(text)) + size), round(1.6 * size)
    # Drawn four times as large, because Pillow's own corners are not smooth.
    mask = Image.new("L", (4 * width, 4 * height))
    box = (0, 0, 4 * width - 1, 4 * height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius=2 * height, fill=255)
    layer.paste((*colour, 255), (left, top), mask.reduce(4))
    middle = (left + width / 2, top + height / 2)
    ImageDraw.Draw(layer).text(middle, text, ink, font, anchor="mm")
    return top + height


def _wrap(text: str, size: int, colour: Colour, width: int, most: int) -> list[_Line]:
    """The text in at most `most` lines that fit the width.

    Any character may end a line that has no space, as Chinese has none.
    """
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    rest = words.encode("utf-8", "replace").decode()[:_LONGEST_TEXT]
    font = _font(rest, size)
    lines: list[str] = []
    while rest and len(lines) < most:
        lengths = range(1, len(rest) + 1)
        fits = bisect_right(lengths, width, key=lambda n: int(font.getlength(rest[:n])))
        space = rest.rfind(" ", 0, fits + 1)
        end = fits if fits == len(rest) or space < 1 else space
        lines.append(rest[: max(1, end)])
        rest = rest[max(1, end) :].lstrip()
    if rest and lines:
        lines[-1] = lines[-1][:-2] + "…"
    return [_Line(line, font, colour, round(1.45 * size)) for line in lines]


def _font(text: str, size: int) -> Font:
    if max(map(ord, text), default=0) > 0x24F:
        for name in _WORLD_FONTS:
            with contextlib.suppress(OSError):
                return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)
