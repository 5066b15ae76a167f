"""The request: frozen values that become the JSON body of ``POST /pika/generate``.

Field names, order and the defaults come from the seed (the API's specification); the ranges and
the last six effects come from public reference pages of the same gateway family.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from .errors import InvalidInput
from .media import Media

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

#: A JSON object that is merged over what a value makes of itself.
Extra = Mapping[str, Any]


def parse_extra(text: str, name: str = "extra_json") -> Extra:
    """Read an ``extra_json`` input.

    Args:
        text: A JSON object, or blank for none.
        name: The input's name, for the error.

    Raises:
        InvalidInput: Not JSON (the error shows where it breaks), or not an object.
    """
    if not text.strip():
        return {}
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        near = text[max(0, error.pos - 20) : error.pos + 20].replace("\n", " ")
        raise InvalidInput(
            name,
            f"not valid JSON at {place}: {error.msg}, near «{near}».",
            'Write a JSON object such as {"seed": 7}, or leave it empty.',
        ) from error
    except ValueError as error:
        raise InvalidInput(name, f"{error}.", "Use ordinary numbers, or text in quotes.") from error
    except RecursionError as error:
        raise InvalidInput(name, "it is nested too deep.", "Write a flatter object.") from error
    if not isinstance(value, dict):
        raise InvalidInput(
            name,
            f"a JSON object is needed, and this is a {type(value).__name__}.",
            'Wrap it in braces with a name, such as {"name": …}, or leave it empty.',
        )
    return value


def _no_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not a JSON value")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is too large a number")  # it would be written as Infinity
    return value


def merge(base: Mapping[str, Any], extra: Extra) -> dict[str, Any]:
    """Lay ``extra`` over ``base``: objects merge, everything else is replaced."""
    merged = dict(base)
    for name, value in extra.items():
        old = merged.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[name] = merge(old, value)
        else:
            merged[name] = value
    return merged


def check_url(url: str, name: str) -> str:
    """The URL, stripped, if the gateway could fetch it.

    Raises:
        InvalidInput: Blank, not http or https, or without a host.
    """
    url = url.strip()
    way_out = "Give a whole http:// or https:// address, or connect the media itself."
    if not url:
        raise InvalidInput(name, "the address is empty.", way_out)
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise InvalidInput(name, f"«{url[:80]}» is not an address: {error}.", way_out) from error
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidInput(name, f"«{url[:80]}» is not an http or https address.", way_out)
    if any(character.isspace() for character in url):
        raise InvalidInput(name, f"«{url[:80]}» has a space in it.", way_out)
    return url


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(name, f"{value!r} is not an integer.", f"Use {low} to {high}.")
    if not low <= value <= high:
        raise InvalidInput(name, f"{value} is out of range.", f"Use {low} to {high}.")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise an `InvalidInput` that names the choices, if the value is none of them."""
    if value not in choices:
        known = ", ".join(choices)
        raise InvalidInput(name, f"{value!r} is not known.", f"Choose one of: {known}.")


@dataclass(frozen=True)
class Parameters:
    """``options.parameters``: guidance scale 5…25, motion 0…4, negative prompt (may be empty)."""

    guidance_scale: int = 12
    motion: int = 1
    negative_prompt: str = ""
    extra: Extra = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_integer(
            "guidance_scale", self.guidance_scale, MIN_GUIDANCE_SCALE, MAX_GUIDANCE_SCALE
        )
        _check_integer("motion", self.motion, MIN_MOTION, MAX_MOTION)

    def body(self) -> dict[str, Any]:
        """The value of ``options.parameters``."""
        made = {
            "guidanceScale": self.guidance_scale,
            "motion": self.motion,
            "negativePrompt": self.negative_prompt,
        }
        return merge(made, self.extra)


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
        return merge({move: value for move, value in moves.items() if value}, self.extra)


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
        _check_integer("frame_rate", self.frame_rate, MIN_FRAME_RATE, MAX_FRAME_RATE)
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
        return merge(made, self.extra)


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
        _check_text(describe(self.body()))

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
        return merge(made, self.extra)


def _check_text(body: Mapping[str, Any]) -> None:
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            "prompt_text",
            "it, or another text of the request, has half of a character in it.",
            "Type the text anew; a program that cuts text in the middle of an emoji can do this.",
        ) from error


def describe(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with each media replaced by what identifies it: fit for a journal or a hash.

    The encoding is not part of that: the same picture written down otherwise, by a newer codec
    or another setting, is still the same request.
    """
    return json.loads(json.dumps(body, default=_identity))  # type: ignore[no-any-return]


def _identity(value: object) -> dict[str, str]:
    if isinstance(value, Media):
        return {"sha256": value.digest}
    raise TypeError(f"{type(value).__name__} cannot stand in a request")


def fingerprint(body: Mapping[str, Any], *, base_url: str, key_id: str, take: int) -> str:
    """What makes two requests the same task: SHA-256, 64 hexadecimal digits.

    The body counts as `describe` has it; so do the gateway, the account and the take
    (PikaGenerate's seed).
    """
    identity = {"body": describe(body), "base_url": base_url, "key_id": key_id, "take": take}
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
