"""Pika History's list of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devtools.pages import open_editor
from simulator import Simulator
from support.comfy import Comfy
from support.editor import assert_quiet
from support.graphs import text_to_video

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

_OPEN = """() => {
  const node = window.LiteGraph.createNode('PikaHistory')
  window.app.graph.add(node)
  window.pikaTestNode = node
  node.widgets.find((widget) => widget.type === 'button').callback()
  return node.serialize().widgets_values.slice(0, 2)
}"""


def test_the_list_of_earlier_tasks(
    ready: Comfy, gateway: Simulator, page: Page, page_errors: PageErrors
) -> None:
    """Pika History's button opens the list of tasks, the newest first; a search narrows it; a
    choice goes into task_id; a prompt is shown as text, whatever is in it."""
    for prompt in ("A quince", "<img src=x onerror=alert(1)> pear"):
        assert ready.run(text_to_video(prompt)).error is None
    quince, pear = gateway.charged[-2:]
    open_editor(page, ready.url)
    assert page.evaluate(_OPEN) == ["", "any"]
    dialog = page.get_by_role("dialog", name="Choose a task")
    rows = dialog.locator("li button")
    rows.first.wait_for()
    assert pear in rows.first.inner_text()
    assert "<img src=x" in rows.first.inner_text()
    assert dialog.locator("img").count() == 0
    dialog.get_by_role("searchbox").fill("quince saved")
    assert rows.count() == 1
    assert quince in rows.first.inner_text()
    rows.first.click()
    page.wait_for_function("() => window.pikaTestNode.widgets[0].value !== ''")
    assert page.evaluate("() => window.pikaTestNode.widgets[0].value") == quince
    assert dialog.count() == 0
    assert_quiet(page_errors)
