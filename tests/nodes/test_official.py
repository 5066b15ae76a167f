"""ComfyUI's former Pika nodes under their old ids, from workflow files of the time.

The files are as ComfyUI 0.3.75 with frontend 1.27 saved them, with its own nodes.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devtools.setup.environment import host
from simulator import Simulator
from support.comfy import Comfy, Graph, Rejected, Run
from support.gateway import held_tasks, result_name
from support.graphs import FORMER, error_of, image, node

pytestmark = pytest.mark.comfy

TESTS = Path(__file__).parents[1]
CONTRACT = json.loads((Path(__file__).parent / "contract.json").read_text("utf-8"))
ORIGINAL = "comfy_api_nodes.nodes_pika"
RATIO = 16 / 9
#: The size of the file that the workflows load.
IMAGE_RATIO = 1.5


def parameters(ratio: float) -> dict[str, Any]:
    """The options of a request with the workflows' negative prompt."""
    return {
        "aspectRatio": ratio,
        "frameRate": 24,
        "camera": {},
        "parameters": {"guidanceScale": 12, "motion": 1, "negativePrompt": "blurry, text"},
        "extend": False,
    }


#: What the gateway gets of each workflow that runs, without the image.
BODIES = {
    "text_to_video": {
        "promptText": "A pear rolls down a hill",
        "model": "1.5",
        "options": parameters(0.563),
    },
    "image_to_video": {
        "promptText": "Orbit left around the pear",
        "model": "1.5",
        "options": parameters(IMAGE_RATIO),
    },
    "pikaffects": {
        "pikaffect": "Levitate",
        "promptText": "The pear levitates",
        "model": "1.5",
        "options": parameters(IMAGE_RATIO),
    },
    "scenes": {
        "promptText": "The pear meets a statue",
        "model": "1.5",
        "options": parameters(RATIO),
    },
}
REFUSED = ("start_end_frame", "pikadditions", "pikaswaps", "scenes_two_images")


def workflow(name: str) -> Graph:
    """A workflow of the time in the API format."""
    graph: Graph = json.loads((TESTS / "former_workflows" / f"{name}.api.json").read_text("utf-8"))
    return graph


def saved_by(run: Run) -> list[str]:
    """The files that Save Video has written."""
    assert run.error is None, run.error
    return [
        each["filename"]
        for output in run.outputs.values()
        for each in output.get("images", [])
        if each["subfolder"] == "video"
    ]


def former(graph: Graph) -> dict[str, Any]:
    """The former Pika node of a graph."""
    return next(each for each in graph.values() if each["class_type"] in FORMER)


def text_to_video(prompt: str, **inputs: Any) -> Graph:
    """The former text to video, with Save Video behind it."""
    values = {"negative_prompt": "", "seed": 0, "resolution": "1080p", "duration": 5}
    values = {**values, "aspect_ratio": RATIO, **inputs}
    saver = {"filename_prefix": "video/x", "format": "auto", "codec": "auto"}
    return {
        "1": node("PikaTextToVideoNode2_2", prompt_text=prompt, **values),
        "2": node("SaveVideo", video=["1", 0], **saver),
    }


@pytest.fixture
def inputs(comfy: Comfy) -> None:
    """The files that the workflows load."""
    for file in TESTS.glob("workflows/0.1.0/input/*"):
        shutil.copy(file, comfy.base_dir / "input")


def test_the_nodes_of_comfyui_have_priority(comfy: Comfy, keyless: Comfy) -> None:
    """Where ComfyUI has its own nodes of these ids, they are the ones that run, and nothing about
    them is the pack's. The pack's have the same inputs and outputs, and are deprecated."""
    own = (host().comfyui / "comfy_api_nodes" / "nodes_pika.py").is_file()
    for name in sorted(FORMER):
        ours, theirs = comfy.object_info(name), keyless.object_info(name)
        assert ours["python_module"].startswith("custom_nodes.")
        assert ours["deprecated"]
        assert not ours["api_node"]
        assert (theirs["python_module"] == ORIGINAL) == own, name
        if own:
            assert theirs["api_node"]
            assert "gateway" not in theirs["description"]
            assert theirs["display_name"] == ours["display_name"]
            known = inputs_of(theirs)
            assert inputs_of(ours)[: len(known)] == known
            # Before 0.3.65, Pikaswaps had no region_to_modify.
            assert len(known) == len(inputs_of(ours)) or name == "Pikaswaps"
            for key in ("output", "output_name", "output_is_list", "output_node"):
                assert ours[key] == theirs[key]


def inputs_of(info: dict[str, Any]) -> list[Any]:
    """The inputs in their order, with all that a saved workflow depends on."""
    return [
        (name, kind, {key: value for key, value in details.items() if key != "tooltip"})
        for group in ("required", "optional")
        for name, (kind, details) in info["input"].get(group, {}).items()
    ]


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("name", BODIES)
def test_a_workflow_of_the_time_runs(comfy: Comfy, gateway: Simulator, name: str) -> None:
    """It is one charged task with the values that the gateway has fields for, and Save Video gets
    the video. What ComfyUI passed for its own sign-in is ignored. The next run, even with another
    resolution and duration, reuses the task."""
    graph = workflow(name)
    signed_in = {"auth_token": "x", "auth_token_comfy_org": "x", "api_key_comfy_org": "x"}
    former(graph)["inputs"].update(signed_in)
    before = len(gateway.charged)
    run = comfy.run(graph)
    (file,) = saved_by(run)
    assert (comfy.base_dir / "output" / "video" / file).is_file()
    (task_id,) = gateway.charged[before:]
    assert (comfy.base_dir / "output" / "pika" / result_name(gateway, task_id)).is_file()
    body = dict(gateway.requests(method="POST", path="/pika/generate")[-1].body)
    assert (body.pop("image", None) is not None) == (name != "text_to_video")
    assert body == BODIES[name]
    (text,) = texts(run)
    assert [output["pika_tasks"] for output in run.outputs.values() if "text" in output] == [
        gateway.charged[-1:]
    ]
    assert ("the gateway chooses resolution" in text) == (name != "pikaffects")

    again = workflow(name)
    for widget, value in (("resolution", "1080p"), ("duration", 5)):
        if widget in former(again)["inputs"]:
            former(again)["inputs"][widget] = value
    for saver in again.values():
        if saver["class_type"] == "SaveVideo":
            saver["inputs"]["filename_prefix"] = "video/again"
    second = comfy.run(again)
    assert saved_by(second)
    assert len(gateway.charged) == before + 1
    assert all("no new charge" in each for each in texts(second))
    assert not any("the gateway chooses" in each for each in texts(second))


def texts(run: Run) -> list[str]:
    """The texts on the nodes. A node whose output was cached has none."""
    return [text for output in run.outputs.values() for text in output.get("text", [])]


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("name", REFUSED)
def test_what_the_gateway_cannot_do_is_refused(comfy: Comfy, gateway: Simulator, name: str) -> None:
    """The workflow is refused before a request, and the error says how to go on. Except for images
    that only the run can count, ComfyUI does not even queue it."""
    before = len(gateway.log)
    message = error_of(comfy, workflow(name))
    assert ("Connect one image" if name == "scenes_two_images" else "Pika Generate") in message
    assert len(gateway.log) == before


def test_a_refused_node_stops_the_paid_one_before_it(comfy: Comfy, gateway: Simulator) -> None:
    """A video that only a refused node needs is not created."""
    graph = text_to_video("A pear to be swapped")
    graph["3"] = node("Pikaswaps", video=["1", 0])
    graph["2"]["inputs"]["video"] = ["3", 0]
    before = len(gateway.log)
    assert "cannot replace a part" in error_of(comfy, graph)
    assert len(gateway.log) == before


def scenes(**changed: Any) -> Graph:
    graph = text_to_video("A scene")
    graph["1"]["class_type"] = "PikaScenesV2_2"
    graph["1"]["inputs"].update(ingredients_mode="creative", **changed)
    return {**graph, "9": image()}


@pytest.mark.parametrize(
    ("graph", "wanted"),
    [
        (lambda: text_to_video(" \n"), "prompt is blank"),
        (lambda: text_to_video("A pear", aspect_ratio=2.6), "aspect_ratio"),
        (lambda: text_to_video("A pear", seed=-1), "seed"),
        (lambda: linked(text_to_video("A pear"), "aspect_ratio", "2.6"), "aspect_ratio: 2.6"),
        (lambda: linked(text_to_video("A pear"), "aspect_ratio", "None"), "aspect_ratio"),
        (lambda: linked(text_to_video("A pear"), "aspect_ratio", "1e999"), "aspect_ratio"),
        (lambda: linked(text_to_video("A pear"), "seed", "-1"), "seed"),
        (lambda: linked(text_to_video("A pear"), "prompt_text", "''"), "prompt is blank"),
        (scenes, "0 images are connected"),
    ],
)  # fmt: skip
def test_invalid_values_are_refused(
    comfy: Comfy, gateway: Simulator, graph: Callable[[], Graph], wanted: str
) -> None:
    """Nothing is sent, whether a value is typed or comes over a link, and the error names it."""
    before = len(gateway.log)
    assert wanted in error_of(comfy, graph())
    assert len(gateway.log) == before


def linked(graph: Graph, name: str, literal: str) -> Graph:
    """The graph with this value over a link, for which ComfyUI checks no range."""
    graph["8"] = node("ProbeValue", literal=literal)
    graph["1"]["inputs"][name] = ["8", 0]
    return graph


def test_an_unknown_effect_is_refused(comfy: Comfy, gateway: Simulator) -> None:
    """«none» is no effect of the node, although Pika Generate has it."""
    before = len(gateway.log)
    graph = text_to_video("A pear")
    values = {"prompt_text": "A pear", "negative_prompt": "", "seed": 1, "pikaffect": "none"}
    graph["1"] = node("Pikaffects", image=["9", 0], **values)
    graph["9"] = image()
    assert "pikaffect" in error_of(comfy, graph)
    assert len(gateway.log) == before


def test_any_one_ingredient_is_the_image(comfy: Comfy, gateway: Simulator) -> None:
    """Pika Scenes takes the image of whichever input is connected."""
    graph = scenes(image_ingredient_5=["9", 0], seed=55)
    assert saved_by(comfy.run(graph))
    assert gateway.requests(method="POST")[-1].body["image"]["kind"] == "image"


def test_an_unconnected_node_is_not_charged(comfy: Comfy, gateway: Simulator) -> None:
    """As before, a node whose video nobody wants does not run."""
    before = len(gateway.log)
    graph = text_to_video("A pear that nobody wants")
    del graph["2"]
    with pytest.raises(Rejected):
        comfy.run(graph)
    assert comfy.run({**graph, "3": image(), "4": node("PreviewImage", images=["3", 0])})
    assert len(gateway.log) == before


def test_an_interrupted_run_continues_with_its_task(comfy: Comfy, gateway: Simulator) -> None:
    """After an interrupt, the same workflow waits for the same task. Pika Generate with the same
    request reuses it, too."""
    graph = text_to_video("An interrupted former pear", seed=7)
    with held_tasks(gateway) as tasks:
        prompt_id = comfy.queue(graph)
        tasks.running()
        comfy.interrupt()
        assert comfy.wait(prompt_id).interrupted
    run = comfy.run(graph)
    assert saved_by(run)
    (text,) = texts(run)
    assert "no new charge" in text
    values = {"pikaffect": "none", "model": "1.5", "seed": 7}
    new = node("PikaGenerate", prompt_text="An interrupted former pear", **values)
    assert comfy.run({"1": new}).error is None
    assert len(tasks.ids) == 1


def test_a_failed_task_and_a_deleted_file_run_again(comfy: Comfy, gateway: Simulator) -> None:
    """A task that fails is a new one in the next run; a deleted file is downloaded again."""
    graph = text_to_video("A former pear that fails first")
    gateway.fault(on="task", error="moderated")
    assert "moderated" in error_of(comfy, graph)
    before = len(gateway.charged)
    assert saved_by(comfy.run(graph))
    (task_id,) = gateway.charged[before:]
    file = comfy.base_dir / "output" / "pika" / result_name(gateway, task_id)
    file.unlink()
    again = copy.deepcopy(graph)
    again["2"]["inputs"]["filename_prefix"] = "video/again"
    assert saved_by(comfy.run(again))
    assert file.is_file()
    assert len(gateway.charged) == before + 1
