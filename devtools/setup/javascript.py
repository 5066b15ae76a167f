"""The checks of the JavaScript in web/js: ESLint, TypeScript's type check, and Node's test runner.

python -m devtools.setup.javascript    run them all

Nothing is built or shipped. The packages of package-lock.json are installed in the cache folder,
once for each content of that file.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from devtools import ROOT
from devtools.setup import debian
from devtools.setup.environment import cache_folder, make_once
from devtools.setup.steps import StepError, run_step, say

#: What npm reads. A change in one of them creates a new folder.
MANIFESTS = (".npmrc", "package.json", "package-lock.json")
#: The oldest Node.js that the packages run on; Debian 12 has 18.20.
OLDEST = (18, 19)
DEBIAN_PACKAGES = ("nodejs", "npm")
CHECKED = ("web/js", "tests/web", "eslint.config.mjs")
MISSING = "Node.js {}.{} or newer with npm is needed for the checks of web/js. {}"


def prepare() -> Path:
    """The folder with the installed packages, created at the first call. Raises StepError."""
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
    """Install Debian's Node.js and npm if one is missing. Raises StepError."""
    if not (shutil.which("node") and shutil.which("npm")):
        if not debian.can_install():
            raise StepError(MISSING.format(*OLDEST, "It was not found on PATH."))
        debian.install("Node.js and npm", DEBIAN_PACKAGES, log)
    version = _node_version()
    if version < OLDEST:
        raise StepError(MISSING.format(*OLDEST, f"This is {'.'.join(map(str, version))}."))


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
    """Identifies the packages. The system is part of it: some packages contain programs for it."""
    parts = [(ROOT / name).read_bytes() for name in MANIFESTS]
    parts.append(f"{sys.platform} {platform.machine()}".encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _install(folder: Path, log: Path) -> None:
    for name in MANIFESTS:
        shutil.copy(ROOT / name, folder)
    # On Windows npm is a script, which must be started with its full path.
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
