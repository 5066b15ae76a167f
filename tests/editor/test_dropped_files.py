"""A saved file that is dropped on the editor restores the workflow that made it."""

from __future__ import annotations

import base64
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devtools.comfyui.pages import EXAMPLES, complaints, open_workflow, run_workflow
from simulator import Simulator
from support.comfy import Comfy
from support.gateway import result_name

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

#: Drops a file on the canvas, as a file manager does.
DROP = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0))
  const transfer = new DataTransfer()
  transfer.items.add(new File([bytes], name, { type }))
  const canvas = document.querySelector('#graph-canvas')
  for (const kind of ['dragenter', 'dragover', 'drop'])
    canvas.dispatchEvent(new DragEvent(kind, {
      dataTransfer: transfer, bubbles: true, cancelable: true, clientX: 400, clientY: 300 }))
}"""
#: Types, titles, widget values and links of the open workflow.
GRAPH = """() => {
  const { nodes, links } = window.app.graph.serialize()
  return {
    nodes: nodes.map((node) => [node.id, node.type, node.title, node.widgets_values]),
    links: links.map((link) => [...link]),
  }
}"""
COUNT = "(count) => window.app.graph.nodes.length === count"
SET = """([type, name, value]) => {
  const node = window.app.graph.nodes.find((each) => each.comfyClass === type)
  node.widgets.find((widget) => widget.name === name).value = value
}"""


def drop(page: Page, path: Path) -> None:
    """Drop a file on the empty canvas."""
    kind, _ = mimetypes.guess_type(path.name)
    page.evaluate(DROP, [path.name, kind, base64.b64encode(path.read_bytes()).decode()])


@pytest.mark.parametrize(
    ("example", "suffix", "prefix"),
    [
        ("01 Text to video", ".mp4", ""),
        ("01 Text to video", ".mp4", "dropped/pear-%PikaGenerate.seed%"),
        ("08 Still image", ".png", ""),
    ],
)
def test_dropped_file_restores_its_workflow(
    keyed: Comfy,
    gateway: Simulator,
    editor: Page,
    page_errors: PageErrors,
    example: str,
    suffix: str,
    prefix: str,
) -> None:
    """Nodes, values and links are the same, and the restored workflow reuses the task."""
    open_workflow(editor, EXAMPLES / f"{example}.json")
    title = 'The "pear" </script> 漢字 }{'
    editor.evaluate("(title) => { window.app.graph.nodes[0].title = title }", title)
    editor.evaluate(SET, ["PikaGenerate", "prompt_text", f"Dropped {example} {prefix} }}{{ é"])
    editor.evaluate(SET, ["PikaResult", "filename_prefix", prefix])
    before = editor.evaluate(GRAPH)
    assert run_workflow(editor) == "execution_success"
    output = keyed.base_dir / "output"
    name = f"pika/{result_name(gateway, gateway.charged[-1], suffix)}"
    path = output / ("dropped/pear-0_00001_.mp4" if prefix else name)
    charged = len(gateway.charged)

    editor.evaluate("() => { window.app.graph.clear() }")
    editor.wait_for_function(COUNT, arg=0)
    drop(editor, path)
    editor.wait_for_function(COUNT, arg=len(before["nodes"]))
    assert editor.evaluate(GRAPH) == before
    assert run_workflow(editor) == "execution_success"
    assert len(gateway.charged) == charged
    assert complaints(editor) == []
    assert page_errors.about("extensions/comfyui-pika") == []
