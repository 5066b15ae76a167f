"""Reading what a gateway says when it says no, in whichever of the shapes it uses.

Public reference pages show ``{"error": {"message", "type", "code"}}``, ``{"message": …}``,
``{"code": …, "message": …}``, ``{"detail": …}``, plain text, and a proxy's HTML page.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any, Final

#: More of an answer than this helps nobody on a node.
MAX_WORDS: Final = 600
#: As much of an HTML page is looked at: on broken markup the time grows with the square of it.
_MAX_PAGE: Final = 16 * 1024
#: What could write over a line of a terminal, turn a text around, or not be kept in a database:
#: control characters but tab and line feed, marks of direction, halves of characters.
_HARMFUL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
#: A message is looked for this deep in an answer.
_MAX_DEPTH: Final = 16

_FIELDS: Final = ("message", "detail", "msg", "error", "error_description", "title", "reason")


def words_of(text: str) -> str:
    """The message in an answer's text; never empty.

    Args:
        text: The answer's body, whatever it is.

    Returns:
        The gateway's own words, at most `MAX_WORDS` characters, or a note that there were none.
    """
    text = text.strip()
    if not text:
        return "(an empty answer)"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return shorten(_from_html(text[:_MAX_PAGE]) if is_html(text) else text)
    return shorten(message_in(value) or text)


def message_in(value: object, depth: int = 0) -> str:
    """The message in a decoded JSON value: empty where there is none."""
    if isinstance(value, str):
        return value.strip()
    if depth == _MAX_DEPTH:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (message_in(item, depth + 1) for item in value)))
    if not isinstance(value, Mapping):
        return ""
    inner = (message_in(value.get(name), depth + 1) for name in _FIELDS)
    found = next(filter(None, inner), "")
    code = value.get("code") or value.get("type")
    if found and isinstance(code, (str, int)) and str(code) not in found:
        found = f"{found} ({code})"
    return found


def json_object(text: str) -> Mapping[str, Any] | None:
    """The JSON object in an answer's text, or None where it is anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def is_html(text: str) -> bool:
    """Whether an answer's text is a web page."""
    return bool(re.match(r"\s*<(!doctype|html|head|body)\b", text, re.IGNORECASE))


def _from_html(page: str) -> str:
    page = re.sub(r"(?is)<(script|style)\b.*?</\1>", " ", page)
    text = html.unescape(re.sub(r"<[^>]*>", " ", page))
    return "an HTML page: " + " ".join(text.split())


def shorten(text: str) -> str:
    """At most `MAX_WORDS` characters of it, harmless."""
    return harmless(text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…")


def harmless(text: str) -> str:
    """A text of the other side's with a mark for each character that could do something."""
    return _HARMFUL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))
