"""Measure time in pairs and memory at its peak, if needed in a new process."""

from __future__ import annotations

import enum
import gc
import importlib
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

Value = TypeVar("Value")

_ROOT: Final = Path(__file__).resolve().parent.parent
_STATUS: Final = Path("/proc/self/status")
_RESET: Final = Path("/proc/self/clear_refs")


def say(text: str) -> None:
    """Print progress to stderr: stdout is for the table."""
    print(text, file=sys.stderr, flush=True)


class Effort(enum.Enum):
    """How often things are repeated, and how large they are."""

    FULL = enum.auto()
    QUICK = enum.auto()
    SMOKE = enum.auto()

    def choose(self, full: Value, quick: Value, smoke: Value) -> Value:
        """The value for this effort."""
        return {Effort.FULL: full, Effort.QUICK: quick, Effort.SMOKE: smoke}[self]


@dataclass(frozen=True)
class Pairs:
    """Medians in seconds. `ratio` is the median of theirs / ours in each pair."""

    ours: float
    theirs: float
    ratio: float


def in_pairs(ours: Callable[[], object], theirs: Callable[[], object], count: int) -> Pairs:
    """Run both alternately, so that other work on the machine slows down both."""
    pairs = [(timed(ours), timed(theirs)) for _ in range(count)]
    return Pairs(
        statistics.median(pair[0] for pair in pairs),
        statistics.median(pair[1] for pair in pairs),
        statistics.median(pair[1] / pair[0] for pair in pairs),
    )


def timed(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def in_new_process(call: Callable[..., Any], *arguments: str | int) -> Any:
    """The JSON result of a function at the top of a module, called in a new process.

    Raises CalledProcessError when that process fails.
    """
    task = json.dumps([call.__module__, call.__name__, arguments])
    command = [sys.executable, "-m", __name__, task]
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def isolated(effort: Effort) -> Callable[..., Any]:
    """`in_new_process`, or for a smoke test a plain call: a process takes seconds to start."""
    return _in_this_process if effort is Effort.SMOKE else in_new_process


def _in_this_process(call: Callable[..., Any], *arguments: str | int) -> Any:
    return call(*arguments)


def peak_growth(call: Callable[[], object]) -> int:
    """Bytes by which the resident memory of this process grows at most during a call."""
    gc.collect()
    try:
        _RESET.write_text("5")  # resets the high-water mark (Linux, proc(5))
        before = status("VmRSS")
        call()
        return max(status("VmHWM") - before, 0)
    except OSError:
        return _sampled_growth(call)


def status(name: str) -> int:
    """A size in bytes of this process (Linux, proc(5)). Raises `OSError` if there is none."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_STATUS} has no {name}")


def _sampled_growth(call: Callable[[], object]) -> int:
    """For systems without a high-water mark: read the memory every millisecond."""
    import psutil  # a requirement of ComfyUI

    process = psutil.Process()
    before = highest = process.memory_info().rss
    finished = threading.Event()

    def sample() -> None:
        nonlocal highest
        while not finished.wait(0.001):
            highest = max(highest, process.memory_info().rss)

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        call()
    finally:
        finished.set()
        sampler.join()
    return max(highest, process.memory_info().rss) - before


if __name__ == "__main__":
    _module, _name, _arguments = json.loads(sys.argv[1])
    _result = getattr(importlib.import_module(_module), _name)(*_arguments)
    print("\n" + json.dumps(_result))
