"""The gateway's strictness: what the seed does not allow is refused, with the field's name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from .media import BadMedia, Kind, Medium, read_medium
from .settings import Settings

# The seed's ten, then the six that public pages of the model add.
PIKAFFECTS = (
    "Ta-da", "Deflate", "Crumble", "Dissolve", "Squish",
    "Inflate", "Melt", "Crush", "Cake-ify", "Explode",
    "Decapitate", "Eye-pop", "Levitate", "Peel", "Poke", "Tear",
)  # fmt: skip
# Public pages: the seed leaves the fields of the camera to the implementation.
CAMERA = {
    "zoom": ("in", "out"),
    "pan": ("left", "right"),
    "tilt": ("up", "down"),
    "rotate": ("cw", "ccw"),
}
# Ranges are of public pages; the seed gives the types and the defaults.
ASPECT_RATIO = (0.4, 2.5)
FRAME_RATE = (8, 24)
GUIDANCE_SCALE = (5, 25)
MOTION = (0, 4)

_FIELDS = ("pikaffect", "promptText", "model", "options", "image", "video")
_OPTIONS = ("aspectRatio", "frameRate", "camera", "parameters", "extend")
_PARAMETERS = ("guidanceScale", "motion", "negativePrompt")


class Refusal(Exception):
    """A request that gets no task. `status` is HTTP's, `code` a word for programs."""

    def __init__(self, message: str, status: int = 400, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Ask:
    """A body that passed. `ratio` is width / height, None for a still picture; `rate` is in
    frames per second; `summary` is the body with Base64 media replaced by their measures.
    """

    prompt: str
    pikaffect: str | None
    ratio: float | None
    rate: int
    camera: dict[str, str]
    motion: int
    extend: bool
    image: Medium | None
    video: Medium | None
    summary: dict[str, Any]


def parse(raw: bytes, content_type: str) -> dict[str, Any]:
    """The JSON object of a body, duplicates and NaN refused. Raises Refusal."""
    if content_type.split(";")[0].strip().lower() != "application/json":
        raise Refusal(f"Content-Type must be application/json, got {content_type or 'none'!r}")
    try:
        body = json.loads(raw, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"the body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refusal(f"the body must be a JSON object, got {_shown(body)}")
    return body


def summarise(body: dict[str, Any], media: dict[str, Medium] | None = None) -> dict[str, Any]:
    """The body with its media replaced by what the log shows of them."""
    summary = dict(body)
    for name in ("image", "video"):
        text = body.get(name)
        if media and name in media:
            summary[name] = media[name].summary()
        elif isinstance(text, str) and len(text) > 200 and "://" not in text[:10]:
            digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
            summary[name] = {"bytes": len(text), "sha256": digest, "kind": name,
                             "width": None, "height": None}  # fmt: skip
    return summary


def check(body: dict[str, Any], settings: Settings) -> Ask:
    """What a body asks for. Raises Refusal, whose message names the first field at fault."""
    _only(body, _FIELDS, "")
    prompt = _text(body, "promptText")
    pikaffect = body.get("pikaffect")
    if "pikaffect" in body and pikaffect not in PIKAFFECTS:
        raise Refusal(f"pikaffect must be one of {', '.join(PIKAFFECTS)}, got {_shown(pikaffect)}")
    if "model" in body:
        _text(body, "model")
    options = _object(body, "options", "options")
    _only(options, _OPTIONS, "options.")
    ratio = _ratio(options)
    rate = _integer(options, "options.frameRate", FRAME_RATE)
    camera = _camera(options)
    motion = _parameters(options, allow_seed=settings.allow_seed)
    extend = options.get("extend")
    if not isinstance(extend, bool):
        raise Refusal(f"options.extend is required and must be true or false, got {_shown(extend)}")
    if extend and "video" not in body:
        raise Refusal("options.extend is true but there is no video to extend")
    kinds: tuple[Kind, ...] = ("image", "video")
    media: dict[str, Medium] = {
        kind: _medium(body[kind], kind, data_uri=settings.data_uri)
        for kind in kinds
        if kind in body
    }
    return Ask(
        prompt, pikaffect, ratio, rate, camera, motion, extend,
        media.get("image"), media.get("video"), summarise(body, media),
    )  # fmt: skip


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"duplicate key {name!r}")
        found[name] = value
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _shown(value: object) -> str:
    """A value for a message: short, and as JSON since that is what was sent."""
    if value is None:
        return "nothing"
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _only(value: dict[str, Any], known: tuple[str, ...], prefix: str) -> None:
    for name in value:
        if name not in known:
            raise Refusal(f"unknown field {prefix}{name}; known are {', '.join(known)}")


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Refusal(f"{name} must be a string that is not blank, got {_shown(value)}")
    return value


def _object(parent: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise Refusal(f"{path} is required and must be an object, got {_shown(value)}")
    return value


def _integer(parent: dict[str, Any], path: str, limits: tuple[int, int]) -> int:
    value = parent.get(path.rpartition(".")[2])
    low, high = limits
    # bool is an int to Python, but true is no number in JSON.
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Refusal(
            f"{path} is required and must be an integer from {low} to {high}, got {_shown(value)}"
        )
    return value


def _ratio(options: dict[str, Any]) -> float | None:
    if "aspectRatio" not in options:
        return None
    value = options["aspectRatio"]
    low, high = ASPECT_RATIO
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise Refusal(
            f"options.aspectRatio must be a number from {low} to {high}, got {_shown(value)}"
        )
    return float(value)


def _camera(options: dict[str, Any]) -> dict[str, str]:
    camera = _object(options, "camera", "options.camera")
    _only(camera, tuple(CAMERA), "options.camera.")
    for name, value in camera.items():
        if value not in CAMERA[name]:
            choices = " or ".join(CAMERA[name])
            raise Refusal(f"options.camera.{name} must be {choices}, got {_shown(value)}")
    return camera


def _parameters(options: dict[str, Any], *, allow_seed: bool) -> int:
    """Checks `options.parameters` and returns its motion."""
    path = "options.parameters"
    parameters = _object(options, "parameters", path)
    if "seed" in parameters and not allow_seed:
        raise Refusal(f"{path}.seed is not known to this gateway")
    _only(parameters, (*_PARAMETERS, "seed"), f"{path}.")
    _integer(parameters, f"{path}.guidanceScale", GUIDANCE_SCALE)
    motion = _integer(parameters, f"{path}.motion", MOTION)
    if not isinstance(parameters.get("negativePrompt"), str):
        shown = _shown(parameters.get("negativePrompt"))
        raise Refusal(f"{path}.negativePrompt is required and must be a string, got {shown}")
    if "seed" in parameters:
        _integer(parameters, f"{path}.seed", (0, 2**32 - 1))
    return motion


def _medium(value: object, name: Kind, *, data_uri: bool) -> Medium:
    if not isinstance(value, str):
        raise Refusal(f"{name} must be a string, got {_shown(value)}")
    if not value.strip():
        raise Refusal(f"{name} is present but empty; leave the field out instead")
    try:
        return read_medium(value, name, data_uri=data_uri)
    except BadMedia as error:
        raise Refusal(f"{name} {error}") from error
