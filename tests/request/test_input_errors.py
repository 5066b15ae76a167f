"""Invalid input is an error before anything is sent. The error names the input and a remedy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pika_api.errors import InvalidInput
from pika_api.request import (
    MAX_TAKE,
    Camera,
    Options,
    Parameters,
    Payload,
    check_take,
    check_url,
    parse_extra,
    request_fingerprint,
)
from support.api import ask


@pytest.mark.parametrize("value", [5, 25])
def test_guidance_scale_accepts_its_limits(value: int) -> None:
    """5 and 25 are allowed."""
    assert Parameters(guidance_scale=value).body()["guidanceScale"] == value


@pytest.mark.parametrize("value", [0, 4])
def test_motion_accepts_its_limits(value: int) -> None:
    """0 and 4 are allowed."""
    assert Parameters(motion=value).body()["motion"] == value


@pytest.mark.parametrize("value", [8, 24])
def test_frame_rate_accepts_its_limits(value: int) -> None:
    """8 and 24 are allowed."""
    assert Options(frame_rate=value).body()["frameRate"] == value


@pytest.mark.parametrize("value", [0.4, 2.5])
def test_ratio_accepts_its_limits(value: float) -> None:
    """0.4 and 2.5 are allowed."""
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
def test_invalid_integer_is_refused(kind: Any, name: str, value: object) -> None:
    """Out of range, a boolean (an int in Python), a float, a text. The error names the input."""
    with pytest.raises(InvalidInput, match=f"^{name}: ") as caught:
        kind(**{name: value})
    assert "Use " in str(caught.value)


@pytest.mark.parametrize("kind", [int, np.int64, np.uint64, np.int32])
def test_a_take_is_any_kind_of_integer(kind: Any) -> None:
    """The result is Python's own integer: the fingerprint and the journal need it."""
    assert type(check_take("seed", kind(7))) is int
    assert check_take("seed", kind(7)) == 7


@pytest.mark.parametrize("value", [0, 2**53 + 1, MAX_TAKE])
def test_a_take_is_exact(value: int) -> None:
    """Up to 2**64 - 1, also what a float cannot hold."""
    assert check_take("seed", value) == value


@pytest.mark.parametrize(
    "value",
    [-1, MAX_TAKE + 1, 16**9000, True, np.True_, 7.0, np.float64(7), "7", "7" * 100_000, None, [7],
     np.array([1, 2])],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_invalid_take_is_refused(value: object) -> None:
    """The error names the input and the range, and is short whatever the value."""
    with pytest.raises(InvalidInput, match=r"^seed: ") as caught:
        check_take("seed", value)
    assert f"Use 0 to {MAX_TAKE}." in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", [0.39, 2.51, 0, -1.0, float("nan"), float("inf"), "16:9", True])
def test_invalid_ratio_is_refused(value: Any) -> None:
    """Out of range, not a number, a name, a boolean. The error names the input."""
    number = isinstance(value, (int, float)) and value is not True
    name = "custom_aspect_ratio" if number else "aspect_ratio"
    with pytest.raises(InvalidInput, match=f"^{name}: "):
        Options(aspect_ratio=value)


@pytest.mark.parametrize("value", [1, "true", None])
def test_extend_must_be_a_boolean(value: Any) -> None:
    """The API specification requires one."""
    with pytest.raises(InvalidInput, match="extend"):
        Options(extend=value)


@pytest.mark.parametrize("prompt", ["", " ", "\n\t", "\u3000"])
def test_blank_prompt_is_refused(prompt: str) -> None:
    """promptText is required."""
    with pytest.raises(InvalidInput, match="prompt_text: the prompt is blank"):
        ask(prompt)


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": "an apple \ud83c"},
        {"options": Options(parameters=Parameters(negative_prompt="\ud83c"))},
        {"extra": {"a": ["\udf4e"]}},
    ],
    ids=["prompt", "negative prompt", "extra"],
)
def test_surrogate_is_refused(values: Any) -> None:
    """It cannot be encoded as UTF-8, wherever it is in the request; a complete emoji can."""
    with pytest.raises(InvalidInput, match=r"^prompt_text: .*half of a character"):
        ask(**values)
    assert ask("an apple \U0001f34e").body()["promptText"] == "an apple \U0001f34e"


@pytest.mark.parametrize("effect", ["dissolve", "", "None", "Explode "])
def test_unknown_effect_is_refused(effect: str) -> None:
    """The error lists the known effects."""
    with pytest.raises(
        InvalidInput, match=r"(?s)^pikaffect: .*Ta-da, Deflate, .*Cake-ify, Explode"
    ):
        ask(pikaffect=effect)


@pytest.mark.parametrize(("move", "direction"), [("zoom", "left"), ("pan", "up"), ("tilt", "")])
def test_unknown_direction_is_refused(move: str, direction: Any) -> None:
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
def test_invalid_url_is_refused(url: str) -> None:
    """Another scheme, no host, spaces, empty. The error names the input."""
    with pytest.raises(InvalidInput, match=r"^image_url: "):
        check_url(url, "image_url")


@pytest.mark.parametrize("name", ["image", "video"])
def test_text_as_media_must_be_a_url(name: str) -> None:
    """The error names the input."""
    with pytest.raises(InvalidInput, match=f"^{name}_url: "):
        ask(**{name: ""})


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_signed_url_is_unchanged(scheme: str) -> None:
    """Percent-encoding stays; only surrounding white space is removed."""
    url = f"{scheme}://cdn.example.com/a%20b.mp4?Signature=1%2Fabc%3D"
    assert check_url(f" {url}\n", "video_url") == url


@pytest.mark.parametrize("text", ["", " ", "\n", "{}"])
def test_blank_extra_json_is_an_empty_object(text: str) -> None:
    """It adds nothing to the request."""
    assert parse_extra(text) == {}


def test_invalid_extra_json_shows_the_position() -> None:
    """Line, column and the text there, in one line. The input is extra_json if no name is given."""
    with pytest.raises(InvalidInput, match=r'line 2, column 8.*near «{   "a": oops}»') as caught:
        parse_extra('{\n  "a": oops}')
    assert caught.value.name == "extra_json"


def test_invalid_extra_json_is_quoted_in_part() -> None:
    """Twenty characters before the position, and twenty from there on."""
    text = '{"' + "a" * 30 + '": oops, "' + "b" * 30 + '": 1}'
    near = "a" * 17 + '": ' + 'oops, "' + "b" * 13
    with pytest.raises(InvalidInput, match=f"near «{near}»") as caught:
        parse_extra(text, "another")
    assert caught.value.name == "another"


@pytest.mark.parametrize(
    ("text", "kind"), [("[1]", "list"), ('"a"', "str"), ("7", "int"), ("null", "NoneType")]
)
def test_extra_json_that_is_not_an_object_is_refused(text: str, kind: str) -> None:
    """A list, a text or a number cannot be merged by name."""
    with pytest.raises(InvalidInput, match=rf"^extra_json: .*this is a {kind}"):
        parse_extra(text)


@pytest.mark.usefixtures("calm")
@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN}',
        '{"a": [Infinity]}',
        '{"a": -Infinity}',
        '{"a": 1e999}',  # Python reads a float, and writes it as Infinity
        '{"a": ' * 100_000,
    ],
    ids=["nan", "inf", "-inf", "overflow", "deep"],
)
def test_extra_json_that_is_not_valid_json_again_is_refused(text: str) -> None:
    """Python reads values that JSON does not have: no gateway could parse the body."""
    with pytest.raises(InvalidInput):
        parse_extra(text)


@pytest.mark.parametrize("part", ['{"a": %s}', "[%s]", '[{"a": %s}]'])
@pytest.mark.parametrize("levels", [40, 150, 400, 900])
def test_extra_json_is_either_refused_or_becomes_a_request(part: str, levels: int) -> None:
    """However deep it is nested: an object that is accepted does not fail later."""
    text = "1"
    for _ in range(levels):
        text = part % text
    text = f'{{"a": {text}}}'
    if levels > 40:
        with pytest.raises(InvalidInput, match="too deeply"):
            parse_extra(text)
        return
    body = ask(extra=parse_extra(text)).body()
    assert len(request_fingerprint(body, gateway="https://api.gpt.ge", take=0)) == 64
    assert len(Payload(body)) > levels
