"""The example workflows and blueprints: they open, run, and show their results."""

from __future__ import annotations

import io
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest
from PIL import Image

from devtools import ROOT
from devtools.comfyui.pages import (
    EXAMPLES,
    complaints,
    examples,
    open_workflow,
    run_workflow,
    wait_for_videos,
)
from devtools.demo import PICTURE
from simulator import Simulator
from support.comfy import Comfy
from support.gateway import result_name
from support.graphs import text_to_video

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]


@dataclass(frozen=True)
class Results:
    """What an example ends with: charged tasks, and videos, pictures and texts on its nodes."""

    tasks: int = 1
    videos: int = 1
    pictures: int = 0
    texts: tuple[str, ...] = ()


RESULTS = {
    "01 Text to video": Results(),
    "02 Image to video": Results(),
    "03 Effect on an image": Results(),
    "07 Extend a video": Results(tasks=3, videos=3),
    "06 Go on from the last frame": Results(tasks=2, videos=2),
    # A node shows only the first video of a list.
    "05 Several clips at once": Results(tasks=3),
    "04 Several takes of each prompt": Results(tasks=6, pictures=1),
    "08 Still image": Results(videos=0, pictures=2),
    "09 Status of a task": Results(videos=0, texts=("Status", "Complete response")),
    "10 Earlier task": Results(tasks=0),
}

BLUEPRINTS = sorted(path.stem for path in (ROOT / "subgraphs").glob("*.json"))

#: Whether exactly so many nodes show a picture: thumbnails of running tasks are removed.
PICTURES = """(count) => window.app.graph.nodes.filter((node) =>
  ['PikaResult', 'PreviewImage'].includes(node.comfyClass) && node.imgs?.length
).length === count"""
#: The text that a node with this title shows.
TEXT = """(title) => window.app.graph.nodes.find((node) => node.title === title)
  .widgets.map((widget) => widget.value).join(' ')"""
#: The selected result of the editor's search, in older editors and in newer ones.
SELECTED = ".p-autocomplete-option.p-focus, [role=option][aria-selected=true]"
#: Enters values into the only node's widgets; the names of all its widgets.
FILL = """(values) => {
  const { widgets } = window.app.graph.nodes[0]
  for (const [name, value] of Object.entries(values))
    widgets.find((widget) => widget.name === name).value = value
  return widgets.map((widget) => widget.name)
}"""
#: Connects the node's video to Save Video, and a picture to the node.
CONNECT = """(withImage) => {
  const { graph } = window.app, [node] = graph.nodes
  const add = (type, widget, value) => {
    const added = window.LiteGraph.createNode(type)
    graph.add(added)
    added.widgets.find(({ name }) => name === widget).value = value
    return added
  }
  node.connect(0, add('SaveVideo', 'filename_prefix', 'blueprint'), 0)
  if (withImage) add('LoadImage', 'image', 'pika_example.jpg').connect(0, node, 0)
}"""
SELECT = """(title) => window.app.canvas.selectNodes(
  window.app.graph.nodes.filter((node) => node.title === title))"""


@pytest.fixture
def inputs(keyless: Comfy) -> None:
    """The examples' picture in the input folder."""
    shutil.copy(PICTURE, keyless.base_dir / "input")


def result(comfy: Comfy, gateway: Simulator, task_id: str) -> Path:
    """The video of a task, in the output folder."""
    return comfy.base_dir / "output" / "pika" / result_name(gateway, task_id)


def frames(path: Path) -> int:
    """How many frames a video has."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("example", examples(), ids=lambda path: path.stem)
def test_example_runs_and_shows_its_results(
    keyed: Comfy, gateway: Simulator, editor: Page, page_errors: PageErrors, example: Path
) -> None:
    """An example opens without a missing node, runs, creates as many tasks as it should, and shows
    their videos, pictures and texts on its nodes. The editor shows no warning, and its console has
    no error of the pack."""
    results = RESULTS[example.stem]
    if not results.tasks:
        assert keyed.run(text_to_video("An earlier quince")).error is None
    before = len(gateway.charged)
    open_workflow(editor, example)
    assert run_workflow(editor) == "execution_success"
    assert len(gateway.charged) == before + results.tasks
    newest = gateway.charged[-max(results.tasks, 1) :]
    addresses = wait_for_videos(editor, results.videos)
    assert len(addresses) == results.videos
    assert all(any(task_id in address for task_id in newest) for address in addresses)
    if results.videos:
        assert all(frames(result(keyed, gateway, task_id)) for task_id in newest)
    editor.wait_for_function(PICTURES, arg=results.pictures)
    for title in results.texts:
        text = editor.evaluate(TEXT, title)
        assert any(
            word in text
            for word in ("queued", "pending", "finished", "Queued", "Running", "Finished")
        )
    assert complaints(editor) == []
    assert page_errors.about("extensions/comfyui-pika") == []


def test_extended_clips_are_joined_without_another_charge(
    keyed: Comfy, gateway: Simulator, editor: Page
) -> None:
    """Each extended clip begins with the one before. The last node, once enabled, joins them to one
    film with all their frames."""
    workflow = open_workflow(editor, EXAMPLES / "07 Extend a video.json")
    assert run_workflow(editor) == "execution_success"
    by_prompt = {task.body["promptText"]: task for task in gateway.tasks.values()}
    nodes = [node for node in workflow["nodes"] if node["type"] == "PikaGenerate"]
    tasks = [by_prompt[node["widgets_values"][0]] for node in nodes]
    assert [task.body["options"]["extend"] for task in tasks] == [False, True, True]
    assert ["video" in task.body for task in tasks] == [False, True, True]
    clips = [frames(result(keyed, gateway, task.id)) for task in tasks]
    assert clips == [clips[0], 2 * clips[0], 3 * clips[0]]

    before = len(gateway.charged)
    editor.evaluate(SELECT, "Save the joined video")
    editor.locator("#graph-canvas").focus()
    editor.keyboard.press("Control+m")
    assert run_workflow(editor) == "execution_success"
    wait_for_videos(editor, 4)
    (film,) = (keyed.base_dir / "output" / "pika").glob("film_*.mp4")
    assert frames(film) == sum(clips)
    assert len(gateway.charged) == before


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("blueprint", BLUEPRINTS)
def test_blueprint_is_one_node_and_sends_its_inputs(
    keyed: Comfy, gateway: Simulator, editor: Page, page_errors: PageErrors, blueprint: str
) -> None:
    """The editor's search finds a blueprint. It is one node with the important inputs, their values
    are sent, and its output is the video."""
    prompt = f"A swan, by {blueprint}"
    editor.locator("#graph-canvas").dblclick(position={"x": 500, "y": 250})
    search = editor.locator("input[role=combobox]").last
    search.fill(blueprint)
    editor.locator(SELECTED, has_text=blueprint).wait_for()
    search.press("Enter")
    editor.wait_for_function("() => window.app.graph.nodes.length === 1")
    typed = {"prompt_text": prompt, "motion": 3, "aspect_ratio": "1:1", "seed": 5}
    widgets = editor.evaluate(FILL, typed)
    with_image = blueprint.startswith("Image")
    camera = ("zoom", "pan", "tilt", "rotate") if with_image else ()
    assert widgets == [
        *("prompt_text", "negative_prompt", "pikaffect", "aspect_ratio"),
        *("frame_rate", "guidance_scale", "motion", *camera, "seed"),
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
    assert frames(result(keyed, gateway, task_id))
    addresses = wait_for_videos(editor, 2)
    assert len(addresses) == 2
    assert any("blueprint_" in address for address in addresses)
    assert any(task_id in address for address in addresses)
    assert complaints(editor) == []
    assert page_errors.about("extensions/comfyui-pika") == []


@pytest.mark.parametrize("example", examples(), ids=lambda path: path.stem)
def test_example_is_a_template_with_a_picture(keyless: Comfy, example: Path) -> None:
    """ComfyUI lists each example in its templates and serves its picture, which is square as in the
    gallery. The gallery shows the file's name as the title: words, after a number that sorts the
    simple examples first."""
    assert re.fullmatch(r"\d\d [A-Z][a-z]+( [a-z]+)*", example.stem)
    offered = keyless.get("/workflow_templates")
    assert example.stem in offered["ComfyUI-Pika"]
    picture = keyless.request("GET", f"/api/workflow_templates/ComfyUI-Pika/{example.stem}.jpg")
    assert picture.status_code == 200
    assert picture.headers["Content-Type"] == "image/jpeg"
    with Image.open(io.BytesIO(picture.content)) as frame:
        assert frame.width == frame.height


@pytest.mark.parametrize("example", examples(), ids=lambda path: path.stem)
def test_nodes_of_an_example_name_the_pack(example: Path) -> None:
    """The pack's nodes in an example have its registry name: the editor can offer to install it."""
    nodes = json.loads(example.read_text("utf-8"))["nodes"]
    ours = [node for node in nodes if node["type"].startswith("Pika")]
    assert ours
    assert {node["properties"]["cnr_id"] for node in ours} == {"pika-video"}


def test_seed_of_a_new_node_is_fixed(editor: Page) -> None:
    """A new PikaGenerate's control after generate is «fixed». With ComfyUI's default, «randomize»,
    queueing again after a crash would create and charge another task. A saved workflow keeps its
    own value."""
    controls = editor.evaluate(
        """() => {
          const node = window.LiteGraph.createNode('PikaGenerate')
          window.app.graph.add(node)
          const control = () => node.widgets.find((w) => w.name === 'seed').linkedWidgets[0].value
          const initial = control()
          const saved = node.serialize()
          saved.widgets_values[4] = 'randomize'
          node.configure(saved)
          return [initial, control()]
        }"""
    )
    assert controls == ["fixed", "randomize"]


def test_first_seed_has_no_control_that_changes_it(editor: Page) -> None:
    """A new PikaPrompts has its three widgets and no control after generate, so that a run does not
    change the seeds. A workflow that was saved with one widget gets the defaults of the others."""
    widgets = editor.evaluate(
        """() => {
          const node = window.LiteGraph.createNode('PikaPrompts')
          window.app.graph.add(node)
          const values = () => node.widgets.map(({ name, value }) => [name, value])
          const initial = values()
          node.configure({ ...node.serialize(), widgets_values: ['A fig'] })
          return [initial, values()]
        }"""
    )
    defaults = [["takes", 1], ["first_seed", 0]]
    assert widgets == [[["prompts", ""], *defaults], [["prompts", "A fig"], *defaults]]
