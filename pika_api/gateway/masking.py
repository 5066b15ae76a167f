"""Keeps the API key out of everything that is shown, logged or stored."""

from __future__ import annotations

from typing import Any, Final

from ..message import Message
from ..text import mask_key, sanitize, shorten
from .responses import error_message

#: How deep a decoded response is kept. Levels.
_MAX_DEPTH: Final = 100
#: Maximum length of an answer that is stored because it leaves a doubt. Characters.
MAX_ANSWER: Final = 4000


class KeyMask:
    """Cleans what a gateway sends: it may quote the key.

    Args:
        key: The key; empty if there is none.
    """

    def __init__(self, key: str) -> None:
        self._key = key

    def text(self, text: str) -> str:
        """The text, sanitized and without the key."""
        if isinstance(text, Message):
            return text.mapped(self.text)
        return sanitize(mask_key(text, self._key))

    def message(self, body: str) -> str:
        """The message in the body of a response; see `error_message`."""
        # Masked before it is shortened, too: the rest of a cut key would not be recognized.
        return self.text(error_message(self.text(body)))

    def excerpt(self, body: str) -> str:
        """The beginning of the body of a response, as it is: it may contain an unexpected id."""
        return shorten(self.text(body.strip())) or "(an empty response)"

    def answer(self, body: str) -> str:
        """The body of a response for the journal: sanitized, and cut at `MAX_ANSWER` characters."""
        text = self.text(body.strip())
        return text if len(text) <= MAX_ANSWER else text[: MAX_ANSWER - 1] + "…"

    def json(self, value: Any, depth: int = 0) -> Any:
        """A decoded JSON value, with all its texts and names cleaned."""
        if isinstance(value, str):
            return self.text(value)
        if depth == _MAX_DEPTH and isinstance(value, (list, dict)):
            return "…"
        if isinstance(value, list):
            return [self.json(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {self.text(name): self.json(item, depth + 1) for name, item in value.items()}
        return value
