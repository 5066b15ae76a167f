"""Remove private data from texts that are published in bug reports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..journal import Entry
from ..text import mask_key, sanitize, without_queries

#: The home folder of a user, on any system. Error texts may double a backslash.
_USER: Final = re.compile(
    r"(?i)(?<![\w.~-])(?:[a-z]:)?(?:\\{1,2}|/)(?:users|home)(?:\\{1,2}|/)[^\\/'\":;,]+"
)
#: User name, password and host in the URL of a database or a proxy.
_ACCOUNT: Final = re.compile(r"(\w[\w+.-]*://)[^\s/'\"]*@[^\s/'\")]*")
_TASK_ID: Final = re.compile(r"(?i)\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f-]{19,22}\b")
#: Shortest quoted piece of a user's text that is redacted, in characters.
_MIN_PIECE: Final = 8


class Redactor:
    """Redacts texts.

    Args:
        key: The API key, in case a text contains it.
        user: The user's home folder.
    """

    def __init__(self, key: str = "", user: Path | None = None) -> None:
        self._key = key
        folder = str(user or Path.home())
        forms = {folder, folder.replace("\\", "\\\\"), folder.replace("\\", "/")}
        either = "|".join(re.escape(form) for form in forms if len(form) > 1)  # not "/"
        self._folder = re.compile(rf"(?i)(?:{either or '(?!)'})(?![\w-])")

    def __call__(self, text: str) -> str:
        """The text in one line, without key, user names, accounts and URL queries."""
        text = mask_key(sanitize(text), self._key)
        text = _USER.sub("~", self._folder.sub("~", text))
        text = without_queries(_ACCOUNT.sub(r"\1[account]", text))
        return " ".join(_TASK_ID.sub(r"\1…", text).split())


def redact_user_text(text: str, entry: Entry) -> str:
    """An error about a task without the texts that the user wrote, which a gateway may quote."""
    if entry.task_id:
        text = text.replace(entry.task_id, f"{entry.task_id[:8]}…")
    for user_text in sorted({entry.prompt, *_texts(entry.request)}, key=len, reverse=True):
        text = _redact(text, user_text)
    return text


def _texts(value: object) -> Iterator[str]:
    """All texts in a journalled request that are long enough to be recognised."""
    if isinstance(value, str) and len(value) >= _MIN_PIECE:
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _redact(text: str, user_text: str) -> str:
    """Replace each piece of at least `_MIN_PIECE` characters that the user wrote.

    The time is linear in the length of both texts: a prompt may have hundreds of kilobytes.
    """
    if 2 < len(user_text) < _MIN_PIECE:
        return text.replace(user_text, "[…]")
    parts = []
    start = position = 0
    while position <= len(text) - _MIN_PIECE:
        end = position + _MIN_PIECE
        if text[position:end] not in user_text:
            position += 1
            continue
        while end < len(text) and text[position : end + 1] in user_text:
            end += 1
        parts += [text[start:position], "[…]"]
        start = position = end
    return "".join((*parts, text[start:]))
