"""Checks of single values. Each raises an `InvalidInput` that names the input."""

from __future__ import annotations

import operator
from typing import Any, Final
from urllib.parse import urlsplit

from ..errors import InvalidInput

#: The largest take, as the seed of ComfyUI's own nodes.
MAX_TAKE: Final = 2**64 - 1

# The longest values that a message quotes.
_MAX_BITS: Final = 256
_MAX_TEXT: Final = 60  # characters


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


def check_take(name: str, value: Any) -> int:
    """The number of a take: an integer from 0 to `MAX_TAKE`. As `as_integer`."""
    return as_integer(name, value, 0, MAX_TAKE)


def as_integer(name: str, value: Any, low: int, high: int) -> int:
    """The value as Python's own integer, which the journal and the fingerprint need.

    Integers of numpy and torch count, since a node may output them as INT.

    Args:
        name: The input that the value comes from.
        value: Of any type: ComfyUI does not check what arrives over a link.
        low, high: The smallest and the largest valid value.

    Raises:
        InvalidInput: It is not such an integer.
    """
    try:
        number = value if isinstance(value, bool) else operator.index(value)
    except (TypeError, ValueError, RuntimeError):  # torch has its own errors for larger tensors
        number = value
    check_integer(name, number, low, high)
    return int(number)


def check_integer(name: str, value: object, low: int, high: int) -> None:
    """Raise an `InvalidInput` unless the value is an integer from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(name, f"{_shown(value)} is not an integer.", f"Use {low} to {high}.")
    if not low <= value <= high:
        raise InvalidInput(name, f"{_shown(value)} is out of range.", f"Use {low} to {high}.")


def _shown(value: object) -> str:
    """A value for a message: a short text, whatever arrives over a link."""
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return f"an integer of {value.bit_length()} bits"  # Python refuses to write a very long one
    if isinstance(value, str):
        return repr(value if len(value) <= _MAX_TEXT else f"{value[:_MAX_TEXT]}…")
    is_number = isinstance(value, (int, float))
    return repr(value) if is_number else f"a value of type {type(value).__name__}"


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise an `InvalidInput` that lists the choices, unless the value is one of them."""
    if value not in choices:
        known = ", ".join(choices)
        raise InvalidInput(name, f"{value!r} is not a valid choice.", f"Choose one of: {known}.")
