"""Empty stand-ins for torchvision and torchaudio, where they are not installed.

ComfyUI's model code imports both, and neither has a build for every machine that has torch.
Nothing that a graph of this pack runs ever calls into them: importing must work, no more.
Python imports a module of this name by itself when its folder is on PYTHONPATH; the harness
puts it there for ComfyUI's process only.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NAMES = frozenset({"torchvision", "torchaudio"})


class StandIn(ModuleType):
    """A module that has every public name: each is an empty class, so it can be subclassed."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__module__": self.__name__})


class StandInFinder(MetaPathFinder, Loader):
    """Answers last, after every real finder: a real torchvision always wins."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the import system gives it
        target: ModuleType | None = None,  # noqa: ARG002 - as above
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in NAMES:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing in it."""


sys.meta_path.append(StandInFinder())
