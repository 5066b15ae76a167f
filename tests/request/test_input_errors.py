"""Bad input is told before anything is sent, with its name and what to use."""

from __future__ import annotations

from typing import Any

import pytest

from pika_api.errors import InvalidInput
from pika_api.request import Camera, Options, Parameters, check_url, parse_extra
from support.api import ask


@pytest.mark.parametrize("value", [5, 25])
def test_guidance_scale_takes_its_edges(value: int) -> None:
    """5 and 25 are inside."""
    assert Parameters(guidance_scale=value).body()["guidanceScale"] == value


@pytest.mark.parametrize("value", [0, 4])
def test_motion_takes_its_edges(value: int) -> None:
    """0 and 4 are inside."""
    assert Parameters(motion=value).body()["motion"] == value


@pytest.mark.parametrize("value", [8, 24])
def test_frame_rate_takes_its_edges(value: int) -> None:
    """8 and 24 are inside."""
    assert Options(frame_rate=value).body()["frameRate"] == value


@pytest.mark.parametrize("value", [0.4, 2.5])
def test_ratio_takes_its_edges(value: float) -> None:
    """0.4 and 2.5 are inside."""
    assert Options(aspect_ratio=value).body()["aspectRatio"] == value


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (kind, name, value)
        for kind, name, values in [
            (Parameters, "guidance_scale", [4, 26, -1, True, False, 12.0, "12", None]),
            (Parameters, "motion", [-1, 5, True, False, 1.0, "1", None]),
            (Options, "frame_rate", [7, 25, True, 24.0, "24", None]),
        ]
        for value in values
    ],
)
def test_an_integer_out_of_range_or_of_another_type_is_refused(
    kind: Any, name: str, value: object
) -> None:
    """Just outside, a boolean (an int to Python), a float, a text: refused, by the input's name."""
    with pytest.raises(InvalidInput, match=f"^{name}: ") as caught:
        kind(**{name: value})
    assert "Use " in str(caught.value)


@pytest.mark.parametrize("value", [0.39, 2.51, 0, -1.0, float("nan"), float("inf"), "16:9", True])
def test_a_ratio_that_cannot_be_sent_is_refused(value: Any) -> None:
    """Out of range, not a number, a name, a boolean (JSON's true is no number): by the name of the
    input that it came from."""
    number = isinstance(value, (int, float)) and value is not True
    name = "custom_aspect_ratio" if number else "aspect_ratio"
    with pytest.raises(InvalidInput, match=f"^{name}: "):
        Options(aspect_ratio=value)


@pytest.mark.parametrize("value", [1, "true", None])
def test_extend_is_a_boolean(value: Any) -> None:
    """The seed requires a boolean."""
    with pytest.raises(InvalidInput, match="extend"):
        Options(extend=value)


@pytest.mark.parametrize("prompt", ["", " ", "\n\t", "\u3000"])
def test_a_blank_prompt_is_refused(prompt: str) -> None:
    """promptText is required, and a blank one pays for nothing."""
    with pytest.raises(InvalidInput, match="prompt_text: the prompt is blank"):
        ask(prompt)


@pytest.mark.parametrize(
    "given",
    [
        {"prompt": "an apple \ud83c"},
        {"options": Options(parameters=Parameters(negative_prompt="\ud83c"))},
        {"extra": {"a": ["\udf4e"]}},
    ],
    ids=["prompt", "negative prompt", "extra"],
)
def test_half_a_character_is_refused(given: Any) -> None:
    """It cannot be written as UTF-8, wherever in the request it stands; a whole emoji can."""
    with pytest.raises(InvalidInput, match=r"^prompt_text: .*half of a character"):
        ask(**given)
    assert ask("an apple \U0001f34e").body()["promptText"] == "an apple \U0001f34e"


@pytest.mark.parametrize("effect", ["dissolve", "", "None", "Explode "])
def test_an_unknown_effect_is_refused_with_the_known_ones(effect: str) -> None:
    """The error lists what there is."""
    with pytest.raises(
        InvalidInput, match=r"(?s)^pikaffect: .*Ta-da, Deflate, .*Cake-ify, Explode"
    ):
        ask(pikaffect=effect)


@pytest.mark.parametrize(("move", "direction"), [("zoom", "left"), ("pan", "up"), ("tilt", "")])
def test_an_unknown_direction_is_refused(move: str, direction: Any) -> None:
    """Each move has its own two directions."""
    with pytest.raises(InvalidInput, match=f"^{move}: "):
        Camera(**{move: direction})


@pytest.mark.parametrize(
    "url",
    [
        "",
        "  ",
        "ftp://example.com/a.png",
        "file:///etc/passwd",
        "example.com/a.png",
        "http://",
        "https:///a.png",
        "https://?a=b",
        "http://[::1",
        "https://example.com/a b.png",
        "https://example.com/a\nb.png",
        "data:image/png;base64,AAAA",
    ],
)
def test_an_address_the_gateway_cannot_fetch_is_refused(url: str) -> None:
    """Other schemes, no host, spaces, empty: refused with the input's name."""
    with pytest.raises(InvalidInput, match=r"^image_url: "):
        check_url(url, "image_url")


@pytest.mark.parametrize("name", ["image", "video"])
def test_a_request_checks_its_addresses(name: str) -> None:
    """A medium that is a text must be an address."""
    with pytest.raises(InvalidInput, match=f"^{name}_url: "):
        ask(**{name: ""})


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_good_address_is_kept_as_signed(scheme: str) -> None:
    """Percent-encoding stays; only the space around goes."""
    url = f"{scheme}://cdn.example.com/a%20b.mp4?Signature=1%2Fabc%3D"
    assert check_url(f" {url}\n", "video_url") == url


@pytest.mark.parametrize("text", ["", " ", "\n", "{}"])
def test_no_extra_is_an_empty_object(text: str) -> None:
    """Blank is the same as nothing."""
    assert parse_extra(text) == {}


def test_broken_extra_shows_where() -> None:
    """Line, column and what stands there, in one line; the input is extra_json if not said."""
    with pytest.raises(InvalidInput, match=r'line 2, column 8.*near «{   "a": oops}»') as caught:
        parse_extra('{\n  "a": oops}')
    assert caught.value.name == "extra_json"


def test_broken_extra_is_not_shown_whole() -> None:
    """Twenty characters before the place, and twenty from there on."""
    text = '{"' + "a" * 30 + '": oops, "' + "b" * 30 + '": 1}'
    near = "a" * 17 + '": ' + 'oops, "' + "b" * 13
    with pytest.raises(InvalidInput, match=f"near «{near}»") as caught:
        parse_extra(text, "another")
    assert caught.value.name == "another"


@pytest.mark.parametrize(
    ("text", "kind"), [("[1]", "list"), ('"a"', "str"), ("7", "int"), ("null", "NoneType")]
)
def test_extra_that_is_no_object_is_refused(text: str, kind: str) -> None:
    """A list, a text, a number: there is nothing to merge by name."""
    with pytest.raises(InvalidInput, match=rf"^extra_json: .*this is a {kind}"):
        parse_extra(text)


@pytest.mark.usefixtures("calm")
@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN}',
        '{"a": [Infinity]}',
        '{"a": -Infinity}',
        '{"a": 1e999}',  # a float to Python's parser, and «Infinity» when written again
        '{"a": ' * 100_000,
    ],
    ids=["nan", "inf", "-inf", "overflow", "deep"],
)
def test_extra_that_would_not_be_json_again_is_refused(text: str) -> None:
    """What Python reads and JSON does not know would make a body that no gateway can parse."""
    with pytest.raises(InvalidInput):
        parse_extra(text)
