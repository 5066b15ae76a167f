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
    except ValueError:
        return _short(_from_html(text) if _looks_like_html(text) else text)
    return _short(message_in(value) or text)


def message_in(value: object) -> str:
    """The message in a decoded JSON value: empty where there is none."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return "; ".join(filter(None, (message_in(item) for item in value)))
    if not isinstance(value, Mapping):
        return ""
    found = next((text for name in _FIELDS if (text := message_in(value.get(name)))), "")
    code = value.get("code") or value.get("type")
    if found and isinstance(code, (str, int)) and str(code) not in found:
        found = f"{found} ({code})"
    return found


def json_object(text: str) -> Mapping[str, Any] | None:
    """The JSON object in an answer's text, or None where it is anything else."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _looks_like_html(text: str) -> bool:
    return bool(re.match(r"\s*<(!doctype|html|head|body)\b", text, re.IGNORECASE))


def _from_html(page: str) -> str:
    page = re.sub(r"(?is)<(script|style)\b.*?</\1>", " ", page)
    text = html.unescape(re.sub(r"<[^>]*>", " ", page))
    return "an HTML page: " + " ".join(text.split())


def _short(text: str) -> str:
    return text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…"
