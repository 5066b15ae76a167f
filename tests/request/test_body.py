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

SEED_EXAMPLE = """{
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


def test_seed_example_is_equal_in_fields_values_and_order() -> None:
    """The defaults and one effect make the specification's example, in its very order."""
    made = GenerateRequest("Apple evaporates", pikaffect="Dissolve").body()
    assert json.dumps(made, indent=2) == SEED_EXAMPLE


def test_sixteen_to_nine_is_exact() -> None:
    """16:9 goes out as the seed writes it, not as a rounded 1.78."""
    assert Options().body()["aspectRatio"] == 16 / 9 == 1.7777777777777777


@pytest.mark.parametrize(("name", "ratio"), ASPECT_RATIOS.items())
def test_every_named_ratio_is_its_quotient(name: str, ratio: float) -> None:
    """A ratio's name says its value, and each is in the API's range."""
    wide, tall = map(int, name.split(":"))
    assert Options(aspect_ratio=ratio).body()["aspectRatio"] == wide / tall
    assert ask(options=Options(aspect_ratio=ratio)).body()["options"]["aspectRatio"] == ratio


def test_fields_that_are_not_set_are_absent() -> None:
    """No effect, model or medium: the names are not there at all, rather than null or empty."""
    assert list(ask(model=" ").body()) == ["promptText", "options"]


def test_model_is_stripped() -> None:
    """A stray space round the model's version does not reach the gateway."""
    assert ask(model=" 2.0 ").body()["model"] == "2.0"


def test_media_and_urls_stand_where_they_belong() -> None:
    """image and video come after options, as given."""
    image = from_pixels(picture())
    made = ask(image=image, video="https://example.com/v.mp4?a=%2F").body()
    assert list(made) == ["promptText", "model", "options", "image", "video"]
    assert made["image"] is image
    assert made["video"] == "https://example.com/v.mp4?a=%2F"


@pytest.mark.parametrize("effect", PIKAFFECTS)
def test_every_effect_is_sent_as_written(effect: str) -> None:
    """The seed's ten effects and the public six pass unchanged."""
    assert ask(pikaffect=effect).body()["pikaffect"] == effect


def test_the_seeds_effects_come_first_in_its_order() -> None:
    """The list of effects begins with the seed's."""
    assert PIKAFFECTS[:10] == (
        "Ta-da", "Deflate", "Crumble", "Dissolve", "Squish",
        "Inflate", "Melt", "Crush", "Cake-ify", "Explode",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("move", "direction"), [(move, each) for move, both in CAMERA_MOVES.items() for each in both]
)
def test_camera_move_is_sent_alone(move: str, direction: str) -> None:
    """A move that is set is sent; those that are not are absent."""
    given: Any = {move: direction}
    assert Camera(**given).body() == {move: direction}


def test_camera_is_an_empty_object_when_unset() -> None:
    """The seed sends `camera: {}`; it is never left out."""
    assert Options().body()["camera"] == {}


@pytest.mark.parametrize(
    ("width", "height", "ratio"), [(8, 6, 8 / 6), (90, 10, 2.5), (10, 90, 0.4), (7, 7, 1.0)]
)
def test_ratio_from_image_is_the_images_within_the_range(
    width: int, height: int, ratio: float
) -> None:
    """«from image» takes width over height, clamped to 0.4 … 2.5."""
    image = from_pixels(picture(height, width))
    made = ask(image=image, options=Options(aspect_ratio="from image")).body()
    assert made["options"]["aspectRatio"] == ratio


@pytest.mark.parametrize("image", [None, "https://example.com/a.png"])
def test_ratio_from_image_needs_an_image_of_known_size(image: str | None) -> None:
    """Without one it is an error at construction, which says what to connect."""
    with pytest.raises(InvalidInput, match="image connected to PikaGenerate") as caught:
        ask(image=image, options=Options(aspect_ratio="from image"))
    assert caught.value.name == "aspect_ratio"


def test_still_image_leaves_the_ratio_out() -> None:
    """Leaving aspectRatio out is how the API is asked for an image (seed)."""
    assert "aspectRatio" not in Options(aspect_ratio=None).body()
    assert next(iter(Options(aspect_ratio=None).body())) == "frameRate"


def test_extend_needs_a_video() -> None:
    """extend without a video is refused here, not by the gateway."""
    with pytest.raises(InvalidInput, match=r"^extend: there is no video to extend"):
        ask(options=Options(extend=True))


def test_extend_takes_a_video_from_any_input() -> None:
    """A URL, or a video in extra_json, is a video to extend."""
    options = Options(extend=True)
    url = "https://example.com/v.mp4"
    assert ask(options=options, video=url).body()["options"]["extend"] is True
    assert ask(options=options, extra={"video": url}).body()["video"] == url


def test_extra_reaches_every_level() -> None:
    """Each part's extra_json lands in that part, over what the part makes."""
    made = ask(
        extra={"newField": 1, "options": {"parameters": {"steps": 7}}},
        options=Options(
            extra={"loop": True, "frameRate": 12},
            parameters=Parameters(extra={"seed": 7}),
            camera=Camera(zoom="in", extra={"roll": "left"}),
        ),
    ).body()
    assert made["newField"] == 1
    assert made["options"]["loop"] is True
    assert made["options"]["frameRate"] == 12
    assert made["options"]["camera"] == {"zoom": "in", "roll": "left"}
    assert made["options"]["parameters"] == {
        "guidanceScale": 12, "motion": 1, "negativePrompt": "", "seed": 7, "steps": 7,
    }  # fmt: skip


def test_a_value_is_frozen_and_its_body_is_fresh() -> None:
    """Changing a body that was handed out changes no other."""
    request = ask(extra={"options": {"deep": {"a": 1}}})
    request.body()["options"]["camera"]["zoom"] = "in"
    assert request.body()["options"]["camera"] == {}
    with pytest.raises(AttributeError):
        request.model = "2"  # type: ignore[misc]


@given(base=OBJECTS, extra=OBJECTS)
def test_merge_lays_objects_over_objects(base: dict[str, object], extra: dict[str, object]) -> None:
    """All of extra is there; what it does not name stays; the inputs are as before."""
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
def test_extra_reads_what_json_writes(value: dict[str, object]) -> None:
    """Any JSON object comes back from its text."""
    assert parse_extra(json.dumps(value)) == value
