"""Whether a push releases a new version, for the workflow that publishes. Standard library only.

python -m devtools.release BEFORE    prints the outputs of a GitHub step: version, new, news

BEFORE is the commit before the push. Without it (a manual run) the version counts as new.
"""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from pathlib import Path

from devtools import ROOT
from devtools.setup.steps import StepError, say

#: GitHub's value for the commit before the first one of a branch.
NO_COMMIT = "0" * 40


def version(pyproject: str) -> str:
    """The version in the text of a pyproject.toml. Raises StepError."""
    match = re.search(r'^version = "(\d+\.\d+\.\d+)"$', pyproject, re.MULTILINE)
    if match is None:
        raise StepError('pyproject.toml has no line such as: version = "1.2.3"')
    return match[1]


def news(changelog: str, released: str) -> str:
    """The section of a changelog about a version. Raises StepError if it is missing or empty."""
    heading = rf"^## \[{re.escape(released)}\][^\n]*$"
    match = re.search(heading + r"(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    section = match[1].strip() if match else ""
    if not section:
        raise StepError(f"CHANGELOG.md has nothing under [{released}]. Describe what is new.")
    return section


def is_new(root: Path, before: str) -> bool:
    """Whether the version of the checkout differs from that of an earlier commit."""
    if before in {"", NO_COMMIT}:
        return True
    done = subprocess.run(
        ["git", "show", f"{before}:pyproject.toml"],  # noqa: S607 - the runner's own git
        cwd=root,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise StepError(f"git cannot show pyproject.toml at {before}: {done.stderr}")
    return version(done.stdout) != version((root / "pyproject.toml").read_text("utf-8"))


def outputs(root: Path, before: str) -> str:
    """The outputs of the step in GitHub's format. Raises StepError."""
    released = version((root / "pyproject.toml").read_text("utf-8"))
    if not is_new(root, before):
        return f"version={released}\nnew=false"
    section = news((root / "CHANGELOG.md").read_text("utf-8"), released)
    end = uuid.uuid4().hex  # a random delimiter: no line of the changelog can be equal to it
    return f"version={released}\nnew=true\nnews<<{end}\n{section}\n{end}"


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
