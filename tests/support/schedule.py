"""The order of the test files, when pytest runs them in several processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from devtools.commands import CORES, NEEDS_COMFYUI

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

#: Workers that run tests with ComfyUI. Each of them starts the ComfyUIs that its tests share, so
#: more workers mean more starts. The other workers run tests that mostly wait.
COMFYUI_WORKERS = min(CORES, 3)
#: Long files come first, so that short ones are left for the end, when workers run out of work.
FIRST = ("tests/editor", "tests/release/test_archive.py", "tests/nodes", "tests/money")


def rank(path: str, *, with_comfyui: bool) -> tuple[bool, int] | None:
    """What a worker runs next: of several files the one with the smallest rank.

    Args:
        path: Of the file, from the checkout.
        with_comfyui: Whether the worker may run tests with ComfyUI. It prefers them.

    Returns:
        None for a file that the worker must not run.
    """
    needs_comfyui = path.startswith(NEEDS_COMFYUI)
    if needs_comfyui and not with_comfyui:
        return None
    place = next((n for n, prefix in enumerate(FIRST) if path.startswith(prefix)), len(FIRST))
    return needs_comfyui != with_comfyui, place


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Replaces the scheduler of `--dist loadfile`."""
    return scheduler(config, log) if config.getvalue("dist") == "loadfile" else None


def scheduler(config: Any, log: Any) -> Any:
    """A queue of files, of which each worker takes the next one that suits it."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduler(LoadFileScheduling):
        def _next(self, node: WorkerController) -> str | None:
            with_comfyui = node in self.nodes[:COMFYUI_WORKERS]
            ranks = {
                file: rank(f"tests/{file}", with_comfyui=with_comfyui) for file in self.workqueue
            }
            suitable = {file: value for file, value in ranks.items() if value is not None}
            return min(suitable, key=suitable.__getitem__, default=None)

        def _assign_work_unit(self, node: WorkerController) -> None:
            if (file := self._next(node)) is None:
                node.shutdown()
                return
            self.workqueue.move_to_end(file, last=False)
            super()._assign_work_unit(node)

    return Scheduler(config, log)
