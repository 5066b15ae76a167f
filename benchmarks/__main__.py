"""Run all benchmarks and print one table."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import comfyui, encoding, live, rows, tasks, upload
from benchmarks.limits import limits
from benchmarks.measure import Effort, say
from benchmarks.pictures import gallery
from benchmarks.table import Row, in_markdown


def main(arguments: list[str]) -> int:
    """Print the table. A missed target is printed and is not a failure."""
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__)
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument("--quick", action="store_true", help="fewer repetitions, about 40 s")
    effort.add_argument(
        "--smoke", action="store_true", help="run everything once, with small inputs, in seconds"
    )
    parser.add_argument("--limits", action="store_true", help="what this machine can do at most")
    parser.add_argument(
        "--live", type=int, metavar="N", help="N live tasks of 30 s, with each kind of client"
    )
    parser.add_argument(
        "--rows", type=int, metavar="N", help="operations on a journal of N rows, such as 1000000"
    )
    chosen = parser.parse_args(arguments)
    effort = Effort.SMOKE if chosen.smoke else Effort.QUICK if chosen.quick else Effort.FULL
    if not comfyui.folder():
        print("COMFYUI_PATH names no ComfyUI. Run: python dev.py bench", file=sys.stderr)
        return 2
    started = time.monotonic()
    if chosen.live:
        print(live.table(chosen.live, effort))
    elif chosen.rows:
        print(rows.table(chosen.rows, effort))
    else:
        print(limits(effort) if chosen.limits else in_markdown(list(_all(effort))))
    say(f"{time.monotonic() - started:.0f} s in total")
    return 0


def _all(effort: Effort) -> Iterator[Row]:
    say("ComfyUI's helpers, and the pictures")
    helper = comfyui.load()
    with tempfile.TemporaryDirectory(prefix="pika-bench-") as folder:
        pictures = gallery(Path(folder), effort)
        yield from encoding.rows(pictures, helper, effort)
        yield from tasks.rows(Path(folder), helper.poll_interval, effort)
        yield from upload.rows(Path(folder), effort)
    yield from live.rows(effort)
    yield from comfyui.rows(effort)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
