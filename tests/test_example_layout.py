"""The layout of the example workflows, from their files alone: what a user sees first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from devtools import ROOT

EXAMPLES = sorted((ROOT / "example_workflows").glob("*.json"))

Point: TypeAlias = tuple[float, float]
#: Left, top, right, bottom.
Box: TypeAlias = tuple[float, float, float, float]

# What the editor draws, in the graph's units.
TITLE = 30
SLOT = 20
#: How far a wire continues in its direction before it turns, as a share of its length.
SPLINE = 0.25
SAMPLES = 40

#: The part of a page of 1440 × 900 that no bar of the editor covers.
VIEW: Box = (60, 110, 1440, 900)
#: Nodes 2.0 of 1.32 enlarges a layout by this factor, from its upper left corner.
ENLARGED = 1.2
#: Below this scale the editor leaves the texts of nodes out: 8 px for a font of 14 px.
READABLE = 8 / 14
#: Deprecated in ComfyUI's newest version: the two wires of an ImageBatch now go into a "Batch
#: Images" (`BatchImagesNode`), which 0.3.64 and 0.3.75 do not have. They have no other node that
#: appends images to images. So it is only inside "Join the clips", where newer versions run it too.
WITHOUT_REPLACEMENT = {"ImageBatch"}


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    """An example."""
    path: Path = request.param
    return dict(json.loads(path.read_text("utf-8")))


def box_of(node: dict[str, Any]) -> Box:
    """A node with its title."""
    (x, y), (width, height) = node["pos"], node["size"]
    return (x, y - TITLE, x + width, y + height)


def output_at(node: dict[str, Any], slot: int) -> Point:
    """Where a wire leaves a node."""
    (x, y), (width, _) = node["pos"], node["size"]
    return (x + width, y + (slot + 0.7) * SLOT)


def input_at(node: dict[str, Any], slot: int) -> Point:
    """Where a wire enters a node. Inputs that are widgets are below all others and all outputs."""
    x, y = node["pos"]
    sockets = [each for each in node["inputs"] if "widget" not in each]
    if (target := node["inputs"][slot]) in sockets:
        return (x, y + (sockets.index(target) + 0.7) * SLOT)
    rows = max(len(sockets), len(node["outputs"]))
    widgets = [each for each in node["inputs"] if "widget" in each]
    return (x, y + (rows + 1.5 * widgets.index(target) + 1) * SLOT)


def spline(start: Point, end: Point) -> list[Point]:
    """A wire between two points, as the editor draws it: leaving and arriving horizontally."""
    turn = SPLINE * ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5
    direction = 1 if end[0] >= start[0] else -1
    controls = (start, (start[0] + direction * turn, start[1]),
                (end[0] - direction * turn, end[1]), end)  # fmt: skip
    points = []
    for step in range(SAMPLES + 1):
        t = step / SAMPLES
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        x, y = (sum(w * point[axis] for w, point in zip(weights, controls, strict=True))
                for axis in (0, 1))  # fmt: skip
        points.append((x, y))
    return points


def wires(workflow: dict[str, Any]) -> Iterator[tuple[list[Any], list[Point]]]:
    """Each link with the points of its wire, over its reroutes."""
    nodes = {node["id"]: node for node in workflow["nodes"]}
    extra = workflow["extra"]
    reroutes = {each["id"]: each for each in extra.get("reroutes", [])}
    last = {each["id"]: each["parentId"] for each in extra.get("linkExtensions", [])}
    for link in workflow["links"]:
        number, origin, output, target, slot, _ = link
        corners = [input_at(nodes[target], slot)]
        at = last.get(number)
        while at is not None:
            corners.append(tuple(reroutes[at]["pos"]))
            at = reroutes[at].get("parentId")
        corners.append(output_at(nodes[origin], output))
        points = [point for pair in pairwise(corners[::-1]) for point in spline(*pair)]
        yield link, points


def test_no_wire_runs_behind_a_node(workflow: dict[str, Any]) -> None:
    """Also not behind the two nodes that it connects: without a reroute it goes to the right."""
    for link, points in wires(workflow):
        for node in workflow["nodes"]:
            left, top, right, bottom = box_of(node)
            hidden = [p for p in points if left + 1 < p[0] < right - 1 and top < p[1] < bottom]
            assert hidden == [], (link, node["type"], node.get("title"))


def test_nodes_do_not_overlap(workflow: dict[str, Any]) -> None:
    """No node is above another one."""
    boxes = [box_of(node) for node in workflow["nodes"]]
    for index, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart = other[0] >= right or other[2] <= left or other[1] >= bottom or other[3] <= top
            assert apart, (boxes[index], other)


def test_everything_is_in_view_and_readable(workflow: dict[str, Any]) -> None:
    """On a page of 1440 × 900, with the view of the file, in both renderings."""
    view = workflow["extra"]["ds"]
    scale, offset = view["scale"], view["offset"]
    assert READABLE <= scale <= 1
    boxes = [box_of(node) for node in workflow["nodes"]]
    for axis in (0, 1):
        start = min(box[axis] for box in boxes)
        size = max(box[axis + 2] for box in boxes) - start
        first = (start + offset[axis]) * scale
        assert first >= VIEW[axis]
        assert first + size * ENLARGED * scale <= VIEW[axis + 2]


def test_deprecated_nodes_of_comfyui_are_out_of_sight(workflow: dict[str, Any]) -> None:
    """Nodes that ComfyUI itself has deprecated are not on the canvas."""
    assert WITHOUT_REPLACEMENT.isdisjoint(node["type"] for node in workflow["nodes"])


def test_one_example_is_prepared_for_app_mode() -> None:
    """The first one offers its prompt, ratio and take, and shows its video. They exist."""
    workflow = json.loads(EXAMPLES[0].read_text("utf-8"))
    nodes = {node["id"]: node for node in workflow["nodes"]}
    app = workflow["extra"]["linearData"]
    assert [name for _, name in app["inputs"]] == ["prompt_text", "aspect_ratio", "seed"]
    for number, name in app["inputs"]:
        assert name in [each["name"] for each in nodes[number]["inputs"] if "widget" in each]
    assert [nodes[number]["type"] for number in app["outputs"]] == ["PikaResult"]
