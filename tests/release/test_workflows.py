"""The workflows at the project's host: what they run, and what they may."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from devtools import ROOT
from devtools.commands import COMMANDS
from devtools.registry import COMFY_CLI

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PYPROJECT = (ROOT / "pyproject.toml").read_text("utf-8")


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text("utf-8"))


def steps(path: Path) -> list[dict[str, Any]]:
    """All steps of a workflow."""
    return [step for job in read(path)["jobs"].values() for step in job.get("steps", [])]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned(path: Path) -> None:
    """Whoever moves a tag of somebody's action changes nothing here: each is named by its commit,
    with its version beside it for a reader."""
    named = re.findall(r"uses: (\S+@.*)", path.read_text("utf-8"))
    assert named
    assert [
        line for line in named if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # .+", line)
    ] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_workflow_may_write(path: Path) -> None:
    """No run may write to the repository, or leaves its token behind for a test to read."""
    assert read(path)["permissions"] == {"contents": "read"}
    assert not [job for job in read(path)["jobs"].values() if "permissions" in job]
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_all_that_is_promised_is_tested() -> None:
    """CI runs on all three systems, and on the Pythons that pyproject.toml promises, the oldest
    included."""
    (ci,) = [path for path in WORKFLOWS if path.name == "ci.yml"]
    matrix = read(ci)["jobs"]["free"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "windows-latest", "macos-latest"]
    assert '"Operating System :: OS Independent"' in PYPROJECT
    tested = matrix["python"]
    assert tested == re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PYPROJECT)
    assert f'requires-python = ">={tested[0]}"' in PYPROJECT


def test_what_ci_calls_is_there() -> None:
    """CI calls commands of dev.py and scripts that exist."""
    (ci,) = [path for path in WORKFLOWS if path.name == "ci.yml"]
    run = [step["run"] for step in steps(ci) if "run" in step]
    assert run == ["python dev.py free", "bash .ci/run"]
    assert "free" in COMMANDS
    assert (ROOT / ".ci" / "run").is_file()


def test_what_publishes_is_what_the_tests_use() -> None:
    """Comfy's command line in the version that packs and checks here, installed where the token is
    not to be had."""
    (publish,) = [path for path in WORKFLOWS if path.name == "publish.yml"]
    *_, install, last = read(publish)["jobs"]["publish"]["steps"]
    assert install == {"run": f"python -m pip install {COMFY_CLI}"}
    assert last["run"] == 'comfy --skip-prompt node publish --token "$TOKEN"'


def test_the_token_is_for_publishing_alone() -> None:
    """One step of one job sees the registry's token, only on main of this repository, behind an
    environment that can ask for a person's consent, and after all tests."""
    (publish,) = [path for path in WORKFLOWS if path.name == "publish.yml"]
    jobs = read(publish)["jobs"]
    assert publish.read_text("utf-8").count("secrets.") == 1
    assert sum("secrets." in path.read_text("utf-8") for path in WORKFLOWS) == 1
    assert "secrets.REGISTRY_ACCESS_TOKEN" in str(jobs["publish"]["steps"][-1])
    assert "github.ref == 'refs/heads/main'" in jobs["publish"]["if"]
    assert jobs["publish"]["environment"]
    assert jobs["publish"]["needs"] == ["version", "test"]
    assert jobs["test"]["uses"] == "./.github/workflows/ci.yml"
