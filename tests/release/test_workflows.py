"""The workflows of GitHub Actions: their commands, and their permissions."""

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
    """Each action is named by its commit, since a tag can be moved. A comment has its version."""
    actions = re.findall(r"uses: (\S+@.*)", path.read_text("utf-8"))
    assert actions
    assert [
        line for line in actions if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # .+", line)
    ] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_workflow_may_write(path: Path) -> None:
    """No run may write to the repository, and none stores its token where a test could read it."""
    assert read(path)["permissions"] == {"contents": "read"}
    assert not [job for job in read(path)["jobs"].values() if "permissions" in job]
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_ci_covers_every_supported_system_and_python() -> None:
    """CI runs on all three systems, and on each Python version that pyproject.toml names."""
    (ci,) = [path for path in WORKFLOWS if path.name == "ci.yml"]
    matrix = read(ci)["jobs"]["free"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "windows-latest", "macos-latest"]
    assert '"Operating System :: OS Independent"' in PYPROJECT
    tested = matrix["python"]
    assert tested == re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PYPROJECT)
    assert f'requires-python = ">={tested[0]}"' in PYPROJECT


def test_ci_calls_existing_commands() -> None:
    """Each command is one of dev.py or a script in the repository."""
    (ci,) = [path for path in WORKFLOWS if path.name == "ci.yml"]
    run = [step["run"] for step in steps(ci) if "run" in step]
    assert run == ["python dev.py free", "bash .ci/run"]
    assert "free" in COMMANDS
    assert (ROOT / ".ci" / "run").is_file()


def test_publishing_uses_the_tested_command_line() -> None:
    """Comfy's command line has the version of the tests. It and all that it needs are pinned by
    hash, and the step that installs it has no token."""
    (publish,) = [path for path in WORKFLOWS if path.name == "publish.yml"]
    *_, install, last = read(publish)["jobs"]["publish"]["steps"]
    name = ".github/publish-requirements.txt"
    pip = "python -m pip install --require-hashes --only-binary=:all:"
    assert install == {"run": f"{pip} -r {name}"}
    packages = re.findall(
        r"^([\w.-]+==[\w.]+) (.*(?:\n    .*)*)", (ROOT / name).read_text("utf-8"), re.MULTILINE
    )
    assert COMFY_CLI in [package for package, _ in packages]
    assert all("--hash=sha256:" in hashes for _, hashes in packages)
    assert last["run"] == 'comfy --skip-prompt node publish --token "$TOKEN"'


def test_only_the_publishing_step_gets_the_token() -> None:
    """One step of one job gets the registry's token: on main of this repository only, in an
    environment that can require an approval, and after all tests."""
    (publish,) = [path for path in WORKFLOWS if path.name == "publish.yml"]
    jobs = read(publish)["jobs"]
    assert publish.read_text("utf-8").count("secrets.") == 1
    assert sum("secrets." in path.read_text("utf-8") for path in WORKFLOWS) == 1
    assert "secrets.REGISTRY_ACCESS_TOKEN" in str(jobs["publish"]["steps"][-1])
    assert "github.ref == 'refs/heads/main'" in jobs["publish"]["if"]
    assert jobs["publish"]["environment"]
    assert jobs["publish"]["needs"] == ["version", "test"]
    assert jobs["test"]["uses"] == "./.github/workflows/ci.yml"
