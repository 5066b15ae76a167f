"""The archive for the Comfy registry, created and checked with Comfy's command line.

python -m devtools.registry    packs the checkout and prints the path of the archive
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools import ROOT
from devtools.setup.environment import cache_folder, interpreter, make_once, make_venv
from devtools.setup.steps import StepError, say

COMFY_CLI = "comfy-cli==1.23.0"
ARCHIVE = "node.zip"
# Prints warnings, then one line with the configuration that publishing sends.
READ = """
import dataclasses, json
from comfy_cli.registry.config_parser import extract_node_configuration
print()
print(json.dumps(dataclasses.asdict(extract_node_configuration())))
"""


@dataclass(frozen=True)
class ComfyCli:
    """Comfy's command line. It has its own virtual environment, because its requirements conflict
    with those of ComfyUI.
    """

    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter of that environment."""
        return interpreter(self.folder / "venv")

    def validate(self, place: Path) -> str:
        """Run the checks of publishing. Returns their output; raises StepError."""
        return self._run(place, "-m", "comfy_cli", "--skip-prompt", "node", "validate")

    def pack(self, place: Path) -> Path:
        """Create the archive in `place` from the files that git tracks there. Raises StepError."""
        self._run(place, "-m", "comfy_cli", "--skip-prompt", "node", "pack")
        return place / ARCHIVE

    def configuration(self, place: Path) -> tuple[str, dict[str, Any]]:
        """Warnings about pyproject.toml in `place`, and its content as the registry reads it."""
        warnings, _, content = self._run(place, "-c", READ).strip().rpartition("\n")
        return warnings.strip(), json.loads(content)

    def _run(self, place: Path, *arguments: str) -> str:
        # Its settings are not written into the user's home, and it sends no usage data.
        home = str(self.folder)
        quiet = {"HOME": home, "USERPROFILE": home, "DO_NOT_TRACK": "1", "PYTHONUTF8": "1"}
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=place,
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            raise StepError(f"{done.stdout}\nComfy's command line failed at {arguments}.")
        return done.stdout


def comfy_cli() -> ComfyCli:
    """The cached command line, which is installed when it is missing. Raises StepError."""
    parts = [COMFY_CLI, sys.implementation.cache_tag, sys.platform, platform.machine()]
    name = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:12]
    folder = cache_folder() / f"comfy-cli-{name}"

    def make(log: Path) -> None:
        say("Setting up Comfy's command line")
        make_venv(folder, sys.executable, ["--only-binary=:all:", COMFY_CLI], log)

    make_once(folder, make)
    return ComfyCli(folder)


def tracked_copy(place: Path) -> Path:
    """Copy the files that git tracks, with local changes, into a new repository at `place`.

    The command line writes the archive into the folder that it packs. That must not be the
    checkout.
    """
    for name in _git(ROOT, "ls-files", "-z").split("\0"):
        # A deleted file is still listed until its deletion is committed.
        if name and (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    _git(place, "init", "--quiet")
    _git(place, "add", "--all", "--force")
    return place


def _git(place: Path, *arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        raise StepError("git was not found. It lists the files that belong to the pack.")
    done = subprocess.run([git, *arguments], cwd=place, capture_output=True, check=False)
    if done.returncode:
        raise StepError(f"git {' '.join(arguments)} failed: {done.stderr.decode()}")
    return done.stdout.decode()


def main() -> int:
    """Check and pack the checkout. Exit code 0 with the path of the archive on stdout, or 1."""
    try:
        cli = comfy_cli()
        place = cache_folder() / "archive"
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            copy = tracked_copy(Path(folder))
            say(cli.validate(copy))
            print(shutil.copy2(cli.pack(copy), place / ARCHIVE))
    except StepError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
