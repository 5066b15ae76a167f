"""Client for the Pika video API of a gateway, without ComfyUI: requests, tasks, journal.

`Pika` and `AsyncPika` are the client for programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .facade import AsyncPika, Pika

__all__ = ["AsyncPika", "Pika"]


def __getattr__(name: str) -> Any:
    """Import the client when it is used: ComfyUI needs only parts of this package."""
    if name in __all__:
        from . import facade

        return getattr(facade, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
