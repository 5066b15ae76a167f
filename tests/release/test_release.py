"""When a push publishes a version, and the release notes of a version."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from devtools import ROOT
from devtools.release import NO_COMMIT, is_new, news, outputs, version
from devtools.setup.steps import StepError

CHANGELOG = """# Changelog

## [Unreleased]

## [1.1.0] - 2026-12-01

### Added

- A thing.

## [1.0.0] - 2026-11-01

- The first.
"""

#: The changelog and the version of this checkout.
CHECKOUT = {
    "changelog": (ROOT / "CHANGELOG.md").read_text("utf-8"),
    "version": version((ROOT / "pyproject.toml").read_text("utf-8")),
}


def git(place: Path, *arguments: str) -> str:
    own = ["-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    return subprocess.check_output(["git", *own, *arguments], cwd=place, text=True).strip()


def commit(place: Path, released: str, line_length: int = 100) -> str:
    """A commit of a pyproject.toml with this version. Returns its id."""
    text = f'[project]\nversion = "{released}"\n[tool.ruff]\nline-length = {line_length}\n'
    (place / "pyproject.toml").write_text(text, encoding="utf-8")
    git(place, "add", "pyproject.toml")
    git(place, "commit", "--quiet", "--message", released)
    return git(place, "rev-parse", "HEAD")


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A repository with a changelog."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    return tmp_path


def test_only_a_new_version_is_published(history: Path) -> None:
    """A push is a release if it changes the version, however many commits it has, and not if it
    changes something else in pyproject.toml."""
    first = commit(history, "1.0.0")
    commit(history, "1.0.0", line_length=120)
    assert not is_new(history, first)
    commit(history, "1.1.0")
    commit(history, "1.1.0", line_length=120)
    assert is_new(history, first)


@pytest.mark.parametrize("before", ["", NO_COMMIT])
def test_manual_run_publishes(history: Path, before: str) -> None:
    """Without a commit to compare with, as in a manual run or on a new branch, the version is
    published."""
    commit(history, "1.1.0")
    assert is_new(history, before)


def test_unknown_commit_is_an_error(history: Path) -> None:
    """After a forced push git may not have the commit before it."""
    commit(history, "1.1.0")
    with pytest.raises(StepError, match="cannot show"):
        is_new(history, "1" * 40)


def test_outputs_are_the_version_and_its_changes(history: Path) -> None:
    """The outputs of a release have its section of the changelog and no other."""
    commit(history, "1.1.0")
    first, second, opening, *section, closing = outputs(history, "").splitlines()
    assert [first, second] == ["version=1.1.0", "new=true"]
    assert opening == f"news<<{closing}"
    assert "\n".join(section) == "### Added\n\n- A thing."


def test_version_without_changes_is_not_published() -> None:
    """A version without a section in the changelog is an error."""
    assert news(CHANGELOG, "1.0.0") == "- The first."
    with pytest.raises(StepError, match=r"nothing under \[1.2.0\]"):
        news(CHANGELOG, "1.2.0")
    with pytest.raises(StepError, match=r"nothing under \[Unreleased\]"):
        news(CHANGELOG, "Unreleased")


def test_version_is_read_from_pyproject() -> None:
    """The checkout has a version. One without three numbers is refused."""
    assert version((ROOT / "pyproject.toml").read_text("utf-8"))
    with pytest.raises(StepError, match="no line such as"):
        version('version = "1.0"\n')


def test_changelog_has_the_current_version() -> None:
    """The version of pyproject.toml has a section in the changelog."""
    assert news(CHECKOUT["changelog"], CHECKOUT["version"])


def test_every_release_has_saved_workflows() -> None:
    """Workflows of each released version are stored, for later versions to open."""
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", CHECKOUT["changelog"], re.MULTILINE)
    assert released
    folders = {path.name for path in (ROOT / "tests" / "workflows").iterdir() if path.is_dir()}
    assert folders == set(released)
