"""Large seeds in the editor, whose numbers are exact only up to 2**53 - 1."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devtools.comfyui.pages import open_workflow, run_workflow
from pika_api.journal import Journal
from pika_api.settings import sqlite_url
from simulator import Simulator
from support.comfy import Comfy
from support.editor import assert_no_errors, editor_with

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

_EXAMPLE = Path(__file__).parents[2] / "example_workflows" / "01 Text to video.json"
_SEED = """() => window.app.graph.nodes.find((node) => node.comfyClass === 'PikaGenerate')
  .widgets.find((widget) => widget.name === 'seed').value"""
_CONTROL = """(choice) => {
  const node = window.app.graph.nodes.find((node) => node.comfyClass === 'PikaGenerate')
  node.widgets.find((widget) => widget.name === 'control_after_generate').value = choice
}"""
_WARNINGS = ".p-toast-message-warn"


def workflow(folder: Path, seed: int, prompt: str) -> Path:
    """A workflow file with this seed and nothing but a Pika Generate."""
    content = json.loads(_EXAMPLE.read_text("utf-8"))
    (node,) = (each for each in content["nodes"] if each["type"] == "PikaGenerate")
    values = node["widgets_values"]
    values[0] = prompt
    values[3:5] = [seed, "fixed"]
    node["outputs"][0]["links"] = None
    node["inputs"] = [{**each, "link": None} for each in node["inputs"]]
    path = folder / "seed.json"
    content |= {"nodes": [node], "links": [], "groups": []}
    path.write_text(json.dumps(content), "utf-8")
    return path


def takes(comfy: Comfy, prompt: str) -> list[int]:
    """The takes of a prompt in the journal, the oldest first."""
    with closing(Journal(sqlite_url(comfy.base_dir / "user" / "__pika"))) as journal:
        entries = journal.entries(limit=99)
    return [entry.take for entry in entries if entry.prompt == prompt][::-1]


@pytest.mark.parametrize("nodes_2", [False, True])
def test_a_large_seed_is_paid_once_and_never_rounded_unseen(
    keyed: Comfy, page: Page, page_errors: PageErrors, tmp_path: Path, nodes_2: bool
) -> None:
    """A workflow whose seed JavaScript rounds opens with a warning that shows the rounded seed.
    Under «fixed», a second run reuses the task: the seed is not changed after a run."""
    prompt = f"A large seed {nodes_2}"
    with editor_with(page, keyed, {"VueNodes.Enabled": nodes_2}):
        for seed, warned, take in (
            (2**53 - 1, False, 2**53 - 1),
            (2**53 + 1, True, 2**53),
            (2**60, True, 1152921504606847000),
        ):
            open_workflow(page, workflow(tmp_path, seed, prompt))
            if warned:
                page.locator(_WARNINGS).filter(has_text=str(take)).first.wait_for()
            assert warned or page.locator(_WARNINGS).count() == 0
            for _ in range(2):
                assert run_workflow(page) == "execution_success"
                assert page.evaluate(_SEED) == take
            assert takes(keyed, prompt)[-1] == take
        assert takes(keyed, prompt) == [2**53 - 1, 2**53, 1152921504606847000]
        assert_no_errors(page_errors)


def test_random_seeds_are_exact(
    keyed: Comfy, gateway: Simulator, editor: Page, tmp_path: Path
) -> None:
    """Under «randomize», each new seed is a whole number that the editor represents exactly, and
    the journal has the seed that the widget showed."""
    prompt = "A random seed"
    open_workflow(editor, workflow(tmp_path, 0, prompt))
    editor.evaluate(_CONTROL, "randomize")
    seeds = []
    for _ in range(4):
        seeds.append(editor.evaluate(_SEED))
        assert run_workflow(editor) == "execution_success"
    assert takes(keyed, prompt) == seeds
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed <= 2**53 - 1 for seed in seeds)
