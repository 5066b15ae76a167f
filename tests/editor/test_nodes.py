"""The nodes in the editor: progress and video of a run, the list of tasks, the example image."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from devtools.comfyui.pages import (
    EXAMPLES,
    open_editor,
    open_workflow,
    press_run,
    run_workflow,
    wait_for_video,
)
from simulator import Simulator
from support.browser import close_dialogs, listening
from support.comfy import Comfy
from support.editor import assert_no_errors, editor_with
from support.gateway import held_tasks
from support.graphs import text_to_video
from support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

_SHRINK = """(prompt) => {
  for (const node of window.app.graph.nodes) {
    if (node.comfyClass === 'PikaResult') node.setSize([240, 120])
    if (node.comfyClass === 'PikaGenerate')
      node.widgets.find((widget) => widget.name === 'prompt_text').value = prompt
  }
}"""

#: The lower edges of Pika Result and of its video on the page.
_ENDS = """() => {
  const node = window.app.graph.nodes.find((node) => node.comfyClass === 'PikaResult')
  const { scale, offset } = window.app.canvas.ds
  const top = window.app.canvas.canvas.getBoundingClientRect().top
  const video = document.querySelector('video').getBoundingClientRect()
  const drawn = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect()
  const edge = drawn?.bottom ?? (node.pos[1] + node.size[1] + offset[1]) * scale + top
  return [edge, video.bottom]
}"""
#: Whether Pika Result shows no thumbnail, neither in the classic rendering nor in Nodes 2.0.
_NO_THUMBNAIL = """() => {
  const node = window.app.graph.nodes.find((node) => node.comfyClass === 'PikaResult')
  return !node.imgs?.length && !document.querySelector(`[data-node-id="${node.id}"] img`)
}"""

_SET_LINES = """(lines) => {
  const node = window.app.graph.nodes.find((node) => node.comfyClass === 'PikaPrompts')
  node.widgets.find((widget) => widget.name === 'prompts').value = lines
}"""

_OPEN_HISTORY = """() => {
  const node = window.LiteGraph.createNode('PikaHistory')
  window.app.graph.add(node)
  window.pikaTestNode = node
  node.widgets.find((widget) => widget.type === 'button').callback()
  return node.serialize().widgets_values.slice(0, 2)
}"""


#: Makes a Pika Generate the only node. The place on the page of its output.
_ADD_GENERATE = """() => {
  const { graph, canvas } = window.app
  graph.clear()
  const node = window.LiteGraph.createNode('PikaGenerate')
  node.pos = [300, 150]
  graph.add(node)
  const { scale, offset } = canvas.ds
  const { left, top } = canvas.canvas.getBoundingClientRect()
  const [x, y] = node.getConnectionPos(false, 0)
  return [(x + offset[0]) * scale + left, (y + offset[1]) * scale + top]
}"""
#: What the editor does with a link that is dropped on the empty canvas.
_ON_LINK_DROP = """(action) =>
  window.app.extensionManager.setting.set('Comfy.LinkRelease.Action', action)"""
#: The nodes with an input that is linked to Pika Generate, and the names of these inputs.
_LINKED = """() => window.app.graph.nodes
  .filter((node) => node.comfyClass !== 'PikaGenerate')
  .map((node) => [
    node.comfyClass,
    node.inputs.filter((each) => each.link !== null).map((each) => each.name),
  ])"""
#: The lines of text that fit into the prompt box.
_LINES = """() => {
  const box = document.querySelector('textarea[placeholder^=Describe]')
  const { fontSize, lineHeight, paddingTop, paddingBottom } = getComputedStyle(box)
  const line = parseFloat(lineHeight) || 1.2 * parseFloat(fontSize)
  return (box.clientHeight - parseFloat(paddingTop) - parseFloat(paddingBottom)) / line
}"""

_PICTURE = """() => window.app.graph.nodes
  .filter((node) => node.comfyClass === 'LoadImage' && node.imgs?.[0]?.naturalWidth)
  .map((node) => node.widgets[0].value)"""


def test_missing_example_image_is_uploaded_once(
    keyless: Comfy, page: Page, page_errors: PageErrors
) -> None:
    """If the input folder lacks the example image, the example that uses it uploads and shows it.
    Another example does not. When it is opened again, nothing is uploaded."""
    uploads: list[str] = []

    def record(request: Request) -> None:
        if "/upload/" in request.url and request.method == "POST":
            uploads.append(request.url)

    image = keyless.base_dir / "input" / "pika_example.jpg"
    image.unlink(missing_ok=True)
    with listening(page, "request", record):
        open_editor(page, keyless.url)  # it reads the list of input files now
        open_workflow(page, EXAMPLES / "01 Text to video.json")
        assert not image.exists()
        for _ in range(2):
            open_workflow(page, EXAMPLES / "02 Image to video.json")
            page.wait_for_function(f"() => ({_PICTURE})().length === 1")
            assert page.evaluate(_PICTURE) == ["pika_example.jpg"]
    bundled = EXAMPLES.parent / "web" / "example" / "pika_example.jpg"
    assert image.read_bytes() == bundled.read_bytes()
    assert len(uploads) == 1
    assert page_errors.about("pika_example") == []


def test_new_node_has_room_for_its_prompt_and_proposes_what_follows(editor: Page) -> None:
    """A new Pika Generate has room for four lines of its prompt. A link from its task_id that is
    dropped on the empty canvas proposes Pika Result and Pika Status first: the search, whose first
    result is connected to it, and the menu."""
    page = editor
    x, y = page.evaluate(_ADD_GENERATE)
    page.get_by_placeholder("Describe the video").wait_for()
    assert page.evaluate(_LINES) >= 4

    def drop(action: str) -> None:
        page.evaluate(_ON_LINK_DROP, action)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 150, y + 250, steps=4)
        page.mouse.up()

    drop("context menu")
    entries = page.locator(".litecontextmenu .litemenu-entry").all_inner_texts()
    proposed = entries[entries.index("Search") + 1 :]
    assert [text for text in proposed if text][:2] == ["PikaResult", "PikaStatus"]
    page.keyboard.press("Escape")
    page.mouse.click(x, y + 500)
    drop("search box")
    found = page.get_by_role("option")
    found.filter(has_text="Pika Status").wait_for()
    names = [text for text in found.all_inner_texts() if text and "STRING" not in text]
    assert "Pika Result" in names[0]
    assert "Pika Status" in names[1]
    found.filter(has_text="Pika Result").first.click()
    page.mouse.click(x + 150, y + 250)  # newer editors: where the new node is put down
    until(lambda: page.evaluate(_LINKED) == [["PikaResult", ["task_id"]]], what="the link")


def test_history_lists_tasks_and_takes_the_chosen_one(
    keyed: Comfy, gateway: Simulator, editor: Page, page_errors: PageErrors
) -> None:
    """Pika History's button opens the list of tasks, the newest first. A search filters it. The
    chosen id becomes task_id. A prompt is shown as text, even if it contains HTML."""
    for prompt in ("A sloe", "<img src=x onerror=alert(1)> pear"):
        assert keyed.run(text_to_video(prompt)).error is None
    sloe, pear = gateway.charged[-2:]
    assert editor.evaluate(_OPEN_HISTORY) == ["", "any"]
    dialog = editor.get_by_role("dialog", name="Choose a task")
    rows = dialog.locator("li button")
    rows.first.wait_for()
    assert pear in rows.first.inner_text()
    assert "<img src=x" in rows.first.inner_text()
    assert dialog.locator("img[src=x]").count() == 0
    picture = rows.first.locator("img")
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    dialog.get_by_role("searchbox").fill("sloe saved")
    until(lambda: rows.count() == 1, what="the one row of the search")
    assert sloe in rows.first.inner_text()
    rows.first.click()
    editor.wait_for_function("() => window.pikaTestNode.widgets[0].value !== ''")
    assert editor.evaluate("() => window.pikaTestNode.widgets[0].value") == sloe
    assert dialog.count() == 0
    assert_no_errors(page_errors)


def test_result_shows_progress_and_then_the_video_within_the_node(
    keyed: Comfy, gateway: Simulator, editor: Page, page_errors: PageErrors
) -> None:
    """While the task runs, the node shows its progress. Then the video plays within the node, even
    if the node was too small for it, and the thumbnail is removed."""
    assert_shows_progress_and_video(editor, gateway, "An apple")
    assert_no_errors(page_errors)


def test_result_shows_progress_and_video_in_nodes_2(
    keyed: Comfy, gateway: Simulator, page: Page, page_errors: PageErrors
) -> None:
    """The same is true for the rendering «Nodes 2.0»."""
    with editor_with(page, keyed, {"VueNodes.Enabled": True}):
        assert_shows_progress_and_video(page, gateway, "An apple in Nodes 2.0")
        assert_no_errors(page_errors)


def test_list_shows_which_clips_are_missing(
    keyed: Comfy, gateway: Simulator, editor: Page, page_errors: PageErrors
) -> None:
    """The example for several clips, with one prompt that is refused at submit and one that fails
    later: both nodes show how many came and which did not. The video of the others plays."""
    open_workflow(editor, EXAMPLES / "05 Several clips at once.json")
    editor.evaluate(_SET_LINES, "Shown knife\nShown pear\nShown forbidden plum\nShown fig")
    words = {"error": {"message": "blocked by moderation"}}
    gateway.fault(on="submit", status=400, body=words, prompt="Shown knife")
    run_workflow(editor)
    close_dialogs(editor)
    address = wait_for_video(editor)
    assert any(task_id in address for task_id in gateway.charged[-3:])
    for summary in (
        "3 of 4 submitted. Refused, skipped: 1: «Shown knife»: HTTP 400",
        "2 of 3 saved. Failed, skipped: 3: «Shown forbidden plum»",
    ):
        text = editor.get_by_text(summary).first
        text.wait_for()
        assert text.is_visible()
    assert "blocked by moderation" in editor.get_by_text("3 of 4 submitted").first.inner_text()
    assert_no_errors(page_errors)


def assert_shows_progress_and_video(page: Page, gateway: Simulator, prompt: str) -> None:
    """Run the example with small nodes, and look at Pika Result before and after the task's end."""
    open_workflow(page, EXAMPLES / "01 Text to video.json")
    page.evaluate(_SHRINK, prompt)
    with held_tasks(gateway) as tasks:
        press_run(page)
        (task_id,) = tasks.running()
        page.get_by_text(re.compile(r"Running \d+ %")).first.wait_for()
    assert task_id in wait_for_video(page)
    page.wait_for_function(_NO_THUMBNAIL)
    page.wait_for_function(
        f"() => {{ const [node, video] = ({_ENDS})(); return video <= node + 1 }}"
    )
