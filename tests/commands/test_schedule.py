"""Which worker runs which test file, and when."""

from __future__ import annotations

import re

import pytest
import yaml

from devtools import ROOT
from devtools.commands import NEEDS_COMFYUI
from support.schedule import FIRST, rank

EDITOR, NODES = "tests/editor/test_a.py", "tests/nodes/test_a.py"
HARNESS = "tests/harness/test_a.py"
MONEY, REQUEST = "tests/money/test_a.py", "tests/request/test_a.py"


@pytest.mark.parametrize("path", [*NEEDS_COMFYUI, *FIRST])
def test_paths_exist(path: str) -> None:
    """Moving a folder without the schedule would change what `dev.py free` runs."""
    assert (ROOT / path).exists()


def test_worker_with_comfyui_prefers_its_files() -> None:
    """Its order: long files with ComfyUI, short ones, then the files of the other workers."""
    files = [REQUEST, MONEY, HARNESS, NODES, EDITOR]
    ordered = sorted(files, key=lambda path: rank(path, with_comfyui=True))
    assert ordered == [EDITOR, NODES, HARNESS, MONEY, REQUEST]


def test_other_workers_start_no_comfyui() -> None:
    """They run the files without ComfyUI, long ones first."""
    assert {rank(path, with_comfyui=False) for path in (EDITOR, NODES, HARNESS)} == {None}
    assert rank(MONEY, with_comfyui=False) < rank(REQUEST, with_comfyui=False)


def test_files_with_comfyui_are_known() -> None:
    """A file with the marker `comfy` or `browser` is in a folder that `dev.py free` leaves out."""
    unknown = [
        path
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if re.search(r"\bmark\.(comfy|browser)\b", path.read_text("utf-8"))
        and not path.relative_to(ROOT).as_posix().startswith(NEEDS_COMFYUI)
    ]
    assert unknown == []


def test_nightly_run_is_the_gate_in_its_long_form() -> None:
    """The nightly workflow runs the gate with PIKA_TEST_LONG, and the whole mutation check."""
    text = (ROOT / ".github" / "workflows" / "nightly.yml").read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["long"]["steps"][-1] == {"run": "bash .ci/run", "env": {"PIKA_TEST_LONG": "1"}}
    assert jobs["mutants"]["steps"][-1] == {"run": "python dev.py mutants"}
