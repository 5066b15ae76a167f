"""Nodes under the ids of ComfyUI's own former Pika nodes, so that their workflows open again.

ComfyUI had them in ``comfy_api_nodes/nodes_pika.py`` from May to December 2025. Versions 0.3.33 to
0.3.76 were read. Ids, inputs, their order, types and defaults are those: a saved workflow has its
values by position. A node that runs is Pika Generate and Pika Result in one.
"""

from __future__ import annotations

from typing import Final

from comfy_api.latest import io

from .refused import Pikadditions, PikaStartEndFrame, Pikaswaps
from .running import Pikaffects, PikaImageToVideo, PikaScenes, PikaTextToVideo

__all__ = ["OFFICIAL"]

OFFICIAL: Final[list[type[io.ComfyNode]]] = [
    PikaTextToVideo,
    PikaImageToVideo,
    Pikaffects,
    PikaScenes,
    PikaStartEndFrame,
    Pikadditions,
    Pikaswaps,
]
