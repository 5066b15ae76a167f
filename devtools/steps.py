"""Run one step of a set-up, and tell the user what is going on."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from devtools.endings import kill

TAIL_LINES = 30
STILL_THERE_EVERY = 20.0


class StepError(Exception):
    """A step did not work. The message is ready to be shown."""


def say(text: str) -> None:
    """Progress goes to stderr: stdout is for results."""
    print(text, file=sys.stderr, flush=True)


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log, or "" where there is none."""
    if not path.is_file():
        return ""
    return "\n".join(path.read_text("utf-8", errors="replace").splitlines()[-lines:])


def run_step(
    what: str, command: Sequence[str | Path], log: Path, *, cwd: Path | None = None
) -> None:
    """Run a command with its output in `log`.

    Raises StepError with the tail of that output when it ends with another code than 0.
    """
    with timed(what) as started, log.open("a", encoding="utf-8") as sink:
        sink.write(f"$ {' '.join(map(str, command))}\n")
        sink.flush()
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = _wait(process, what, started)
        except BaseException:
            # Ctrl-C included: nothing, and nothing that it began, goes on behind the user's back.
            kill(process)
            raise
    if code != 0:
        raise StepError(f"{tail(log)}\n\n{what} failed with code {code}. Whole output: {log}")


@contextmanager
def timed(what: str) -> Iterator[float]:
    """Say what begins, and how long it took when it worked."""
    started = time.monotonic()
    say(f"{what} …")
    yield started
    say(f"  {time.monotonic() - started:.0f} s")


def _wait(process: subprocess.Popen[bytes], what: str, started: float) -> int:
    while True:
        try:
            return process.wait(timeout=STILL_THERE_EVERY)
        except subprocess.TimeoutExpired:
            say(f"  still {what[0].lower()}{what[1:]}, {time.monotonic() - started:.0f} s")
