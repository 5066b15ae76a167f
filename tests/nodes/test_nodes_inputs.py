"""Bad input ends in an error that names the input and the next step; nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from simulator import Simulator
from support.comfy import Comfy, Graph, Rejected
from support.graphs import camera, error_of, generate, image, node, options, parameters, video

pytestmark = pytest.mark.comfy

CASES: dict[str, tuple[Callable[[], Graph], list[str]]] = {
    "blank prompt": (lambda: {"1": generate("  \n")}, ["prompt_text", "Say what"]),
    "blank prompt over a link": (
        lambda: {"1": node("ProbeList", lines=" "), "2": generate(["1", 0])},
        ["prompt_text", "Say what"],
    ),
    "unknown effect": (lambda: {"1": generate(pikaffect="Boo")}, ["pikaffect", "Ta-da"]),
    "image and image_url": (
        lambda: {
            "1": image(),
            "2": generate(image=["1", 0], image_url="https://example.com/a.png"),
        },
        ["image_url", "disconnect image"],
    ),
    "video and video_url": (
        lambda: {
            "1": video(),
            "2": generate(video=["1", 0], video_url="https://example.com/a.mp4"),
        },
        ["video_url", "disconnect video"],
    ),
    "a batch of images": (
        lambda: {"1": image(batch=3), "2": generate(image=["1", 0])},
        ["image", "batch of 3", "list"],
    ),
    "pixels that are not numbers": (
        lambda: {"1": image(flaw="nan"), "2": generate(image=["1", 0])},
        ["image", "NaN"],
    ),
    "two channels": (
        lambda: {"1": image(channels=2), "2": generate(image=["1", 0])},
        ["image", "shape"],
    ),
    "an empty URL over a link": (
        lambda: {"1": node("ProbeList", lines=""), "2": generate(image_url=["1", 0])},
        ["image_url", "empty", "https://"],
    ),
    "a task id that is too long": (
        lambda: {"1": node("PikaResult", task_id="a" * 300)},
        ["task_id", "Pika History"],
    ),
    "a URL of blanks": (lambda: {"1": generate(video_url="   ")}, ["video_url", "empty"]),
    "a URL without a host": (lambda: {"1": generate(image_url="https://")}, ["image_url", "https"]),
    "a file's address": (
        lambda: {"1": generate(image_url="file:///etc/passwd")},
        ["image_url", "http"],
    ),
    "extend without a video": (
        lambda: {"1": options(extend=True), "2": generate(options=["1", 0])},
        ["extend", "video"],
    ),
    "from image without an image": (
        lambda: {"1": options(aspect_ratio="from image"), "2": generate(options=["1", 0])},
        ["aspect_ratio", "image"],
    ),
    "unknown ratio": (
        lambda: {"1": options(aspect_ratio="7:1"), "2": generate(options=["1", 0])},
        ["aspect_ratio", "16:9"],
    ),
    "ratio out of range": (
        lambda: {
            "1": options(aspect_ratio="custom", custom_aspect_ratio=9.0),
            "2": generate(options=["1", 0]),
        },
        ["custom_aspect_ratio", "2.5"],
    ),
    "frame rate out of range": (
        lambda: {"1": options(frame_rate=60), "2": generate(options=["1", 0])},
        ["frame_rate", "24"],
    ),
    "guidance scale out of range": (
        lambda: {
            "1": parameters(guidance_scale=99),
            "2": options(parameters=["1", 0]),
            "3": generate(options=["2", 0]),
        },
        ["guidance_scale", "25"],
    ),
    "motion out of range": (
        lambda: {
            "1": parameters(motion=9),
            "2": options(parameters=["1", 0]),
            "3": generate(options=["2", 0]),
        },
        ["motion", "4"],
    ),
    "unknown camera move": (
        lambda: {
            "1": camera(zoom="sideways"),
            "2": options(camera=["1", 0]),
            "3": generate(options=["2", 0]),
        },
        ["zoom", "in", "out"],
    ),
    "broken extra_json": (
        lambda: {"1": generate(extra_json='{"a": }')},
        ["extra_json", "line 1, column 7"],
    ),
    "extra_json that is a list": (
        lambda: {"1": options(extra_json="[1]"), "2": generate(options=["1", 0])},
        ["extra_json", "object"],
    ),
    "an unknown format": (
        lambda: {"1": image(), "2": generate(image=["1", 0], image_format="tiff")},
        ["image_format", "png"],
    ),
    "an unknown fit": (
        lambda: {"1": image(), "2": generate(image=["1", 0], fit="stretch")},
        ["fit", "crop"],
    ),
    "no task id to wait for": (lambda: {"1": node("PikaResult", task_id=" ")}, ["task_id"]),
    "no task id to ask about": (lambda: {"1": node("PikaStatus", task_id="")}, ["task_id"]),
}


@pytest.fixture
def nothing_sent(gateway: Simulator) -> Iterator[None]:
    """Not one request reaches the gateway during the test."""
    before = len(gateway.log)
    yield
    assert len(gateway.log) == before


@pytest.mark.usefixtures("nothing_sent")
@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_an_error(comfy: Comfy, name: str) -> None:
    """The error names the input and the next step, and nothing is sent."""
    graph, words = CASES[name]
    message = error_of(comfy, graph())
    for word in words:
        assert word in message


#: What is wrong before the queue starts, with the node and the input that are blamed.
BLAMED: dict[str, tuple[Callable[[], Graph], str, str]] = {
    "blank prompt": (lambda: {"1": generate(" ", extra_json="")}, "1", "prompt_text"),
    "blank prompt and broken extra_json": (
        lambda: {"1": generate(" ", extra_json="{")},
        "1",
        "prompt_text",
    ),
    "no prompts": (
        lambda: {
            "1": node("PikaPrompts", prompts=" \n", takes=2, first_seed=1),
            "2": generate(["1", 0], seed=["1", 1], extra_json=""),
        },
        "1",
        "prompts",
    ),
    "seed": (lambda: {"1": generate(seed=-1, extra_json="")}, "1", "seed"),
    "options": (
        lambda: {"1": options(extra_json="{"), "2": generate(options=["1", 0], extra_json="")},
        "1",
        "extra_json",
    ),
    "parameters": (
        lambda: {
            "1": parameters(extra_json="["),
            "2": options(parameters=["1", 0], extra_json=""),
            "3": generate(options=["2", 0], extra_json=""),
        },
        "1",
        "extra_json",
    ),
    "prefix": (
        lambda: {
            "1": node("PikaResult", task_id="a", timeout_minutes=1.0, filename_prefix="../../x")
        },
        "1",
        "filename_prefix",
    ),
}


@pytest.mark.usefixtures("nothing_sent")
@pytest.mark.parametrize("name", BLAMED)
def test_a_fault_blames_one_input(comfy: Comfy, name: str) -> None:
    """Where one input is wrong, the editor marks that one, and no other input of the node."""
    graph, node_id, blamed = BLAMED[name]
    with pytest.raises(Rejected) as caught:
        comfy.run(graph())
    errors = caught.value.node_errors[node_id]["errors"]
    assert [error["extra_info"]["input_name"] for error in errors] == [blamed]


@pytest.mark.usefixtures("nothing_sent")
def test_missing_key_is_an_error(keyless: Comfy) -> None:
    """The error says in two lines how to set a key, and that the simulator needs none."""
    message = error_of(keyless, {"1": generate("never sent")})
    assert len(message.splitlines()) == 2
    assert "PIKA_API_KEY" in message
    assert "python -m simulator" in message
