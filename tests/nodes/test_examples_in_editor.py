"""The example workflows in the real editor: opened, queued and looked at as a person would."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devtools.pages import EXAMPLES, examples, open_editor, open_workflow, press_run, wait_for_video
from simulator import Simulator
from support.comfy import Comfy
from support.graphs import text_to_video

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]


#: How many of our nodes still show the poster of a run that is over.
POSTERS = """() => window.app.graph.nodes.filter(
  (node) => node.comfyClass === 'PikaResult' && node.imgs?.length).length"""


@pytest.fixture
def inputs(comfy: Comfy) -> None:
    """The examples' pictures, where LoadImage finds them."""
    for picture in (EXAMPLES / "input").iterdir():
        shutil.copy(picture, comfy.base_dir / "input")


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("example", examples(), ids=lambda path: path.stem)
def test_example_ends_in_a_video(
    comfy: Comfy, gateway: Simulator, page: Page, page_errors: PageErrors, example: Path
) -> None:
    """An example opens without a missing node, runs at the press of Run, makes one task, and
    its video plays on the node; the editor's console has no error of ours."""
    before = len(gateway.charged)
    open_editor(page, comfy.url)
    open_workflow(page, example)
    press_run(page)
    address = wait_for_video(page)
    assert len(gateway.charged) == before + 1
    assert gateway.charged[-1] in address
    page.wait_for_function(f"() => ({POSTERS})() === 0")
    assert page.evaluate("() => window.app.lastNodeErrors ?? null") in (None, {})
    assert page_errors.about("extensions/comfyui-pika") == []


@pytest.mark.parametrize("example", examples(), ids=lambda path: path.stem)
def test_example_is_a_template(comfy: Comfy, example: Path) -> None:
    """ComfyUI offers each example among its templates, with its picture."""
    offered = comfy.get("/workflow_templates")
    assert example.stem in offered["ComfyUI-Pika"]
    picture = comfy.request("GET", f"/api/workflow_templates/ComfyUI-Pika/{example.stem}.jpg")
    assert picture.status_code == 200
    assert picture.headers["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize("example", examples(), ids=lambda path: path.stem)
def test_example_lets_the_editor_find_the_pack(example: Path) -> None:
    """Our nodes in an example name the pack, so that the editor can offer to install it."""
    nodes = json.loads(example.read_text("utf-8"))["nodes"]
    ours = [node for node in nodes if node["type"].startswith("Pika")]
    assert ours
    assert {node["properties"]["cnr_id"] for node in ours} == {"pika-video"}


def test_a_new_node_keeps_its_seed(comfy: Comfy, page: Page) -> None:
    """A new PikaGenerate's control after generate is «fixed», not ComfyUI's own «randomize»,
    under which queueing again after a crash would pay again; a saved workflow keeps its own."""
    open_editor(page, comfy.url)
    made = page.evaluate(
        """() => {
          const node = window.LiteGraph.createNode('PikaGenerate')
          window.app.graph.add(node)
          const value = () => node.widgets.find((w) => w.name === 'seed').linkedWidgets[0].value
          const fresh = value()
          const saved = node.serialize()
          saved.widgets_values[4] = 'randomize'
          node.configure(saved)
          return [fresh, value()]
        }"""
    )
    assert made == ["fixed", "randomize"]


def test_the_list_of_earlier_tasks(comfy: Comfy, gateway: Simulator, page: Page) -> None:
    """Pika History's button opens the list of tasks, the newest first; a search narrows it; a
    choice goes into task_id; a prompt is shown as text, whatever is in it."""
    for prompt in ("A quince", "<img src=x onerror=alert(1)> pear"):
        assert comfy.run(text_to_video(prompt)).error is None
    quince, pear = gateway.charged[-2:]
    open_editor(page, comfy.url)
    opened = page.evaluate(
        """() => {
          const node = window.LiteGraph.createNode('PikaHistory')
          window.app.graph.add(node)
          window.pikaTestNode = node
          node.widgets.find((widget) => widget.type === 'button').callback()
          return node.serialize().widgets_values.slice(0, 2)
        }"""
    )
    assert opened == ["", "any"]
    dialog = page.locator("dialog.pika-tasks")
    rows = dialog.locator("li button")
    rows.first.wait_for()
    assert pear in rows.first.inner_text()
    assert "<img src=x" in rows.first.inner_text()
    assert dialog.locator("img").count() == 0
    dialog.get_by_role("searchbox").fill("quince saved")
    assert rows.count() >= 1
    assert quince in rows.first.inner_text()
    rows.first.click()
    page.wait_for_function("() => window.pikaTestNode.widgets[0].value !== ''")
    assert page.evaluate("() => window.pikaTestNode.widgets[0].value") == quince
    assert dialog.count() == 0
