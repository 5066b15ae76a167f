"""What a graph sees: the explicit list of nodes."""

from comfy_api.latest import ComfyExtension, io

from .compose import PikaCamera, PikaOptions, PikaParameters
from .generate import PikaGenerate
from .result import PikaResult, PikaStatus

NODES: list[type[io.ComfyNode]] = [
    PikaParameters,
    PikaCamera,
    PikaOptions,
    PikaGenerate,
    PikaStatus,
    PikaResult,
]


class PikaExtension(ComfyExtension):
    """The pack, as ComfyUI asks for it."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node of the pack."""
        return NODES


async def comfy_entrypoint() -> PikaExtension:
    """Called by ComfyUI once, at its start."""
    return PikaExtension()
