"""What a graph sees: the explicit list of nodes."""

from comfy_api.latest import ComfyExtension, io

from . import host, routes  # noqa: F401 - the import of routes is what registers them
from .compose import PikaCamera, PikaOptions, PikaParameters
from .generate import PikaGenerate
from .history import PikaHistory
from .official import OFFICIAL
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
        """Every node of the pack, and those of ComfyUI's former Pika nodes that it does not have.

        ComfyUI ignores a pack's node with an id of its own, but takes over the name of that node.
        """
        registered = host.registered_nodes()
        return [*NODES, *(each for each in OFFICIAL if each.GET_SCHEMA().node_id not in registered)]


async def comfy_entrypoint() -> PikaExtension:
    """Called by ComfyUI once, at its start."""
    host.register()
    return PikaExtension()
