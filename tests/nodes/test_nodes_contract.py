"""The nodes' interface, which saved workflows depend on: it may only be extended at its end."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.comfy import Comfy

pytestmark = pytest.mark.comfy

CONTRACT = Path(__file__).parent / "contract.json"
ROOT = Path(__file__).parents[2]


def interface(info: dict[str, Any]) -> dict[str, Any]:
    """The part of a node's schema that a saved workflow depends on."""

    def inputs(group: str) -> list[dict[str, Any]]:
        described = []
        for name in info["input_order"].get(group, []):
            kind, details = info["input"][group][name]
            keys = (
                "default",
                "min",
                "max",
                "step",
                "options",
                "multiline",
                "control_after_generate",
            )
            fixed = {key: details[key] for key in keys if key in details}
            described.append({"name": name, "type": kind, **fixed})
        return described

    return {
        "required": inputs("required"),
        "optional": inputs("optional"),
        "outputs": list(zip(info["output_name"], info["output"], strict=True)),
        "output_is_list": info["output_is_list"],
        "output_node": info["output_node"],
        "category": info["category"],
    }


def test_interface_equals_the_contract(comfy: Comfy) -> None:
    """Ids, inputs, order, defaults and outputs are those of contract.json. A release may only add
    to that file."""
    interfaces = {
        name: interface(info)
        for name, info in comfy.object_info().items()
        if info["category"] == "Pika"
    }
    assert json.loads(json.dumps(interfaces)) == json.loads(CONTRACT.read_text("utf-8"))


def test_every_node_and_input_has_a_description(comfy: Comfy) -> None:
    """Every node has a name and a description, every input and output a tooltip."""
    for name in json.loads(CONTRACT.read_text("utf-8")):
        info = comfy.object_info(name)
        assert info["display_name"] != name
        assert info["description"]
        for group in ("required", "optional"):
            for input_name, (_kind, details) in info["input"].get(group, {}).items():
                assert details.get("tooltip"), f"{name}.{input_name}"
        assert all(info["output_tooltips"]), name


def test_rarely_used_inputs_are_advanced(comfy: Comfy) -> None:
    """Newer editors hide these inputs until the user asks for them; all others are visible."""
    rare = {
        "PikaGenerate": {"image_url", "video_url", "extra_json", "image_format", "fit"},
        "PikaOptions": {"extra_json"},
        "PikaParameters": {"extra_json"},
        "PikaCamera": {"extra_json"},
    }
    for name in json.loads(CONTRACT.read_text("utf-8")):
        groups = comfy.object_info(name)["input"]
        inputs = {
            key: value
            for group in ("required", "optional")
            for key, value in groups.get(group, {}).items()
        }
        advanced = {key for key, (_kind, details) in inputs.items() if details.get("advanced")}
        assert advanced == rare.get(name, set()), name


def test_words_of_a_newcomer_find_the_node(comfy: Comfy) -> None:
    """A ComfyUI that knows other words for a node has those of Pika Generate; an older one has a
    valid node without them."""
    info = comfy.object_info("PikaGenerate")
    if "search_aliases" in comfy.object_info("PreviewAny"):
        assert {"text to video", "image to video", "pikaffect"} <= set(info["search_aliases"])
    else:
        assert "search_aliases" not in info


def test_no_node_is_an_api_node(comfy: Comfy) -> None:
    """An «API node» would require Comfy's own sign-in and credits."""
    for name in json.loads(CONTRACT.read_text("utf-8")):
        assert comfy.object_info(name)["api_node"] is False


def test_no_widget_takes_a_secret(comfy: Comfy) -> None:
    """No input is a key, a token or a base URL: widgets are saved in workflows and images."""
    for name in json.loads(CONTRACT.read_text("utf-8")):
        info = comfy.object_info(name)["input"]
        names = {name for group in info.values() for name in group}
        assert not [name for name in names if re.search("key|token|base", name)]


def test_pack_loads_without_an_error(comfy: Comfy) -> None:
    """ComfyUI imports the pack, here from a folder with another name, without an error."""
    about = [line for line in comfy.log_text().splitlines() if "pika video 1-0" in line]
    assert any("seconds:" in line for line in about)
    assert [line for line in about if "Cannot import" in line or "FAILED" in line] == []
