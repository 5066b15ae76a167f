"""Other Python versions on this machine, for the tests that need no ComfyUI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from devtools.setup import recipe
from devtools.setup.environment import cache_folder, interpreter, make_once, make_venv
from devtools.setup.steps import say

#: The oldest version that the pack supports: `requires-python` in pyproject.toml.
OLDEST: Final = "3.10"
_VERSION_AND_PATH: Final = (
    "import sys; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"
)
#: Seconds for an interpreter to answer.
_ANSWER_WITHIN: Final = 20.0


def own_version() -> str:
    """The version of the running Python, such as "3.11"."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def find_python(version: str) -> Path | None:
    """An interpreter of this version, or None if none is installed."""
    if version == own_version():
        return Path(sys.executable)
    commands = [[str(path)] for path in _candidates(version)]
    if sys.platform == "win32":
        commands.append(["py", f"-{version}"])
    return next(filter(None, (_verified(command, version) for command in commands)), None)


def free_interpreter(version: str, base: Path) -> Path:
    """An interpreter of this version with the requirements of the tests without ComfyUI.

    Created once in the cache folder from the interpreter `base`. Raises StepError.
    """
    folder = cache_folder() / f"free-{version}-{recipe.free_fingerprint()}"

    def make(log: Path) -> None:
        say(f"Setting up Python {version}")
        make_venv(folder, base, recipe.free_packages(), log)

    make_once(folder, make)
    return interpreter(folder / "venv")


def _candidates(version: str) -> list[Path]:
    """Files that may be such an interpreter. A shim of pyenv may be another version or fail."""
    on_path = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    # The versions beside the running one are found from another home directory too.
    installed = [
        python
        for folder in dict.fromkeys((pyenv, Path(sys.base_prefix).parent))
        for python in sorted(folder.glob(f"{version}.*/bin/python"))
    ]
    return [*([Path(on_path)] if on_path else []), *installed]


def _verified(command: list[str], version: str) -> Path | None:
    try:
        done = subprocess.run(
            [*command, "-c", _VERSION_AND_PATH],
            capture_output=True,
            text=True,
            timeout=_ANSWER_WITHIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.split("\n")
    return Path(lines[1].strip()) if done.returncode == 0 and lines[0].strip() == version else None
