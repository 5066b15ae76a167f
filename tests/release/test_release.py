"""When a push publishes a version, and what it tells users."""

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

#: Of this checkout.
OURS = {
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


def test_only_another_version_is_published(history: Path) -> None:
    """A push is a release when its version is another than before it, however many commits it has,
    and not when something else in pyproject.toml changes."""
    first = commit(history, "1.0.0")
    commit(history, "1.0.0", line_length=120)
    assert not is_new(history, first)
    commit(history, "1.1.0")
    commit(history, "1.1.0", line_length=120)
    assert is_new(history, first)


@pytest.mark.parametrize("before", ["", NO_COMMIT])
def test_a_run_by_hand_publishes(history: Path, before: str) -> None:
    """Without a commit to compare with, by hand or on a new branch, the version is published."""
    commit(history, "1.1.0")
    assert is_new(history, before)


def test_a_forgotten_commit_is_told(history: Path) -> None:
    """A commit that git does not have, after a forced push, ends in an error and not in a guess."""
    commit(history, "1.1.0")
    with pytest.raises(StepError, match="cannot show"):
        is_new(history, "1" * 40)


def test_outputs_carry_the_news(history: Path) -> None:
    """The outputs of a release are its version and its part of the changelog, no more."""
    commit(history, "1.1.0")
    first, second, opening, *told, closing = outputs(history, "").splitlines()
    assert [first, second] == ["version=1.1.0", "new=true"]
    assert opening == f"news<<{closing}"
    assert "\n".join(told) == "### Added\n\n- A thing."


def test_no_release_without_news() -> None:
    """A version that the changelog says nothing of is not published."""
    assert news(CHANGELOG, "1.0.0") == "- The first."
    with pytest.raises(StepError, match=r"nothing under \[1.2.0\]"):
        news(CHANGELOG, "1.2.0")
    with pytest.raises(StepError, match=r"nothing under \[Unreleased\]"):
        news(CHANGELOG, "Unreleased")


def test_the_checkout_has_a_version() -> None:
    """The pack's own version is found, and one of other than three numbers is refused."""
    assert version((ROOT / "pyproject.toml").read_text("utf-8"))
    with pytest.raises(StepError, match="no line such as"):
        version('version = "1.0"\n')


def test_this_version_could_be_published() -> None:
    """The changelog tells of the version that pyproject.toml has."""
    assert news(OURS["changelog"], OURS["version"])


def test_every_release_left_its_workflows() -> None:
    """What a version saved is kept from its release on, for every later one to open."""
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", OURS["changelog"], re.MULTILINE)
    assert released
    folders = {path.name for path in (ROOT / "tests" / "workflows").iterdir() if path.is_dir()}
    assert folders == set(released)
