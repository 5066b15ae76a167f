"""What a graph sees: the explicit list of nodes."""

from comfy_api.latest import ComfyExtension, io

from . import host, routes  # noqa: F401 - the import of routes is what registers them
from .compose import PikaCamera, PikaOptions, PikaParameters
from .generate import PikaGenerate
from .history import PikaHistory
from .prompts import PikaPrompts
from .result import PikaResult, PikaStatus

__all__ = ["NODES", "PikaExtension", "comfy_entrypoint"]

NODES: list[type[io.ComfyNode]] = [
    # The first one is the first in the editor's menus.
    PikaGenerate,
    PikaResult,
    PikaOptions,
    PikaParameters,
    PikaCamera,
    PikaPrompts,
    PikaStatus,
    PikaHistory,
]


class PikaExtension(ComfyExtension):
    """The pack, as ComfyUI asks for it."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node of the pack."""
        return NODES


async def comfy_entrypoint() -> PikaExtension:
    """Called by ComfyUI once, at its start."""
    host.register()
    return PikaExtension()
