"""The harness around a real ComfyUI. It is in `devtools`, since the demo uses it too."""

from __future__ import annotations

from pathlib import Path

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
    install_pack,
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
    "install",
]


def install(base_dir: Path, *packs: tuple[Path, str]) -> None:
    """Install packs under these folder names into a ComfyUI that is about to start."""
    folder = base_dir / "custom_nodes"
    folder.mkdir(parents=True)
    for pack, name in packs:
        install_pack(pack, folder / name)
