"""``extra_json``: a JSON object from the user that is merged over a part of the request."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from ..errors import InvalidInput
from ..message import Message

#: How deep it may be nested. Levels. Further code goes through it by recursion.
MAX_DEPTH: Final = 100
#: A decoded JSON object. It is merged over the part of the body that a value creates.
Extra: TypeAlias = Mapping[str, Any]


def parse_extra(text: str, name: str = "extra_json") -> Extra:
    """Read an ``extra_json`` input.

    Args:
        text: A JSON object; blank for none.
        name: The name of the input, for the error.

    Raises:
        InvalidInput: It is not JSON (the error shows where), or not an object.
    """
    if not text.strip():
        return {}
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_parse_finite)
    except json.JSONDecodeError as error:
        position = f"line {error.lineno}, column {error.colno}"
        near = text[max(0, error.pos - 20) : error.pos + 20].replace("\n", " ")
        raise InvalidInput(
            name,
            Message(
                "not valid JSON at {position}: {msg}, near «{near}».",
                position=position,
                msg=error.msg,
                near=near,
            ),
            Message('Write a JSON object such as {{"seed": 7}}, or leave it empty.'),
        ) from error
    except ValueError as error:
        raise InvalidInput(
            name,
            Message("{error}.", error=error),
            Message("Use ordinary numbers, or text in quotes."),
        ) from error
    except RecursionError as error:
        raise _too_deep(name) from error
    if not isinstance(value, dict):
        raise InvalidInput(
            name,
            Message("a JSON object is required, but this is a {name}.", name=type(value).__name__),
            Message('Wrap it in braces with a name, such as {{"name": …}}, or leave it empty.'),
        )
    if _is_deeper(value, MAX_DEPTH):
        raise _too_deep(name)
    return value


def _too_deep(name: str) -> InvalidInput:
    return InvalidInput(
        name, Message("it is nested too deeply."), Message("Write a flatter object.")
    )


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(part, levels - 1) for part in parts)


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not a JSON value")


def _parse_finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is too large a number")  # it would be sent as Infinity
    return value


def merge_extra(base: Mapping[str, Any], extra: Extra) -> dict[str, Any]:
    """Merge ``extra`` over ``base``: objects are merged, all other values replaced."""
    merged = dict(base)
    for name, value in extra.items():
        old = merged.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[name] = merge_extra(old, value)
        else:
            merged[name] = value
    return merged
