"""What a node says in the real editor, in the user's language."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devtools.comfyui.pages import open_editor
from support.comfy import Comfy

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

ROOT = Path(__file__).parents[2]
LOCALE = "/settings/Comfy.Locale"

#: Makes a node of this type, and tells what it shows.
_SHOWN = """(type) => {
  const node = window.LiteGraph.createNode(type)
  window.app.graph.add(node)
  const told = (slots) => (slots ?? []).map((slot) => [slot.name, slot.localized_name])
  const definition = node.constructor.nodeData
  return {
    title: node.title,
    description: definition.description,
    widgets: (node.widgets ?? []).map((widget) => [widget.name, widget.label]),
    inputs: told(node.inputs),
    outputs: told(node.outputs),
    tooltips: Object.fromEntries(
      Object.entries(definition.inputs).map(([name, input]) => [name, input.tooltip])),
    output_tooltips: definition.outputs.map((output) => output.tooltip),
  }
}"""
_SELECT = """(type) => {
  const node = window.app.graph.nodes.find((one) => one.type === type)
  window.app.canvas.selectNode(node)
}"""


def node_texts(language: str) -> dict[str, Any]:
    """The nodes' texts in a language."""
    file = ROOT / "locales" / language / "nodeDefs.json"
    return dict(json.loads(file.read_text("utf-8")))


@pytest.fixture(params=["en", "zh"])
def language(request: pytest.FixtureRequest, comfy: Comfy) -> Iterator[str]:
    """The editor's language, for one test."""
    comfy.request("POST", LOCALE, json=request.param).raise_for_status()
    yield request.param
    comfy.request("POST", LOCALE, json="en").raise_for_status()


def test_nodes_speak_the_users_language(comfy: Comfy, page: Page, language: str) -> None:
    """Every name, description and tooltip on a node is the one of the user's language, also in
    editors that lose a pack's translations."""
    open_editor(page, comfy.url)
    for node, texts in node_texts(language).items():
        shown = page.evaluate(_SHOWN, node)
        names = {name: text["name"] for name, text in texts["inputs"].items()}
        assert shown["title"] == texts["display_name"]
        assert shown["description"] == texts["description"]
        told = {name: label for name, label in shown["widgets"] + shown["inputs"] if name in names}
        assert told == names
        outputs = list(texts["outputs"].values())
        assert [label for _name, label in shown["outputs"]] == [text["name"] for text in outputs]
        assert shown["output_tooltips"] == [text["tooltip"] for text in outputs]
        tooltips = {name: text["tooltip"] for name, text in texts["inputs"].items()}
        assert shown["tooltips"] == tooltips


def test_help_opens_in_the_users_language(comfy: Comfy, page: Page, language: str) -> None:
    """The help button of a node shows its page, with its headings, lists and code."""
    node = "PikaGenerate"
    open_editor(page, comfy.url)
    page.evaluate(_SHOWN, node)
    page.evaluate(_SELECT, node)
    # Sent and not clicked: what else floats over the canvas may lie over the button.
    page.get_by_test_id("info-button").first.dispatch_event("click")
    text = (ROOT / "web" / "docs" / node / f"{language}.md").read_text("utf-8")
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    shown = page.locator(".node-help-content")
    shown.locator("h2").first.wait_for(timeout=15_000)
    assert shown.locator("h2").all_inner_texts() == headings
    assert shown.locator("li").count() == text.count("\n- ")
    assert shown.locator("pre code").count() == text.count("```") // 2
