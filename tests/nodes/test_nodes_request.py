"""What goes over the wire, from graphs in a real ComfyUI to a strict gateway."""

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
from support.graphs import camera, generate, image, node, options, parameters, seen, video
from support.probe_pattern import expected_pixels, png_pixels

pytestmark = pytest.mark.comfy

SEED_BODY = {
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
    """Runs a graph, and gives the raw body of the one submit that came of it."""

    def run(graph: Graph) -> dict[str, Any]:
        before = len(gateway.charged)
        done = comfy.run(graph)
        assert done.error is None
        assert len(gateway.charged) == before + 1
        submit = gateway.requests(method="POST", path="/pika/generate")[-1]
        assert submit.headers["Authorization"] == f"Bearer {gateway.key}"
        assert submit.headers["Content-Length"] == str(submit.size)
        assert submit.text is not None
        return dict(json.loads(submit.text))

    return run


def decoded(text: str) -> bytes:
    """Bare Base64, as the seed says."""
    return base64.b64decode(text, validate=True)


def test_the_seeds_example(body: Body) -> None:
    """Parameters → Options → Generate with the seed's values make the seed's body: the same
    fields, the same values, in the same order, and none beyond."""
    graph = {
        "1": parameters(),
        "2": options(parameters=["1", 0]),
        "3": generate("Apple evaporates", pikaffect="Dissolve", options=["2", 0]),
    }
    made = body(graph)
    assert made == SEED_BODY
    assert json.dumps(made) == json.dumps(SEED_BODY)
    assert made["options"]["aspectRatio"] == 16 / 9


def test_one_node_is_a_workflow(body: Body) -> None:
    """A PikaGenerate alone sends the seed's defaults, without pikaffect, image and video."""
    made = body({"1": generate("Apple evaporates")})
    assert made == {key: value for key, value in SEED_BODY.items() if key != "pikaffect"}


def test_a_blank_model_is_left_out(body: Body) -> None:
    """A blank model leaves the choice to the gateway: the field is not sent."""
    assert "model" not in body({"1": generate(model=" ")})


def test_camera_and_parameters_arrive(body: Body) -> None:
    """Every camera move and parameter that is set stands in the body; those unset do not."""
    graph = {
        "1": parameters(guidance_scale=25, motion=0, negative_prompt="fog"),
        "2": camera(zoom="in", rotate="ccw"),
        "3": options(frame_rate=8, parameters=["1", 0], camera=["2", 0]),
        "4": generate(options=["3", 0]),
    }
    made = body(graph)["options"]
    assert made["camera"] == {"zoom": "in", "rotate": "ccw"}
    assert made["parameters"] == {"guidanceScale": 25, "motion": 0, "negativePrompt": "fog"}
    assert made["frameRate"] == 8


def test_extra_json_is_merged(comfy: Comfy, gateway: Simulator) -> None:
    """extra_json lands where its node stands; the strict gateway names the field it met."""
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
    made = body({"1": options(aspect_ratio=name), "2": generate(options=["1", 0])})
    assert made["options"]["aspectRatio"] == ratio


def test_a_custom_aspect_ratio(body: Body) -> None:
    """«custom» sends custom_aspect_ratio."""
    graph = {
        "1": options(aspect_ratio="custom", custom_aspect_ratio=2.35),
        "2": generate(options=["1", 0]),
    }
    assert body(graph)["options"]["aspectRatio"] == 2.35


@pytest.mark.parametrize(
    ("width", "height", "ratio"), [(64, 48, 64 / 48), (300, 20, 2.5), (20, 300, 0.4)]
)
def test_the_images_own_ratio(body: Body, width: int, height: int, ratio: float) -> None:
    """«from image» sends the connected image's ratio, held to 0.4…2.5."""
    graph = {
        "1": image(width=width, height=height),
        "2": options(aspect_ratio="from image"),
        "3": generate(options=["2", 0], image=["1", 0]),
    }
    assert body(graph)["options"]["aspectRatio"] == ratio


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("width", "height"), [(64, 48), (7, 5), (1, 1), (333, 77)])
def test_images_arrive_to_the_bit(body: Body, channels: int, width: int, height: int) -> None:
    """An IMAGE of 1, 3 or 4 channels and any size arrives as a PNG of the very pixels: grey as
    RGB, transparency laid over white."""
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
def test_the_format_is_the_one_asked_for(
    comfy: Comfy, gateway: Simulator, form: str, head: bytes
) -> None:
    """image_format sends that format; what is not exact is told on the node."""
    graph = {"1": image(), "2": generate(image=["1", 0], image_format=form)}
    run = comfy.run(graph)
    assert run.error is None
    text = gateway.requests(method="POST", path="/pika/generate")[-1].text
    assert decoded(json.loads(text or "")["image"]).startswith(head)
    told = run.outputs["2"]["text"][0]
    assert (form.upper() in told) == (form != "png")


def test_a_large_photo_is_sent_as_jpeg(body: Body) -> None:
    """«auto» sends a picture whose PNG is large as a JPEG that looks the same."""
    graph = {"1": image(width=1500, height=1100, flaw="grain"), "2": generate(image=["1", 0])}
    sent = decoded(body(graph)["image"])
    assert sent.startswith(b"\xff\xd8\xff")
    arrived = png_pixels(sent).astype(int)
    assert arrived.shape == (1100, 1500, 3)
    assert abs(arrived - 128).max() <= 8


@pytest.mark.parametrize(
    ("fit", "size"), [("as is", (64, 48)), ("crop", (48, 48)), ("pad", (64, 64))]
)
def test_fit(comfy: Comfy, gateway: Simulator, fit: str, size: tuple[int, int]) -> None:
    """fit brings the image to the video's shape, about its middle, and shows on the node what
    the gateway gets; «as is» leaves it alone."""
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
    shown = run.outputs["3"].get("images", [])
    assert len(shown) == (fit != "as is")
    if shown:
        with Image.open(comfy.file(shown[0])) as picture:
            assert picture.size == size
        assert "from 64x48 to" in run.outputs["3"]["text"][0]


def test_an_mp4_is_sent_as_the_file_it_is(comfy: Comfy, body: Body) -> None:
    """A VIDEO that is MP4 with H.264 already goes out byte for byte."""
    graph = {"1": video("libx264.mp4"), "2": generate(video=["1", 0])}
    sent = decoded(body(graph)["video"])
    files = [path.read_bytes() for path in (comfy.base_dir / "temp").glob("probe_*.mp4")]
    assert sent in files


@pytest.mark.parametrize(
    ("source", "width", "height"),
    [("frames", 64, 48), ("frames", 63, 47), ("mpeg4.avi", 64, 48)],
)
def test_other_videos_are_encoded(body: Body, source: str, width: int, height: int) -> None:
    """A VIDEO made of frames, of odd size too, or in another codec arrives as an MP4."""
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


def test_extend(body: Body) -> None:
    """extend goes out true, with its video."""
    graph = {
        "1": video("libx264.mp4"),
        "2": options(extend=True),
        "3": generate(options=["2", 0], video=["1", 0]),
    }
    made = body(graph)
    assert made["options"]["extend"] is True
    assert decoded(made["video"])


def test_urls_go_out_as_they_are(body: Body) -> None:
    """image_url and video_url are sent unchanged."""
    graph = {
        "1": generate(
            image_url="https://example.com/a%20b.png?x=1&y=%2F",
            video_url="http://example.com/v.mp4",
        )
    }
    made = body(graph)
    assert made["image"] == "https://example.com/a%20b.png?x=1&y=%2F"
    assert made["video"] == "http://example.com/v.mp4"


def test_unset_media_are_absent(body: Body) -> None:
    """Without media the body has neither image nor video: the API refuses empty ones."""
    made = body({"1": generate()})
    assert "image" not in made
    assert "video" not in made


def test_status_reports_without_waiting(comfy: Comfy, gateway: Simulator) -> None:
    """PikaStatus asks once each time it is queued, and gives status, progress, URL and JSON."""
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
    assert seen(run, "2")[0]["text"] == "finished"
    assert seen(run, "3")[0]["number"] == 100
    assert seen(run, "4")[0]["text"].startswith(gateway.cdn_url)
    assert json.loads(seen(run, "5")[0]["text"])["id"] == task_id
