"""The harness around a real ComfyUI. The demo drives it too, hence its place in `devtools`."""

from devtools.comfyui import (
    PACK_FOLDER,
    Comfy,
    ComfyDied,
    Event,
    Graph,
    Listener,
    NodeError,
    Rejected,
    Run,
    free_port,
)

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
