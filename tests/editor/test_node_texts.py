"""The texts of the nodes in the editor, in the user's language."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from devtools import ROOT
from devtools.comfyui.pages import open_editor
from support.comfy import Comfy
from support.editor import editor_settings

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

#: Adds a node of this type; the texts on it.
_ADD_NODE = """(type) => {
  const node = window.LiteGraph.createNode(type)
  window.app.graph.add(node)
  const labels = (slots) => (slots ?? []).map((slot) => [slot.name, slot.localized_name])
  const definition = node.constructor.nodeData
  return {
    title: node.title,
    description: definition.description,
    widgets: (node.widgets ?? []).map((widget) => [widget.name, widget.label]),
    inputs: labels(node.inputs),
    outputs: labels(node.outputs),
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


@pytest.fixture(scope="module", params=["en", "zh"])
def language(request: pytest.FixtureRequest, comfy: Comfy, tab: Page) -> Iterator[str]:
    """A language of the editor, which is open in it."""
    from support.browser import leave

    leave(tab)
    with editor_settings(comfy, {"Locale": request.param}):
        open_editor(tab, comfy.url)
        yield request.param
        leave(tab)


def test_nodes_have_the_texts_of_the_users_language(tab: Page, language: str) -> None:
    """Every name, description and tooltip on a node is in the user's language, also in editors
    that lose a pack's translations."""
    for node, texts in node_texts(language).items():
        on_node = tab.evaluate(_ADD_NODE, node)
        names = {name: text["name"] for name, text in texts["inputs"].items()}
        assert on_node["title"] == texts["display_name"]
        assert on_node["description"] == texts["description"]
        labels = dict(on_node["widgets"] + on_node["inputs"])
        assert {name: label for name, label in labels.items() if name in names} == names
        outputs = list(texts["outputs"].values())
        assert [label for _name, label in on_node["outputs"]] == [text["name"] for text in outputs]
        assert on_node["output_tooltips"] == [text["tooltip"] for text in outputs]
        tooltips = {name: text["tooltip"] for name, text in texts["inputs"].items()}
        assert on_node["tooltips"] == tooltips


def test_help_page_opens_in_the_users_language(tab: Page, language: str) -> None:
    """A node's help button shows its page with all headings, lists and code blocks."""
    node = "PikaGenerate"
    tab.evaluate(_ADD_NODE, node)
    tab.evaluate(_SELECT, node)
    # Dispatched and not clicked: another part of the editor may cover the button.
    tab.get_by_test_id("info-button").first.dispatch_event("click")
    text = (ROOT / "web" / "docs" / node / f"{language}.md").read_text("utf-8")
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    page = tab.locator(".node-help-content")
    page.locator("h2").first.wait_for()
    assert page.locator("h2").all_inner_texts() == headings
    assert page.locator("li").count() == text.count("\n- ")
    assert page.locator("pre code").count() == text.count("```") // 2
