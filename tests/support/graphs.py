"""Graphs in ComfyUI's API format, and the results of their runs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.comfy import Comfy, Graph, Rejected, Run

PROBES = Path(__file__).parent / "probe_pack"

#: The ids of ComfyUI's own former Pika nodes, which the pack has where ComfyUI has them no longer.
FORMER = {
    "PikaImageToVideoNode2_2",
    "PikaTextToVideoNode2_2",
    "PikaScenesV2_2",
    "Pikadditions",
    "Pikaffects",
    "PikaStartEndFrameNode2_2",
    "Pikaswaps",
}

_takes = itertools.count(1)


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    """One node."""
    return {"class_type": class_type, "inputs": inputs}


def generate(prompt: str = "Apple evaporates", **inputs: Any) -> dict[str, Any]:
    """A PikaGenerate with a seed that no other has: the tests on one journal share no task."""
    required = {"pikaffect": "none", "model": "1.5", "seed": next(_takes)}
    return node("PikaGenerate", prompt_text=prompt, **{**required, **inputs})


def parameters(**inputs: Any) -> dict[str, Any]:
    """A PikaParameters with the schema's defaults."""
    defaults = {"guidance_scale": 12, "motion": 1, "negative_prompt": ""}
    return node("PikaParameters", **{**defaults, **inputs})


def camera(**inputs: Any) -> dict[str, Any]:
    """A PikaCamera with the schema's defaults."""
    return node(
        "PikaCamera", **{**dict.fromkeys(("zoom", "pan", "tilt", "rotate"), "none"), **inputs}
    )


def options(**inputs: Any) -> dict[str, Any]:
    """A PikaOptions with the schema's defaults."""
    defaults = {
        "aspect_ratio": "16:9",
        "custom_aspect_ratio": 1.0,
        "frame_rate": 24,
        "extend": False,
    }
    return node("PikaOptions", **{**defaults, **inputs})


def image(**inputs: Any) -> dict[str, Any]:
    """An image of the probe pack."""
    defaults = {"width": 64, "height": 48, "channels": 3, "batch": 1, "flaw": ""}
    return node("ProbeImage", **{**defaults, **inputs})


def video(source: str = "frames", **inputs: Any) -> dict[str, Any]:
    """A video of the probe pack: «frames», or «codec.ending»."""
    return node("ProbeVideo", source=source, **{"width": 64, "height": 48, **inputs})


def text_to_video(prompt: str = "Apple evaporates", **inputs: Any) -> Graph:
    """PikaGenerate "1" → PikaResult "2"."""
    return {"1": generate(prompt, **inputs), "2": node("PikaResult", task_id=["1", 0])}


def sink_inputs(run: Run, node_id: str) -> list[Mapping[str, Any]]:
    """The inputs that a ProbeSink got, one mapping for each item."""
    return [json.loads(text) for text in run.outputs[node_id]["inputs"]]


def error_of(comfy: Comfy, graph: Graph) -> str:
    """The error of a graph, whether ComfyUI rejects it or a node raises it."""
    try:
        run = comfy.run(graph)
    except Rejected as rejected:
        return "\n".join(rejected.texts())
    assert run.error is not None, f"there was no error: {run.outputs}"
    return run.error.message
