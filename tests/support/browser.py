"""Chromium, and what goes wrong on its pages."""

from __future__ import annotations

from playwright.sync_api import ConsoleMessage, Error, Page

from devtools.setup.browser import VIEWPORT_HEIGHT, VIEWPORT_WIDTH, NoBrowser, browser

__all__ = ["VIEWPORT_HEIGHT", "VIEWPORT_WIDTH", "NoBrowser", "PageErrors", "browser"]


class PageErrors:
    """What went wrong on a page: console errors, and errors that nothing caught."""

    def __init__(self) -> None:
        self.console: list[str] = []
        self.uncaught: list[str] = []

    def observer(self, page: Page) -> None:
        """Record from now on."""
        page.on("console", self._take_message)
        page.on("pageerror", self._take_error)

    def about(self, word: str) -> list[str]:
        """The errors that have this word in them or in their address."""
        return [text for text in (*self.console, *self.uncaught) if word.lower() in text.lower()]

    def _take_message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.console.append(f"{message.text} ({message.location.get('url', '')})")

    def _take_error(self, error: Error) -> None:
        self.uncaught.append(error.stack or error.message)
