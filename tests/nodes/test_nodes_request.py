"""The requests that graphs in a real ComfyUI send to a strict gateway."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from simulator import Simulator
from support.comfy import Comfy, Graph
from support.graphs import camera, generate, image, node, options, parameters, sink_inputs, video
from support.probe_pattern import expected_pixels, png_pixels

pytestmark = pytest.mark.comfy

#: The example of the API specification.
EXAMPLE_BODY = {
    "pikaffect": "Dissolve",
    "promptText": "Apple evaporates",
    "model": "1.5",
    "options": {
        "aspectRatio": 1.7777777777777777,
        "frameRate": 24,
        "camera": {},
        "parameters": {"guidanceScale": 12, "motion": 1, "negativePrompt": ""},
        "extend": False,
    },
}

Body = Callable[[Graph], dict[str, Any]]


@pytest.fixture
def body(comfy: Comfy, gateway: Simulator) -> Body:
    """Runs a graph; the body of its one submit."""

    def run(graph: Graph) -> dict[str, Any]:
        before = len(gateway.charged)
        assert comfy.run(graph).error is None
        assert len(gateway.charged) == before + 1
        submit = gateway.requests(method="POST", path="/pika/generate")[-1]
        assert submit.headers["Authorization"] == f"Bearer {gateway.key}"
        assert submit.headers["Content-Length"] == str(submit.size)
        assert submit.text is not None
        return dict(json.loads(submit.text))

    return run


def decoded(text: str) -> bytes:
    """Bare Base64, as in the API specification."""
    return base64.b64decode(text, validate=True)


def test_body_equals_the_specifications_example(body: Body) -> None:
    """Parameters → Options → Generate with the values of the API specification's example send its
    body: the same fields and values in the same order, and no others."""
    graph = {
        "1": parameters(),
        "2": options(parameters=["1", 0]),
        "3": generate("Apple evaporates", pikaffect="Dissolve", options=["2", 0]),
    }
    sent = body(graph)
    assert sent == EXAMPLE_BODY
    assert json.dumps(sent) == json.dumps(EXAMPLE_BODY)
    assert sent["options"]["aspectRatio"] == 16 / 9


def test_generate_alone_sends_the_defaults(body: Body) -> None:
    """A PikaGenerate without other nodes sends the specification's defaults, without pikaffect,
    image and video."""
    sent = body({"1": generate("Apple evaporates")})
    assert sent == {key: value for key, value in EXAMPLE_BODY.items() if key != "pikaffect"}


def test_blank_model_is_not_sent(body: Body) -> None:
    """A blank model leaves the choice to the gateway."""
    assert "model" not in body({"1": generate(model=" ")})


def test_camera_and_parameters_are_sent(body: Body) -> None:
    """The body has each camera move and parameter that is set, and no other."""
    graph = {
        "1": parameters(guidance_scale=25, motion=0, negative_prompt="fog"),
        "2": camera(zoom="in", rotate="ccw"),
        "3": options(frame_rate=8, parameters=["1", 0], camera=["2", 0]),
        "4": generate(options=["3", 0]),
    }
    sent = body(graph)["options"]
    assert sent["camera"] == {"zoom": "in", "rotate": "ccw"}
    assert sent["parameters"] == {"guidanceScale": 25, "motion": 0, "negativePrompt": "fog"}
    assert sent["frameRate"] == 8


def test_extra_json_is_merged(comfy: Comfy, gateway: Simulator) -> None:
    """extra_json is merged into the part of its node. The strict gateway refuses the field, and the
    error has its name."""
    graph = {
        "1": parameters(extra_json='{"seed": 7}'),
        "2": options(parameters=["1", 0]),
        "3": generate(options=["2", 0]),
    }
    run = comfy.run(graph)
    sent = gateway.requests(method="POST", path="/pika/generate")[-1]
    assert json.loads(sent.text or "")["options"]["parameters"]["seed"] == 7
    assert run.error is not None
    assert "seed" in run.error.message


@pytest.mark.parametrize(
    ("name", "ratio"),
    [("9:16", 9 / 16), ("1:1", 1.0), ("5:2", 2.5), ("2:3", 2 / 3)],
)
def test_aspect_ratios_are_exact(body: Body, name: str, ratio: float) -> None:
    """A named ratio is sent as the exact quotient."""
    sent = body({"1": options(aspect_ratio=name), "2": generate(options=["1", 0])})
    assert sent["options"]["aspectRatio"] == ratio


def test_custom_aspect_ratio_is_sent(body: Body) -> None:
    """«custom» sends custom_aspect_ratio."""
    graph = {
        "1": options(aspect_ratio="custom", custom_aspect_ratio=2.35),
        "2": generate(options=["1", 0]),
    }
    assert body(graph)["options"]["aspectRatio"] == 2.35


@pytest.mark.parametrize(
    ("width", "height", "ratio"), [(64, 48, 64 / 48), (300, 20, 2.5), (20, 300, 0.4)]
)
def test_ratio_from_image_is_limited(body: Body, width: int, height: int, ratio: float) -> None:
    """«from image» sends the connected image's ratio, limited to 0.4…2.5."""
    graph = {
        "1": image(width=width, height=height),
        "2": options(aspect_ratio="from image"),
        "3": generate(options=["2", 0], image=["1", 0]),
    }
    assert body(graph)["options"]["aspectRatio"] == ratio


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("width", "height"), [(64, 48), (7, 5), (1, 1), (333, 77)])
def test_image_is_sent_with_exact_pixels(
    body: Body, channels: int, width: int, height: int
) -> None:
    """An IMAGE of 1, 3 or 4 channels and any size is sent as a PNG with the exact pixels: grey as
    RGB, transparency over white."""
    graph = {
        "1": image(width=width, height=height, channels=channels),
        "2": generate(image=["1", 0]),
    }
    sent = decoded(body(graph)["image"])
    assert sent.startswith(b"\x89PNG")
    assert np.array_equal(png_pixels(sent), expected_pixels(width, height, channels))


@pytest.mark.parametrize(
    ("form", "head"), [("png", b"\x89PNG"), ("jpeg", b"\xff\xd8\xff"), ("webp", b"RIFF")]
)
def test_image_is_sent_in_the_requested_format(
    comfy: Comfy, gateway: Simulator, form: str, head: bytes
) -> None:
    """A lossy format is named on the node."""
    graph = {"1": image(), "2": generate(image=["1", 0], image_format=form)}
    run = comfy.run(graph)
    assert run.error is None
    text = gateway.requests(method="POST", path="/pika/generate")[-1].text
    assert decoded(json.loads(text or "")["image"]).startswith(head)
    text = run.outputs["2"]["text"][0]
    assert (form.upper() in text) == (form != "png")


def test_large_image_is_sent_as_jpeg(body: Body) -> None:
    """«auto» sends an image whose PNG is large as a JPEG with nearly the same pixels."""
    graph = {"1": image(width=1500, height=1100, flaw="grain"), "2": generate(image=["1", 0])}
    sent = decoded(body(graph)["image"])
    assert sent.startswith(b"\xff\xd8\xff")
    arrived = png_pixels(sent).astype(int)
    assert arrived.shape == (1100, 1500, 3)
    assert abs(arrived - 128).max() <= 8


@pytest.mark.parametrize(
    ("fit", "size"), [("as is", (64, 48)), ("crop", (48, 48)), ("pad", (64, 64))]
)
def test_fit_crops_or_pads_the_image(
    comfy: Comfy, gateway: Simulator, fit: str, size: tuple[int, int]
) -> None:
    """«crop» and «pad» give the image the video's shape, centred, and the node shows the result.
    «as is» does not change it."""
    graph = {
        "1": image(),
        "2": options(aspect_ratio="1:1"),
        "3": generate(options=["2", 0], image=["1", 0], fit=fit),
    }
    run = comfy.run(graph)
    assert run.error is None
    text = gateway.requests(method="POST", path="/pika/generate")[-1].text
    arrived = png_pixels(decoded(json.loads(text or "")["image"]))
    assert arrived.shape[:2] == (size[1], size[0])
    original = expected_pixels(64, 48, 3)
    expected = {
        "as is": original,
        "crop": original[:, 8:56],
        "pad": np.pad(original, ((8, 8), (0, 0), (0, 0))),
    }
    assert np.array_equal(arrived, expected[fit])
    previews = run.outputs["3"].get("images", [])
    assert len(previews) == (fit != "as is")
    if previews:
        with Image.open(comfy.file(previews[0])) as picture:
            assert picture.size == size
        assert "from 64x48 to" in run.outputs["3"]["text"][0]


def test_mp4_file_is_sent_unchanged(comfy: Comfy, body: Body) -> None:
    """A VIDEO that is an MP4 with H.264 is sent byte for byte."""
    graph = {"1": video("libx264.mp4"), "2": generate(video=["1", 0])}
    sent = decoded(body(graph)["video"])
    files = [path.read_bytes() for path in (comfy.base_dir / "temp").glob("probe_*.mp4")]
    assert sent in files


@pytest.mark.parametrize(
    ("source", "width", "height"),
    [("frames", 64, 48), ("frames", 63, 47), ("mpeg4.avi", 64, 48)],
)
def test_other_video_is_encoded_as_mp4(body: Body, source: str, width: int, height: int) -> None:
    """A VIDEO of frames, also of odd size, or with another codec is sent as an MP4."""
    graph = {
        "1": video(source, width=width, height=height),
        "2": generate(video=["1", 0]),
    }
    with av.open(io.BytesIO(decoded(body(graph)["video"]))) as container:
        stream = container.streams.video[0]
        assert "mp4" in container.format.name
        assert stream.codec_context.name == "h264"
        assert (stream.width, stream.height) == (width // 2 * 2, height // 2 * 2)
        assert stream.average_rate == 12
        assert sum(1 for _ in container.decode(stream)) == 12


def test_extend_is_sent_with_its_video(body: Body) -> None:
    """extend is true, and the body has the video."""
    graph = {
        "1": video("libx264.mp4"),
        "2": options(extend=True),
        "3": generate(options=["2", 0], video=["1", 0]),
    }
    sent = body(graph)
    assert sent["options"]["extend"] is True
    assert decoded(sent["video"])


def test_urls_are_sent_unchanged(body: Body) -> None:
    """image_url and video_url are sent unchanged."""
    graph = {
        "1": generate(
            image_url="https://example.com/a%20b.png?x=1&y=%2F",
            video_url="http://example.com/v.mp4",
        )
    }
    sent = body(graph)
    assert sent["image"] == "https://example.com/a%20b.png?x=1&y=%2F"
    assert sent["video"] == "http://example.com/v.mp4"


def test_unset_media_are_not_sent(body: Body) -> None:
    """Without media the body has neither image nor video: the API refuses empty ones."""
    sent = body({"1": generate()})
    assert "image" not in sent
    assert "video" not in sent


def test_status_asks_once_and_does_not_wait(comfy: Comfy, gateway: Simulator) -> None:
    """Each time it is queued, PikaStatus asks once and returns status, progress, URL and JSON."""
    run = comfy.run({"1": generate("first"), "2": node("PikaResult", task_id=["1", 0])})
    assert run.error is None
    task_id = gateway.charged[-1]
    graph = {"1": node("PikaStatus", task_id=task_id)}
    graph |= {
        str(slot + 2): node("ProbeSink", **{name: ["1", slot]})
        for slot, name in enumerate(("text", "number", "text", "text"))
    }
    asked = len(gateway.requests(method="GET", path=f"/pika/feed/{task_id}"))
    for _ in range(2):
        run = comfy.run(graph)
        assert run.error is None
    assert len(gateway.requests(method="GET", path=f"/pika/feed/{task_id}")) == asked + 2
    assert sink_inputs(run, "2")[0]["text"] == "finished"
    assert sink_inputs(run, "3")[0]["number"] == 100
    assert sink_inputs(run, "4")[0]["text"].startswith(gateway.cdn_url)
    assert json.loads(sink_inputs(run, "5")[0]["text"])["id"] == task_id
