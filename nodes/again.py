"""The inputs of nodes that make the request of an earlier task again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..pika_api.errors import InvalidInput
from ..pika_api.request import (
    ASPECT_RATIOS,
    CAMERA_MOVES,
    MAX_ASPECT_RATIO,
    MAX_FRAME_RATE,
    MAX_GUIDANCE_SCALE,
    MAX_MOTION,
    MIN_ASPECT_RATIO,
    MIN_FRAME_RATE,
    MIN_GUIDANCE_SCALE,
    MIN_MOTION,
    PIKAFFECTS,
    Options,
    check_url,
)
from .compose import CUSTOM, STILL_IMAGE
from .sockets import NONE

Inputs = dict[str, Any]
_DEFAULT: Final = Options().body()


def nodes_of(body: Mapping[str, Any], take: int) -> dict[str, Any]:
    """The nodes that make a request, with their inputs.

    Args:
        body: The request as the journal has it, with media described instead of contained.
        take: Which take of it.

    Returns:
        ``nodes``: the inputs by the node's id; a node that would have its defaults only is left
        out. ``media``: the media to connect, which the journal does not have. The seed is a text:
        a browser would round a large one.
    """
    rest = dict(body)
    media = [name for name in ("image", "video") if isinstance(rest.get(name), dict)]
    for name in media:
        del rest[name]
    options = rest.pop("options", {})
    generate: Inputs = {
        "prompt_text": _taken(rest, "promptText", "", _is_text),
        "pikaffect": _taken(rest, "pikaffect", NONE, PIKAFFECTS.__contains__),
        "model": _taken(rest, "model", "", _is_text),
        "seed": str(take),
    }
    for name in ("image", "video"):
        if url := _taken(rest, name, "", _is_url):
            generate[f"{name}_url"] = url
    nodes: dict[str, Inputs] = {"PikaGenerate": generate}
    if not isinstance(options, dict):
        rest["options"] = options
    elif options != _DEFAULT:
        nodes |= _option_nodes(options)
    _keep_rest(generate, rest)
    return {"nodes": nodes, "media": media}


def _option_nodes(body: Mapping[str, Any]) -> dict[str, Inputs]:
    rest = dict(body)
    still = "aspectRatio" not in rest
    ratio = _taken(rest, "aspectRatio", None, _in_range(MIN_ASPECT_RATIO, MAX_ASPECT_RATIO))
    names = [name for name, value in ASPECT_RATIOS.items() if value == ratio]
    options: Inputs = {
        "aspect_ratio": names[0] if names else CUSTOM if ratio is not None else STILL_IMAGE,
        "frame_rate": _taken(rest, "frameRate", 24, _is_int(MIN_FRAME_RATE, MAX_FRAME_RATE)),
        "extend": _taken(rest, "extend", False, lambda value: isinstance(value, bool)),
    }
    if ratio is None and not still:
        options["aspect_ratio"] = "16:9"  # replaced by extra_json
    if options["aspect_ratio"] == CUSTOM:
        options["custom_aspect_ratio"] = ratio
    nodes: dict[str, Inputs] = {"PikaOptions": options}
    camera, parameters = rest.pop("camera", {}), rest.pop("parameters", {})
    if not isinstance(camera, dict):
        rest["camera"] = camera
    elif camera:
        nodes["PikaCamera"] = _camera(camera)
    if not isinstance(parameters, dict):
        rest["parameters"] = parameters
    elif parameters != _DEFAULT["parameters"]:
        nodes["PikaParameters"] = _parameters(parameters)
    _keep_rest(options, rest)
    return nodes


def _camera(body: Mapping[str, Any]) -> Inputs:
    rest = dict(body)
    camera: Inputs = {
        move: _taken(rest, move, NONE, directions.__contains__)
        for move, directions in CAMERA_MOVES.items()
    }
    _keep_rest(camera, rest)
    return camera


def _parameters(body: Mapping[str, Any]) -> Inputs:
    rest = dict(body)
    scale = _is_int(MIN_GUIDANCE_SCALE, MAX_GUIDANCE_SCALE)
    parameters: Inputs = {
        "guidance_scale": _taken(rest, "guidanceScale", 12, scale),
        "motion": _taken(rest, "motion", 1, _is_int(MIN_MOTION, MAX_MOTION)),
        "negative_prompt": _taken(rest, "negativePrompt", "", _is_text),
    }
    _keep_rest(parameters, rest)
    return parameters


def _taken(rest: Inputs, name: str, default: Any, fits: Callable[[Any], bool]) -> Any:
    """The value of a field that the node has an input for. Any other value stays in the rest."""
    return rest.pop(name) if name in rest and fits(rest[name]) else default


def _keep_rest(inputs: Inputs, rest: Mapping[str, Any]) -> None:
    """Fields without an input of their own came from extra_json."""
    if rest:
        inputs["extra_json"] = json.dumps(rest, ensure_ascii=False)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_url(value: object) -> bool:
    try:
        check_url(str(value), "url")
    except InvalidInput:
        return False
    return isinstance(value, str)


def _is_int(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and low <= value <= high and value is not True


def _in_range(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
    )
