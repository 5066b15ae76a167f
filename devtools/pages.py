"""The graph editor in a browser, used as a person would: open a workflow, run it, look at it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devtools.recipe import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

EXAMPLES = ROOT / "example_workflows"
#: Milliseconds.
OPENS_WITHIN = 60_000

_READY = "() => !!window.LiteGraph?.registered_node_types?.PikaGenerate && !!window.app?.graph"
_LOAD = "async (workflow) => { await window.app.loadGraphData(workflow) }"
_FIT = "() => window.app.extensionManager.command.execute('Comfy.Canvas.FitView')"
#: A video element that has a picture, and the address it plays.
_PLAYING = """() => {
  const all = [...document.querySelectorAll('video')]
  return all.filter((video) => video.readyState >= 2 && video.videoWidth > 0)
            .map((video) => video.currentSrc)
}"""


def examples() -> list[Path]:
    """The example workflows, in the editor's own format."""
    return sorted(EXAMPLES.glob("*.json"))


def open_editor(page: Page, url: str) -> None:
    """Open the editor and wait until the pack's nodes are there."""
    page.goto(url)
    page.wait_for_function(_READY, timeout=OPENS_WITHIN)


def open_workflow(page: Page, path: Path) -> dict[str, Any]:
    """Load a workflow file as dropping it on the canvas does; returns it."""
    workflow: dict[str, Any] = json.loads(path.read_text("utf-8"))
    page.evaluate(_LOAD, workflow)
    page.evaluate(_FIT)
    return workflow


def press_run(page: Page) -> None:
    """Press the editor's Run button."""
    page.get_by_test_id("queue-button").get_by_role("button", name="Run").first.click()


def playing(page: Page) -> list[str]:
    """The addresses of the videos on the page that have a picture to show."""
    return list(page.evaluate(_PLAYING))


def wait_for_video(page: Page, within: float = 60.0) -> str:
    """Wait, in seconds, until a node plays a video; returns its address."""
    page.wait_for_function(f"() => ({_PLAYING})().length > 0", timeout=within * 1000)
    return playing(page)[0]
