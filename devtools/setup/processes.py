"""End processes without leaving children behind, lock files between them, find a free port."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from types import FrameType

#: Seconds between SIGTERM and SIGKILL.
GRACE = 10.0
#: Seconds between two attempts to take a lock.
_RETRY_EVERY = 0.5
#: Below the ports that Linux (from 32768), macOS and Windows (from 49152) assign themselves.
_PORTS = (20000, 32000)

if sys.platform == "win32":
    import msvcrt

    def _acquire(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _acquire(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP arrived. Handled exactly like Ctrl-C."""


class InUseError(Exception):
    """Another process holds the lock."""


def unwind_on_termination() -> None:
    """Turn SIGTERM and SIGHUP into an exception, so that every `finally` block runs.

    The default action ends Python at once and leaves its children running.
    """
    signal.signal(signal.SIGTERM, _raise)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, _raise)


def end(process: subprocess.Popen[bytes], grace: float = GRACE) -> None:
    """Send SIGTERM and wait. After `grace` seconds, or on Ctrl-C, kill the process."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        pass
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that was started in its own session, together with its children."""
    if process.poll() is None:
        if sys.platform != "win32":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


@contextmanager
def lock(path: Path, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold an exclusive lock on `path`. The operating system releases it when its owner dies.

    If another process holds it: without `on_wait` raise InUseError; with `on_wait` call that once
    and wait without a time limit.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        file.seek(0)
        waiting = False
        while not _acquired(file.fileno()):
            if on_wait is None:
                raise InUseError(str(path))
            if not waiting:
                on_wait()
            waiting = True
            sleep(_RETRY_EVERY)
        yield


def free_port() -> int:
    """A free port of this machine.

    A server binds it seconds later. So it is outside of the range that the system assigns to
    processes which ask for any port, as simulators and clients do.
    """
    while not is_free(port := random.randrange(*_PORTS)):
        pass
    return port


def is_free(port: int) -> bool:
    """Whether a server can listen on this port of this machine."""
    with socket.socket() as probe:
        if os.name == "posix":  # as servers do: a connection that has just ended does not count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):  # in use, or no port at all
            return False
    return True


def _acquired(descriptor: int) -> bool:
    try:
        _acquire(descriptor)
    except OSError:
        return False
    return True


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise Terminated
