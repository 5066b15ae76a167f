"""The example workflows and blueprints in the real editor: opened, queued, looked at."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest

from devtools import ROOT
from devtools.comfyui.pages import (
    EXAMPLES,
    complaints,
    examples,
    open_editor,
    open_workflow,
    run_workflow,
    wait_for_videos,
)
from devtools.demo import PICTURE
from simulator import Simulator
from support.comfy import Comfy
from support.graphs import text_to_video

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]


@dataclass(frozen=True)
class Ending:
    """What an example promises: tasks paid for, and videos, pictures and texts on its nodes."""

    tasks: int = 1
    videos: int = 1
    pictures: int = 0
    texts: tuple[str, ...] = ()


ENDINGS = {
    "pika_text_to_video": Ending(),
    "pika_image_to_video": Ending(),
    "pika_pikaffect": Ending(),
    "pika_extend_and_join": Ending(tasks=3, videos=3),
    # A node shows the first video of a list; the others are files beside it.
    "pika_prompt_list": Ending(tasks=3),
    "pika_still_image": Ending(videos=0, pictures=2),
    "pika_status": Ending(videos=0, texts=("Status", "Complete response")),
    "pika_earlier_task": Ending(tasks=0),
}

BLUEPRINTS = sorted(path.stem for path in (ROOT / "subgraphs").glob("*.json"))

#: Whether so many nodes show a picture, and so none a poster of a run that is over.
PICTURES = """(count) => window.app.graph.nodes.filter((node) =>
  ['PikaResult', 'PreviewImage'].includes(node.comfyClass) && node.imgs?.length
).length === count"""
#: The text that a node with this title shows.
TEXT = """(title) => window.app.graph.nodes.find((node) => node.title === title)
  .widgets.map((widget) => widget.value).join(' ')"""
#: What Enter would take of the editor's search, in older editors and in newer ones.
CHOSEN = ".p-autocomplete-option.p-focus, [role=option][aria-selected=true]"
EMPTY = """() => window.app.loadGraphData({ version: 0.4, nodes: [], links: [], groups: [],
  last_node_id: 0, last_link_id: 0, config: {}, extra: {} })"""
#: Enters values into the one node that is there; gives the names of all that it has.
FILL = """(values) => {
  const { widgets } = window.app.graph.nodes[0]
  for (const [name, value] of Object.entries(values))
    widgets.find((widget) => widget.name === name).value = value
  return widgets.map((widget) => widget.name)
}"""
#: Connects that node's video to Save Video, and a picture to it.
CONNECT = """(withImage) => {
  const { graph } = window.app, [node] = graph.nodes
  const add = (type, widget, value) => {
    const made = window.LiteGraph.createNode(type)
    graph.add(made)
    made.widgets.find(({ name }) => name === widget).value = value
    return made
  }
  node.connect(0, add('SaveVideo', 'filename_prefix', 'blueprint'), 0)
  if (withImage) add('LoadImage', 'image', 'pika_example.jpg').connect(0, node, 0)
}"""
SELECT = """(title) => window.app.canvas.selectNodes(
  window.app.graph.nodes.filter((node) => node.title === title))"""


@pytest.fixture
def inputs(comfy: Comfy) -> None:
    """The examples' picture, where LoadImage finds it."""
    shutil.copy(PICTURE, comfy.base_dir / "input")


@pytest.fixture(scope="module")
def editor_errors() -> PageErrors:
    """What went wrong on `editor` so far."""
    from support.browser import PageErrors

    return PageErrors()


@pytest.fixture(scope="module")
def editor(chromium: Browser, comfy: Comfy, editor_errors: PageErrors) -> Iterator[Page]:
    """The editor, opened once for all examples: that is what takes long."""
    context = chromium.new_context(locale="en-US", service_workers="block")
    page = context.new_page()
    editor_errors.observer(page)
    open_editor(page, comfy.url)
    yield page
    context.close()


def result(comfy: Comfy, task_id: str) -> Path:
    """The video of a task, in the output folder."""
    return comfy.base_dir / "output" / "pika" / f"pika_{task_id}.mp4"


def frames(path: Path) -> int:
    """How many frames a video has."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("example", examples(), ids=lambda path: path.stem)
def test_example_ends_as_it_promises(
    comfy: Comfy, gateway: Simulator, editor: Page, editor_errors: PageErrors, example: Path
) -> None:
    """An example opens without a missing node, runs at the press of Run, makes the tasks that it
    says, and shows their videos, pictures and texts on its nodes; the editor has no complaint, and
    its console no error of ours."""
    ending = ENDINGS[example.stem]
    if not ending.tasks:
        assert comfy.run(text_to_video("An earlier quince")).error is None
    before = len(gateway.charged)
    open_workflow(editor, example)
    assert run_workflow(editor) == "execution_success"
    assert len(gateway.charged) == before + ending.tasks
    newest = gateway.charged[-max(ending.tasks, 1) :]
    addresses = wait_for_videos(editor, ending.videos)
    assert len(addresses) == ending.videos
    assert all(any(task_id in address for task_id in newest) for address in addresses)
    if ending.videos:
        assert all(frames(result(comfy, task_id)) for task_id in newest)
    editor.wait_for_function(PICTURES, arg=ending.pictures)
    for title in ending.texts:
        shown = editor.evaluate(TEXT, title)
        assert any(word in shown for word in ("queued", "pending", "finished"))
    assert complaints(editor) == []
    assert editor_errors.about("extensions/comfyui-pika") == []


def test_the_extended_clips_can_be_joined(comfy: Comfy, gateway: Simulator, editor: Page) -> None:
    """Each extended clip goes on from the one before; once switched on, the last node joins them
    to one film, of all their frames, without another charge."""
    workflow = open_workflow(editor, EXAMPLES / "pika_extend_and_join.json")
    assert run_workflow(editor) == "execution_success"
    by_prompt = {task.body["promptText"]: task for task in gateway.tasks.values()}
    nodes = [node for node in workflow["nodes"] if node["type"] == "PikaGenerate"]
    made = [by_prompt[node["widgets_values"][0]] for node in nodes]
    assert [task.body["options"]["extend"] for task in made] == [False, True, True]
    assert ["video" in task.body for task in made] == [False, True, True]
    clips = [frames(result(comfy, task.id)) for task in made]
    assert clips == [clips[0], 2 * clips[0], 3 * clips[0]]

    before = len(gateway.charged)
    editor.evaluate(SELECT, "Save the joined video")
    editor.locator("#graph-canvas").focus()
    editor.keyboard.press("Control+m")
    assert run_workflow(editor) == "execution_success"
    wait_for_videos(editor, 4)
    (film,) = (comfy.base_dir / "output" / "pika").glob("film_*.mp4")
    assert frames(film) == sum(clips)
    assert len(gateway.charged) == before


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("blueprint", BLUEPRINTS)
def test_blueprint_makes_a_video(
    comfy: Comfy, gateway: Simulator, editor: Page, editor_errors: PageErrors, blueprint: str
) -> None:
    """A blueprint is found by the editor's search and is one node with the inputs that matter;
    what is entered there is sent, and its video is what comes out."""
    prompt = f"A swan, by {blueprint}"
    editor.evaluate(EMPTY)
    editor.locator("#graph-canvas").dblclick(position={"x": 500, "y": 250})
    search = editor.locator("input[role=combobox]").last
    search.fill(blueprint)
    editor.locator(CHOSEN, has_text=blueprint).wait_for()
    search.press("Enter")
    editor.wait_for_function("() => window.app.graph.nodes.length === 1")
    typed = {"prompt_text": prompt, "motion": 3, "aspect_ratio": "1:1", "seed": 5}
    widgets = editor.evaluate(FILL, typed)
    with_image = blueprint.startswith("Image")
    assert widgets == [
        *("prompt_text", "negative_prompt", "pikaffect", "aspect_ratio"),
        *("frame_rate", "guidance_scale", "motion", "seed"),
    ]
    editor.evaluate(CONNECT, with_image)
    before = len(gateway.charged)
    assert run_workflow(editor) == "execution_success"
    (task_id,) = gateway.charged[before:]
    body = gateway.tasks[task_id].body
    assert body["promptText"] == prompt
    assert body["options"]["aspectRatio"] == 1.0
    assert body["options"]["parameters"]["motion"] == 3
    assert ("image" in body) == with_image
    assert frames(result(comfy, task_id))
    (address,) = wait_for_videos(editor, 1)
    assert "blueprint_" in address
    assert complaints(editor) == []
    assert editor_errors.about("extensions/comfyui-pika") == []


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
