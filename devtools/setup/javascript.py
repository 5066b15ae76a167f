"""The checks of the JavaScript in web/js: ESLint, TypeScript's type check, and Node's test runner.

python -m devtools.setup.javascript    run them all

Nothing is built or shipped. The packages of package-lock.json are installed in the cache folder,
once for each content of that file.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from devtools import ROOT
from devtools.setup.environment import cache_folder, make_once
from devtools.setup.processes import lock
from devtools.setup.steps import StepError, run_step, say

#: What npm reads. A change in one of them makes a new folder.
MANIFESTS = (".npmrc", "package.json", "package-lock.json")
#: The oldest Node.js that the packages run on; Debian 12 has 18.20.
OLDEST = (18, 19)
DEBIAN_PACKAGES = ("nodejs", "npm")
CHECKED = ("web/js", "tests/web", "eslint.config.mjs")
MISSING = "Node.js {}.{} or newer with npm is needed for the checks of web/js. {}"


def prepare() -> Path:
    """The folder with the installed packages, made at the first call. Raises StepError."""
    ensure_node(cache_folder() / "setup.log")
    folder = cache_folder() / f"javascript-{_fingerprint()}"
    make_once(folder, lambda log: _install(folder, log))
    return folder


def gates(folder: Path) -> list[list[str | Path]]:
    """The commands that must succeed in the checkout: lint, types, tests.

    Args:
        folder: What `prepare` returned.
    """
    modules = folder / "node_modules"
    tests = sorted((ROOT / "tests" / "web").glob("*.test.mjs"))
    return [
        ["node", modules / "eslint" / "bin" / "eslint.js", "--max-warnings", "0", *CHECKED],
        # TypeScript looks for packages beside the checkout's files, and then in these folders.
        ["node", modules / "typescript" / "bin" / "tsc", "-p", ROOT, "--typeRoots", modules],
        ["node", "--test", "--test-reporter", "spec", *tests],
    ]


def ensure_node(log: Path) -> None:
    """Install Debian's Node.js and npm where one is missing and we may. Raises StepError."""
    if not _is_installed():
        may_install = shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0
        if not may_install:
            raise StepError(MISSING.format(*OLDEST, "It was not found on PATH."))
        log.parent.mkdir(parents=True, exist_ok=True)
        with lock(log.with_name("node.lock"), lambda: say("Node.js is being installed; waiting …")):
            if not _is_installed():
                _install_node(log)
    version = _node_version()
    if version < OLDEST:
        raise StepError(MISSING.format(*OLDEST, f"This is {'.'.join(map(str, version))}."))


def _is_installed() -> bool:
    return bool(shutil.which("node") and shutil.which("npm"))


def _install_node(log: Path) -> None:
    # Another apt-get may run at the same time, for the browser.
    wait = ["-o", "DPkg::Lock::Timeout=600"]
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", *wait]
    run_step("Updating Debian's package lists", [*apt, "update"], log)
    install = [*apt, "install", "--yes", "--no-install-recommends", *DEBIAN_PACKAGES]
    run_step("Installing Node.js and npm", install, log)


def _node_version() -> tuple[int, ...]:
    """Major and minor number of the Node.js on PATH."""
    answer = subprocess.run(
        ["node", "--version"],  # noqa: S607 - the one that the gates use
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return tuple(int(number) for number in re.findall(r"\d+", answer.stdout)[:2])


def _fingerprint() -> str:
    """Changes when the packages would be other ones: some contain programs for one system only."""
    parts = [(ROOT / name).read_bytes() for name in MANIFESTS]
    parts.append(f"{sys.platform} {platform.machine()}".encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _install(folder: Path, log: Path) -> None:
    for name in MANIFESTS:
        shutil.copy(ROOT / name, folder)
    # Not just "npm": on Windows that is a script, which is started by its whole name only.
    npm = shutil.which("npm") or "npm"
    install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    run_step("Installing the JavaScript tools", install, log, cwd=folder)


def main() -> int:
    """Run every gate. The exit code is the worst one."""
    try:
        commands = gates(prepare())
    except StepError as error:
        say(str(error))
        return 1
    return max(subprocess.run(command, cwd=ROOT, check=False).returncode for command in commands)


if __name__ == "__main__":
    sys.exit(main())
