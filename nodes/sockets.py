"""What several nodes have in common: the socket types and the inputs they share."""

from __future__ import annotations

from comfy_api.latest import io

from ..pika_api.errors import InvalidInput
from ..pika_api.request import parse_extra

CATEGORY = "Pika"

ParametersSocket = io.Custom("PIKA_PARAMETERS")
CameraSocket = io.Custom("PIKA_CAMERA")
OptionsSocket = io.Custom("PIKA_OPTIONS")

#: The first choice of every combo that may be left unset.
NONE = "none"


def extra_json(merged_over: str) -> io.String.Input:
    """The ``extra_json`` input: what a gateway takes beyond the documented fields.

    Args:
        merged_over: Where in the request it goes, for the tooltip.
    """
    made = io.String.Input(
        "extra_json",
        optional=True,
        default="",
        # No braces: as a translation, the editor would read them as a place for a value.
        tooltip=f"A JSON object merged over {merged_over}, for fields that a gateway takes beyond "
        "the documented ones. Leave it empty otherwise.",
    )
    # Known to newer editors only; as a constructor's argument older ComfyUI does not take it.
    made.extra_dict["advanced"] = True
    return made


def check_extra_json(text: str | None) -> bool | str:
    """For ``validate_inputs``: True, or what is wrong. A linked input is not known yet (None)."""
    try:
        parse_extra(text or "")
    except InvalidInput as error:
        return str(error)
    return True


def choice(name: str, value: str, choices: tuple[str, ...]) -> str | None:
    """A combo's value, None for `NONE`. Older ComfyUI does not check combos itself.

    Raises:
        InvalidInput: It is not one of the choices.
    """
    if value == NONE:
        return None
    if value not in choices:
        known = ", ".join((NONE, *choices))
        raise InvalidInput(name, f"«{value}» is not known.", f"Choose one of: {known}.")
    return value
