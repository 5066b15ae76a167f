"""The checks of web/js: what they cover, and what they need."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from devtools import ROOT
from devtools.setup import javascript
from devtools.setup.steps import StepError

MODULES = sorted(path for path in (ROOT / "web" / "js").iterdir())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_every_module_is_type_checked(path: Path) -> None:
    """A module says so itself, for editors that check by file, and nothing in it is left out."""
    text = path.read_text("utf-8")
    assert text.startswith("// @ts-check\n")
    assert "@ts-ignore" not in text
    assert "@ts-nocheck" not in text


def test_lock_file_names_no_registry() -> None:
    """The packages come from whatever registry npm is set up with, and are what they were."""
    packages = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    installed = [entry for path, entry in packages.items() if path]
    assert installed
    assert not [entry for entry in installed if "resolved" in entry]
    assert all(entry["integrity"].startswith("sha512-") for entry in installed)


def test_gates_are_lint_types_and_every_test_file() -> None:
    """ESLint sees the modules and the tests, and no test file is left out of the run."""
    lint, types, run = javascript.gates(Path("packages"))
    assert {"web/js", "tests/web"} <= set(map(str, lint))
    assert types[1] == Path("packages/node_modules/typescript/bin/tsc")
    tests = [path for path in run if isinstance(path, Path)]
    assert len(tests) >= 10
    assert tests == sorted((ROOT / "tests" / "web").rglob("*.test.mjs"))


def test_without_node_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where nothing can be installed, the checks do not pass silently."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StepError, match=r"Node\.js 18\.19 or newer with npm"):
        javascript.ensure_node(tmp_path / "setup.log")


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_an_old_node_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A Node.js that ESLint does not run on is named with its version."""
    for name in ("node", "npm"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho v16.20.2\n", "utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StepError, match=r"This is 16\.20"):
        javascript.ensure_node(tmp_path / "setup.log")
