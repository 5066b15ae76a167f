"""What makes two requests the same task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..media import Media


def describe_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with each media replaced by what identifies it: fit for a journal or a hash.

    The encoding is not part of that: the same picture written down otherwise, by a newer codec
    or another setting, is still the same request.
    """
    return json.loads(json.dumps(body, default=_identity))  # type: ignore[no-any-return]


def _identity(value: object) -> dict[str, str]:
    if isinstance(value, Media):
        return {"sha256": value.digest}
    raise TypeError(f"{type(value).__name__} cannot stand in a request")


def request_fingerprint(body: Mapping[str, Any], *, base_url: str, key_id: str, take: int) -> str:
    """What makes two requests the same task: SHA-256, 64 hexadecimal digits.

    The body counts as `describe_body` has it; so do the gateway, the account and the take
    (PikaGenerate's seed).
    """
    identity = {"body": describe_body(body), "base_url": base_url, "key_id": key_id, "take": take}
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
