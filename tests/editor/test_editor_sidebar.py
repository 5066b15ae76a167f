"""The sidebar's tasks: watched, looked through, forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devtools.comfyui.pages import open_editor, wait_for_video
from simulator import Simulator
from support.comfy import Comfy
from support.editor import (
    act,
    assert_quiet,
    card,
    fill_journal,
    open_tasks,
    wear,
    worst_contrast,
)
from support.graphs import text_to_video
from support.routes import entered_elsewhere
from support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

FOCUSED = """() => Number(document.activeElement.closest('.pika-card')?.dataset.number ?? 0)"""

#: Whether every card's buttons can be seen, below its texts.
BUTTONS_ARE_APART = """() => [...document.querySelectorAll('.pika-card')].every((card) => {
  const actions = card.querySelector('.actions'), { top } = actions.getBoundingClientRect()
  return actions.checkVisibility({ opacityProperty: true })
    && [...card.querySelectorAll('.prompt, .error, .meta')]
      .every((text) => text.getBoundingClientRect().bottom <= top + 1)
})"""


def test_without_a_key_it_says_what_to_do(comfy: Comfy, page: Page) -> None:
    """With no task and no key the sidebar leads to both; where the tasks cannot be read, it says
    why, and «Try again» reads them."""
    page.route(
        "**/pika/tasks?*", lambda route: route.fulfill(status=503, json={"error": "Broken."})
    )
    open_editor(page, comfy.url)
    shown = open_tasks(page)
    shown.get_by_text("Broken.").wait_for()
    page.unroute("**/pika/tasks?*")
    shown.get_by_role("button", name="Try again").click()
    shown.get_by_text("Welcome to Pika").wait_for()
    assert shown.get_by_role("button", name="Browse templates").is_visible()
    shown.get_by_role("button", name="Set the API key").click()
    page.locator(".pika-field").first.wait_for()


def test_a_task_from_start_to_end(
    ready: Comfy, gateway: Simulator, page: Page, page_errors: PageErrors
) -> None:
    """A task shows up once it is queued, moves while the gateway works, and is saved in the end,
    all without a reload; its file plays, its id is copied, its request is shown, and a Pika Result
    for it comes into the graph, selected."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_editor(page, ready.url)
    shown = open_tasks(page)
    shown.get_by_text("No tasks yet").wait_for()
    gateway.fault("task", seconds=4.0)
    ready.queue(text_to_video("A quince in the rain"))
    quince = card(page, "A quince in the rain")
    quince.get_by_text("Running").wait_for()
    assert quince.get_by_role("progressbar").is_visible()
    quince.get_by_text("Saved").wait_for()
    assert quince.get_by_role("progressbar").is_hidden()
    quince.locator(".thumbnail img").wait_for()
    quince.get_by_role("button", name="Open").click()
    address = wait_for_video(page)
    task_id = gateway.charged[-1]
    assert task_id in address
    dialog = page.locator("dialog")
    assert task_id in (dialog.get_by_role("link").get_attribute("href") or "")
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    act(page, "A quince in the rain", "Copy id")
    until(lambda: page.evaluate("navigator.clipboard.readText()") == task_id, what="the copy")
    act(page, "A quince in the rain", "Show request")
    assert '"promptText": "A quince in the rain"' in dialog.locator("pre").inner_text()
    dialog.get_by_role("button", name="Close").click()
    act(page, "A quince in the rain", "Add a Pika Result to the workflow")
    added = page.evaluate(
        """() => Object.values(window.app.canvas.selected_nodes)
          .map((node) => [node.type, node.widgets[0].value])"""
    )
    assert added == [["PikaResult", task_id]]
    assert len(gateway.charged) == 1
    assert_quiet(page_errors)


def test_a_prompt_is_no_markup_and_forgetting_asks_first(
    ready: Comfy, gateway: Simulator, page: Page
) -> None:
    """A prompt is shown as text, whatever is in it; a failed task tells why, and one of another
    gateway why nothing is heard of it; Forget says what it means and can be called off; forgotten,
    the task is gone from the list and from the server's."""
    hostile = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script> pear"
    gateway.fault("task", error="Moderation: <b>no pears</b>")
    assert ready.run(text_to_video(hostile)).error is not None
    entered_elsewhere(ready, "A plum from elsewhere")
    open_editor(page, ready.url)
    open_tasks(page)
    pear = card(page, "pear")
    pear.wait_for()
    assert hostile in pear.inner_text()
    assert "<b>no pears</b>" in pear.inner_text()
    pear.get_by_role("button", name="Details").click()
    assert "<b>no pears</b>" in page.locator("dialog").inner_text()
    page.keyboard.press("Escape")
    for answer, left in (("Cancel", 1), ("Forget", 0)):
        act(page, "pear", "Forget")
        dialog = page.get_by_role("dialog", name="Forget this task?")
        assert "charged again" in dialog.inner_text()
        assert hostile in dialog.inner_text()
        dialog.get_by_role("button", name=answer).click()
        dialog.wait_for(state="detached")
        until(lambda left=left: pear.count() == left, what="forgetting")
    listed = ready.request("GET", "/pika/tasks?limit=500", headers={"X-Pika-Editor": "1"}).json()
    assert not [task for task in listed["tasks"] if "pear" in task["prompt"]]
    assert page.evaluate("() => window.hacked") is None
    card(page, "plum").get_by_text("another base URL").wait_for()


def test_two_thousand_tasks_by_keyboard(ready: Comfy, page: Page) -> None:
    """Of 2,000 tasks only those in sight are in the page; arrows, Home, End and the page keys go
    through all of them; a search finds the one; Enter opens it, Tab comes to its buttons, Escape
    closes, and the focus is where it was; Delete does not reach the graph."""
    fill_journal(ready, 2000)
    open_editor(page, ready.url)
    shown = open_tasks(page)
    until(lambda: int(shown.locator(".pika-count").inner_text() or 0) >= 2000, what="the list")
    assert shown.locator(".pika-card").count() < 40
    page.evaluate("() => window.app.canvas.selectItems?.()")
    nodes = page.evaluate("() => window.app.graph.nodes.length")
    search = shown.get_by_role("searchbox")
    search.focus()
    page.keyboard.press("ArrowDown")
    first = page.evaluate(FOCUSED)
    for key in ("ArrowDown", "PageDown", "PageDown", "ArrowUp"):
        page.keyboard.press(key)
    assert page.evaluate(FOCUSED) < first - 2
    page.keyboard.press("Delete")
    assert page.evaluate("() => window.app.graph.nodes.length") == nodes
    page.keyboard.press("End")
    assert page.evaluate(FOCUSED) == 1
    assert shown.locator(".pika-card").count() < 40
    page.keyboard.press("Home")
    assert page.evaluate(FOCUSED) == first
    search.fill("number 1234 failed")
    until(lambda: shown.locator(".pika-card").count() == 1, what="the search")
    search.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator("dialog").get_by_text("Failed", exact=True).wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    assert "Prompt number 1234" in (
        page.evaluate("() => document.activeElement.closest('.pika-card')?.textContent") or ""
    )
    for _ in range(5):
        page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.ariaLabel") == "Forget"


def test_in_chinese_and_light(ready: Comfy, gateway: Simulator, page: Page) -> None:
    """In Chinese a state is found by its Chinese word, every text of a card can be read in the
    light theme and in the dark one, and a narrow sidebar cuts nothing off; a card's buttons are
    there without a mouse over it, and cover no text."""
    assert ready.run(text_to_video("A medlar, saved")).error is None
    gateway.fault("task", error="Moderation.")
    assert ready.run(text_to_video("A medlar, failed")).error is not None
    try:
        for palette in ("light", "dark"):
            wear(ready, Locale="zh", ColorPalette=palette)
            open_editor(page, ready.url)
            shown = open_tasks(page)
            shown.get_by_text("Pika 任务").wait_for()
            shown.get_by_role("searchbox").fill("已保存")
            card(page, "A medlar, saved").get_by_text("已保存").wait_for()
            shown.get_by_role("searchbox").fill("")
            card(page, "失败").first.hover()
            ratio, text = worst_contrast(page, ".pika-sidebar")
            assert ratio >= 4.5, text
        page.evaluate("() => { document.querySelector('.pika-sidebar').style.width = '250px' }")
        assert page.evaluate(
            """() => [...document.querySelectorAll('.pika-sidebar *')].every((part) =>
              part.getBoundingClientRect().right
                <= document.querySelector('.pika-sidebar').getBoundingClientRect().right + 1)"""
        )
        shown.get_by_role("searchbox").hover()
        assert page.evaluate(BUTTONS_ARE_APART)
    finally:
        wear(ready, Locale="en", ColorPalette="dark")
