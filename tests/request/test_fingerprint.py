"""The identity of a request: with a changed fingerprint, users would pay twice."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pika_api.request import (
    Camera,
    GenerateRequest,
    Options,
    Parameters,
    describe_body,
    earlier_fingerprints,
    request_fingerprint,
)
from pika_api.settings import Settings
from support.api import KEY, ask, from_picture_file, from_pixels, picture

GATEWAY = "https://api.gpt.ge"
TABLE = json.loads(Path(__file__).with_name("fingerprints.json").read_text("utf-8"))


def fingerprint(request: GenerateRequest, *, gateway: str = GATEWAY, take: int = 0) -> str:
    """The fingerprint, by default at one gateway."""
    return request_fingerprint(request.body(), gateway=gateway, take=take)


def gradient() -> Any:
    """A picture whose pixels never change."""
    values = np.arange(4 * 5 * 3, dtype=np.float32).reshape(1, 4, 5, 3)
    return values / 255.0


@pytest.mark.parametrize("row", TABLE, ids=[row["name"] for row in TABLE])
def test_fingerprints_are_frozen(row: dict[str, Any]) -> None:
    """No version of the pack, of Python or of a library may change one: users would pay again for
    the tasks that they have. The table only grows."""
    body, take = row["body"], row["take"]
    assert request_fingerprint(body, gateway=GATEWAY, take=take) == row["fingerprint"]
    account = {"base_url": GATEWAY, "key_id": "0123456789abcdef"}
    assert earlier_fingerprints(body, **account, take=take) == [row["earlier"]]


@pytest.mark.parametrize("name", ["line ends", "composed characters", "blanks at the end"])
def test_differences_that_nobody_can_see_do_not_count(name: str) -> None:
    """Another editor, operating system or keyboard writes the same text in other characters."""
    same = [row["fingerprint"] for row in TABLE if row["name"].startswith(name)]
    assert len(same) == 3
    assert len(set(same)) == 1


def test_all_other_rows_of_the_table_differ() -> None:
    """One fingerprint for each of the three texts above, one for 1 and 1.0, and one for each other
    row."""
    assert len({row["fingerprint"] for row in TABLE}) == len(TABLE) - 3 * 2 - 1


VISIBLE = [
    "one two",
    "one  two",
    " one two",
    "one\ntwo",
    "one\n\ntwo",
    "onetwo",
    "one\u3000two",
    "one two.",
    "one twoX",
    "one two\u3000",
    "One two",
    "one tw\u00f6",
    "one two\u0301",
    "\uff4fne two",
    "one two\ufe0f",
    "one\u200dtwo",
    "one\u200ctwo",
]


def test_differences_that_can_be_seen_count() -> None:
    """Blanks within a line, empty lines, accents, letters of full width, joiners."""
    assert len({fingerprint(ask(text)) for text in VISIBLE}) == len(VISIBLE)


@given(text=st.text(min_size=1), take=st.integers(0, 2**64 - 1))
def test_identity_of_a_text_is_stable(text: str, take: int) -> None:
    """What was made visible once stays the same; line ends and composition do not count."""
    body = {"promptText": text}
    expected = request_fingerprint(body, gateway=GATEWAY, take=take)
    for same in (text.replace("\r\n", "\n").replace("\r", "\n"), text + " ", text + "\ufeff\r\n"):
        other = request_fingerprint({"promptText": same}, gateway=GATEWAY, take=take)
        assert other == expected


def test_fingerprint_with_a_picture_is_frozen() -> None:
    """With the pixels of a picture, and a take."""
    request = ask(
        image=from_pixels(gradient()),
        options=Options(
            aspect_ratio=1.0, parameters=Parameters(20, 4, "blurry"), camera=Camera(zoom="in")
        ),
        extra={"b": [1, 2.5, None], "a": "ü"},
    )
    account = {"base_url": GATEWAY, "key_id": "0123456789abcdef"}
    assert earlier_fingerprints(request.body(), **account, take=2**63) == [
        "61b340f2292ad5f84785bc3b3ba08d0f362939d01379ce222f9ea594c97ca0e9"
    ]
    assert (
        fingerprint(request, take=2**63)
        == "297c195769d9226a572b2b235a999e498fbf83a4a5469b30435917fb61316e28"
    )


def test_earlier_digest_counts_for_earlier_fingerprints_only() -> None:
    """A journal of version 0.1.0 has the digest of that time, or the one of today."""
    media = replace(from_pixels(gradient()), earlier_digest="e" * 64)
    now = ask(image=media).body()
    then = {**now, "image": {"sha256": "e" * 64}}
    account = {"base_url": GATEWAY, "key_id": "0123456789abcdef", "take": 0}
    earlier = earlier_fingerprints(now, **account)
    assert earlier[:1] == earlier_fingerprints(then, **account)
    assert earlier[1:] == earlier_fingerprints(ask(image=from_pixels(gradient())).body(), **account)
    assert fingerprint(ask(image=media)) == fingerprint(ask(image=from_pixels(gradient())))


def test_key_id_is_frozen() -> None:
    """It is part of every fingerprint of version 0.1.0."""
    assert Settings(api_key="test-key").key_id == "daf239b4f2a6adf4"


def test_equal_requests_have_the_same_fingerprint() -> None:
    """Built separately, and with the fields of extra in another order."""
    one = ask(extra={"a": 1, "b": {"c": 2, "d": 3}}, image=from_pixels(picture()))
    two = ask(extra={"b": {"d": 3, "c": 2}, "a": 1}, image=from_pixels(picture()))
    assert fingerprint(one) == fingerprint(two)


CHANGES: dict[str, GenerateRequest] = {
    "prompt": ask("Apple evaporates."),
    "case": ask("apple evaporates"),
    "effect": ask(pikaffect="Melt"),
    "model": ask(model="2.0"),
    "no model": ask(model=""),
    "ratio": ask(options=Options(aspect_ratio=1.0)),
    "still": ask(options=Options(aspect_ratio=None)),
    "rate": ask(options=Options(frame_rate=23)),
    "guidance": ask(options=Options(parameters=Parameters(guidance_scale=13))),
    "motion": ask(options=Options(parameters=Parameters(motion=2))),
    "negative": ask(options=Options(parameters=Parameters(negative_prompt="blurry"))),
    "zoom": ask(options=Options(camera=Camera(zoom="in"))),
    "pan": ask(options=Options(camera=Camera(pan="left"))),
    "extend": ask(options=Options(extend=True), video="https://example.com/v.mp4"),
    "video": ask(video="https://example.com/v.mp4"),
    "video 2": ask(video="https://example.com/w.mp4"),
    "image url": ask(image="https://example.com/v.mp4"),
    "image": ask(image=from_pixels(picture(seed=1))),
    "image 2": ask(image=from_pixels(picture(seed=2))),
    "extra": ask(extra={"a": 1}),
    "extra 2": ask(extra={"a": "1"}),
}


def test_each_single_difference_changes_the_fingerprint() -> None:
    """Requests that differ in one value are different tasks."""
    fingerprints = {name: fingerprint(request) for name, request in CHANGES.items()} | {
        "base": fingerprint(ask())
    }
    assert len(set(fingerprints.values())) == len(fingerprints)


@pytest.mark.parametrize("other", [{"take": 1}, {"gateway": "http://127.0.0.1:1"}])
def test_take_and_gateway_change_the_fingerprint(other: dict[str, Any]) -> None:
    """Another seed or gateway is another task."""
    assert fingerprint(ask(), **other) != fingerprint(ask())


def test_one_pixel_by_one_step_changes_the_digest() -> None:
    """The digest is that of the 8-bit pixels."""
    changed = gradient()
    changed[0, 3, 4, 2] += 1 / 255
    assert from_pixels(changed).digest != from_pixels(gradient()).digest


def test_shape_is_part_of_the_digest() -> None:
    """4x5 and 5x4 of the same bytes are different pictures."""
    turned = gradient().reshape(1, 5, 4, 3)
    assert from_pixels(turned).digest != from_pixels(gradient()).digest


def test_encoding_does_not_change_the_fingerprint(tmp_path: Path) -> None:
    """A PNG that was saved again with another compression is the same request."""
    first = from_pixels(picture(32, 32))
    assert isinstance(first.data, bytes)
    with Image.open(io.BytesIO(first.data)) as image:
        image.save(tmp_path / "again.png", compress_level=9)
    again = from_picture_file(tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() != first.data
    assert fingerprint(ask(image=again)) == fingerprint(ask(image=first))


def test_description_contains_neither_media_nor_key() -> None:
    """The journal identifies a picture by its digest."""
    image = from_pixels(picture(32, 32))
    text = json.dumps(describe_body(ask(image=image).body()))
    assert image.digest in text
    assert next(iter(image.base64_chunks())).decode() not in text
    assert KEY not in text


def test_value_that_is_not_json_is_an_error() -> None:
    """Bytes or objects never become part of a fingerprint by their repr."""
    with pytest.raises(TypeError, match="bytes cannot be part of a request"):
        describe_body({"image": b"raw"})
