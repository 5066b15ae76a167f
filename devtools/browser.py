"""Find what the tests need of the system, a Chromium above all, or install Debian's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from devtools.steps import run_step, say

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
# With fonts for the Chinese editor: without them a screenshot shows boxes. And what makes the
# certificates of the tests.
DEBIAN_PACKAGES = ("chromium", "fonts-noto-cjk", "openssl")
MISSING = (
    "No Chromium or Chrome was found. Install one, or name it in CHROME_PATH, or leave the "
    'browser out: python dev.py test -m "not browser"'
)
NO_OPENSSL = "No openssl was found: the tests of certificates are skipped."


def find_chromium() -> str | None:
    """The path of a Chromium or Chrome: CHROME_PATH, then PATH, then the usual places."""
    if given := os.environ.get("CHROME_PATH"):
        return given
    on_path = (shutil.which(name) for name in NAMES)
    in_places = (str(place) for place in PLACES if place.is_file())
    return next(filter(None, on_path), None) or next(in_places, None)


def ensure_chromium(log: Path) -> None:
    """Install Debian's Chromium and openssl where one is missing and we may. Says so where not."""
    if find_chromium() and shutil.which("openssl"):
        return
    may_install = shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0
    if not may_install:
        say(MISSING if not find_chromium() else NO_OPENSSL)
        return
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]
    run_step("Updating Debian's package lists", [*apt, "update"], log)
    install = [*apt, "install", "--yes", "--no-install-recommends", *DEBIAN_PACKAGES]
    run_step("Installing Chromium and openssl", install, log)
