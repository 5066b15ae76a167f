"""Taking out of a text what is nobody else's business."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..journal import Entry

#: The user's folder, on any system. Error texts double a backslash.
_USER: Final = re.compile(
    r"(?i)(?<![\w.~-])(?:[a-z]:)?(?:\\{1,2}|/)(?:users|home)(?:\\{1,2}|/)[^\\/'\":;,]+"
)
#: Who and where, in the address of a database or a proxy.
_ACCOUNT: Final = re.compile(r"(\w[\w+.-]*://)[^\s/'\"]*@[^\s/'\")]*")
#: What is signed or secret in an address is in its query.
_QUERY: Final = re.compile(r"(\w[\w+.-]*:/[^\s'\"?#»)]*)[?#][^\s'\"»)]*")
_TASK_ID: Final = re.compile(r"(?i)\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f-]{19,22}\b")
#: A piece of what the user wrote, of so many characters, gives it away.
_PIECE: Final = 8


class Redactor:
    """Cleans texts.

    Args:
        key: The API key, should it have got into one.
    """

    def __init__(self, key: str = "", user: Path | None = None) -> None:
        self._key = key
        folder = str(user or Path.home())
        forms = {folder, folder.replace("\\", "\\\\"), folder.replace("\\", "/")}
        either = "|".join(re.escape(form) for form in forms if len(form) > 1)  # / is nobody's
        self._folder = re.compile(rf"(?i)(?:{either or '(?!)'})(?![\w-])")

    def __call__(self, text: str) -> str:
        """The text in one line, without key, user names, accounts and queries."""
        if self._key:
            text = text.replace(self._key, "[key]")
        text = _USER.sub("~", self._folder.sub("~", text))
        text = _QUERY.sub(r"\1", _ACCOUNT.sub(r"\1[account]", text))
        return " ".join(_TASK_ID.sub(r"\1…", text).split())


def redact_user_text(text: str, entry: Entry) -> str:
    """A text about a task, which may quote the gateway, without what the user wrote for it."""
    if entry.task_id:
        text = text.replace(entry.task_id, f"{entry.task_id[:8]}…")
    for written in sorted({entry.prompt, *_texts(entry.request)}, key=len, reverse=True):
        text = _redact(text, written)
    return text


def _texts(value: object) -> Iterator[str]:
    """All texts in a request as it is journalled, but for those that mean nothing alone."""
    if isinstance(value, str) and len(value) >= _PIECE:
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _redact(text: str, written: str) -> str:
    if len(written) > 2:
        text = text.replace(written, "[…]")
    while True:
        matcher = difflib.SequenceMatcher(None, text, written, autojunk=False)
        found = matcher.find_longest_match()
        if found.size < _PIECE:
            return text
        text = f"{text[: found.a]}[…]{text[found.a + found.size :]}"
