"""The request: immutable values that become the JSON body of ``POST /pika/generate``.

Field names, their order and the defaults are those of the API specification. The ranges and the
last six effects are from public reference pages of gateways of this family, read November 2026.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import InvalidInput
from ..media import Media
from ..message import Message
from .aspect_ratio import FROM_IMAGE, MAX_ASPECT_RATIO, MIN_ASPECT_RATIO, AspectRatio
from .checks import check_choice, check_integer, check_url
from .extra import Extra, merge_extra
from .fingerprint import describe_body

#: Frames per second.
MIN_FRAME_RATE: Final = 8
MAX_FRAME_RATE: Final = 24
MIN_GUIDANCE_SCALE: Final = 5
MAX_GUIDANCE_SCALE: Final = 25
MIN_MOTION: Final = 0
MAX_MOTION: Final = 4

#: That of the API specification's example.
DEFAULT_MODEL: Final = "1.5"

#: The ten effects of the API specification, and six from the public reference pages.
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

#: The directions of each camera move, from the public reference pages.
CAMERA_MOVES: Final[Mapping[str, tuple[str, str]]] = {
    "zoom": ("in", "out"),
    "pan": ("left", "right"),
    "tilt": ("up", "down"),
    "rotate": ("cw", "ccw"),
}


@dataclass(frozen=True)
class Parameters:
    """``options.parameters``.

    Attributes:
        guidance_scale: 5…25.
        motion: 0…4.
        negative_prompt: What to keep out of the video; may be empty.
        extra: Merged over the result of `body`.
    """

    guidance_scale: int = 12
    motion: int = 1
    negative_prompt: str = ""
    extra: Extra = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_integer("guidance_scale", self.guidance_scale, MIN_GUIDANCE_SCALE, MAX_GUIDANCE_SCALE)
        check_integer("motion", self.motion, MIN_MOTION, MAX_MOTION)

    def body(self) -> dict[str, Any]:
        """The value of ``options.parameters``."""
        parameters = {
            "guidanceScale": self.guidance_scale,
            "motion": self.motion,
            "negativePrompt": self.negative_prompt,
        }
        return merge_extra(parameters, self.extra)


@dataclass(frozen=True)
class Camera:
    """``options.camera``.

    Attributes:
        zoom, pan, tilt, rotate: One of the directions in `CAMERA_MOVES`; None for no such move.
        extra: Merged over the result of `body`.
    """

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
        """The value of ``options.camera``; ``{}`` without a move, as in the API specification."""
        moves = {move: getattr(self, move) for move in CAMERA_MOVES}
        return merge_extra({move: value for move, value in moves.items() if value}, self.extra)


@dataclass(frozen=True)
class Options:
    """``options``.

    Attributes:
        aspect_ratio: Width divided by height, 0.4…2.5; ``"from image"`` for the ratio of the image;
            None to leave it out, which asks for a still image (API specification).
        frame_rate: Frames per second, 8…24.
        extend: Whether to extend the request's video.
        parameters, camera: The nested objects.
        extra: Merged over the result of `body`.
    """

    aspect_ratio: AspectRatio = 16 / 9
    frame_rate: int = 24
    extend: bool = False
    parameters: Parameters = field(default_factory=Parameters)
    camera: Camera = field(default_factory=Camera)
    extra: Extra = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_integer("frame_rate", self.frame_rate, MIN_FRAME_RATE, MAX_FRAME_RATE)
        if not isinstance(self.extend, bool):
            raise InvalidInput(
                "extend",
                Message("{extend!r} is not a boolean.", extend=self.extend),
                Message("Use true or false."),
            )
        if isinstance(self.aspect_ratio, (int, float)) and not isinstance(self.aspect_ratio, bool):
            check_ratio(self.aspect_ratio)
        elif self.aspect_ratio is not None:
            check_choice("aspect_ratio", self.aspect_ratio, (FROM_IMAGE,))

    def body(self, image: Media | str | None = None) -> dict[str, Any]:
        """The value of ``options`` for a request with this image.

        Raises:
            InvalidInput: The ratio is ``from image``, and there is no image of known size.
        """
        options: dict[str, Any] = {
            "frameRate": self.frame_rate,
            "camera": self.camera.body(),
            "parameters": self.parameters.body(),
            "extend": self.extend,
        }
        ratio = self.aspect_ratio
        if ratio == FROM_IMAGE:
            ratio = _ratio_of(image)
        if ratio is not None:
            options = {"aspectRatio": ratio, **options}
        return merge_extra(options, self.extra)


def check_ratio(ratio: float, name: str = "custom_aspect_ratio") -> None:
    """Raise an `InvalidInput` for the input of this name if the ratio is out of range."""
    if not MIN_ASPECT_RATIO <= ratio <= MAX_ASPECT_RATIO:
        raise InvalidInput(
            name,
            Message("{value:g} is out of range.", value=ratio),
            Message(
                "Use {low} (tall) to {high} (wide), width over height.",
                low=MIN_ASPECT_RATIO,
                high=MAX_ASPECT_RATIO,
            ),
        )


def _ratio_of(image: Media | str | None) -> float:
    if not isinstance(image, Media):
        raise InvalidInput(
            "aspect_ratio",
            Message('"from image" needs an image connected to Pika Generate.'),
            Message("Connect an image, or choose a ratio such as 16:9."),
        )
    return min(max(image.width / image.height, MIN_ASPECT_RATIO), MAX_ASPECT_RATIO)


@dataclass(frozen=True)
class GenerateRequest:
    """A complete request.

    Attributes:
        prompt_text: What the video should show; not blank.
        pikaffect: One of `PIKAFFECTS`; None for no effect.
        model: The version of the model; blank to leave the choice to the gateway.
        options: The nested object.
        image: The reference image: media, a URL, or None.
        video: The reference video, or the video to extend: media, a URL, or None.
        extra: Merged over the result of `body`.

    Raises:
        InvalidInput: A value is invalid, or the values do not fit together.
    """

    prompt_text: str
    pikaffect: str | None = None
    model: str = DEFAULT_MODEL
    options: Options = field(default_factory=Options)
    image: Media | str | None = None
    video: Media | str | None = None
    extra: Extra = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.prompt_text.strip():
            raise InvalidInput(
                "prompt_text",
                Message("the prompt is blank."),
                Message("Say what the video should show."),
            )
        if self.pikaffect is not None:
            check_choice("pikaffect", self.pikaffect, PIKAFFECTS)
        for name, media in (("image_url", self.image), ("video_url", self.video)):
            if isinstance(media, str):
                check_url(media, name)
        if self.options.extend and self.video is None and "video" not in self.extra:
            raise InvalidInput(
                "extend",
                Message("there is no video to extend."),
                Message(
                    "Connect one to the video input of Pika Generate or set video_url. Or switch "
                    "extend off."
                ),
            )
        # The body is built once here: some errors only show in the whole.
        _check_unicode(describe_body(self.body()))

    def body(self) -> dict[str, Any]:
        """The request body, in the order of the API specification. It may contain `Media`."""
        body: dict[str, Any] = {}
        if self.pikaffect is not None:
            body["pikaffect"] = self.pikaffect
        body["promptText"] = self.prompt_text
        if self.model.strip():
            body["model"] = self.model.strip()
        body["options"] = self.options.body(self.image)
        if self.image is not None:
            body["image"] = self.image
        if self.video is not None:
            body["video"] = self.video
        return merge_extra(body, self.extra)


def _check_unicode(body: Mapping[str, Any]) -> None:
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            "prompt_text",
            Message("the prompt, or another text of the request, contains half of a character."),
            Message(
                "Type the text again. A program that cuts text inside an emoji can cause this."
            ),
        ) from error
