"""Chromium with one tab for many tests, and the errors on its page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin

from playwright.sync_api import ConsoleMessage, Error, Page

from devtools.comfyui.pages import open_editor
from devtools.setup.browser import VIEWPORT_HEIGHT, VIEWPORT_WIDTH, browser
from support.waiting import PATIENCE, until

#: Closes the pack's dialogs, which are HTML's own.
_CLOSE = "() => document.querySelectorAll('dialog[open]').forEach((dialog) => dialog.close())"
#: Removes the editor's toasts, closes the sidebar and opens an empty graph.
_EMPTY = """async () => {
  const { toast, sidebarTab } = window.app.extensionManager
  toast.removeAll?.() // newer editors have no such method
  for (const each of document.querySelectorAll('[data-toast-kind]'))
    each.querySelector('button[aria-label]')?.click()
  if (sidebarTab.activeSidebarTab) sidebarTab.toggleSidebarTab(sidebarTab.activeSidebarTab.id)
  await window.app.loadGraphData({ version: 0.4, nodes: [], links: [], groups: [],
    last_node_id: 0, last_link_id: 0, config: {}, extra: {} })
}"""


@contextmanager
def shared_tab() -> Iterator[Page]:
    """Chromium with one tab. The editor's scripts, once loaded, stay in its cache."""
    with browser() as chromium:
        size = {"width": VIEWPORT_WIDTH, "height": VIEWPORT_HEIGHT}
        context = chromium.new_context(viewport=size, locale="en-US", service_workers="block")
        context.set_default_timeout(PATIENCE * 1000)
        yield context.new_page()
        context.close()


def leave(page: Page) -> None:
    """Close what is open in the tab, with its cookies, storage, permissions and routes."""
    page.unroute_all(behavior="ignoreErrors")
    if page.url.startswith("http"):
        # The same origin without the editor, which would store its state again.
        page.goto(urljoin(page.url, "/system_stats"))
        page.evaluate("() => { localStorage.clear(); sessionStorage.clear() }")
        page.goto("about:blank")
    page.context.clear_cookies()
    page.context.clear_permissions()


def open_empty_editor(page: Page, url: str) -> None:
    """Open the editor with an empty graph. Where it is open already, only reset it."""
    if page.url.rstrip("/") != url:
        leave(page)
        open_editor(page, url)
        return
    page.unroute_all(behavior="ignoreErrors")
    page.context.clear_permissions()
    close_dialogs(page)
    page.evaluate(_EMPTY)


def rest_mouse(page: Page) -> None:
    """Move the mouse away from the editor's tabs: a preview opens below it, over the Run button."""
    page.mouse.move(VIEWPORT_WIDTH / 2, VIEWPORT_HEIGHT - 20)


def close_dialogs(page: Page) -> None:
    """Close the editor's dialogs and the pack's."""
    page.evaluate(_CLOSE)

    def without_dialogs() -> bool:
        if page.locator("[role=dialog]").count() == 0:
            return True
        page.keyboard.press("Escape")
        return False

    until(without_dialogs, what="the editor without a dialog")


@contextmanager
def listening(page: Page, event: str, listener: Callable[[Any], object]) -> Iterator[None]:
    """Call `listener` with the page's events of this kind until the end of the block."""
    page.on(event, listener)  # type: ignore[call-overload]
    try:
        yield
    finally:
        page.remove_listener(event, listener)


class PageErrors:
    """Errors on a page: those on its console, and exceptions that nothing caught."""

    def __init__(self) -> None:
        self.console: list[str] = []
        self.uncaught: list[str] = []

    @contextmanager
    def recording(self, page: Page) -> Iterator[PageErrors]:
        """Record until the end of the block."""
        with (
            listening(page, "console", self._add_message),
            listening(page, "pageerror", self._add_error),
        ):
            yield self

    def about(self, word: str) -> list[str]:
        """The errors with this word in their text or address."""
        return [text for text in (*self.console, *self.uncaught) if word.lower() in text.lower()]

    def _add_message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.console.append(f"{message.text} ({message.location.get('url', '')})")

    def _add_error(self, error: Error) -> None:
        self.uncaught.append(error.stack or error.message)
