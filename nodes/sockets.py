"""Socket types and inputs that several nodes share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from comfy_api.latest import io

from ..pika_api.errors import InvalidInput
from ..pika_api.message import Message
from ..pika_api.request import parse_extra
from .language import explain
from .lists import SKIP, STOP

CATEGORY = "Pika"

#: What this ComfyUI knows about a node. Another name raises TypeError in the constructor.
_SCHEMA_FIELDS: Final = frozenset(field.name for field in dataclasses.fields(io.Schema))

ParametersSocket = io.Custom("PIKA_PARAMETERS")
CameraSocket = io.Custom("PIKA_CAMERA")
OptionsSocket = io.Custom("PIKA_OPTIONS")

#: First option of every optional combo: nothing is sent for it.
NONE = "none"


def schema(
    *, search_aliases: Sequence[str], advanced: Sequence[str] = (), **values: Any
) -> io.Schema:
    """A node of the pack, with what older ComfyUI does not know about it left out.

    Args:
        search_aliases: Other words to find it by (ComfyUI 0.10 and later).
        advanced: Rarely used inputs, which newer editors hide until the user asks for them.
        values: As for `io.Schema`.
    """
    for each in values["inputs"]:
        if each.id in advanced:
            set_advanced(each)
    newer = {"search_aliases": list(search_aliases)}
    known = {name: value for name, value in newer.items() if name in _SCHEMA_FIELDS}
    return io.Schema(category=CATEGORY, **values, **known)


def set_advanced(rarely_used: io.Input) -> None:
    """Let newer editors hide an input until the user asks for it."""
    # Older ComfyUI does not accept it as a constructor argument.
    rarely_used.extra_dict["advanced"] = True


def extra_json(merged_over: str) -> io.String.Input:
    """The ``extra_json`` input, for fields that a gateway supports beyond the documented ones.

    Args:
        merged_over: The part of the request it is merged into, for the tooltip.
    """
    made = io.String.Input(
        "extra_json",
        optional=True,
        default="",
        # No braces: the editor would treat them as a placeholder in the translation.
        tooltip="A JSON object with extra fields for your gateway. It is merged into "
        f"{merged_over} and replaces fields of the same name. Leave it empty unless you need it.",
    )
    set_advanced(made)
    return made


def on_failure_input(tooltip: str) -> io.Combo.Input:
    """The ``on_failure`` input: whether one item of a list may stop the others."""
    return io.Combo.Input(
        "on_failure", options=[STOP, SKIP], default=STOP, optional=True, tooltip=tooltip
    )


def check_on_failure(value: str) -> None:
    """Raise an `InvalidInput` unless the value is a choice of ``on_failure``."""
    if value not in (STOP, SKIP):
        raise InvalidInput(
            "on_failure",
            Message('"{value}" is not a valid choice.', value=value),
            Message("Choose {stop} or {skip}.", stop=STOP, skip=SKIP),
        )


def check_extra_json(text: str | None) -> bool | str:
    """For ``validate_inputs``: True, or the error as a text.

    A linked input has no value yet (None).
    """
    try:
        parse_extra(text or "")
    except InvalidInput as error:
        return explain(error)
    return True


def choice(name: str, value: str, choices: tuple[str, ...]) -> str | None:
    """The value of a combo, or None for `NONE`. Older ComfyUI does not check combos itself.

    Raises:
        InvalidInput: The value is not one of the choices.
    """
    if value == NONE:
        return None
    if value not in choices:
        known = ", ".join((NONE, *choices))
        raise InvalidInput(
            name,
            Message('"{value}" is not a valid choice.', value=value),
            Message("Choose one of: {known}.", known=known),
        )
    return value
