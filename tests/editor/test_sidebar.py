"""The sidebar: it lists the tasks, follows them, searches in them and forgets them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from devtools.comfyui.pages import open_editor, wait_for_video
from simulator import Simulator
from support.browser import leave
from support.comfy import Comfy
from support.editor import (
    assert_no_errors,
    card,
    open_tasks,
    press_on_card,
    worst_contrast,
)
from support.gateway import held_tasks
from support.graphs import text_to_video
from support.routes import (
    add_failed_tasks,
    add_task_of_another_gateway,
    empty_journal,
    forget_all_tasks,
    get,
)
from support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

#: The number of the task whose card has the focus; 0 if none has.
FOCUSED = """() => Number(document.activeElement.closest('.pika-card')?.dataset.number ?? 0)"""


#: Type and first value of the selected node.
SELECTED = """() => Object.values(window.app.canvas.selected_nodes)
  .map((node) => node.type + ': ' + node.widgets[0].value).join()"""
#: How many workflows are open.
TABS = "() => window.app.extensionManager.workflow.openWorkflows.length"


@pytest.fixture(autouse=True)
def _no_tasks(keyless: Comfy) -> None:
    """Each test sees its own tasks only."""
    forget_all_tasks(keyless)


def test_without_tasks_and_key_it_leads_to_both(editor: Page) -> None:
    """Without a task and a key the sidebar offers the templates and the settings. If the tasks
    cannot be read, it says why, and "Try again" reads them."""
    tasks = "**/pika/tasks?*"
    editor.route(tasks, lambda route: route.fulfill(status=503, json={"error": "Broken."}))
    sidebar = open_tasks(editor)
    sidebar.get_by_text("Broken.").wait_for()
    editor.unroute(tasks)
    sidebar.get_by_role("button", name="Try again").click()
    sidebar.get_by_text("Welcome to Pika").wait_for()
    assert sidebar.get_by_role("button", name="Browse templates").is_visible()
    sidebar.get_by_role("button", name="Set the API key").click()
    editor.locator(".pika-field").first.wait_for()


def test_task_is_followed_until_it_is_saved_and_can_be_used(
    keyed: Comfy, gateway: Simulator, editor: Page, page_errors: PageErrors
) -> None:
    """Without a reload a queued task appears, runs and is saved. Its file plays, its id is copied,
    its request is shown, and a Pika Result for it is added to the graph and selected."""
    page = editor
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sidebar = open_tasks(page)
    sidebar.get_by_text("No tasks yet").wait_for()
    quince = card(page, "A quince in the rain")
    with held_tasks(gateway) as tasks:
        keyed.queue(text_to_video("A quince in the rain"))
        (task_id,) = tasks.running()
        quince.get_by_text("Running").wait_for()
        assert quince.get_by_role("progressbar").is_visible()
    quince.get_by_text("Saved").wait_for()
    assert quince.get_by_role("progressbar").is_hidden()
    quince.locator(".thumbnail img").wait_for()
    quince.get_by_role("button", name="Open").click()
    assert task_id in wait_for_video(page)
    dialog = page.locator("dialog")
    tab = dialog.get_by_role("link", name="Open in a new tab")
    assert task_id in (tab.get_attribute("href") or "")
    assert dialog.get_by_role("link", name="Download").get_attribute("download")
    dialog.get_by_text(re.compile(r"^[\d.]+ s · \d+ × \d+ · [\d.]+ (B|kB|MB)$")).wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    press_on_card(page, "A quince in the rain", "Copy id")
    until(lambda: page.evaluate("navigator.clipboard.readText()") == task_id, what="the copy")
    press_on_card(page, "A quince in the rain", "Show request")
    assert '"promptText": "A quince in the rain"' in dialog.locator("pre").inner_text()
    dialog.get_by_role("button", name="Close").click()
    press_on_card(page, "A quince in the rain", "Add a Pika Result to the workflow")
    added = page.evaluate(
        """() => Object.values(window.app.canvas.selected_nodes)
          .map((node) => [node.type, node.widgets[0].value])"""
    )
    assert added == [["PikaResult", task_id]]
    press_on_card(page, "A quince in the rain", "Use these settings again")
    page.wait_for_function(f"() => ({SELECTED})().startsWith('PikaGenerate')")
    assert page.evaluate(SELECTED).endswith("A quince in the rain")
    assert quince.get_by_text("Take ").is_visible()
    tabs = page.evaluate(TABS)
    press_on_card(page, "A quince in the rain", "Load its workflow")
    page.get_by_text("The workflow could not be loaded").wait_for()  # it came from a script
    assert page.evaluate(TABS) == tabs
    assert tasks.ids == [task_id]
    assert_no_errors(page_errors)


def test_workflow_of_a_task_opens_in_a_tab_of_its_own(keyed: Comfy, editor: Page) -> None:
    """The workflow that the editor sent with the prompt is opened. The one that was open stays
    open, with a node that was not saved."""
    page = editor
    workflow = {
        "version": 0.4, "last_node_id": 1, "last_link_id": 0, "groups": [], "config": {},
        "extra": {}, "links": [],
        "nodes": [{
            "id": 1, "type": "PikaStatus", "pos": [100, 100], "size": [300, 100], "flags": {},
            "order": 0, "mode": 0, "inputs": [], "outputs": [], "properties": {},
            "widgets_values": ["from-the-workflow"],
        }],
    }  # fmt: skip
    body = {
        "prompt": text_to_video("A workflow in a tab"),
        "extra_data": {"extra_pnginfo": {"workflow": workflow}},
    }
    answer = keyed.request("POST", "/prompt", json=body).json()
    assert keyed.wait(answer["prompt_id"]).error is None
    open_tasks(page)
    card(page, "A workflow in a tab").wait_for()
    page.evaluate("() => window.app.graph.add(window.LiteGraph.createNode('PikaCamera'))")
    before = page.evaluate(TABS)
    press_on_card(page, "A workflow in a tab", "Load its workflow")
    page.wait_for_function("() => window.app.graph.nodes[0]?.type === 'PikaStatus'")
    assert page.evaluate(TABS) == before + 1
    values = "() => window.app.graph.nodes.map((node) => node.widgets[0].value)"
    assert page.evaluate(values) == ["from-the-workflow"]


def test_prompt_is_shown_as_text_and_forget_asks_first(
    keyed: Comfy, gateway: Simulator, editor: Page
) -> None:
    """A prompt is shown as text, even if it contains HTML. A failed task shows its error, and a
    task of another gateway why it is not updated. "Forget" explains itself and can be cancelled;
    a forgotten task is removed from the page's list and from the server's."""
    hostile = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script> pear"
    gateway.fault("task", error="Moderation: <b>no pears</b>")
    assert keyed.run(text_to_video(hostile)).error is not None
    add_task_of_another_gateway(keyed, "A plum from elsewhere")
    page = editor
    open_tasks(page)
    pear = card(page, "pear")
    pear.wait_for()
    assert hostile in pear.inner_text()
    assert "<b>no pears</b>" in pear.inner_text()
    pear.get_by_role("button", name="Details").click()
    assert "<b>no pears</b>" in page.locator("dialog").inner_text()
    page.keyboard.press("Escape")
    for answer, count in (("Cancel", 1), ("Forget", 0)):
        press_on_card(page, "pear", "Forget")
        dialog = page.get_by_role("dialog", name="Forget this task?")
        assert "charged again" in dialog.inner_text()
        assert hostile in dialog.inner_text()
        dialog.get_by_role("button", name=answer).click()
        dialog.wait_for(state="detached")
        until(lambda count=count: pear.count() == count, what="the list without the task")
    listed = get(keyed, "tasks?limit=500")["tasks"]
    assert not [task for task in listed if "pear" in task["prompt"]]
    assert page.evaluate("() => window.hacked") is None
    card(page, "plum").get_by_text("another base URL").wait_for()


def wait_for_focus(field: Locator) -> None:
    """Wait until the element has the focus."""
    script = "(element) => element === document.activeElement"
    until(lambda: field.evaluate(script), what="the focus")


def test_unknown_request_gets_its_task_id_and_the_workflow_uses_the_task(
    keyed: Comfy, gateway: Simulator, editor: Page, page_errors: PageErrors
) -> None:
    """By keyboard. A wrong id is an error in the dialog and changes nothing. With the right one the
    card becomes the task's, a toast says what follows, and the same workflow, queued again, sends
    no second POST."""
    page = editor
    graph = text_to_video("A medlar in the fog")
    gateway.fault("submit", reset=True, accept=True)
    assert keyed.run(graph).error is not None
    (request,) = get(keyed, "tasks?limit=500")["tasks"]
    task_id, posts = gateway.charged[-1], len(gateway.requests("POST"))
    open_tasks(page)
    medlar = card(page, "A medlar in the fog")
    medlar.get_by_text("Unknown").wait_for()
    medlar.get_by_role("button", name="Details").click()
    page.locator("dialog").get_by_role("button", name="Enter its task id").press("Enter")
    dialog = page.get_by_role("dialog", name="Enter the task id")
    field = dialog.get_by_role("textbox", name="Task id")
    wait_for_focus(field)
    assert "A medlar in the fog" in dialog.inner_text()
    page.keyboard.type("<i>mistyped")
    page.keyboard.press("Enter")
    dialog.get_by_text("This is not a task id").wait_for()
    wait_for_focus(field)
    field.fill("mistyped")
    page.keyboard.press("Enter")
    dialog.get_by_text("The gateway does not know task mistyped").wait_for()
    assert field.get_attribute("aria-invalid") == "true"
    ratio, text = worst_contrast(page, "dialog:last-of-type")
    assert ratio >= 4.5, text
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    page.locator("dialog").get_by_role("button", name="Enter its task id").wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    assert get(keyed, "tasks?limit=500")["tasks"] == [request]
    medlar.get_by_role("button", name="Enter its task id").press("Enter")
    wait_for_focus(field)
    field.fill(f" {task_id} ")
    page.keyboard.press("Enter")
    dialog.wait_for(state="detached")
    page.get_by_text(f"The same workflow now uses task {task_id}").wait_for()
    medlar.get_by_text("Unknown").wait_for(state="detached")
    assert medlar.get_by_role("button", name="Copy id").is_visible()
    assert medlar.get_by_role("button", name="Enter its task id").is_hidden()
    assert page.evaluate(FOCUSED) == request["number"]
    assert keyed.run(graph).error is None
    medlar.get_by_text("Saved").wait_for()
    assert len(gateway.requests("POST")) == posts
    (task,) = get(keyed, "tasks?limit=500")["tasks"]
    assert (task["number"], task["task_id"]) == (request["number"], task_id)
    # The browser itself writes the two refused ids to its console.
    assert page_errors.uncaught == []


@pytest.fixture
def many(keyed: Comfy, page: Page) -> Iterator[tuple[int, int]]:
    """2,000 tasks, and the editor open; the numbers of the oldest and the newest."""
    numbers = add_failed_tasks(keyed, 2000)
    open_editor(page, keyed.url)
    yield numbers
    leave(page)  # it would not notice that the tasks are removed
    empty_journal(keyed)


def test_two_thousand_tasks_are_used_by_keyboard(many: tuple[int, int], page: Page) -> None:
    """Of 2,000 tasks only the visible ones are in the page. Arrow keys, Page Down, Home and End
    reach all of them, a search finds one. Enter opens it, Escape closes it and restores the focus,
    Tab reaches its buttons. Delete does not delete a node of the graph."""
    oldest, newest = many
    sidebar = open_tasks(page)
    until(lambda: sidebar.locator(".pika-count").inner_text() == "2000", what="the list")
    assert sidebar.locator(".pika-card").count() < 40
    page.evaluate("() => window.app.canvas.selectItems?.()")
    nodes = page.evaluate("() => window.app.graph.nodes.length")
    search = sidebar.get_by_role("searchbox")
    search.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate(FOCUSED) == newest
    for key in ("ArrowDown", "PageDown", "PageDown", "ArrowUp"):
        page.keyboard.press(key)
    assert page.evaluate(FOCUSED) < newest - 2
    page.keyboard.press("Delete")
    assert page.evaluate("() => window.app.graph.nodes.length") == nodes
    page.keyboard.press("End")
    assert page.evaluate(FOCUSED) == oldest
    assert sidebar.locator(".pika-card").count() < 40
    page.keyboard.press("Home")
    assert page.evaluate(FOCUSED) == newest
    search.fill("number 1234 failed")
    until(lambda: sidebar.locator(".pika-card").count() == 1, what="the one card of the search")
    search.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator("dialog").get_by_text("Failed", exact=True).wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    assert "Prompt number 1234" in (
        page.evaluate("() => document.activeElement.closest('.pika-card')?.textContent") or ""
    )
    for _ in range(7):
        page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.ariaLabel") == "Forget"
