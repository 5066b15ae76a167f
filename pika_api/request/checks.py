"""Checks of single values. Each raises an `InvalidInput` that names the input."""

from __future__ import annotations

import operator
from typing import Any, Final
from urllib.parse import urlsplit

from ..errors import InvalidInput
from ..message import Message

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
        # Some versions of numpy take their own booleans for integers.
        is_bool = type(value).__name__ in ("bool", "bool_")
        number = value if is_bool else operator.index(value)
    except (TypeError, ValueError, RuntimeError):  # torch has its own errors for larger tensors
        number = value
    check_integer(name, number, low, high)
    return int(number)


def check_integer(name: str, value: object, low: int, high: int) -> None:
    """Raise an `InvalidInput` unless the value is an integer from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(
            name,
            Message("{value} is not an integer.", value=_shown(value)),
            Message("Use {low} to {high}.", low=low, high=high),
        )
    if not low <= value <= high:
        raise InvalidInput(
            name,
            Message("{value} is out of range.", value=_shown(value)),
            Message("Use {low} to {high}.", low=low, high=high),
        )


def _shown(value: object) -> str:
    """A value for a message: a short text, whatever arrives over a link."""
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        # Python refuses to write a very long one.
        return Message("an integer of {bits} bits", bits=value.bit_length())
    if isinstance(value, str):
        return repr(value if len(value) <= _MAX_TEXT else f"{value[:_MAX_TEXT]}…")
    if isinstance(value, (int, float)):
        return repr(value)
    return Message("a value of type {kind}", kind=type(value).__name__)


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise an `InvalidInput` that lists the choices, unless the value is one of them."""
    if value not in choices:
        known = ", ".join(choices)
        raise InvalidInput(
            name,
            Message("{value!r} is not a valid choice.", value=value),
            Message("Choose one of: {known}.", known=known),
        )
