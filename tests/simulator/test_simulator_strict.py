"""Which requests the simulator accepts and which it refuses."""

from __future__ import annotations

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from simulator_helpers import EXAMPLE_BODY, OMIT, b64, body, picture, post, submit, video

from simulator import Simulator

EFFECTS = [
    "Ta-da", "Deflate", "Crumble", "Dissolve", "Squish", "Inflate", "Melt", "Crush", "Cake-ify",
    "Explode", "Decapitate", "Eye-pop", "Levitate", "Peel", "Poke", "Tear",
]  # fmt: skip


@pytest.fixture(scope="module")
def sim():
    with Simulator(height=64, clip_seconds=0.1, task_seconds=0) as running:
        yield running


def assert_rejected(sim, answer, *words):
    charged = len(sim.charged)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "code"}
    for word in words:
        assert word in error["message"]
    assert len(sim.charged) == charged


def test_example_of_the_specification_creates_a_task(sim):
    """The answer has only the task's id, a UUID."""
    answer = post(sim, EXAMPLE_BODY)
    assert answer.status_code == 200
    assert list(answer.json()) == ["id"]
    assert len(answer.json()["id"]) == 36
    assert sim.charged[-1] == answer.json()["id"]


@pytest.mark.parametrize(
    "changes",
    [
        *[{"pikaffect": name} for name in EFFECTS],
        {"pikaffect": OMIT},
        {"model": OMIT},
        {"model": "2.2"},
        {"options.aspectRatio": OMIT},
        {"options.aspectRatio": 0.4},
        {"options.aspectRatio": 2.5},
        {"options.aspectRatio": 1},
        {"options.frameRate": 8},
        {"options.camera": {"zoom": "in", "pan": "left", "tilt": "up", "rotate": "ccw"}},
        {"options.parameters.guidanceScale": 5},
        {"options.parameters.guidanceScale": 25},
        {"options.parameters.motion": 0},
        {"options.parameters.motion": 4},
        {"options.parameters.negativePrompt": "blurry"},
        {"promptText": "苹果消失了 🍎 \ud800 \u0000"},
        {"image": "https://example.com/a.png"},
        {"video": "http://example.com:8080/a.mp4", "options.extend": True},
        *[{"image": b64(picture(kind))} for kind in ("PNG", "JPEG", "WEBP")],
        {"video": b64(video())},
    ],
    ids=lambda changes: "+".join(changes),
)
def test_documented_value_is_accepted(sim, changes):
    """Every documented value creates a task."""
    assert post(sim, body(changes)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prompt": "x"}, ["unknown field prompt"]),
        ({"seed": 1}, ["unknown field seed"]),
        ({"options.fps": 24}, ["unknown field options.fps"]),
        ({"options.parameters.cfg": 1}, ["unknown field options.parameters.cfg"]),
        ({"options.parameters.seed": 1}, ["options.parameters.seed"]),
        ({"promptText": OMIT}, ["promptText"]),
        ({"promptText": " \n"}, ["promptText", "blank"]),
        ({"promptText": 3}, ["promptText", "string"]),
        ({"pikaffect": "dissolve"}, ["pikaffect", "Dissolve"]),
        ({"pikaffect": ""}, ["pikaffect"]),
        ({"pikaffect": None}, ["pikaffect"]),
        ({"pikaffect": ["Melt"]}, ["pikaffect"]),
        ({"model": ""}, ["model"]),
        ({"model": 1.5}, ["model", "string"]),
        ({"options": OMIT}, ["options", "required"]),
        ({"options": []}, ["options", "object"]),
        ({"options.aspectRatio": "16:9"}, ["options.aspectRatio", "number"]),
        ({"options.aspectRatio": True}, ["options.aspectRatio", "number"]),
        ({"options.aspectRatio": None}, ["options.aspectRatio", "number"]),
        ({"options.aspectRatio": 0.39}, ["options.aspectRatio", "0.4"]),
        ({"options.aspectRatio": 2.51}, ["options.aspectRatio", "2.5"]),
        ({"options.frameRate": OMIT}, ["options.frameRate", "required"]),
        ({"options.frameRate": 24.0}, ["options.frameRate", "integer"]),
        ({"options.frameRate": True}, ["options.frameRate", "integer"]),
        ({"options.frameRate": 7}, ["options.frameRate", "8"]),
        ({"options.frameRate": 25}, ["options.frameRate", "24"]),
        ({"options.camera": OMIT}, ["options.camera", "required"]),
        ({"options.camera": "zoom"}, ["options.camera", "object"]),
        ({"options.camera": {"dolly": "in"}}, ["options.camera.dolly"]),
        ({"options.camera": {"zoom": "left"}}, ["options.camera.zoom", "in or out"]),
        ({"options.camera": {"pan": "up"}}, ["options.camera.pan", "left or right"]),
        ({"options.camera": {"tilt": "none"}}, ["options.camera.tilt", "up or down"]),
        ({"options.camera": {"rotate": None}}, ["options.camera.rotate", "cw or ccw"]),
        ({"options.parameters": OMIT}, ["options.parameters", "required"]),
        ({"options.parameters": 1}, ["options.parameters", "object"]),
        ({"options.parameters.guidanceScale": OMIT}, ["guidanceScale", "required"]),
        ({"options.parameters.guidanceScale": 12.5}, ["guidanceScale", "integer"]),
        ({"options.parameters.guidanceScale": 4}, ["guidanceScale", "5"]),
        ({"options.parameters.guidanceScale": 26}, ["guidanceScale", "25"]),
        ({"options.parameters.motion": OMIT}, ["motion", "required"]),
        ({"options.parameters.motion": False}, ["motion", "integer"]),
        ({"options.parameters.motion": 5}, ["motion", "0 to 4"]),
        ({"options.parameters.negativePrompt": OMIT}, ["negativePrompt", "required"]),
        ({"options.parameters.negativePrompt": None}, ["negativePrompt", "string"]),
        ({"options.extend": OMIT}, ["options.extend", "required"]),
        ({"options.extend": 0}, ["options.extend", "true or false"]),
        ({"options.extend": True}, ["options.extend", "video"]),
        ({"image": ""}, ["image", "empty"]),
        ({"video": "  "}, ["video", "empty"]),
        ({"image": None}, ["image", "string"]),
        ({"image": {"url": "x"}}, ["image", "string"]),
        ({"image": "/tmp/a.png"}, ["image", "Base64"]),
        ({"image": "file:///tmp/a.png"}, ["image", "Base64"]),
        ({"image": "https://"}, ["image", "URL"]),
        ({"image": "http://[1/a.png"}, ["image", "URL"]),
        ({"image": "https://example.com/a b.png"}, ["image", "URL"]),
        ({"image": b64(picture()) + "\n"}, ["image", "Base64"]),
        ({"image": b64(b"\0" * 100).rstrip("=")}, ["image", "Base64"]),
        ({"image": b64(b"\xfb\xff\xfe" * 9).replace("+", "-").replace("/", "_")}, ["Base64"]),
        ({"image": b64(b"hello")}, ["image", "PNG, JPEG or WebP"]),
        ({"image": b64(picture("GIF"))}, ["image", "PNG, JPEG or WebP"]),
        ({"image": b64(picture("PNG", (400, 300))[:200])}, ["image", "decode"]),
        ({"image": "data:image/png;base64," + b64(picture())}, ["image", "data: URI"]),
        ({"image": b64(video())}, ["image", "PNG, JPEG or WebP"]),
        ({"video": b64(picture())}, ["video", "MP4"]),
        ({"video": b64(video()[:400])}, ["video", "MP4"]),
        ({"video": b64(video()[:-40])}, ["video", "cut short"]),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_undocumented_value_is_rejected_with_400(sim, changes, words):
    """The error names the field, and no task is created."""
    assert_rejected(sim, post(sim, body(changes)), *words)


@pytest.mark.parametrize(
    ("raw", "content_type", "words"),
    [
        (json.dumps(EXAMPLE_BODY), "text/plain", ["Content-Type"]),
        (json.dumps(EXAMPLE_BODY), None, ["Content-Type"]),
        ("", "application/json", ["JSON"]),
        ('{"promptText": "a"', "application/json", ["JSON"]),
        (b'{"promptText": "\xff"}', "application/json", ["JSON"]),
        ('{"promptText": NaN}', "application/json", ["NaN"]),
        ('["promptText"]', "application/json", ["object"]),
        ('"text"', "application/json", ["object"]),
        ("[" * 100_000, "application/json", ["JSON"]),
        ('{"promptText": "a", "promptText": "b"}', "application/json", ["duplicate", "promptText"]),
        ('{"options": {"extend": true, "extend": 1}}', "application/json", ["duplicate", "extend"]),
    ],
)
def test_body_that_is_not_a_json_object_is_rejected_with_400(sim, raw, content_type, words):
    """Wrong content type, invalid JSON and duplicate keys are refused before any field."""
    headers = {"Authorization": f"Bearer {sim.key}"}
    if content_type:
        headers["Content-Type"] = content_type
    assert_rejected(sim, post(sim, data=raw, headers=headers), *words)


@pytest.mark.parametrize("value", [None, "Bearer", "Bearer ", "Bearer wrong", "Basic test-key"])
def test_request_without_the_key_is_rejected_with_401(sim, value):
    """Submit and feed answer with a readable error."""
    headers = {"Authorization": value} if value else {}
    for answer in (
        post(sim, headers=headers),
        requests.get(f"{sim.url}/pika/feed/x", headers=headers, timeout=5),
    ):
        assert answer.status_code == 401
        assert set(answer.json()["error"]) == {"message", "type", "code"}


def test_body_over_the_limit_is_rejected_with_413():
    """The limit applies with and without a Content-Length, and the message names it."""
    with Simulator(max_body=5000) as sim:
        headers = {"Authorization": "Bearer test-key", "Content-Type": "application/json"}
        for data in (b" " * 20_000, iter([b" " * 3000] * 4)):
            answer = post(sim, data=data, headers=headers)
            assert answer.status_code == 413
            assert "5000" in answer.json()["error"]["message"]
        assert sim.charged == []


def test_options_accept_data_uris_and_a_seed():
    """`data_uri` accepts both forms of Base64, `allow_seed` accepts parameters.seed."""
    with Simulator(data_uri=True, allow_seed=True, height=64, clip_seconds=0.1) as sim:
        submit(sim, {"image": b64(picture())})
        submit(sim, {"image": "data:image/png;base64," + b64(picture())})
        submit(sim, {"video": "data:video/mp4;base64," + b64(video())})
        submit(sim, {"options.parameters.seed": 7})
        assert_rejected(sim, post(sim, body({"options.parameters.seed": "7"})), "parameters.seed")
        wrong = "data:text/plain;base64," + b64(picture())
        assert_rejected(sim, post(sim, body({"image": wrong})), "image", "data:image")


def test_loopback_url_is_fetched_and_checked(sim, tmp_path):
    """A URL on this machine must lead to a valid picture."""
    (tmp_path / "good.png").write_bytes(picture())
    (tmp_path / "bad.png").write_bytes(b"not a picture")

    class QuietHandler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=tmp_path)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        base = f"http://127.0.0.1:{server.server_port}"
        try:
            submit(sim, {"image": f"{base}/good.png"})
            assert_rejected(sim, post(sim, body({"image": f"{base}/bad.png"})), "image", "WebP")
            assert_rejected(sim, post(sim, body({"image": f"{base}/none.png"})), "image", "404")
        finally:
            server.shutdown()
            thread.join()
    assert_rejected(sim, post(sim, body({"image": f"{base}/good.png"})), "image", "reachable")


def test_wrong_path_or_method_is_answered_with_a_json_error(sim):
    """A client with a wrong base URL gets an error that it can show."""
    assert requests.get(f"{sim.url}/v1/pika", timeout=5).json()["error"]["code"] == "not_found"
    answer = requests.put(f"{sim.url}/pika/generate", timeout=5)
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
