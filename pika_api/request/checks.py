"""Checks of single values. Each raises an `InvalidInput` that names the input."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..errors import InvalidInput


def check_url(url: str, name: str) -> str:
    """The URL without surrounding white space, if the gateway could fetch it.

    Raises:
        InvalidInput: It is blank, not http or https, or has no host.
    """
    url = url.strip()
    hint = "Use a complete http:// or https:// address, or connect the media itself."
    if not url:
        raise InvalidInput(name, "the address is empty.", hint)
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise InvalidInput(name, f"«{url[:80]}» is not a valid address: {error}.", hint) from error
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidInput(name, f"«{url[:80]}» is not an http or https address.", hint)
    if any(character.isspace() for character in url):
        raise InvalidInput(name, f"«{url[:80]}» contains a space.", hint)
    return url


def check_integer(name: str, value: object, low: int, high: int) -> None:
    """Raise an `InvalidInput` unless the value is an integer from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(name, f"{value!r} is not an integer.", f"Use {low} to {high}.")
    if not low <= value <= high:
        raise InvalidInput(name, f"{value} is out of range.", f"Use {low} to {high}.")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise an `InvalidInput` that lists the choices, unless the value is one of them."""
    if value not in choices:
        known = ", ".join(choices)
        raise InvalidInput(name, f"{value!r} is not a valid choice.", f"Choose one of: {known}.")
