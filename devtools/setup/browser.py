"""Chromium and openssl for the tests: find them, install Debian's packages, start Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from devtools.setup import debian
from devtools.setup.steps import say

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
)
PLACES = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
)
# The fonts are for the Chinese editor: without them a screenshot shows boxes. openssl creates the
# certificates of the TLS tests.
DEBIAN_PACKAGES = ("chromium", "fonts-noto-cjk", "openssl")
MISSING = (
    "Chromium or Chrome was not found. Install it, set CHROME_PATH, or run the tests without a "
    'browser: python dev.py test -m "not browser"'
)
NO_OPENSSL = "openssl was not found: the tests of certificates are skipped."

# It runs without a display and as root. Its own requests to the internet are off: on a machine
# without internet each of them would wait and fill the log.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: Size of a page in the tests, in CSS pixels.
VIEWPORT_WIDTH, VIEWPORT_HEIGHT = 1440, 900


class NoBrowser(Exception):
    """Chromium was not found. The message says what to do."""


def find_chromium() -> str | None:
    """The path of Chromium or Chrome: CHROME_PATH, then PATH, then the usual places."""
    if configured := os.environ.get("CHROME_PATH"):
        return configured
    on_path = (shutil.which(name) for name in NAMES)
    in_places = (str(place) for place in PLACES if place.is_file())
    return next(filter(None, on_path), None) or next(in_places, None)


def ensure_chromium(log: Path) -> None:
    """Install Debian's Chromium and openssl if one is missing, or print what is missing.

    Raises StepError when apt-get fails.
    """
    if find_chromium() and shutil.which("openssl"):
        return
    if debian.can_install():
        debian.install("Chromium and openssl", DEBIAN_PACKAGES, log)
    else:
        say(MISSING if not find_chromium() else NO_OPENSSL)


@contextmanager
def browser() -> Iterator[Browser]:
    """A running Chromium, controlled by Playwright. Raises NoBrowser."""
    path = find_chromium()
    if path is None:
        raise NoBrowser(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield running
        finally:
            running.close()
