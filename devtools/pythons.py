"""The Pythons that ComfyUI is used with, as far as they are here, for what needs no ComfyUI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from devtools import recipe
from devtools.environment import cache_folder, interpreter, make_once, make_venv
from devtools.steps import say

#: Those that ComfyUI itself is used with.
VERSIONS: Final = ("3.10", "3.11", "3.12", "3.13")
_ASK: Final = "import sys; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"
_ANSWER_WITHIN: Final = 20.0


def own_version() -> str:
    """The version of the Python that runs this, as in `VERSIONS`."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def installed() -> dict[str, Path]:
    """The interpreter of each version that is here; the missing ones are told and left out."""
    found = {version: _find(version) for version in VERSIONS}
    missing = [version for version, path in found.items() if path is None]
    if missing:
        say(f"Not installed here, so not tested on: Python {', '.join(missing)}")
    return {version: path for version, path in found.items() if path is not None}


def free_interpreter(version: str, base: Path) -> Path:
    """An interpreter of this version with what `pika_api` and its tests need, and no ComfyUI.

    Made once in the cache folder. Raises StepError when it cannot be made.
    """
    folder = cache_folder() / f"free-{version}-{recipe.free_fingerprint()}"

    def make(log: Path) -> None:
        say(f"Setting up Python {version}")
        make_venv(folder, base, recipe.free_packages(), log)

    make_once(folder, make)
    return interpreter(folder / "venv")


def _find(version: str) -> Path | None:
    if version == own_version():
        return Path(sys.executable)
    commands = [[str(path), "-c", _ASK] for path in _candidates(version)]
    if sys.platform == "win32":
        commands.append(["py", f"-{version}", "-c", _ASK])
    return next(filter(None, (_asked(command, version) for command in commands)), None)


def _candidates(version: str) -> list[Path]:
    """Where an interpreter of this version may be. Not all that is there works, or is the one."""
    named = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return [*([Path(named)] if named else []), *sorted(pyenv.glob(f"{version}.*/bin/python"))]


def _asked(command: list[str], version: str) -> Path | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_ANSWER_WITHIN, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.split("\n")
    return Path(lines[1].strip()) if done.returncode == 0 and lines[0].strip() == version else None
