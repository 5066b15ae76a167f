"""Checks of single values. Each raises an `InvalidInput` that names the input."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..errors import InvalidInput
from ..message import Message


def check_url(url: str, name: str) -> str:
    """The URL without surrounding white space, if the gateway could fetch it.

    Raises:
        InvalidInput: It is blank, not http or https, or has no host.
    """
    url = url.strip()
    hint = Message("Use a complete http:// or https:// address, or connect the media itself.")
    if not url:
        raise InvalidInput(name, Message("the address is empty."), hint)
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise InvalidInput(
            name,
            Message("«{url}» is not a valid address: {error}.", url=url[:80], error=error),
            hint,
        ) from error
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidInput(
            name, Message("«{url}» is not an http or https address.", url=url[:80]), hint
        )
    if any(character.isspace() for character in url):
        raise InvalidInput(name, Message("«{url}» contains a space.", url=url[:80]), hint)
    return url


def check_integer(name: str, value: object, low: int, high: int) -> None:
    """Raise an `InvalidInput` unless the value is an integer from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(
            name,
            Message("{value!r} is not an integer.", value=value),
            Message("Use {low} to {high}.", low=low, high=high),
        )
    if not low <= value <= high:
        raise InvalidInput(
            name,
            Message("{value} is out of range.", value=value),
            Message("Use {low} to {high}.", low=low, high=high),
        )


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise an `InvalidInput` that lists the choices, unless the value is one of them."""
    if value not in choices:
        known = ", ".join(choices)
        raise InvalidInput(
            name,
            Message("{value!r} is not a valid choice.", value=value),
            Message("Choose one of: {known}.", known=known),
        )
