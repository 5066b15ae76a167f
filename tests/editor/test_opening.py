"""The browser part of the harness: a real editor opens in a real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devtools.comfyui.pages import open_editor
from support.comfy import Comfy

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]


def test_page_errors_are_recorded(keyless: Comfy, page: Page, page_errors: PageErrors) -> None:
    """An error on the console and an uncaught exception are both recorded."""
    page.goto(f"{keyless.url}/system_stats")
    with page.expect_event("pageerror"):
        page.evaluate("console.error('on the console'); setTimeout(() => { throw Error('loose') })")
    assert page_errors.about("on the console")
    assert page_errors.about("loose")


def test_editor_opens_without_a_dialog(keyless: Comfy, page: Page, page_errors: PageErrors) -> None:
    """The editor opens with its graph in sight and without the dialog of templates."""
    open_editor(page, keyless.url)
    page.locator("#graph-canvas").wait_for()
    assert page.get_by_role("dialog").count() == 0
    assert page_errors.uncaught == []
