"""The request body of ``POST /pika/generate``: values, fingerprint and JSON stream."""

from .aspect_ratio import (
    ASPECT_RATIOS,
    FROM_IMAGE,
    MAX_ASPECT_RATIO,
    MIN_ASPECT_RATIO,
    AspectRatio,
    parse_aspect_ratio,
)
from .checks import MAX_TAKE, as_integer, check_choice, check_take, check_url
from .extra import parse_extra
from .fingerprint import describe_body, earlier_fingerprints, request_fingerprint
from .payload import Payload
from .values import (
    CAMERA_MOVES,
    DEFAULT_MODEL,
    MAX_FRAME_RATE,
    MAX_GUIDANCE_SCALE,
    MAX_MOTION,
    MIN_FRAME_RATE,
    MIN_GUIDANCE_SCALE,
    MIN_MOTION,
    PIKAFFECTS,
    Camera,
    GenerateRequest,
    Options,
    Parameters,
    check_ratio,
)

__all__ = [
    "ASPECT_RATIOS",
    "CAMERA_MOVES",
    "DEFAULT_MODEL",
    "FROM_IMAGE",
    "MAX_ASPECT_RATIO",
    "MAX_FRAME_RATE",
    "MAX_GUIDANCE_SCALE",
    "MAX_MOTION",
    "MAX_TAKE",
    "MIN_ASPECT_RATIO",
    "MIN_FRAME_RATE",
    "MIN_GUIDANCE_SCALE",
    "MIN_MOTION",
    "PIKAFFECTS",
    "AspectRatio",
    "Camera",
    "GenerateRequest",
    "Options",
    "Parameters",
    "Payload",
    "as_integer",
    "check_choice",
    "check_ratio",
    "check_take",
    "check_url",
    "describe_body",
    "earlier_fingerprints",
    "parse_aspect_ratio",
    "parse_extra",
    "request_fingerprint",
]
