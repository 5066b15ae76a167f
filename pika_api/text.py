"""Measures as a person reads them."""

from __future__ import annotations

import re
from typing import Final


def format_duration(seconds: float) -> str:
    """Seconds as a person reads them: ``48 s``, ``3 min 20 s``, ``1 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def format_size(count: int) -> str:
    """Bytes as a person reads them."""
    if count >= 1_000_000_000:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


#: More of an answer than this helps nobody on a node.
MAX_MESSAGE: Final = 600


#: What could write over a line of a terminal, turn a text around, or not be kept in a database:
#: control characters but tab and line feed, marks of direction, halves of characters.
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def shorten(text: str) -> str:
    """At most `MAX_MESSAGE` characters of it, harmless."""
    return sanitize(text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…")


def sanitize(text: str) -> str:
    """A text of the other side's with a mark for each character that could do something."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


#: A longer task id than this is none. Characters.
MAX_TASK_ID: Final = 255


def is_task_id(text: str) -> bool:
    """Whether it can be kept in every database, shown, and asked for as one part of a path."""
    named = text not in ("", "0", "True", "False", ".", "..")
    return named and len(text) <= MAX_TASK_ID and text.isprintable()
