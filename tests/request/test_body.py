"""The body of POST /pika/generate, field by field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pika_api.errors import InvalidInput
from pika_api.request import (
    ASPECT_RATIOS,
    CAMERA_MOVES,
    PIKAFFECTS,
    Camera,
    GenerateRequest,
    Options,
    Parameters,
    parse_extra,
)
from pika_api.request.extra import merge_extra
from support.api import ask, from_pixels, picture

SPECIFICATION_EXAMPLE = """{
  "pikaffect": "Dissolve",
  "promptText": "Apple evaporates",
  "model": "1.5",
  "options": {
    "aspectRatio": 1.7777777777777777,
    "frameRate": 24,
    "camera": {},
    "parameters": {
      "guidanceScale": 12,
      "motion": 1,
      "negativePrompt": ""
    },
    "extend": false
  }
}"""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=3), JSON, max_size=4)


def test_example_of_the_api_specification_is_reproduced() -> None:
    """The defaults and one effect give the example, with the same fields, values and order."""
    body = GenerateRequest("Apple evaporates", pikaffect="Dissolve").body()
    assert json.dumps(body, indent=2) == SPECIFICATION_EXAMPLE


def test_16_to_9_is_not_rounded() -> None:
    """It is sent as in the API specification, not as 1.78."""
    assert Options().body()["aspectRatio"] == 16 / 9 == 1.7777777777777777


@pytest.mark.parametrize(("name", "ratio"), ASPECT_RATIOS.items())
def test_named_ratio_is_its_quotient(name: str, ratio: float) -> None:
    """Each name has its exact value, and is in the range of the API."""
    wide, tall = map(int, name.split(":"))
    assert Options(aspect_ratio=ratio).body()["aspectRatio"] == wide / tall
    assert ask(options=Options(aspect_ratio=ratio)).body()["options"]["aspectRatio"] == ratio


def test_unset_fields_are_absent() -> None:
    """Without an effect, model or media the fields are missing, not null or empty."""
    assert list(ask(model=" ").body()) == ["promptText", "options"]


def test_model_is_stripped() -> None:
    """White space around the version is not sent."""
    assert ask(model=" 2.0 ").body()["model"] == "2.0"


def test_image_and_video_follow_the_options() -> None:
    """Unchanged, and in the order of the API specification."""
    image = from_pixels(picture())
    body = ask(image=image, video="https://example.com/v.mp4?a=%2F").body()
    assert list(body) == ["promptText", "model", "options", "image", "video"]
    assert body["image"] is image
    assert body["video"] == "https://example.com/v.mp4?a=%2F"


@pytest.mark.parametrize("effect", PIKAFFECTS)
def test_effect_is_sent_unchanged(effect: str) -> None:
    """The ten of the API specification and the six public ones."""
    assert ask(pikaffect=effect).body()["pikaffect"] == effect


def test_effects_begin_with_those_of_the_api_specification() -> None:
    """In the same order."""
    assert PIKAFFECTS[:10] == (
        "Ta-da", "Deflate", "Crumble", "Dissolve", "Squish",
        "Inflate", "Melt", "Crush", "Cake-ify", "Explode",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("move", "direction"), [(move, each) for move, both in CAMERA_MOVES.items() for each in both]
)
def test_only_set_camera_moves_are_sent(move: str, direction: str) -> None:
    """The other moves are absent."""
    moves: Any = {move: direction}
    assert Camera(**moves).body() == moves


def test_camera_without_moves_is_an_empty_object() -> None:
    """The API specification sends `camera: {}`; it is never left out."""
    assert Options().body()["camera"] == {}


@pytest.mark.parametrize(
    ("width", "height", "ratio"), [(8, 6, 8 / 6), (90, 10, 2.5), (10, 90, 0.4), (7, 7, 1.0)]
)
def test_ratio_from_image_is_clamped_to_the_range(width: int, height: int, ratio: float) -> None:
    """Width divided by height of the image, clamped to 0.4…2.5."""
    image = from_pixels(picture(height, width))
    body = ask(image=image, options=Options(aspect_ratio="from image")).body()
    assert body["options"]["aspectRatio"] == ratio


@pytest.mark.parametrize("image", [None, "https://example.com/a.png"])
def test_ratio_from_image_needs_an_image_of_known_size(image: str | None) -> None:
    """Without one there is an error at construction, which says what to connect."""
    with pytest.raises(InvalidInput, match="image connected to Pika Generate") as caught:
        ask(image=image, options=Options(aspect_ratio="from image"))
    assert caught.value.name == "aspect_ratio"


def test_still_image_has_no_ratio() -> None:
    """Leaving aspectRatio out asks the API for an image."""
    assert "aspectRatio" not in Options(aspect_ratio=None).body()
    assert next(iter(Options(aspect_ratio=None).body())) == "frameRate"


def test_extend_needs_a_video() -> None:
    """The error is raised here, not by the gateway."""
    with pytest.raises(InvalidInput, match=r"^extend: there is no video to extend"):
        ask(options=Options(extend=True))


def test_extend_accepts_a_video_from_any_input() -> None:
    """A URL, or a video in extra_json."""
    options = Options(extend=True)
    url = "https://example.com/v.mp4"
    assert ask(options=options, video=url).body()["options"]["extend"] is True
    assert ask(options=options, extra={"video": url}).body()["video"] == url


def test_extra_json_is_merged_at_each_level() -> None:
    """The extra_json of each part is merged over that part."""
    body = ask(
        extra={"newField": 1, "options": {"parameters": {"steps": 7}}},
        options=Options(
            extra={"loop": True, "frameRate": 12},
            parameters=Parameters(extra={"seed": 7}),
            camera=Camera(zoom="in", extra={"roll": "left"}),
        ),
    ).body()
    assert body["newField"] == 1
    assert body["options"]["loop"] is True
    assert body["options"]["frameRate"] == 12
    assert body["options"]["camera"] == {"zoom": "in", "roll": "left"}
    assert body["options"]["parameters"] == {
        "guidanceScale": 12, "motion": 1, "negativePrompt": "", "seed": 7, "steps": 7,
    }  # fmt: skip


def test_body_is_a_new_object_each_time() -> None:
    """Changing a body changes no other, and the values are immutable."""
    request = ask(extra={"options": {"deep": {"a": 1}}})
    request.body()["options"]["camera"]["zoom"] = "in"
    assert request.body()["options"]["camera"] == {}
    with pytest.raises(AttributeError):
        request.model = "2"  # type: ignore[misc]


@given(base=OBJECTS, extra=OBJECTS)
def test_merge_combines_objects(base: dict[str, object], extra: dict[str, object]) -> None:
    """All of extra is in the result, other fields stay, and the inputs are not modified."""
    before = json.dumps([base, extra])
    merged = merge_extra(base, extra)
    assert json.dumps([base, extra]) == before
    assert set(merged) == set(base) | set(extra)
    for name in merged:
        if name not in extra:
            assert merged[name] == base[name]
        elif isinstance(extra[name], dict) and isinstance(base.get(name), dict):
            assert merged[name] == merge_extra(base[name], extra[name])  # type: ignore[arg-type]
        else:
            assert merged[name] == extra[name]


@given(OBJECTS)
def test_extra_json_accepts_any_json_object(value: dict[str, object]) -> None:
    """Each object is read back from its text."""
    assert parse_extra(json.dumps(value)) == value
