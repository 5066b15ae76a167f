"""Run a real ComfyUI and control it, for the tests, the demo and the screenshots."""

from devtools.comfyui.events import Event, Listener
from devtools.comfyui.runs import Graph, NodeError, Rejected, Run
from devtools.comfyui.server import (
    LOG_NAME,
    PACK_FOLDER,
    Comfy,
    ComfyDied,
    install_pack,
)

__all__ = [
    "LOG_NAME",
    "PACK_FOLDER",
    "Comfy",
    "ComfyDied",
    "Event",
    "Graph",
    "Listener",
    "NodeError",
    "Rejected",
    "Run",
    "install_pack",
]
