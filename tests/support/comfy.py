"""The harness around a real ComfyUI. The demo drives it too, hence its place in `devtools`."""

from devtools.comfy import PACK_FOLDER, Comfy, ComfyDied, free_port
from devtools.events import Event, Listener
from devtools.runs import Graph, NodeError, Rejected, Run

__all__ = [
    "PACK_FOLDER",
    "Comfy",
    "ComfyDied",
    "Event",
    "Graph",
    "Listener",
    "NodeError",
    "Rejected",
    "Run",
    "free_port",
]
