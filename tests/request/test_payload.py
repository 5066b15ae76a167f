"""The stream of the body: exact, of known length, and never completely in memory."""

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


def with_text(value: Any, prefix: str) -> Any:
    """The body with its media as Base64 text."""
    if isinstance(value, Media):
        assert isinstance(value.data, bytes)
        return prefix + base64.b64encode(value.data).decode()
    if isinstance(value, dict):
        return {name: with_text(inner, prefix) for name, inner in value.items()}
    return [with_text(inner, prefix) for inner in value] if isinstance(value, list) else value


@given(BODIES, st.booleans())
def test_stream_is_the_json_of_the_whole_body(body: dict[str, Any], data_uri: bool) -> None:
    """Each byte is that of json.dumps with the media as text, and the length is as announced."""
    stream = Payload(body, data_uri=data_uri)
    text = b"".join(stream)
    assert text == json.dumps(with_text(body, "data:image/png;base64," * data_uri)).encode()
    assert len(text) == len(stream)


def test_each_media_is_in_its_own_field() -> None:
    """Several media, one of them twice."""
    one, two = from_pixels(picture(seed=1)), from_pixels(picture(seed=2))
    sent = json.loads(b"".join(Payload({"image": one, "video": two, "again": [one, {"x": two}]})))
    assert base64.b64decode(sent["image"], validate=True) == one.data
    assert base64.b64decode(sent["video"], validate=True) == two.data
    assert sent["again"] == [sent["image"], {"x": sent["video"]}]


def test_base64_is_bare_by_default() -> None:
    """As in the API specification; a setting makes it a data: URI."""
    image = from_pixels(picture())
    body = ask(image=image).body()
    bare = json.loads(b"".join(Payload(body)))["image"]
    uri = json.loads(b"".join(Payload(body, data_uri=True)))["image"]
    assert not bare.startswith("data:")
    assert uri == f"data:image/png;base64,{bare}"


def test_progress_of_the_stream_is_recorded() -> None:
    """Not started, started, and complete only when the last part is about to be sent."""
    stream = Payload(ask(image=from_pixels(picture())).body())
    assert (stream.started, stream.complete) == (False, False)
    parts = iter(stream)
    received = next(parts)
    assert stream.started
    while len(received) < len(stream):
        assert not stream.complete
        received += next(parts)
    assert stream.complete
    assert received.endswith(b"}")
    assert len(received) == len(stream)
    assert list(parts) == []


def test_stream_is_not_complete_before_its_last_part() -> None:
    """A part that was not read was not sent."""
    stream = Payload(ask(image=from_pixels(picture())).body())
    sent = 0
    for part in stream:
        assert stream.complete == (sent + len(part) == len(stream))
        sent += len(part)


def test_stream_can_be_sent_again() -> None:
    """A second attempt sends the same bytes and resets the progress."""
    stream = Payload(ask(image=from_pixels(picture())).body())
    first = b"".join(stream)
    parts = iter(stream)
    next(parts)
    assert not stream.complete
    assert b"".join(stream) == first


def test_value_that_is_not_json_is_an_error_at_construction() -> None:
    """Not in the middle of a paid request."""
    with pytest.raises(TypeError, match="Path cannot be part of a request"):
        Payload({"image": Path("/nowhere")})


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """200 MB of video are sent with less than 16 MB of memory."""
    path = tmp_path / "big.mp4"
    size = 200 * 1000 * 1000 + 1
    with path.open("wb") as file:
        file.truncate(size)
    body = {"video": Media("0" * 64, "video/mp4", 1, 1, path, size)}
    tracemalloc.start()
    try:
        stream = Payload(body)
        sent = sum(len(part) for part in stream)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sent == len(stream) > size * 4 / 3
    assert peak < 16 * 1024 * 1024


def test_stream_with_an_unreadable_file_is_not_complete(tmp_path: Path) -> None:
    """A changed or missing file is an error, and the body never looks complete."""
    path = tmp_path / "v.mp4"
    path.write_bytes(b"x" * 10)
    stream = Payload({"video": Media("0" * 64, "video/mp4", 1, 1, path, 10)})
    path.write_bytes(b"x" * 9)
    with pytest.raises(InvalidInput):
        b"".join(stream)
    assert not stream.complete
    path.unlink()
    with pytest.raises(FileNotFoundError):
        b"".join(stream)
    assert not stream.complete
