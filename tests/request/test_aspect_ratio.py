"""Reading an aspect ratio of the editor and of the command line."""

from __future__ import annotations

import pytest

from pika_api.errors import InvalidInput
from pika_api.request import ASPECT_RATIOS, FROM_IMAGE, AspectRatio, parse_aspect_ratio

CHOICES: dict[str, AspectRatio] = {"custom": 1.23, "none": None}


@pytest.mark.parametrize(
    ("text", "value"), [*ASPECT_RATIOS.items(), (FROM_IMAGE, FROM_IMAGE), *CHOICES.items()]
)
def test_each_name_has_its_value(text: str, value: AspectRatio) -> None:
    """Named ratios, the ratio of the image, and the choices of the caller."""
    assert parse_aspect_ratio(text, "aspect_ratio", CHOICES) == value


def test_number_is_accepted_if_allowed() -> None:
    """The command line accepts numbers. Their range is checked by `Options`."""
    assert parse_aspect_ratio("1.5", "--aspect-ratio", {}, numbers=True) == 1.5
    with pytest.raises(InvalidInput, match=r"^aspect_ratio: "):
        parse_aspect_ratio("1.5", "aspect_ratio", {})


def test_unknown_name_lists_the_choices() -> None:
    """The error names the input and all that can be chosen."""
    with pytest.raises(
        InvalidInput, match=r"(?s)^aspect_ratio: \"wide\" .*16:9.*custom, none"
    ) as caught:
        parse_aspect_ratio("wide", "aspect_ratio", CHOICES)
    assert caught.value.name == "aspect_ratio"


def test_unknown_name_explains_numbers_if_allowed() -> None:
    """The hint of the command line."""
    with pytest.raises(InvalidInput, match="a name such as 16:9, or a number"):
        parse_aspect_ratio("wide", "--aspect-ratio", {"none": None}, numbers=True)
