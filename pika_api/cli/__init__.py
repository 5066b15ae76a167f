"""The command line, ``python -m pika_api``."""

from .commands import main

__all__ = ["main"]
