"""The pack in the user's language: nodes and help in both, settings and sidebar in Chinese."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from devtools import ROOT
from devtools.comfyui.pages import EXAMPLES, open_workflow, run_workflow
from simulator import Simulator
from support.browser import close_dialogs, leave, open_empty_editor
from support.comfy import Comfy
from support.editor import card, editor_with, open_settings, open_tasks, worst_contrast
from support.graphs import text_to_video
from support.routes import settings_file

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
_SET_PROMPT = """(prompt) => {
  const node = window.app.graph.nodes.find((node) => node.comfyClass === 'PikaGenerate')
  node.widgets.find((widget) => widget.name === 'prompt_text').value = prompt
}"""
_SELECT = """(type) => {
  const node = window.app.graph.nodes.find((one) => one.type === type)
  window.app.canvas.selectNode(node)
}"""


def node_texts(language: str) -> dict[str, Any]:
    """The nodes' texts in a language."""
    file = ROOT / "locales" / language / "nodeDefs.json"
    return dict(json.loads(file.read_text("utf-8")))


SET_THEME = "(name) => window.app.extensionManager.setting.set('Comfy.ColorPalette', name)"
#: Whether this is the theme of the page.
HAS_THEME = "(name) => document.body.classList.contains('dark-theme') === (name === 'dark')"

#: Whether every card's buttons are visible and below its texts.
BUTTONS_ARE_APART = """() => [...document.querySelectorAll('.pika-card')].every((card) => {
  const actions = card.querySelector('.actions'), { top } = actions.getBoundingClientRect()
  return actions.checkVisibility({ opacityProperty: true })
    && [...card.querySelectorAll('.prompt, .error, .meta')]
      .every((text) => text.getBoundingClientRect().bottom <= top + 1)
})"""

only_chinese = pytest.mark.parametrize("language", ["zh"], indirect=True, scope="module")


@pytest.fixture(scope="module", params=["en", "zh"])
def language(request: pytest.FixtureRequest, unconfigured: Comfy, tab: Page) -> Iterator[str]:
    """A language; the editor is open in it."""
    if request.param == "en":
        open_empty_editor(tab, unconfigured.url)
        yield "en"
        return
    leave(tab)
    with editor_with(tab, unconfigured, {"Locale": request.param, "ColorPalette": "light"}):
        yield request.param


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


def test_messages_of_a_run_are_in_the_users_language(
    keyed: Comfy, gateway: Simulator, tab: Page, language: str
) -> None:
    """The text on the node and the error of a run are in the language of the editor, around the
    gateway's own words."""
    open_workflow(tab, EXAMPLES / "01 Text to video.json")
    tab.evaluate(_SET_PROMPT, f"A forbidden pear in {language}")
    message = run_workflow(tab)
    close_dialogs(tab)
    assert "rejected by the content moderation" in message
    submitted, next_step = {
        "en": ("task ", "Nothing is sent again automatically."),
        "zh": ("任务 ", "不会自动重新发送任何请求。"),
    }[language]
    assert next_step in message
    tab.get_by_text(submitted + gateway.charged[-1]).first.wait_for()


@only_chinese
def test_settings_in_chinese_and_in_the_light_theme(
    keyless: Comfy, tab: Page, language: str
) -> None:
    """In Chinese the page has no English text, and in the light theme every text is readable. If
    the stored settings cannot be used, the page says so and can still correct them."""
    settings_file(keyless).write_text("{not JSON", "utf-8")
    open_empty_editor(tab, keyless.url)
    dialog = open_settings(tab)
    dialog.get_by_text("已保存的设置无法使用").wait_for()
    for text in ("网关", "请求", "接口地址", "测试连接", "并发请求数", "复制诊断信息"):
        assert dialog.get_by_text(text, exact=True).count() >= 1, text
    for text in ("Gateway", "Requests", "Base URL", "API key", "Save"):
        assert dialog.get_by_text(text, exact=True).count() == 0, text
    ratio, text = worst_contrast(tab, ".pika-field")
    assert ratio >= 4.5, text
    dialog.locator(".pika-field").get_by_label("API 密钥").fill("a-new-key-of-some-length")
    dialog.get_by_role("button", name="保存").click()
    dialog.get_by_text("已设置 · 末四位 ngth").wait_for()


@only_chinese
def test_sidebar_in_chinese_in_both_themes_and_narrow(
    keyed: Comfy, gateway: Simulator, tab: Page, language: str
) -> None:
    """In Chinese a search finds a state by its Chinese name. Every text of a card is readable in
    both themes. A narrow sidebar cuts nothing off. A card's buttons are visible without the mouse
    over it and cover no text."""
    assert keyed.run(text_to_video("A medlar, saved")).error is None
    gateway.fault("task", error="Moderation.")
    assert keyed.run(text_to_video("A medlar, failed")).error is not None
    open_empty_editor(tab, keyed.url)
    sidebar = open_tasks(tab)
    sidebar.get_by_text("Pika 任务").wait_for()
    sidebar.get_by_role("searchbox").fill("已保存")
    card(tab, "A medlar, saved").get_by_text("已保存").wait_for()
    sidebar.get_by_role("searchbox").fill("")
    for theme in ("light", "dark"):
        tab.evaluate(SET_THEME, theme)
        tab.wait_for_function(HAS_THEME, arg=theme)
        card(tab, "失败").first.hover()
        ratio, text = worst_contrast(tab, ".pika-sidebar")
        assert ratio >= 4.5, text
    tab.evaluate("() => { document.querySelector('.pika-sidebar').style.width = '250px' }")
    assert tab.evaluate(
        """() => [...document.querySelectorAll('.pika-sidebar *')].every((part) =>
          part.getBoundingClientRect().right
            <= document.querySelector('.pika-sidebar').getBoundingClientRect().right + 1)"""
    )
    sidebar.get_by_role("searchbox").hover()
    assert tab.evaluate(BUTTONS_ARE_APART)
