"""What a node says about a run and its money, in the classic rendering and in Nodes 2.0."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from devtools import ROOT
from devtools.comfyui.pages import (
    EXAMPLES,
    open_workflow,
    playing,
    press_run,
    run_end,
    run_workflow,
    start_run,
    wait_for_video,
)
from simulator import Simulator
from support.browser import close_dialogs
from support.comfy import Comfy
from support.editor import assert_no_errors, editor_with
from support.gateway import held_tasks
from support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

HOSTILE = "Moderation: <img src=x onerror=window.hacked=1> [[no|https://evil.example]] pears"
BLUEPRINT = ROOT / "subgraphs" / "Text to Video (Pika).json"

#: Sets the prompt of Pika Generate, or of the only node.
_SET_PROMPT = """(prompt) => {
  const { nodes } = window.app.graph
  const node = nodes.find(({ comfyClass }) => comfyClass === 'PikaGenerate') ?? nodes[0]
  node.widgets.find(({ name }) => name === 'prompt_text').value = prompt
}"""
#: The texts of the lines that are on the page.
_LINES = """() => [...document.querySelectorAll('.pika-line-text')]
  .filter((line) => line.getClientRects().length).map((line) => line.textContent)"""
#: Everything on the page that looks like a failure of a video, or is the editor's own text preview.
_UNWANTED = """() => [
  ...[...document.querySelectorAll('p, span')].map((each) => each.textContent)
    .filter((text) => /failed to load|error loading/i.test(text)),
  ...window.app.graph.nodes.flatMap((node) => (node.widgets ?? [])
    .filter(({ name, type }) => name.startsWith('$$node-text') && type !== 'pika_line')
    .map(({ name }) => name)),
]"""
#: The heights of the prompt boxes, in the graph's units.
_PROMPTS = """() => [...document.querySelectorAll('textarea')].filter((box) => box.offsetParent)
  .map((box) => box.getBoundingClientRect().height / window.app.canvas.ds.scale)"""
#: What is saved of the only node.
_SAVED = """() => {
  const { size, widgets_values, properties } = window.app.graph.serialize().nodes[0]
  const isNamed = JSON.stringify(properties).includes('text-preview')
  return [[...size].map(Math.round), widgets_values, isNamed]
}"""
_COPIED = "() => navigator.clipboard.readText()"


@pytest.fixture(params=[False, True], ids=["classic", "nodes 2.0"])
def rendering(request: pytest.FixtureRequest, keyed: Comfy, page: Page) -> Iterator[Page]:
    """An editor with this rendering."""
    with editor_with(page, keyed, {"VueNodes.Enabled": request.param}):
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield page


def wait_for_line(page: Page, start: str) -> str:
    """Wait until a node says something that begins like this; returns all of it."""
    return str(
        until(
            lambda: next((line for line in page.evaluate(_LINES) if line.startswith(start)), ""),
            what=f"a line with {start!r} among {page.evaluate(_LINES)}",
        )
    )


def prompt(page: Page, text: str) -> None:
    """Change the prompt."""
    page.evaluate(_SET_PROMPT, text)


def interrupt_when_running(page: Page, comfy: Comfy, gateway: Simulator) -> str:
    """Run, stop the run while it waits for its task; returns the id of the task."""
    with held_tasks(gateway) as tasks:
        start_run(page)
        (task_id,) = tasks.running()
        wait_for_pending(page)
        assert page.evaluate(_UNWANTED) == []
        assert playing(page) == []
        comfy.interrupt()
        until(lambda: run_end(page), what="the end of the run")
    assert run_end(page) == "execution_interrupted"
    return task_id


def wait_for_pending(page: Page) -> None:
    """Wait until a node shows the progress and the picture of its task."""
    until(
        lambda: any(re.search(r"Running \d+ %", line) for line in page.evaluate(_LINES)),
        what="the progress",
    )


def test_nodes_say_what_a_run_means_for_the_money(
    keyed: Comfy, gateway: Simulator, rendering: Page, page_errors: PageErrors
) -> None:
    """A new task, the same one again, a stopped run, and a failed one: each is said on the nodes
    after the run, and no video of an earlier run is left. A failure has the gateway's own words, as
    text. A click on the start of an id copies the whole."""
    page = rendering
    open_workflow(page, EXAMPLES / "01 Text to video.json")
    prompt(page, f"A medlar {len(gateway.charged)}")
    assert run_workflow(page) == "execution_success"
    first = gateway.charged[-1]
    assert wait_for_line(page, "task ") == f"task {first[:8]}"
    assert wait_for_line(page, "0.5 s · ").endswith(f" · {first[:8]}")
    assert first in wait_for_video(page)

    assert run_workflow(page) == "execution_success"
    wait_for_line(page, f"Reused task {first[:8]}, no new charge.")
    assert first in wait_for_video(page)
    page.locator(".pika-id").first.click()
    until(lambda: page.evaluate(_COPIED) == first, what="the whole id in the clipboard")

    prompt(page, f"A second medlar {len(gateway.charged)}")
    second = interrupt_when_running(page, keyed, gateway)
    wait_for_line(page, "Stopped. The task is kept; run again to continue at no cost.")
    assert playing(page) == []
    assert run_workflow(page) == "execution_success"
    wait_for_line(page, f"Reused task {second[:8]}, no new charge.")
    assert second in wait_for_video(page)

    gateway.fault("task", error=HOSTILE)
    prompt(page, f"A third medlar {len(gateway.charged)}")
    assert "Moderation" in run_workflow(page)
    third = gateway.charged[-1]
    close_dialogs(page)
    said = wait_for_line(
        page, f"The gateway ended task {third[:8]} with an error: Moderation: ‹img"
    )
    assert third not in said
    assert playing(page) == []
    assert page.evaluate("() => window.hacked") is None
    assert page.locator(".pika-line img, .pika-line a").count() == 0
    assert gateway.charged[-3:] == [first, second, third]
    assert page.evaluate(_UNWANTED) == []

    gateway.fault("submit", status=400, body={"message": "No quinces today"})
    prompt(page, f"A quince {len(gateway.charged)}")
    assert "No quinces today" in run_workflow(page)
    close_dialogs(page)
    assert "No quinces today" in wait_for_line(page, "HTTP 400 from ")
    assert len(page.evaluate(_LINES)) == 1
    assert_no_errors(page_errors)


def test_blueprint_shows_its_run_and_its_video(
    keyed: Comfy, gateway: Simulator, rendering: Page, page_errors: PageErrors
) -> None:
    """The node of a subgraph shows progress, video and what a stopped run means, and nothing twice.
    Its prompt box keeps its height, and what is saved has no trace of it."""
    page = rendering
    workflow: dict[str, Any] = json.loads(BLUEPRINT.read_text("utf-8"))
    page.evaluate("async (workflow) => { await window.app.loadGraphData(workflow) }", workflow)
    page.wait_for_function(f"() => ({_PROMPTS})().length === 2")
    prompt(page, f"A swan {len(gateway.charged)}")
    box, saved = page.evaluate(_PROMPTS)[0], page.evaluate(_SAVED)
    with held_tasks(gateway) as tasks:
        press_run(page)
        (first,) = tasks.running()
        wait_for_pending(page)
        page.locator(".pika-line-media img").wait_for()
    assert first in wait_for_video(page)
    (line,) = page.evaluate(_LINES)
    assert line.startswith(f"task {first[:8]}\n0.5 s · ")
    assert len(playing(page)) == 1
    assert page.evaluate(_PROMPTS)[0] > box - 12
    assert page.evaluate(_SAVED) == saved
    assert page.evaluate("() => window.app.graph.nodes[0].imgs?.length ?? 0") == 0

    prompt(page, f"A second swan {len(gateway.charged)}")
    saved = page.evaluate(_SAVED)
    interrupt_when_running(page, keyed, gateway)
    wait_for_line(page, f"task {gateway.charged[-1][:8]}\nStopped. The task is kept;")
    assert page.locator(".pika-line-media > *").count() == 0
    assert page.evaluate(_PROMPTS)[0] > box - 12
    assert page.evaluate(_SAVED) == saved
    assert page.evaluate(_UNWANTED) == []
    assert_no_errors(page_errors)
