"""Inspects files in a process of its own, which reads paths and answers with one line for each.

Its address space is limited, so that a failing test does not fill the machine's memory. The limits
of decoding are given as JSON on the command line.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
#: Bytes of address space beside those of the interpreter and its libraries.
ROOM = 2 * 1024**3
#: Seconds after which an inspection counts as endless.
PATIENCE = 120.0


@dataclass(frozen=True)
class Verdict:
    """The result of one inspection.

    Attributes:
        error: The class of the error; empty if there is none.
        text: The error, or what the file is.
        megabytes: How much the memory in use has grown meanwhile; 0 where that is not known.
    """

    error: str
    text: str
    megabytes: float


class Worker:
    """A process that inspects files."""

    def __init__(self, **limits: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(limits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def inspect(self, path: Path) -> Verdict:
        """Inspect a file. A crash or a hang is an error of its own."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = threading.Timer(PATIENCE, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write(f"{path}\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        assert line, f"the process ended with {self._process.wait()}"
        return Verdict(**json.loads(line))

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate(timeout=PATIENCE)


def peak() -> float:
    """Memory in use since the last reset, at most, in megabytes."""
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return 0.0
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def reset_peak() -> None:
    """Forget the peak so far."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def limit_memory() -> None:
    """Limit the address space, where the system can."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except (ImportError, OSError):
        return
    room = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (room, room))


def main() -> None:
    """Answer until the input ends."""
    sys.path.insert(0, str(ROOT))
    import av  # noqa: F401 - imported before the memory is limited
    import numpy as np  # noqa: F401
    from PIL import Image

    Image.init()
    Image.MAX_IMAGE_PIXELS = None  # as another pack may do
    from pika_api.media import DecodeLimits, probe_file

    limits = DecodeLimits(**json.loads(sys.argv[1]))
    limit_memory()
    for line in sys.stdin:
        reset_peak()
        before = peak()
        try:
            error, text = "", str(probe_file(Path(line.rstrip("\n")), decode=True, limits=limits))
        except Exception as caught:  # noqa: BLE001 - the test says which are right
            error, text = type(caught).__name__, str(caught)
        verdict = {"error": error, "text": text, "megabytes": peak() - before}
        sys.stdout.write(json.dumps(verdict) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
