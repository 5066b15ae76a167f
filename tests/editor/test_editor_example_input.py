"""The examples' picture comes along with the example that asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devtools.pages import EXAMPLES, open_editor, open_workflow
from support.comfy import Comfy

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

_PICTURE = """() => window.app.graph.nodes
  .filter((node) => node.comfyClass === 'LoadImage' && node.imgs?.[0]?.naturalWidth)
  .map((node) => node.widgets[0].value)"""


def test_the_picture_comes_along(comfy: Comfy, page: Page, page_errors: PageErrors) -> None:
    """Where the input folder lacks it, opening the example puts it there and shows it; another
    workflow does not; opened again, nothing is uploaded."""
    uploads: list[str] = []
    page.on(
        "request",
        lambda sent: (
            uploads.append(sent.url) if "/upload/" in sent.url and sent.method == "POST" else None
        ),
    )
    kept = comfy.base_dir / "input" / "pika_example.jpg"
    open_editor(page, comfy.url)
    open_workflow(page, EXAMPLES / "pika_text_to_video.json")
    assert not kept.exists()
    for _ in range(2):
        open_workflow(page, EXAMPLES / "pika_image_to_video.json")
        page.wait_for_function(f"() => ({_PICTURE})().length === 1")
        assert page.evaluate(_PICTURE) == ["pika_example.jpg"]
    bundled = EXAMPLES.parent / "web" / "example" / "pika_example.jpg"
    assert kept.read_bytes() == bundled.read_bytes()
    assert len(uploads) == 1
    assert page_errors.about("pika_example") == []
