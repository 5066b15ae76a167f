"""The identity of a request: two requests with the same fingerprint are one task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..media import Media


def describe_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with a digest instead of each media, for the journal and the fingerprint.

    The encoding does not count: the same picture is the same request, whatever codec or setting it
    is encoded with.

    Raises:
        TypeError: The body contains a value that is neither JSON nor `Media`.
    """
    return json.loads(json.dumps(body, default=_describe_media))  # type: ignore[no-any-return]


def _describe_media(value: object) -> dict[str, str]:
    if isinstance(value, Media):
        return {"sha256": value.digest}
    raise TypeError(f"{type(value).__name__} cannot be part of a request")


def request_fingerprint(body: Mapping[str, Any], *, base_url: str, key_id: str, take: int) -> str:
    """The fingerprint of a request: SHA-256, 64 hexadecimal digits.

    Args:
        body: The body; it counts as `describe_body` describes it.
        base_url: The gateway.
        key_id: The account; see `Settings.key_id`.
        take: Which variant of the same request this is: the seed of PikaGenerate.
    """
    identity = {"body": describe_body(body), "base_url": base_url, "key_id": key_id, "take": take}
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
