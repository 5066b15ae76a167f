"""Being asked to stop, and stopping others: nothing that was started may stay behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import FrameType

GRACE = 10.0


class Terminated(KeyboardInterrupt):
    """Asked to stop by `kill` or a closed terminal; handled exactly as Ctrl-C is."""


def unwind_on_termination() -> None:
    """Let SIGTERM and SIGHUP unwind the stack, so that every `finally` is reached.

    By itself Python dies of them at once and leaves its children running.
    """
    signal.signal(signal.SIGTERM, _raise)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, _raise)


def end(process: subprocess.Popen[bytes], grace: float = GRACE) -> None:
    """Terminate a server of ours and wait; after `grace` seconds, or on Ctrl-C, kill it."""
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
    """Kill a server that was started in a session of its own, and whatever it started."""
    if process.poll() is None:
        if sys.platform != "win32":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise Terminated
