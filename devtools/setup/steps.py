"""Run one step of the set-up and print its progress."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from devtools.setup.processes import kill

#: Lines of a log that an error message repeats.
TAIL_LINES = 30
#: Seconds between two "still running" messages.
STILL_RUNNING_EVERY = 20.0


class StepError(Exception):
    """A step failed. The message is ready to be printed."""


def say(text: str) -> None:
    """Print progress to stderr: stdout is for results."""
    print(text, file=sys.stderr, flush=True)


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log, or "" if there is no such file."""
    if not path.is_file():
        return ""
    return "\n".join(path.read_text("utf-8", errors="replace").splitlines()[-lines:])


def run_step(
    what: str, command: Sequence[str | Path], log: Path, *, cwd: Path | None = None
) -> None:
    """Run a command and append its output to `log`.

    Raises StepError with the end of that output when the exit code is not 0.
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
            # After Ctrl-C too: neither the command nor its children may keep running.
            kill(process)
            raise
    if code != 0:
        raise StepError(f"{tail(log)}\n\n{what} failed with code {code}. Whole output: {log}")


@contextmanager
def timed(what: str) -> Iterator[float]:
    """Print what starts and, if it succeeds, how many seconds it took."""
    started = time.monotonic()
    say(f"{what} …")
    yield started
    say(f"  {time.monotonic() - started:.0f} s")


def _wait(process: subprocess.Popen[bytes], what: str, started: float) -> int:
    while True:
        try:
            return process.wait(timeout=STILL_RUNNING_EVERY)
        except subprocess.TimeoutExpired:
            say(f"  still {what[0].lower()}{what[1:]}, {time.monotonic() - started:.0f} s")
