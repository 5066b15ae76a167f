"""``extra_json``: a JSON object that the user merges over a part of the request."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ..errors import InvalidInput

#: A JSON object that is merged over what a value makes of itself.
Extra = Mapping[str, Any]


def parse_extra(text: str, name: str = "extra_json") -> Extra:
    """Read an ``extra_json`` input.

    Args:
        text: A JSON object, or blank for none.
        name: The input's name, for the error.

    Raises:
        InvalidInput: Not JSON (the error shows where it breaks), or not an object.
    """
    if not text.strip():
        return {}
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        near = text[max(0, error.pos - 20) : error.pos + 20].replace("\n", " ")
        raise InvalidInput(
            name,
            f"not valid JSON at {place}: {error.msg}, near «{near}».",
            'Write a JSON object such as {"seed": 7}, or leave it empty.',
        ) from error
    except ValueError as error:
        raise InvalidInput(name, f"{error}.", "Use ordinary numbers, or text in quotes.") from error
    except RecursionError as error:
        raise InvalidInput(name, "it is nested too deep.", "Write a flatter object.") from error
    if not isinstance(value, dict):
        raise InvalidInput(
            name,
            f"a JSON object is needed, and this is a {type(value).__name__}.",
            'Wrap it in braces with a name, such as {"name": …}, or leave it empty.',
        )
    return value


def _no_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not a JSON value")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is too large a number")  # it would be written as Infinity
    return value


def merge_extra(base: Mapping[str, Any], extra: Extra) -> dict[str, Any]:
    """Lay ``extra`` over ``base``: objects merge, everything else is replaced."""
    merged = dict(base)
    for name, value in extra.items():
        old = merged.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[name] = merge_extra(old, value)
        else:
            merged[name] = value
    return merged
