"""Time in pairs, memory at its peak."""

from __future__ import annotations

import gc
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")
_RESET: Final = Path("/proc/self/clear_refs")


def say(text: str) -> None:
    """Progress goes to stderr: stdout is for the table."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Effort:
    """How often things are repeated."""

    quick: bool

    def times(self, full: int, quick: int) -> int:
        """One of the two."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Pairs:
    """Medians in seconds; `ratio` is the median of each pair's theirs over ours."""

    ours: float
    theirs: float
    ratio: float


def in_pairs(ours: Callable[[], object], theirs: Callable[[], object], count: int) -> Pairs:
    """Run both in turns: what else the machine does meanwhile weighs on both."""
    measured = [(timed(ours), timed(theirs)) for _ in range(count)]
    return Pairs(
        statistics.median(pair[0] for pair in measured),
        statistics.median(pair[1] for pair in measured),
        statistics.median(pair[1] / pair[0] for pair in measured),
    )


def timed(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def peak_growth(call: Callable[[], object]) -> int:
    """Bytes by which this process's resident memory is at most larger during a call."""
    gc.collect()
    try:
        _RESET.write_text("5")  # from now on the high-water mark is counted anew (Linux, proc(5))
        before = _told("VmRSS")
        call()
        return max(_told("VmHWM") - before, 0)
    except OSError:
        return _sampled_growth(call)


def _told(name: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_STATUS} has no {name}")


def _sampled_growth(call: Callable[[], object]) -> int:
    """Where the system keeps no such mark: looked at every millisecond."""
    import psutil  # ComfyUI brings it

    process = psutil.Process()
    before = highest = process.memory_info().rss
    over = threading.Event()

    def look() -> None:
        nonlocal highest
        while not over.wait(0.001):
            highest = max(highest, process.memory_info().rss)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        call()
    finally:
        over.set()
        looking.join()
    return max(highest, process.memory_info().rss) - before
