"""Install packages of Debian or Ubuntu, where this process is allowed to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from devtools.setup.processes import lock
from devtools.setup.steps import run_step, say


def can_install() -> bool:
    """Whether there is an apt-get, and this process is root."""
    return bool(shutil.which("apt-get")) and hasattr(os, "geteuid") and os.geteuid() == 0


def install(what: str, packages: Sequence[str], log: Path) -> None:
    """Install packages without their recommendations. Raises StepError.

    Args:
        what: Names them in messages.
        log: Gets the output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    # Another program may use apt-get too: wait for its lock, at most this many seconds.
    apt = ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=600"]
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", *apt]
    with lock(log.with_name("apt.lock"), lambda: say("apt-get is running; waiting …")):
        # Always: an image for CI often has no package lists, or outdated ones.
        run_step("Updating Debian's package lists", [*apt, "update"], log)
        command = [*apt, "install", "--yes", "--no-install-recommends", *packages]
        run_step(f"Installing {what}", command, log)
