"""Whether a push releases a version, for the workflow that publishes. Standard library only.

python -m devtools.release BEFORE    the outputs of a GitHub step: version, new, news

BEFORE is the commit before the push; without one (a run by hand) the version counts as new.
"""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from pathlib import Path

from devtools.recipe import ROOT
from devtools.steps import StepError, say

# What GitHub gives for the commit before a branch's first one.
NO_COMMIT = "0" * 40


def version(pyproject: str) -> str:
    """The version in the text of a pyproject.toml. Raises StepError."""
    found = re.search(r'^version = "(\d+\.\d+\.\d+)"$', pyproject, re.MULTILINE)
    if found is None:
        raise StepError('pyproject.toml has no line such as: version = "1.2.3"')
    return found[1]


def news(changelog: str, released: str) -> str:
    """What a changelog says of a version. Raises StepError where it says nothing."""
    heading = rf"^## \[{re.escape(released)}\][^\n]*$"
    found = re.search(heading + r"(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    told = found[1].strip() if found else ""
    if not told:
        raise StepError(f"CHANGELOG.md says nothing under [{released}]: tell users what is new.")
    return told


def is_new(root: Path, before: str) -> bool:
    """Whether the checkout's version is another than that of an earlier commit."""
    if before in {"", NO_COMMIT}:
        return True
    shown = subprocess.run(
        ["git", "show", f"{before}:pyproject.toml"],  # noqa: S607 - the runner's own git
        cwd=root,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if shown.returncode:
        raise StepError(f"git cannot show pyproject.toml at {before}: {shown.stderr}")
    return version(shown.stdout) != version((root / "pyproject.toml").read_text("utf-8"))


def outputs(root: Path, before: str) -> str:
    """A step's outputs, as GitHub reads them. Raises StepError."""
    released = version((root / "pyproject.toml").read_text("utf-8"))
    if not is_new(root, before):
        return f"version={released}\nnew=false"
    told = news((root / "CHANGELOG.md").read_text("utf-8"), released)
    end = uuid.uuid4().hex  # no line of the changelog can end the text early
    return f"version={released}\nnew=true\nnews<<{end}\n{told}\n{end}"


def main(arguments: list[str]) -> int:
    """Exit code 0 with the outputs on stdout, or 1 with the reason on stderr."""
    try:
        print(outputs(ROOT, arguments[0] if arguments else ""))
    except StepError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
