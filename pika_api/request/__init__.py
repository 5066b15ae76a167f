"""The request body of ``POST /pika/generate``: its values, fingerprint and Base64 stream."""

from .checks import check_choice, check_url
from .extra import parse_extra
from .fingerprint import describe_body, request_fingerprint
from .payload import Payload
from .values import (
    ASPECT_RATIOS,
    CAMERA_MOVES,
    FROM_IMAGE,
    MAX_ASPECT_RATIO,
    MAX_FRAME_RATE,
    MAX_GUIDANCE_SCALE,
    MAX_MOTION,
    MIN_ASPECT_RATIO,
    MIN_FRAME_RATE,
    MIN_GUIDANCE_SCALE,
    MIN_MOTION,
    PIKAFFECTS,
    Camera,
    GenerateRequest,
    Options,
    Parameters,
)

__all__ = [
    "ASPECT_RATIOS",
    "CAMERA_MOVES",
    "FROM_IMAGE",
    "MAX_ASPECT_RATIO",
    "MAX_FRAME_RATE",
    "MAX_GUIDANCE_SCALE",
    "MAX_MOTION",
    "MIN_ASPECT_RATIO",
    "MIN_FRAME_RATE",
    "MIN_GUIDANCE_SCALE",
    "MIN_MOTION",
    "PIKAFFECTS",
    "Camera",
    "GenerateRequest",
    "Options",
    "Parameters",
    "Payload",
    "check_choice",
    "check_url",
    "describe_body",
    "parse_extra",
    "request_fingerprint",
]
