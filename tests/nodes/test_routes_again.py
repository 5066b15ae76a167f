"""Using an earlier task again: nodes with its settings, and the workflow that it comes from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulator import Simulator
from support.comfy import Comfy, Graph
from support.graphs import camera, generate, image, options, parameters, text_to_video
from support.routes import get, save_settings

pytestmark = pytest.mark.comfy

#: How the nodes are connected to each other.
LINKS = {
    "PikaOptions": ("PikaGenerate", "options"),
    "PikaCamera": ("PikaOptions", "camera"),
    "PikaParameters": ("PikaOptions", "parameters"),
}
BUILDERS = {
    "PikaGenerate": generate,
    "PikaOptions": options,
    "PikaCamera": camera,
    "PikaParameters": parameters,
}


def newest(comfy: Comfy) -> int:
    """The number of the newest task."""
    return int(get(comfy, "tasks?limit=1")["tasks"][0]["number"])


def rebuilt(nodes: dict[str, dict[str, Any]]) -> Graph:
    """The graph of the nodes that the editor adds."""
    graph = {}
    for name, inputs in nodes.items():
        values = {**inputs, "seed": int(inputs["seed"])} if "seed" in inputs else inputs
        arguments = {"prompt" if key == "prompt_text" else key: v for key, v in values.items()}
        graph[name] = BUILDERS[name](**arguments)
    for name, (target, key) in LINKS.items():
        if name in graph:
            graph[target]["inputs"][key] = [name, 0]
    return graph


CASES: dict[str, Graph] = {
    "defaults": {"1": generate("Again with defaults", seed=0)},
    "effect and largest take": {
        "1": generate("Again «with»\nlines", pikaffect="Melt", seed=2**64 - 1, model="")
    },
    "all options": {
        "1": parameters(guidance_scale=20, motion=3, negative_prompt="x", extra_json='{"a": [1]}'),
        "2": camera(zoom="in", rotate="ccw"),
        "3": options(
            aspect_ratio="custom", custom_aspect_ratio=1.234, frame_rate=12,
            parameters=["1", 0], camera=["2", 0], extra_json='{"b": {"c": null}}',
        ),
        "4": generate("Again with options", options=["3", 0], extra_json='{"d": "e"}'),
    },
    "still image": {
        "1": options(aspect_ratio="none (still image)"),
        "2": generate("Again still", options=["1", 0]),
    },
    "URLs": {"1": generate("Again by URL", image_url="https://example.com/a.png")},
    "values beyond the specification": {
        "1": options(aspect_ratio="9:16", extra_json='{"frameRate": 99, "camera": 7}'),
        "2": generate("Beyond", options=["1", 0], extra_json='{"pikaffect": "New", "model": 2}'),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_nodes_with_the_settings_of_a_task_reuse_it(
    keyed: Comfy, gateway: Simulator, name: str
) -> None:
    """Queued unchanged, they are the same request: the task is reused and nothing is charged. A
    request that the gateway refused is the same one too."""
    keyed.run(CASES[name])
    number, posts = newest(keyed), len(gateway.requests("POST"))
    listed = next(t for t in get(keyed, "tasks?limit=9")["tasks"] if t["number"] == number)
    answer = get(keyed, f"tasks/{number}/nodes")
    assert answer["media"] == []
    before = get(keyed, f"tasks/{number}/request")["request"]
    run = keyed.run(rebuilt(answer["nodes"]))
    if listed["state"] == "refused":
        number = newest(keyed)
    else:
        assert run.error is None
        assert len(gateway.requests("POST")) == posts
    assert newest(keyed) == number
    assert get(keyed, f"tasks/{number}/request")["request"] == before
    assert get(keyed, f"tasks/{number}/nodes") == answer


def test_media_that_the_journal_does_not_have_are_named(keyed: Comfy) -> None:
    """An image is described by its hash only: the editor says that it must be connected."""
    assert keyed.run({"1": image(), "2": generate("Again by image", image=["1", 0])}).error is None
    answer = get(keyed, f"tasks/{newest(keyed)}/nodes")
    assert answer["media"] == ["image"]
    assert "image_url" not in answer["nodes"]["PikaGenerate"]
    assert "extra_json" not in answer["nodes"]["PikaGenerate"]


WORKFLOW = {
    "version": 0.4,
    "nodes": [{"id": 1, "type": "PikaGenerate", "widgets_values": ["Größe <b>"]}],
    "links": [],
}


def queue_with(comfy: Comfy, graph: Graph, workflow: object) -> int:
    """Run a graph as the editor does, with its workflow; the number of its task."""
    body = {"prompt": graph, "extra_data": {"extra_pnginfo": {"workflow": workflow}}}
    answer = comfy.request("POST", "/prompt", json=body)
    assert answer.ok, answer.text
    assert comfy.wait(answer.json()["prompt_id"]).error is None
    return newest(comfy)


def workflow_of(comfy: Comfy, number: int) -> Any:
    """The workflow that the editor gets; None if it gets a reason."""
    answer = get(comfy, f"tasks/{number}/workflow")
    assert bool(answer["reason"]) == (answer["workflow"] is None)
    return answer["workflow"]


def forget_history(comfy: Comfy) -> None:
    """As after a restart."""
    comfy.request("POST", "/history", json={"clear": True}).raise_for_status()


def test_workflow_comes_from_the_history_and_then_from_the_file(keyed: Comfy) -> None:
    """The one that made the task while ComfyUI remembers it; after a restart, the one in the saved
    file; without a file, an error says what else can be done."""
    number = queue_with(keyed, text_to_video("A workflow to load"), WORKFLOW)
    assert workflow_of(keyed, number) == WORKFLOW
    forget_history(keyed)
    assert workflow_of(keyed, number) == WORKFLOW
    (file,) = [t["file"] for t in get(keyed, "tasks?limit=1")["tasks"]]
    path = keyed.base_dir / "output" / file["subfolder"] / file["filename"]
    content = path.read_bytes()
    for damaged in (content[:200], b"", content.replace(b"keys", b"kexs"), b"\0" * 4096):
        path.write_bytes(damaged)
        assert workflow_of(keyed, number) is None
    path.unlink()
    assert "Use its settings" in get(keyed, f"tasks/{number}/workflow")["reason"]


@pytest.mark.parametrize(
    "workflow",
    [
        None,
        [],
        {},
        {"version": 0.4, "nodes": []},
        {"version": 0.4, "nodes": {"length": 1}},
        {"version": "x", "nodes": WORKFLOW["nodes"]},
        {"version": 0.4, "nodes": [{"id": 1}]},
        {"version": 0.4, "nodes": [7]},
        {"version": 0.4, "nodes": WORKFLOW["nodes"], "links": "x"},
        {**WORKFLOW, "extra": json.loads("[" * 300 + "]" * 300)},
        {**WORKFLOW, "nodes": WORKFLOW["nodes"] * 20_001},
    ],
    ids=range(11),
)
def test_what_is_not_a_workflow_is_not_given_to_the_editor(keyed: Comfy, workflow: object) -> None:
    """Any client can send a prompt with whatever it likes: size and form are checked."""
    number = queue_with(keyed, {"1": generate("Not a workflow")}, workflow)
    assert workflow_of(keyed, number) is None


def test_card_has_the_take_and_the_settings(keyed: Comfy) -> None:
    """The take as a text, since a browser rounds large numbers."""
    save_settings(keyed, max_requests=None)
    graph = {
        "1": options(aspect_ratio="9:16"),
        "2": generate("A card", pikaffect="Melt", seed=2**64 - 1, options=["1", 0]),
    }
    assert keyed.run(graph).error is None
    task = get(keyed, "tasks?limit=1")["tasks"][0]
    assert task["take"] == "18446744073709551615"
    assert task["settings"] == {"model": "1.5", "pikaffect": "Melt", "ratio": "9:16"}
