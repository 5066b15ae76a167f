"""Aspect ratios by name, and their range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from ..errors import InvalidInput
from ..message import Message

#: Width divided by height, by the name that the editor shows.
ASPECT_RATIOS: Final[Mapping[str, float]] = {
    "16:9": 16 / 9,
    "9:16": 9 / 16,
    "1:1": 1.0,
    "4:5": 4 / 5,
    "5:4": 5 / 4,
    "4:3": 4 / 3,
    "3:4": 3 / 4,
    "3:2": 3 / 2,
    "2:3": 2 / 3,
    "5:2": 5 / 2,
}
#: Range of an aspect ratio. Public reference pages of gateways of this family, read November 2026.
MIN_ASPECT_RATIO: Final = 0.4
MAX_ASPECT_RATIO: Final = 2.5
#: The ratio of the image that is sent along.
FROM_IMAGE: Final = "from image"

#: Width divided by height; `FROM_IMAGE`; None for a still image instead of a video.
AspectRatio: TypeAlias = float | Literal["from image"] | None


def parse_aspect_ratio(
    text: str, name: str, choices: Mapping[str, AspectRatio], *, numbers: bool = False
) -> AspectRatio:
    """Read an aspect ratio.

    Args:
        text: A name of `ASPECT_RATIOS`, `FROM_IMAGE`, or one of ``choices``.
        name: The name of the input, for the error.
        choices: Further names and their values.
        numbers: Whether a number is allowed, too.

    Raises:
        InvalidInput: The text is none of these. Whether a number is in range is checked by
            `Options`.
    """
    known: dict[str, AspectRatio] = {**ASPECT_RATIOS, FROM_IMAGE: FROM_IMAGE, **choices}
    if text in known:
        return known[text]
    hint = Message("Choose one of: {known}.", known=", ".join(known))
    if numbers:
        try:
            return float(text)
        except ValueError:
            hint = Message("Use a name such as 16:9, or a number.")
    raise InvalidInput(name, Message('"{value}" is not a valid choice.', value=text), hint)
