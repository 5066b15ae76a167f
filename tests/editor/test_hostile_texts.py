"""Hostile texts in the real editor: they are shown as text, and no script of theirs runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from devtools.comfyui.pages import EXAMPLES, open_workflow, run_workflow
from simulator import Simulator
from support.browser import close_dialogs
from support.comfy import Comfy

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

#: Runs a script in each way that the text becomes markup.
HTML = (
    "<img src=x onerror='window.hacked=1'><svg onload='window.hacked=2'></svg>"
    "<iframe srcdoc='<script>parent.hacked=3</script>'></iframe>"
    '[[click|javascript:window.hacked=4]] https://a.example/"onmouseover="window.hacked=5'
)
_SET_PROMPT = """(prompt) => {
  const node = window.app.graph.nodes.find((node) => node.comfyClass === 'PikaGenerate')
  node.widgets.find((widget) => widget.name === 'prompt_text').value = prompt
}"""
#: All elements of the editor that hostile markup would have created.
_CREATED = """() => [...document.querySelectorAll('*')]
  .filter((element) => element.matches('img[src="x"], iframe[srcdoc], a[href^="java"]')
    || element.hasAttribute('onerror') || element.hasAttribute('onmouseover')).length"""


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"on": "task", "raw_status": HTML, "seconds": 3}, "success"),
        ({"on": "feed", "status": 502, "body": {"message": HTML}, "times": 2}, "success"),
        ({"on": "task", "error": HTML}, "error"),
        ({"on": "submit", "status": 400, "body": {"message": HTML}}, "error"),
        ({"on": "submit", "body": {"id": HTML}}, "error"),
    ],
    ids=["status", "502", "failed", "400", "id"],
)
def test_no_markup_of_the_gateway_is_created(
    keyed: Comfy, gateway: Simulator, editor: Page, fault: dict[str, Any], outcome: str
) -> None:
    """Neither on a node, nor in the error dialog, a toast or the sidebar."""
    open_workflow(editor, EXAMPLES / "01 Text to video.json")
    editor.evaluate(_SET_PROMPT, f"{HTML} {fault['on']} {outcome}")
    gateway.fault(**fault)
    assert (run_workflow(editor) == "execution_success") is (outcome == "success")
    assert editor.evaluate(_CREATED) == 0
    close_dialogs(editor)
    editor.get_by_role("button", name="Pika", exact=True).click()
    editor.locator(".pika-card").first.wait_for()
    editor.get_by_role("button", name="Pika", exact=True).click()
    assert editor.evaluate(_CREATED) == 0
    assert editor.evaluate("() => window.hacked") is None
