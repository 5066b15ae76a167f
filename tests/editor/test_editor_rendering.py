"""A run's text and video on the nodes, in the editor's classic rendering and in its new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devtools.pages import EXAMPLES, open_editor, open_workflow, press_run, wait_for_video
from simulator import Simulator
from support.comfy import Comfy
from support.editor import assert_quiet, wear

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
        page.get_by_text("Running").first.wait_for()
        address = wait_for_video(page)
        assert gateway.charged[-1] in address
        page.wait_for_function(POSTER_IS_GONE)
        page.wait_for_function(
            f"() => {{ const [node, video] = ({_ENDS})(); return video <= node + 1 }}"
        )
        assert_quiet(page_errors)
    finally:
        wear(ready, VueNodes_Enabled=False)
