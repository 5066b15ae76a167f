"""Run browser tests with other versions of ComfyUI's editor, on the ComfyUI of the tests.

The versions without an argument are the oldest one that the pack supports and the newest one. The
tests of the gate run in the one that the ComfyUI of the tests requires.
"""

from __future__ import annotations

import argparse
import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from devtools.setup.browser import ensure_chromium
from devtools.setup.environment import cache_folder, host, make_once
from devtools.setup.steps import StepError, run_step, say

PACKAGE: Final = "comfyui-frontend-package"
#: Inside the wheel.
STATIC: Final = "comfyui_frontend_package/static/"
#: Versions of that package with the SHA-256 of their wheel.
VERSIONS: Final = {
    "1.27.10": "822b2ef715771ec83ad19605d02e25b069991d366b81ccc550ab280ae9c831b8",
    "1.58.1": "37912597537a731a8f421179618a736c24184c5bdbfa327f38b2fb7c291852d9",
}
#: What differs most between the versions: the nodes, the examples and the sidebar.
TESTS: Final = (
    "tests/editor/test_lines.py",
    "tests/editor/test_examples.py",
    "tests/editor/test_sidebar.py",
)

Run = Callable[[Sequence[str | Path], Mapping[str, str]], int]


def main(arguments: list[str], environment: Mapping[str, str], run: Run) -> int:
    """Run the tests with each version. Returns the highest exit code; raises StepError.

    Args:
        run: Runs a command with these variables and returns its exit code.
    """
    parser = argparse.ArgumentParser(prog="python dev.py editors", description=__doc__)
    parser.add_argument(
        "version", nargs="*", default=list(VERSIONS), help=f"of {PACKAGE}, such as 1.58.1"
    )
    parser.add_argument("--tests", nargs="+", default=TESTS, metavar="TEST", help="for pytest")
    options = parser.parse_args(arguments)
    ensure_chromium(cache_folder() / "setup.log")
    pytest: list[str | Path] = [host().python, "-m", "pytest", *options.tests]
    code = 0
    for version in options.version:
        variables = {**environment, "COMFYUI_FRONTEND": str(frontend(version))}
        say(f"ComfyUI's editor {version}")
        code = max(code, run(pytest, variables))
    return code


def frontend(version: str) -> Path:
    """The files of a version of the editor, downloaded into the cache folder at the first call."""
    folder = cache_folder() / f"frontend-{version}"
    make_once(folder, lambda log: _unpack(version, folder, log))
    return folder / STATIC


def _unpack(version: str, folder: Path, log: Path) -> None:
    pip: list[str | Path] = [host().python, "-m", "pip", "--disable-pip-version-check"]
    fetch = [*pip, "download", "--no-deps", "--only-binary=:all:", "--dest", folder]
    run_step(f"Downloading the editor {version}", [*fetch, f"{PACKAGE}=={version}"], log)
    (wheel,) = folder.glob("*.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != VERSIONS.get(version, digest):
        raise StepError(f"{wheel} has SHA-256 {digest}, not {VERSIONS[version]}.")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(STATIC)])
    wheel.unlink()
