"""One browser tab for the tests of this folder, since loading the editor takes much CPU time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from support.comfy import Comfy

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors


# Not for the whole session: while Playwright's sync API is in use, its event loop counts as
# running in this thread, and `asyncio.run` in any other test would fail.
@pytest.fixture(scope="package")
def tab() -> Iterator[Page]:
    """The tab. Tests use it as `page` or as an editor."""
    from support.browser import shared_tab

    with shared_tab() as page:
        yield page


@pytest.fixture
def page_errors(tab: Page) -> Iterator[PageErrors]:
    """The errors on the page during one test."""
    from support.browser import PageErrors

    with PageErrors().recording(tab) as errors:
        yield errors


@pytest.fixture
def page(tab: Page) -> Page:
    """The tab on an empty page, without cookies, storage and permissions.

    For tests of the editor with other settings, or of its first load.
    """
    from support.browser import leave

    leave(tab)
    return tab


@pytest.fixture
def editor(tab: Page, keyless: Comfy) -> Page:
    """The editor of `keyless` with an empty graph. It is loaded only if it is not open yet."""
    from support.browser import open_empty_editor

    open_empty_editor(tab, keyless.url)
    return tab
