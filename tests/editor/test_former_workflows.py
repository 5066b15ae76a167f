"""Workflows with ComfyUI's own former Pika nodes open in an editor of today."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devtools.comfyui.pages import complaints, open_editor, open_workflow
from support.browser import leave
from support.comfy import Comfy, Graph
from support.graphs import FORMER

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

TESTS = Path(__file__).parents[1]
FILES = sorted((TESTS / "former_workflows").glob("*.api.json"))


def former(prompt: Graph) -> dict[str, Any]:
    """The inputs of the former Pika node."""
    (inputs,) = [each["inputs"] for each in prompt.values() if each["class_type"] in FORMER]
    return inputs


def test_every_workflow_opens_unchanged(page: Page, comfy: Comfy) -> None:
    """Each opens without a warning, every widget keeps its value, and the editor makes the
    same prompt of its node as the editor of the time."""
    for file in TESTS.glob("workflows/0.1.0/input/*"):
        shutil.copy(file, comfy.base_dir / "input")
    open_editor(page, comfy.url)
    try:
        assert len(FILES) == 8
        for file in FILES:
            opened = open_workflow(page, file.with_suffix("").with_suffix(".json"))
            assert complaints(page) == [], file.name
            values = page.evaluate(
                "() => window.app.graph.serialize().nodes.map((n) => n.widgets_values)"
            )
            for node, now in zip(opened["nodes"], values, strict=True):
                assert now == node["widgets_values"], (file.name, node["type"])
            prompt = page.evaluate("async () => (await window.app.graphToPrompt()).output")
            assert former(prompt) == former(json.loads(file.read_text("utf-8"))), file.name
    finally:
        leave(page)
