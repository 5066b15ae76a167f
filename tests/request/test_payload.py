"""The body on its way to the wire: exact, of known length, and never whole in memory."""

from __future__ import annotations

import base64
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pika_api.errors import InvalidInput
from pika_api.media import Media
from pika_api.request import Payload
from support.api import ask, from_pixels, picture

MEDIA = st.binary(min_size=1, max_size=40).map(
    lambda data: Media("0" * 64, "image/png", 1, 1, data, len(data))
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | MEDIA,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)  # fmt: skip
BODIES = st.dictionaries(st.text(max_size=4), VALUES, max_size=4)


def spelled(value: Any, prefix: str) -> Any:
    """The body with its media as the texts that they become."""
    if isinstance(value, Media):
        assert isinstance(value.data, bytes)
        return prefix + base64.b64encode(value.data).decode()
    if isinstance(value, dict):
        return {name: spelled(inner, prefix) for name, inner in value.items()}
    return [spelled(inner, prefix) for inner in value] if isinstance(value, list) else value


@given(BODIES, st.booleans())
def test_any_body_is_the_json_that_it_would_be_in_one_piece(
    body: dict[str, Any], data_uri: bool
) -> None:
    """Byte for byte what json.dumps makes of the spelled-out body, and as long as promised."""
    made = Payload(body, data_uri=data_uri)
    text = b"".join(made)
    assert text == json.dumps(spelled(body, "data:image/png;base64," * data_uri)).encode()
    assert len(text) == len(made)


def test_media_are_in_their_own_places() -> None:
    """Several media, the same one twice among them, each under its name."""
    one, two = from_pixels(picture(seed=1)), from_pixels(picture(seed=2))
    sent = json.loads(b"".join(Payload({"image": one, "video": two, "again": [one, {"x": two}]})))
    assert base64.b64decode(sent["image"], validate=True) == one.data
    assert base64.b64decode(sent["video"], validate=True) == two.data
    assert sent["again"] == [sent["image"], {"x": sent["video"]}]


def test_base64_is_bare_unless_asked_otherwise() -> None:
    """The seed says Base64; a setting makes it a data: URI."""
    image = from_pixels(picture())
    body = ask(image=image).body()
    bare = json.loads(b"".join(Payload(body)))["image"]
    uri = json.loads(b"".join(Payload(body, data_uri=True)))["image"]
    assert not bare.startswith("data:")
    assert uri == f"data:image/png;base64,{bare}"


def test_it_says_how_far_it_got() -> None:
    """Nothing handed over; begun; and complete only when the last part is about to leave."""
    made = Payload(ask(image=from_pixels(picture())).body())
    assert (made.started, made.complete) == (False, False)
    parts = iter(made)
    got = next(parts)
    assert made.started
    while len(got) < len(made):
        assert not made.complete
        got += next(parts)
    assert made.complete
    assert got.endswith(b"}")
    assert len(got) == len(made)
    assert list(parts) == []


def test_it_is_not_complete_before_its_last_byte() -> None:
    """However many parts were read, one that was not read was not sent."""
    made = Payload(ask(image=from_pixels(picture())).body())
    sent = 0
    for part in made:
        assert made.complete == (sent + len(part) == len(made))
        sent += len(part)


def test_it_can_be_sent_again() -> None:
    """A second try, after a 429, sends the same bytes, and begins anew with what it knows."""
    made = Payload(ask(image=from_pixels(picture())).body())
    first = b"".join(made)
    parts = iter(made)
    next(parts)
    assert not made.complete
    assert b"".join(made) == first


def test_what_cannot_stand_in_json_is_told_when_it_is_made() -> None:
    """Not halfway through a paid request."""
    with pytest.raises(TypeError, match="Path cannot stand in a request"):
        Payload({"image": Path("/nowhere")})


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """200 MB of video go out through less than 16 MB."""
    path = tmp_path / "big.mp4"
    size = 200 * 1000 * 1000 + 1
    with path.open("wb") as file:
        file.truncate(size)
    body = {"video": Media("0" * 64, "video/mp4", 1, 1, path, size)}
    tracemalloc.start()
    try:
        made = Payload(body)
        sent = sum(len(part) for part in made)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sent == len(made) > size * 4 / 3
    assert peak < 16 * 1024 * 1024


def test_a_file_that_is_gone_is_an_error_and_not_complete(tmp_path: Path) -> None:
    """The body never looks whole when a medium could not be read."""
    path = tmp_path / "v.mp4"
    path.write_bytes(b"x" * 10)
    made = Payload({"video": Media("0" * 64, "video/mp4", 1, 1, path, 10)})
    path.write_bytes(b"x" * 9)
    with pytest.raises(InvalidInput):
        b"".join(made)
    assert not made.complete
    path.unlink()
    with pytest.raises(FileNotFoundError):
        b"".join(made)
    assert not made.complete
