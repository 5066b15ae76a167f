"""The graph editor in a browser, used as a person would: open a workflow, run it, look at it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devtools.recipe import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

EXAMPLES = ROOT / "example_workflows"
#: Seconds; only for hangs.
WITHIN = 120.0

#: The button's name, in English and in Chinese.
_RUN = re.compile("^(Run|运行)")
_READY = "() => !!window.LiteGraph?.registered_node_types?.PikaGenerate && !!window.app?.graph"
_LOAD = "async (workflow) => { await window.app.loadGraphData(workflow) }"
_FIT = "() => window.app.extensionManager.command.execute('Comfy.Canvas.FitView')"
#: A video element that has a picture, and the address it plays.
_PLAYING = """() => {
  const all = [...document.querySelectorAll('video')]
  return all.filter((video) => video.readyState >= 2 && video.videoWidth > 0)
            .map((video) => video.currentSrc)
}"""
#: How the next run ends: a promise, to be made before it begins.
_WATCH_RUN = """async (within) => {
  const { api } = await import('/scripts/api.js')
  window.pikaRunOver = new Promise((over) => {
    setTimeout(() => over('no end'), within)
    for (const kind of ['execution_success', 'execution_error', 'execution_interrupted'])
      api.addEventListener(
        kind, ({ detail }) => over(detail?.exception_message || kind), { once: true })
  })
}"""
#: What the editor says against a workflow: nodes it lacks, and its warnings and errors.
_COMPLAINTS = """() => [
  ...window.app.graph.nodes.map((node) => node.type)
    .filter((type) => !(type in window.LiteGraph.registered_node_types)),
  ...[...document.querySelectorAll('.p-toast-message-warn, .p-toast-message-error')]
    .map((toast) => toast.textContent),
  ...Object.values(window.app.lastNodeErrors ?? {}).map((error) => JSON.stringify(error)),
]"""


def examples() -> list[Path]:
    """The example workflows, in the editor's own format."""
    return sorted(EXAMPLES.glob("*.json"))


def open_editor(page: Page, url: str) -> None:
    """Open the editor and wait until the pack's nodes are there."""
    page.goto(url)
    page.wait_for_function(_READY, timeout=WITHIN * 1000)


def open_workflow(page: Page, path: Path) -> dict[str, Any]:
    """Load a workflow file as dropping it on the canvas does; returns it."""
    workflow: dict[str, Any] = json.loads(path.read_text("utf-8"))
    page.evaluate(_LOAD, workflow)
    page.evaluate(_FIT)
    return workflow


def press_run(page: Page) -> None:
    """Press the editor's Run button."""
    # Newer editors give the name to the button itself, older ones to the group around it.
    queue = page.get_by_test_id("queue-button")
    named = queue.get_by_role("button", name=_RUN)
    named.or_(queue.and_(page.locator("button"))).first.click()


def run_workflow(page: Page, within: float = WITHIN) -> str:
    """Press Run and wait, in seconds, until that run is over.

    Returns:
        ``execution_success`` or ``execution_interrupted``, the error's text, or ``no end``.
    """
    page.evaluate(_WATCH_RUN, within * 1000)
    press_run(page)
    return str(page.evaluate("() => window.pikaRunOver"))


def complaints(page: Page) -> list[str]:
    """What the editor has to say against the open workflow."""
    return list(page.evaluate(_COMPLAINTS))


def playing(page: Page) -> list[str]:
    """The addresses of the videos on the page that have a picture to show."""
    return list(page.evaluate(_PLAYING))


def wait_for_videos(page: Page, count: int, within: float = WITHIN) -> list[str]:
    """Wait, in seconds, until nodes play this many videos; returns their addresses."""
    enough = f"(count) => ({_PLAYING})().length >= count"
    page.wait_for_function(enough, arg=count, timeout=within * 1000)
    return playing(page)


def wait_for_video(page: Page, within: float = WITHIN) -> str:
    """Wait, in seconds, until a node plays a video; returns its address."""
    return wait_for_videos(page, 1, within)[0]
