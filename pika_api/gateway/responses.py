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

from ..text import shorten

#: As much of an HTML page is looked at: on broken markup the time grows with the square of it.
_MAX_PAGE: Final = 16 * 1024
#: A message is looked for this deep in an answer.
_MAX_DEPTH: Final = 16

_FIELDS: Final = ("message", "detail", "msg", "error", "error_description", "title", "reason")


def error_message(text: str) -> str:
    """The message in an answer's text; never empty.

    Args:
        text: The answer's body, whatever it is.

    Returns:
        The gateway's own words, at most `MAX_MESSAGE` characters, or a note that there were none.
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
