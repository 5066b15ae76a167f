"""The nodes' interface stands in people's saved workflows: it may grow at its end, no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.comfy import Comfy

pytestmark = pytest.mark.comfy

FROZEN = Path(__file__).parent / "contract.json"
ROOT = Path(__file__).parents[2]


def interface(info: dict[str, Any]) -> dict[str, Any]:
    """What a saved workflow depends on, of one node."""

    def inputs(group: str) -> list[dict[str, Any]]:
        found = []
        for name in info["input_order"].get(group, []):
            kind, given = info["input"][group][name]
            keep = (
                "default",
                "min",
                "max",
                "step",
                "options",
                "multiline",
                "control_after_generate",
            )
            found.append(
                {"name": name, "type": kind, **{key: given[key] for key in keep if key in given}}
            )
        return found

    return {
        "required": inputs("required"),
        "optional": inputs("optional"),
        "outputs": list(zip(info["output_name"], info["output"], strict=True)),
        "output_is_list": info["output_is_list"],
        "output_node": info["output_node"],
        "category": info["category"],
    }


def test_interface_is_frozen(comfy: Comfy) -> None:
    """Ids, inputs, order, defaults and outputs are those in contract.json, which a release may
    only add to."""
    ours = {
        name: interface(info)
        for name, info in comfy.object_info().items()
        if info["category"] == "Pika"
    }
    frozen = json.loads(FROZEN.read_text("utf-8"))
    assert json.loads(json.dumps(ours)) == frozen


def test_everything_is_explained(comfy: Comfy) -> None:
    """Every node has a description, every input and output a tooltip, every node a name."""
    for name in json.loads(FROZEN.read_text("utf-8")):
        info = comfy.object_info(name)
        assert info["display_name"] != name
        assert info["description"]
        for group in ("required", "optional"):
            for given, (_kind, details) in info["input"].get(group, {}).items():
                assert details.get("tooltip"), f"{name}.{given}"
        assert all(info["output_tooltips"]), name


def test_no_node_is_behind_a_sign_in(comfy: Comfy) -> None:
    """No node is an «API node»: that puts the user behind Comfy's own sign-in and credits."""
    for name in json.loads(FROZEN.read_text("utf-8")):
        assert comfy.object_info(name)["api_node"] is False


def test_no_widget_takes_a_secret(comfy: Comfy) -> None:
    """No input is a key, a token or a base URL: widgets are saved in workflows and pictures."""
    for name in json.loads(FROZEN.read_text("utf-8")):
        info = comfy.object_info(name)["input"]
        names = {given for group in info.values() for given in group}
        assert not [
            given for given in names if "key" in given or "token" in given or "base" in given
        ]


def test_the_pack_loads_without_a_word(comfy: Comfy) -> None:
    """ComfyUI imports the pack without an error or a warning about it."""
    about = [line for line in comfy.log_text().splitlines() if "Pika" in line]
    assert any("seconds:" in line for line in about)
    assert [line for line in about if "Cannot import" in line or "FAILED" in line] == []
