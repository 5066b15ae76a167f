"""What the Comfy registry gets: its archive, made and checked by Comfy's own command line.

python -m devtools.registry    packs the checkout, and prints where the archive is
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

from devtools.environment import cache_folder, interpreter, make_once, make_venv
from devtools.recipe import ROOT
from devtools.steps import StepError, say

COMFY_CLI = "comfy-cli==1.23.0"
ARCHIVE = "node.zip"
# Prints the configuration as publishing sends it, after whatever is found wrong with it.
READ = """
import dataclasses, json
from comfy_cli.registry.config_parser import extract_node_configuration
print()
print(json.dumps(dataclasses.asdict(extract_node_configuration())))
"""


@dataclass(frozen=True)
class ComfyCli:
    """Comfy's command line in a virtual environment of its own: it wants other packages than
    ComfyUI does.
    """

    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter that has it."""
        return interpreter(self.folder / "venv")

    def validate(self, place: Path) -> str:
        """What publishing would check. Returns what it says; raises StepError."""
        return self._run(place, "-m", "comfy_cli", "--skip-prompt", "node", "validate")

    def pack(self, place: Path) -> Path:
        """Make the archive in `place`, from what git tracks there. Raises StepError."""
        self._run(place, "-m", "comfy_cli", "--skip-prompt", "node", "pack")
        return place / ARCHIVE

    def configuration(self, place: Path) -> tuple[str, dict[str, Any]]:
        """The pyproject.toml in `place` as the registry reads it, with the warnings about it."""
        warnings, _, found = self._run(place, "-c", READ).strip().rpartition("\n")
        return warnings.strip(), json.loads(found)

    def _run(self, place: Path, *arguments: str) -> str:
        # Its settings go beside it and not into the user's home, and it tells nobody of its use.
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
    """The cached command line, which is set up if need be. Raises StepError."""
    parts = [COMFY_CLI, sys.implementation.cache_tag, sys.platform, platform.machine()]
    name = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:12]
    folder = cache_folder() / f"comfy-cli-{name}"

    def make(log: Path) -> None:
        say("Setting up Comfy's command line")
        make_venv(folder, sys.executable, ["--only-binary=:all:", COMFY_CLI], log)

    make_once(folder, make)
    return ComfyCli(folder)


def tracked_copy(place: Path) -> Path:
    """Copy what git tracks, as it lies on the disk, into a repository of its own at `place`.

    The command line writes its archive where it packs, and that is never the checkout.
    """
    for name in _git(ROOT, "ls-files", "-z").split("\0"):
        # A file that was deleted, but not yet for git, is not packed either.
        if name and (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    _git(place, "init", "--quiet")
    _git(place, "add", "--all", "--force")
    return place


def _git(place: Path, *arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        raise StepError("git was not found, and only git knows which files belong to the pack.")
    done = subprocess.run([git, *arguments], cwd=place, capture_output=True, check=False)
    if done.returncode:
        raise StepError(f"git {' '.join(arguments)} failed: {done.stderr.decode()}")
    return done.stdout.decode()


def main() -> int:
    """Check and pack the checkout. Exit code 0 with the archive's path on stdout, or 1."""
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
