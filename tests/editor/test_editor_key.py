"""A first run without a key: the editor leads to the key, and to the video."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from devtools.pages import EXAMPLES, open_editor, open_workflow, press_run, wait_for_video
from simulator import Simulator
from support.comfy import Comfy
from support.editor import assert_quiet, set_up, settings_file

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]


def test_from_no_key_to_a_video(
    comfy: Comfy, gateway: Simulator, page: Page, page_errors: PageErrors
) -> None:
    """The run that misses the key opens our dialog in place of ComfyUI's error; a wrong key is told
    so and asked for again; with the right one, one press runs again and the video plays."""
    set_up(comfy, base_url=gateway.url)
    open_editor(page, comfy.url)
    open_workflow(page, EXAMPLES / "pika_text_to_video.json")
    press_run(page)
    dialog = page.get_by_role("dialog", name="Pika needs an API key")
    dialog.wait_for()
    page.locator(".comfy-error-report").wait_for(state="detached")
    field = dialog.get_by_label("API key")
    assert field.evaluate("(input) => input === document.activeElement")
    field.fill("not-the-key-of-this-gateway")
    field.press("Enter")
    dialog.locator(".pika-note.bad").wait_for()
    assert dialog.get_by_role("button", name="Run again").is_hidden()
    field.fill(gateway.key)
    dialog.get_by_role("button", name="Save key").click()
    dialog.locator(".pika-note.good").wait_for()
    assert gateway.charged == []
    dialog.get_by_role("button", name="Run again").click()
    wait_for_video(page)
    assert len(gateway.charged) == 1
    assert page.locator("dialog").count() == 0
    assert_quiet(page_errors)


def test_a_broken_setting_leads_to_the_settings(comfy: Comfy, page: Page) -> None:
    """Where a key is there but the settings cannot be used, the dialog has no field for one; it
    says what is wrong and opens the page where it can be mended."""
    broken = {"api_key": "some-key-of-some-length", "max_requests": "many"}
    settings_file(comfy).write_text(json.dumps(broken), "utf-8")
    open_editor(page, comfy.url)
    open_workflow(page, EXAMPLES / "pika_text_to_video.json")
    press_run(page)
    dialog = page.get_by_role("dialog", name="Pika's settings cannot be used")
    dialog.wait_for()
    assert dialog.locator("input").count() == 0
    dialog.get_by_role("button", name="Pika settings").click()
    page.locator(".pika-field").first.wait_for()
    assert page.locator("dialog").count() == 0
