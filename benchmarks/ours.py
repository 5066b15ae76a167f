"""Ours, as the nodes call it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from pika_api.media import Media, images
from pika_api.request import GenerateRequest, Payload
from pika_api.settings import Settings

#: What both sides send, but for the picture or the video.
REQUEST: Final = GenerateRequest("a lighthouse in a storm, waves breaking over the rocks")
#: Bytes of a request that are not its image; as in nodes/outgoing.py.
_REST: Final = 64 * 1024


def to_body(image: Any, *, lossless: bool) -> int:
    """The request body's size, made to its last byte as it goes over the wire."""
    pixels = image.detach().float().cpu().numpy()
    if lossless:
        made = images.prepare_image(pixels, form="png")
    else:
        made = images.prepare_image(pixels, limit=Settings().max_body - _REST)
    return sum(map(len, payload(image=made.media)))


def payload(**media: Media) -> Payload:
    """The request's body with a picture or a video in it."""
    return Payload(replace(REQUEST, **media).body())
