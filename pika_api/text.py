"""Text for people: formatting of values, and cleaning of text from outside."""

from __future__ import annotations

import re
from typing import Final

#: Maximum length of a message that is shown or stored. Characters.
MAX_MESSAGE: Final = 600
#: Maximum length of a task id. Characters.
MAX_TASK_ID: Final = 255
#: How many characters of a task id a line shows. Ids that are at most `_WHOLE_ID` long are not cut.
_SHORT_ID: Final = 8
_WHOLE_ID: Final = 12

#: Characters that could overwrite a line in a terminal, reverse the direction of text, or that a
#: database rejects: control characters except tab and line feed, direction marks, and surrogates.
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

#: Characters with a meaning in HTML. Ids with them are rejected.
_HTML_SPECIAL: Final = frozenset("<>&\"'`")
#: The query of a URL, which may contain a signature or a secret.
_QUERY: Final = re.compile(r"(\w[\w+.-]*:/[^\s'\"?#»)]*)[?#][^\s'\"»)]*")


def format_duration(seconds: float) -> str:
    """A duration for people: ``48 s``, ``3 min 20 s``, ``1 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def format_size(count: int) -> str:
    """A number of bytes for people: ``0.5 kB``, ``3.2 MB``, ``1.0 GB``."""
    if count >= 1_000_000_000:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def format_amount(amount: float, currency: str = "") -> str:
    """An amount for people: ``12.40``, ``0.125``, ``12.40 CNY``. Its unit is the gateway's.

    Args:
        currency: What the user calls the unit; empty if that is not known.
    """
    digits = 2
    if abs(amount) < 1 and round(amount, 2) != round(amount, 6):
        digits = 6
    elif abs(amount) >= 10_000 and amount == round(amount):
        digits = 0  # a count of points rather than money
    text = f"{amount:.{digits}f}"
    text = text.rstrip("0") if digits == 6 else text
    return f"{text} {currency}".rstrip()


def short_id(task_id: str) -> str:
    """The start of a task id, for a line in which the whole would be broken in two."""
    return task_id if len(task_id) <= _WHOLE_ID else task_id[:_SHORT_ID]


def shorten(text: str) -> str:
    """The first `MAX_MESSAGE` characters of a text, sanitized."""
    return sanitize(text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…")


def sanitize(text: str) -> str:
    """A text from outside, with each unsafe character replaced by U+FFFD."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def without_queries(text: str) -> str:
    """The text with the query and fragment of each URL removed: they may contain a signature."""
    return _QUERY.sub(r"\1", text)


def mask_key(text: str, key: str) -> str:
    """The text with each occurrence of the API key replaced by ``[key]``.

    Args:
        key: The key; empty if there is none.
    """
    return text.replace(key, "[key]") if key else text


def is_task_id(text: str) -> bool:
    """Whether the text can be a task id: printable, without a meaning in HTML or in a URL path.

    ``0``, ``True`` and ``False`` are excluded: they are JSON values that mean "no id".
    """
    is_name = text not in ("", "0", "True", "False", ".", "..")
    is_plain = text.isprintable() and not _HTML_SPECIAL & set(text)
    return is_name and is_plain and len(text) <= MAX_TASK_ID
