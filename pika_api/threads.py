"""Daemon threads. How they are started is passed to those who need them."""

from __future__ import annotations

import threading
from collections.abc import Callable

#: Starts a daemon thread that runs a function, with a name. Raises what `threading.Thread.start`
#: raises: RuntimeError, if the system has no more threads.
StartThread = Callable[[Callable[[], None], str], threading.Thread]


def start_thread(run: Callable[[], None], name: str) -> threading.Thread:
    """Start a daemon thread. Raises `RuntimeError` if the system has no more threads."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
