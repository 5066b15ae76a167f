"""Our nodes in the editor: a run's text and video, the earlier tasks, the examples' picture."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from devtools.comfyui.pages import EXAMPLES, open_editor, open_workflow, press_run, wait_for_video
from simulator import Simulator
from support.comfy import Comfy
from support.editor import assert_quiet, wear
from support.graphs import text_to_video

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

_SHRINK = """(prompt) => {
  for (const node of window.app.graph.nodes) {
    if (node.comfyClass === 'PikaResult') node.setSize([240, 120])
    if (node.comfyClass === 'PikaGenerate')
      node.widgets.find((widget) => widget.name === 'prompt_text').value = prompt
  }
}"""

#: Where Pika Result ends on the page, and where its video does.
_ENDS = """() => {
  const node = window.app.graph.nodes.find((node) => node.comfyClass === 'PikaResult')
  const { scale, offset } = window.app.canvas.ds
  const top = window.app.canvas.canvas.getBoundingClientRect().top
  const video = document.querySelector('video').getBoundingClientRect()
  const drawn = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect()
  const edge = drawn?.bottom ?? (node.pos[1] + node.size[1] + offset[1]) * scale + top
  return [edge, video.bottom]
}"""
#: No picture is left on Pika Result: neither the classic rendering's nor one in the page.
POSTER_IS_GONE = """() => {
  const node = window.app.graph.nodes.find((node) => node.comfyClass === 'PikaResult')
  return !node.imgs?.length && !document.querySelector(`[data-node-id="${node.id}"] img`)
}"""


@pytest.mark.parametrize("nodes_2", [False, True], ids=["classic", "nodes-2"])
def test_a_small_result_holds_its_video(
    ready: Comfy, gateway: Simulator, page: Page, page_errors: PageErrors, nodes_2: bool
) -> None:
    """While the task runs the node tells how far it is; then the video plays within the node, even
    where that was made too small for it, and nothing of the poster is left."""
    wear(ready, VueNodes_Enabled=nodes_2)
    try:
        open_editor(page, ready.url)
        open_workflow(page, EXAMPLES / "pika_text_to_video.json")
        page.evaluate(_SHRINK, f"An apple, Nodes 2.0 {nodes_2}")
        gateway.fault("task", seconds=6.0)
        press_run(page)
        page.get_by_text(re.compile(r"pending \d+ %")).first.wait_for()
        address = wait_for_video(page)
        assert gateway.charged[-1] in address
        page.wait_for_function(POSTER_IS_GONE)
        page.wait_for_function(
            f"() => {{ const [node, video] = ({_ENDS})(); return video <= node + 1 }}"
        )
        assert_quiet(page_errors)
    finally:
        wear(ready, VueNodes_Enabled=False)


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


_PICTURE = """() => window.app.graph.nodes
  .filter((node) => node.comfyClass === 'LoadImage' && node.imgs?.[0]?.naturalWidth)
  .map((node) => node.widgets[0].value)"""


def test_the_picture_comes_along(comfy: Comfy, page: Page, page_errors: PageErrors) -> None:
    """Where the input folder lacks it, opening the example puts it there and shows it; another
    workflow does not; opened again, nothing is uploaded."""
    uploads: list[str] = []
    page.on(
        "request",
        lambda sent: (
            uploads.append(sent.url) if "/upload/" in sent.url and sent.method == "POST" else None
        ),
    )
    kept = comfy.base_dir / "input" / "pika_example.jpg"
    open_editor(page, comfy.url)
    open_workflow(page, EXAMPLES / "pika_text_to_video.json")
    assert not kept.exists()
    for _ in range(2):
        open_workflow(page, EXAMPLES / "pika_image_to_video.json")
        page.wait_for_function(f"() => ({_PICTURE})().length === 1")
        assert page.evaluate(_PICTURE) == ["pika_example.jpg"]
    bundled = EXAMPLES.parent / "web" / "example" / "pika_example.jpg"
    assert kept.read_bytes() == bundled.read_bytes()
    assert len(uploads) == 1
    assert page_errors.about("pika_example") == []
