"""The identity of a request: two requests with the same fingerprint are one task.

A fingerprint is stored in the journal. If it changed with an update of the pack, of Python or of a
library, users would pay again for tasks that they have: `tests/request/fingerprints.json` freezes
it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from ..media import Media

#: Characters that take no space: soft hyphen, zero width space, word joiner, byte order mark.
_INVISIBLE: Final = re.compile("[\u00ad\u200b\u2060\ufeff]")
_LINE_END: Final = re.compile("\r\n?")
#: Blanks before the end of a line.
_TRAILING_BLANKS: Final = re.compile("[ \t]+(?=\n|$)")
_NO_BREAK_SPACE: Final = "\u00a0"


def describe_body(body: Mapping[str, Any], *, earlier: bool = False) -> dict[str, Any]:
    """The body with a digest instead of each media, for the journal and the fingerprint.

    The encoding does not count: the same picture is the same request, whatever codec or setting it
    is encoded with.

    Args:
        earlier: With the digests of version 0.1.0, where they differ.

    Raises:
        TypeError: The body contains a value that is neither JSON nor `Media`.
    """

    def describe(value: object) -> dict[str, str]:
        if isinstance(value, Media):
            return {"sha256": (earlier and value.earlier_digest) or value.digest}
        raise TypeError(f"{type(value).__name__} cannot be part of a request")

    return json.loads(json.dumps(body, default=describe))  # type: ignore[no-any-return]


def request_fingerprint(body: Mapping[str, Any], *, gateway: str, take: int) -> str:
    """The fingerprint of a request: SHA-256, 64 hexadecimal digits.

    Differences that nobody can see do not count: ``1`` and ``1.0``, the kind of line ends, composed
    and decomposed characters, blanks at the end of a line or of a text, characters without width.

    Args:
        body: The body; it counts as `describe_body` describes it.
        gateway: The identity of the gateway; see `settings.gateway_of`. The key is not part of it.
        take: Which variant of the same request this is: the seed of PikaGenerate.
    """
    identity = {"body": _visible(describe_body(body)), "gateway": gateway, "take": take}
    return _sha256({"version": 2, **identity})


def earlier_fingerprints(
    body: Mapping[str, Any], *, base_url: str, key_id: str, take: int
) -> list[str]:
    """The fingerprints under which version 0.1.0 may have stored this request.

    Args:
        body: As `request_fingerprint`.
        base_url: The address of the gateway, as it was written then.
        key_id: The key of that time; see `Settings.key_id`.
        take: As `request_fingerprint`.
    """
    bodies = [describe_body(body, earlier=earlier) for earlier in (True, False)]
    identity = {"base_url": base_url, "key_id": key_id, "take": take}
    return list(dict.fromkeys(_sha256({"body": each, **identity}) for each in bodies))


def _sha256(identity: Mapping[str, Any]) -> str:
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _visible(value: Any) -> Any:
    """A JSON value in which everything that looks the same is the same."""
    if isinstance(value, dict):
        return {name: _visible(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_visible(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return _visible_text(value) if isinstance(value, str) else value


def _visible_text(text: str) -> str:
    text = _LINE_END.sub("\n", _INVISIBLE.sub("", text)).replace(_NO_BREAK_SPACE, " ")
    return _composed(_TRAILING_BLANKS.sub("", text)).rstrip("\n")


def _composed(text: str) -> str:
    """The text with composed characters (Unicode's form NFC), the same in every version of Python.

    A later version of Unicode may compose characters that are new in it. So only characters of
    Unicode 3.2 are composed: Python keeps a copy of that version, and their form never changes
    (Unicode Character Encoding Stability Policies, "Normalization Stability").
    """
    if text.isascii():
        return text
    runs = itertools.groupby(text, _is_in_unicode_3_2)
    return "".join(
        unicodedata.normalize("NFC", "".join(run)) if known else "".join(run) for known, run in runs
    )


def _is_in_unicode_3_2(character: str) -> bool:
    return unicodedata.ucd_3_2_0.category(character) != "Cn"
