"""Reading the message in a response, in any of the forms that gateways use.

Forms on the public reference pages of gateways of this family (read November 2026):
``{"error": {"message", "type", "code"}}``, ``{"message": …}``, ``{"code": …, "message": …}``,
``{"detail": …}``, plain text, and the HTML page of a proxy.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from ..text import shorten

#: How much of an HTML page is read. Characters. On broken markup the regular expressions take
#: quadratic time.
_MAX_PAGE: Final = 16 * 1024
#: How deep a message is searched for in nested JSON. Levels.
_MAX_DEPTH: Final = 16

#: The byte order mark, which some servers write before a JSON value or a page.
_BOM: Final = "\ufeff"
#: The beginning of an HTML page, behind comments.
_PAGE: Final = re.compile(r"<(!doctype|html|head|body|title)\b", re.IGNORECASE)

_FIELDS: Final = ("message", "detail", "msg", "error", "error_description", "title", "reason")


def error_message(text: str) -> str:
    """The message in the body of a response.

    Args:
        text: The body, in any form.

    Returns:
        The gateway's own words, at most `MAX_MESSAGE` characters; ``(an empty response)`` if there
        are none. Never empty.
    """
    text = text.strip()
    if not text:
        return "(an empty response)"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return shorten(_text_of_html(text[:_MAX_PAGE]) if is_html(text) else text)
    return shorten(message_in(value) or text)


def message_in(value: object, depth: int = 0) -> str:
    """The message in a decoded JSON value; empty if there is none."""
    if isinstance(value, str):
        return value.strip()
    if depth == _MAX_DEPTH:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (message_in(item, depth + 1) for item in value)))
    if not isinstance(value, Mapping):
        return ""
    messages = (message_in(value.get(name), depth + 1) for name in _FIELDS)
    message = next(filter(None, messages), "")
    code = value.get("code") or value.get("type")
    if message and isinstance(code, (str, int)) and str(code) not in message:
        message = f"{message} ({code})"
    return message


def json_object(text: str) -> Mapping[str, Any] | None:
    """The JSON object in the body of a response; None if the body is anything else."""
    try:
        value = json.loads(text.removeprefix(_BOM))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def is_html(text: str) -> bool:
    """Whether the body of a response is an HTML page."""
    page = text[:_MAX_PAGE].removeprefix(_BOM).lstrip()
    while page.startswith("<!--"):
        page = page.partition("-->")[2].lstrip()
    return bool(_PAGE.match(page))


def _text_of_html(page: str) -> str:
    page = re.sub(r"(?is)<(script|style)\b.*?</\1>", " ", page)
    text = html.unescape(re.sub(r"<[^>]*>", " ", page))
    return "an HTML page: " + " ".join(text.split())
