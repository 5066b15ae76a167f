"""The graph editor in a browser: open a workflow, run it, wait for its videos."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devtools import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

EXAMPLES = ROOT / "example_workflows"
#: Seconds; only for hangs.
WITHIN = 120.0

#: The name of the Run button in English and Chinese.
_RUN = re.compile("^(Run|运行)")
_READY = "() => !!window.LiteGraph?.registered_node_types?.PikaGenerate && !!window.app?.graph"
_LOAD = "async (workflow) => { await window.app.loadGraphData(workflow) }"
_FIT = "() => window.app.extensionManager.command.execute('Comfy.Canvas.FitView')"
#: The addresses of the video elements that show a picture.
_PLAYING = """() => {
  const all = [...document.querySelectorAll('video')]
  return all.filter((video) => video.readyState >= 2 && video.videoWidth > 0)
            .map((video) => video.currentSrc)
}"""
#: Watches the next run: a promise of its end, and the end itself once it has come.
_WATCH_RUN = """async (within) => {
  const { api } = await import('/scripts/api.js')
  const run = window.pikaRun = { end: '' }
  run.over = new Promise((resolve) => {
    const over = (end) => resolve(run.end ||= end)
    setTimeout(() => over('no end'), within)
    for (const kind of ['execution_success', 'execution_error', 'execution_interrupted'])
      api.addEventListener(
        kind, ({ detail }) => over(detail?.exception_message || kind), { once: true })
  })
}"""
#: Unknown nodes, warnings and errors of the open workflow. That the editor's version is not the one
#: that ComfyUI requires is no complaint about a workflow: COMFYUI_FRONTEND is chosen on purpose.
_COMPLAINTS = """() => [
  ...window.app.graph.nodes.map((node) => node.type)
    .filter((type) => !(type in window.LiteGraph.registered_node_types)),
  ...[...document.querySelectorAll(`
    .p-toast-message-warn, .p-toast-message-error,
    [data-toast-kind=warning], [data-toast-kind=error]`)]
    .map((toast) => toast.textContent)
    .filter((text) => !text.includes('Version Compatibility Warning')),
  ...Object.values(window.app.lastNodeErrors ?? {}).map((error) => JSON.stringify(error)),
]"""


def examples() -> list[Path]:
    """The example workflows, in the editor's format."""
    return sorted(EXAMPLES.glob("*.json"))


def open_editor(page: Page, url: str) -> None:
    """Open the editor and wait until the pack's nodes are registered."""
    page.goto(url)
    page.wait_for_function(_READY, timeout=WITHIN * 1000)


def open_workflow(page: Page, path: Path) -> dict[str, Any]:
    """Load a workflow file, as dropping it on the canvas does. Returns its content."""
    workflow: dict[str, Any] = json.loads(path.read_text("utf-8"))
    page.evaluate(_LOAD, workflow)
    page.evaluate(_FIT)
    return workflow


def press_run(page: Page) -> None:
    """Press the editor's Run button."""
    # In newer editors the name is on the button, in older ones on the group around it.
    queue = page.get_by_test_id("queue-button")
    named = queue.get_by_role("button", name=_RUN)
    named.or_(queue.and_(page.locator("button"))).first.click()


def start_run(page: Page, within: float = WITHIN) -> None:
    """Press Run without waiting. After `within` seconds the end of the run is ``no end``."""
    page.evaluate(_WATCH_RUN, within * 1000)
    press_run(page)


def run_end(page: Page) -> str:
    """How the run of `start_run` ended, as `run_workflow` returns it; empty while it runs."""
    return str(page.evaluate("() => window.pikaRun.end"))


def run_workflow(page: Page, within: float = WITHIN) -> str:
    """Press Run and wait until that run has ended, at most `within` seconds.

    Returns:
        ``execution_success`` or ``execution_interrupted``, the error's text, or ``no end``.
    """
    start_run(page, within)
    return str(page.evaluate("() => window.pikaRun.over"))


def complaints(page: Page) -> list[str]:
    """Unknown nodes, warnings and errors of the open workflow. Empty if it is valid."""
    return list(page.evaluate(_COMPLAINTS))


def playing(page: Page) -> list[str]:
    """The addresses of the videos on the page that show a picture."""
    return list(page.evaluate(_PLAYING))


def wait_for_videos(page: Page, count: int, within: float = WITHIN) -> list[str]:
    """Wait, at most `within` seconds, until this many videos play. Returns their addresses."""
    enough = f"(count) => ({_PLAYING})().length >= count"
    page.wait_for_function(enough, arg=count, timeout=within * 1000)
    return playing(page)


def wait_for_video(page: Page, within: float = WITHIN) -> str:
    """Wait, at most `within` seconds, until a video plays. Returns its address."""
    return wait_for_videos(page, 1, within)[0]
