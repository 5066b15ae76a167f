"""Which worker runs which test file, and when."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from devtools import ROOT
from devtools.commands import NEEDS_COMFYUI
from support.schedule import COMFYUI_WORKERS, FIRST, rank, scheduler

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


class Worker:
    """A worker of xdist without a process. It runs its files one after another."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.shutting_down = False
        self.tests: list[int] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        self.tests += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def finish(schedule: Any, worker: Worker) -> list[str]:
    """Run all tests that a worker gets, until it shuts down. Returns them."""
    tests = []
    while worker.tests:
        index = worker.tests.pop(0)
        tests.append(schedule.collection[index])
        schedule.mark_test_complete(worker, index)
    assert worker.shutting_down
    schedule.remove_node(worker)
    return tests


def test_every_file_runs_once() -> None:
    """Only some of the workers run files with ComfyUI; together they run all files."""
    count = COMFYUI_WORKERS + 2
    files = [f"editor/test_{n}.py" for n in range(2 * count)]
    files += [f"request/test_{n}.py" for n in range(2 * count)]
    tests = [f"{file}::test_{n}" for file in files for n in range(3)]
    config = SimpleNamespace(
        getvalue=lambda _: [f"{count}*popen"], option=SimpleNamespace(loadscopereorder=False)
    )
    schedule = scheduler(config, None)
    workers = [Worker(f"gw{n}") for n in range(count)]
    for worker in workers:
        schedule.add_node(worker)
        schedule.add_node_collection(worker, tests)
    schedule.schedule()
    done = [finish(schedule, worker) for worker in reversed(workers)]
    assert sorted(test for each in done for test in each) == sorted(tests)
    assert not [test for each in done[:2] for test in each if test.startswith("editor/")]
    assert schedule.tests_finished


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
