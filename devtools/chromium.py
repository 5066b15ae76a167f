"""Chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from devtools.browser import MISSING, find_chromium

# Headless as root, and quiet towards the world outside: on a machine without one every lookup of
# its own would cost time and fill the log.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
VIEWPORT_WIDTH, VIEWPORT_HEIGHT = 1440, 900


class NoBrowser(Exception):
    """There is no Chromium to be found; the message says what to do."""


@contextmanager
def browser() -> Iterator[Browser]:
    """A running Chromium. Raises NoBrowser."""
    path = find_chromium()
    if path is None:
        raise NoBrowser(MISSING)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield running
        finally:
            running.close()
