"""Runs inside ComfyUI's process before ComfyUI itself: import stand-ins, and a faster start.

Python imports a module of this name at its start if its folder is on PYTHONPATH. `devtools.comfyui`
puts the folder there for ComfyUI's process only.

Stand-ins: ComfyUI's model code imports libraries that no graph of this pack ever calls. Importing
them must succeed, nothing more. torchvision and torchaudio are replaced where they are not
installed, since not every system has a build of them. The libraries named in `VARIABLE` are always
replaced: their import takes a third of ComfyUI's start.

Faster start: until the first pack is imported, the garbage collector runs rarely and coverage is
not measured. ComfyUI's own code is not measured anyway, but the tracer slows it down.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

#: Environment variable with the top-level names to replace, separated by commas.
VARIABLE = "COMFYUI_STAND_INS"
WHERE_MISSING = frozenset({"torchvision", "torchaudio"})
#: Allocations between two collections during the start. Python's default is 700.
COLLECT_EVERY = 200_000


class StandIn(ModuleType):
    """A module with every public name. Each is an empty class, so it can be subclassed."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__module__": self.__name__})


class StandInFinder(MetaPathFinder, Loader):
    """Finds a stand-in for the given top-level packages and everything in them."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - argument of the import system
        target: ModuleType | None = None,  # noqa: ARG002 - as above
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in self._names:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to execute."""


class StartFinder(MetaPathFinder):
    """Finds nothing. The first import inside a pack ends the measures for a faster start."""

    def __init__(self) -> None:
        self._threshold = gc.get_threshold()
        gc.set_threshold(COLLECT_EVERY)
        # It runs already if the tests are measured: its .pth file comes before this module.
        coverage: Any = sys.modules.get("coverage")
        self._coverage = coverage and coverage.Coverage.current()
        if self._coverage:
            self._coverage.stop()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - argument of the import system
        target: ModuleType | None = None,  # noqa: ARG002 - as above
    ) -> None:
        # ComfyUI names a pack's module by its path: "…/custom_nodes/ComfyUI-Pika.nodes".
        if "custom_nodes" in fullname and self in sys.meta_path:
            sys.meta_path.remove(self)
            gc.set_threshold(*self._threshold)
            if self._coverage:
                self._coverage.start()


ALWAYS = frozenset(filter(None, os.environ.get(VARIABLE, "").split(",")))
sys.meta_path.insert(0, StandInFinder(ALWAYS))
sys.meta_path.append(StandInFinder(WHERE_MISSING))  # last: an installed library is preferred
if __name__ == "sitecustomize":  # not in the benchmarks, which load this file by its path
    sys.meta_path.insert(0, StartFinder())
