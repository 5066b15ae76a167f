"""Checks of a request body: what the API specification does not allow is refused by field name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from .media import Kind, MediaError, Medium, read_medium
from .settings import Settings

# The ten of the API specification, then six more from public pages about the model.
PIKAFFECTS = (
    "Ta-da", "Deflate", "Crumble", "Dissolve", "Squish",
    "Inflate", "Melt", "Crush", "Cake-ify", "Explode",
    "Decapitate", "Eye-pop", "Levitate", "Peel", "Poke", "Tear",
)  # fmt: skip
# From public pages: the API specification does not name the fields of the camera.
CAMERA = {
    "zoom": ("in", "out"),
    "pan": ("left", "right"),
    "tilt": ("up", "down"),
    "rotate": ("cw", "ccw"),
}
# Ranges from public pages: the API specification gives only types and defaults.
ASPECT_RATIO = (0.4, 2.5)
FRAME_RATE = (8, 24)
GUIDANCE_SCALE = (5, 25)
MOTION = (0, 4)

_FIELDS = ("pikaffect", "promptText", "model", "options", "image", "video")
_OPTIONS = ("aspectRatio", "frameRate", "camera", "parameters", "extend")
_PARAMETERS = ("guidanceScale", "motion", "negativePrompt")


class RequestError(Exception):
    """A request that creates no task. `status` is the HTTP status, `code` is for programs."""

    def __init__(self, message: str, status: int = 400, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code


@dataclass(frozen=True)
class GenerateRequest:
    """A valid body. `ratio` is width / height, None for a still picture. `rate` is in frames per
    second. `summary` is the body with Base64 media replaced by their size and hash.
    """

    prompt: str
    pikaffect: str | None
    ratio: float | None
    rate: int
    camera: dict[str, str]
    motion: int
    seed: int | None
    extend: bool
    image: Medium | None
    video: Medium | None
    summary: dict[str, Any]


def parse(raw: bytes, content_type: str) -> dict[str, Any]:
    """The JSON object in a body. Raises RequestError, also for duplicate keys and NaN."""
    if content_type.split(";")[0].strip().lower() != "application/json":
        raise RequestError(f"Content-Type must be application/json, got {content_type or 'none'!r}")
    try:
        body = json.loads(raw, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise RequestError(f"the body must be a JSON object, got {_short(body)}")
    return body


def summarise(body: dict[str, Any], media: dict[str, Medium] | None = None) -> dict[str, Any]:
    """The body as the log shows it, without the bytes of its media."""
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


def check(body: dict[str, Any], settings: Settings) -> GenerateRequest:
    """Checks every field of a body. Raises RequestError, which names the first wrong field."""
    _refuse_unknown(body, _FIELDS, "")
    prompt = _text(body, "promptText")
    pikaffect = body.get("pikaffect")
    if "pikaffect" in body and pikaffect not in PIKAFFECTS:
        raise RequestError(
            f"pikaffect must be one of {', '.join(PIKAFFECTS)}, got {_short(pikaffect)}"
        )
    if "model" in body:
        _text(body, "model")
    options = _object(body, "options", "options")
    _refuse_unknown(options, _OPTIONS, "options.")
    ratio = _ratio(options)
    rate = _integer(options, "options.frameRate", FRAME_RATE)
    camera = _camera(options)
    motion, seed = _parameters(options, allow_seed=settings.allow_seed)
    extend = options.get("extend")
    if not isinstance(extend, bool):
        raise RequestError(
            f"options.extend is required and must be true or false, got {_short(extend)}"
        )
    if extend and "video" not in body:
        raise RequestError("options.extend is true but there is no video to extend")
    kinds: tuple[Kind, ...] = ("image", "video")
    media: dict[str, Medium] = {
        kind: _medium(body[kind], kind, data_uri=settings.data_uri)
        for kind in kinds
        if kind in body
    }
    return GenerateRequest(
        prompt, pikaffect, ratio, rate, camera, motion, seed, extend,
        media.get("image"), media.get("video"), summarise(body, media),
    )  # fmt: skip


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"duplicate key {name!r}")
        fields[name] = value
    return fields


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _short(value: object) -> str:
    """A value for an error message, as JSON."""
    if value is None:
        return "nothing"
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _refuse_unknown(value: dict[str, Any], known: tuple[str, ...], prefix: str) -> None:
    for name in value:
        if name not in known:
            raise RequestError(f"unknown field {prefix}{name}; known are {', '.join(known)}")


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise RequestError(f"{name} must be a string that is not blank, got {_short(value)}")
    return value


def _object(parent: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise RequestError(f"{path} is required and must be an object, got {_short(value)}")
    return value


def _integer(parent: dict[str, Any], path: str, limits: tuple[int, int]) -> int:
    value = parent.get(path.rpartition(".")[2])
    low, high = limits
    # bool is a subclass of int in Python, but true is not a number in JSON.
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise RequestError(
            f"{path} is required and must be an integer from {low} to {high}, got {_short(value)}"
        )
    return value


def _ratio(options: dict[str, Any]) -> float | None:
    if "aspectRatio" not in options:
        return None
    value = options["aspectRatio"]
    low, high = ASPECT_RATIO
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise RequestError(
            f"options.aspectRatio must be a number from {low} to {high}, got {_short(value)}"
        )
    return float(value)


def _camera(options: dict[str, Any]) -> dict[str, str]:
    camera = _object(options, "camera", "options.camera")
    _refuse_unknown(camera, tuple(CAMERA), "options.camera.")
    for name, value in camera.items():
        if value not in CAMERA[name]:
            choices = " or ".join(CAMERA[name])
            raise RequestError(f"options.camera.{name} must be {choices}, got {_short(value)}")
    return camera


def _parameters(options: dict[str, Any], *, allow_seed: bool) -> tuple[int, int | None]:
    """Checks `options.parameters`; returns its motion and seed."""
    path = "options.parameters"
    parameters = _object(options, "parameters", path)
    known = (*_PARAMETERS, "seed") if allow_seed else _PARAMETERS
    _refuse_unknown(parameters, known, f"{path}.")
    _integer(parameters, f"{path}.guidanceScale", GUIDANCE_SCALE)
    motion = _integer(parameters, f"{path}.motion", MOTION)
    if not isinstance(parameters.get("negativePrompt"), str):
        value = _short(parameters.get("negativePrompt"))
        raise RequestError(f"{path}.negativePrompt is required and must be a string, got {value}")
    seed = None
    if "seed" in parameters:
        seed = _integer(parameters, f"{path}.seed", (0, 2**32 - 1))
    return motion, seed


def _medium(value: object, name: Kind, *, data_uri: bool) -> Medium:
    if not isinstance(value, str):
        raise RequestError(f"{name} must be a string, got {_short(value)}")
    if not value.strip():
        raise RequestError(f"{name} is present but empty; leave the field out instead")
    try:
        return read_medium(value, name, data_uri=data_uri)
    except MediaError as error:
        raise RequestError(f"{name} {error}") from error
