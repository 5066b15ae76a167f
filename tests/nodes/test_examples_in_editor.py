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
    assert page.evaluate(POSTERS) == 0
    assert page.evaluate("() => window.app.lastNodeErrors ?? null") in (None, {})
    assert page_errors.about("pika") == []


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
