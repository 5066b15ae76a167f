"""The request: frozen values that become the JSON body of ``POST /pika/generate``.

Field names, order and the defaults come from the seed (the API's specification); the ranges and
the last six effects come from public reference pages of the same gateway family.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..errors import InvalidInput
from ..media import Media
from .checks import check_choice, check_integer, check_url
from .extra import Extra, merge_extra
from .fingerprint import describe_body

#: Width over height by the name shown in the editor.
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
MIN_ASPECT_RATIO: Final = 0.4
MAX_ASPECT_RATIO: Final = 2.5
MIN_FRAME_RATE: Final = 8
MAX_FRAME_RATE: Final = 24
MIN_GUIDANCE_SCALE: Final = 5
MAX_GUIDANCE_SCALE: Final = 25
MIN_MOTION: Final = 0
MAX_MOTION: Final = 4

#: The seed's ten, then six more that public pages name.
PIKAFFECTS: Final = (
    "Ta-da",
    "Deflate",
    "Crumble",
    "Dissolve",
    "Squish",
    "Inflate",
    "Melt",
    "Crush",
    "Cake-ify",
    "Explode",
    "Decapitate",
    "Eye-pop",
    "Levitate",
    "Peel",
    "Poke",
    "Tear",
)

#: Each camera move with the directions it can take (public).
CAMERA_MOVES: Final[Mapping[str, tuple[str, str]]] = {
    "zoom": ("in", "out"),
    "pan": ("left", "right"),
    "tilt": ("up", "down"),
    "rotate": ("cw", "ccw"),
}

FROM_IMAGE: Final = "from image"


@dataclass(frozen=True)
class Parameters:
    """``options.parameters``: guidance scale 5…25, motion 0…4, negative prompt (may be empty)."""

    guidance_scale: int = 12
    motion: int = 1
    negative_prompt: str = ""
    extra: Extra = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_integer("guidance_scale", self.guidance_scale, MIN_GUIDANCE_SCALE, MAX_GUIDANCE_SCALE)
        check_integer("motion", self.motion, MIN_MOTION, MAX_MOTION)

    def body(self) -> dict[str, Any]:
        """The value of ``options.parameters``."""
        made = {
            "guidanceScale": self.guidance_scale,
            "motion": self.motion,
            "negativePrompt": self.negative_prompt,
        }
        return merge_extra(made, self.extra)


@dataclass(frozen=True)
class Camera:
    """``options.camera``: each move is a direction, or None for no such move."""

    zoom: str | None = None
    pan: str | None = None
    tilt: str | None = None
    rotate: str | None = None
    extra: Extra = field(default_factory=dict)

    def __post_init__(self) -> None:
        for move, directions in CAMERA_MOVES.items():
            value = getattr(self, move)
            if value is not None:
                check_choice(move, value, directions)

    def body(self) -> dict[str, Any]:
        """The value of ``options.camera``: ``{}`` where nothing is set, as in the seed."""
        moves = {move: getattr(self, move) for move in CAMERA_MOVES}
        return merge_extra({move: value for move, value in moves.items() if value}, self.extra)


@dataclass(frozen=True)
class Options:
    """``options``: the video's settings.

    Attributes:
        aspect_ratio: Width over height, 0.4…2.5; ``"from image"`` takes the image's; None leaves
            it out, which makes a still image (seed).
        frame_rate: Frames per second, 8…24.
        extend: Whether the request's video is extended.
    """

    aspect_ratio: float | Literal["from image"] | None = 16 / 9
    frame_rate: int = 24
    extend: bool = False
    parameters: Parameters = field(default_factory=Parameters)
    camera: Camera = field(default_factory=Camera)
    extra: Extra = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_integer("frame_rate", self.frame_rate, MIN_FRAME_RATE, MAX_FRAME_RATE)
        if not isinstance(self.extend, bool):
            raise InvalidInput("extend", f"{self.extend!r} is not a boolean.", "Use true or false.")
        if isinstance(self.aspect_ratio, (int, float)) and not isinstance(self.aspect_ratio, bool):
            _check_ratio(self.aspect_ratio)
        elif self.aspect_ratio is not None:
            check_choice("aspect_ratio", self.aspect_ratio, (FROM_IMAGE,))

    def body(self, image: Media | str | None = None) -> dict[str, Any]:
        """The value of ``options`` for a request with this image.

        Raises:
            InvalidInput: ``from image``, and there is no image whose size is known.
        """
        made: dict[str, Any] = {
            "frameRate": self.frame_rate,
            "camera": self.camera.body(),
            "parameters": self.parameters.body(),
            "extend": self.extend,
        }
        ratio = self.aspect_ratio
        if ratio == FROM_IMAGE:
            ratio = _ratio_of(image)
        if ratio is not None:
            made = {"aspectRatio": ratio, **made}
        return merge_extra(made, self.extra)


def _check_ratio(ratio: float) -> None:
    if not MIN_ASPECT_RATIO <= ratio <= MAX_ASPECT_RATIO:
        raise InvalidInput(
            "custom_aspect_ratio",
            f"{ratio:g} is out of range.",
            f"Use {MIN_ASPECT_RATIO} (tall) to {MAX_ASPECT_RATIO} (wide), width over height.",
        )


def _ratio_of(image: Media | str | None) -> float:
    if not isinstance(image, Media):
        raise InvalidInput(
            "aspect_ratio",
            "«from image» needs an image connected to PikaGenerate.",
            "Connect one to image, or choose a ratio such as 16:9.",
        )
    return min(max(image.width / image.height, MIN_ASPECT_RATIO), MAX_ASPECT_RATIO)


@dataclass(frozen=True)
class GenerateRequest:
    """One whole request.

    Attributes:
        prompt_text: What to make; not blank.
        pikaffect: One of ``PIKAFFECTS``, or None for no effect.
        model: The model version; blank leaves it to the gateway.
        image: The reference image: media to encode, a URL, or None.
        video: The reference video, or the one to extend.
    """

    prompt_text: str
    pikaffect: str | None = None
    model: str = "1.5"
    options: Options = field(default_factory=Options)
    image: Media | str | None = None
    video: Media | str | None = None
    extra: Extra = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.prompt_text.strip():
            raise InvalidInput(
                "prompt_text", "the prompt is blank.", "Say what the video should show."
            )
        if self.pikaffect is not None:
            check_choice("pikaffect", self.pikaffect, PIKAFFECTS)
        for name, media in (("image_url", self.image), ("video_url", self.video)):
            if isinstance(media, str):
                check_url(media, name)
        if self.options.extend and self.video is None and "video" not in self.extra:
            raise InvalidInput(
                "extend",
                "there is no video to extend.",
                "Connect one to PikaGenerate's video (or give video_url), or switch extend off.",
            )
        # Built once here, so that whatever only the whole can show is told at construction.
        _check_unicode(describe_body(self.body()))

    def body(self) -> dict[str, Any]:
        """The request body in the seed's order; media stand in it as `Media`."""
        made: dict[str, Any] = {}
        if self.pikaffect is not None:
            made["pikaffect"] = self.pikaffect
        made["promptText"] = self.prompt_text
        if self.model.strip():
            made["model"] = self.model.strip()
        made["options"] = self.options.body(self.image)
        if self.image is not None:
            made["image"] = self.image
        if self.video is not None:
            made["video"] = self.video
        return merge_extra(made, self.extra)


def _check_unicode(body: Mapping[str, Any]) -> None:
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            "prompt_text",
            "it, or another text of the request, has half of a character in it.",
            "Type the text anew; a program that cuts text in the middle of an emoji can do this.",
        ) from error
