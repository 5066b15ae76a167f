"""All benchmarks in one table."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import encoding, many, memory, noticing, stall, starting, theirs, uploading
from benchmarks.limits import limits
from benchmarks.measure import Effort, say
from benchmarks.picture import gallery
from benchmarks.table import Row, in_markdown


def main(arguments: list[str]) -> int:
    """Print the table. A missed target is told in it, and is no failure."""
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, under 40 s")
    parser.add_argument("--limits", action="store_true", help="what this machine can do at most")
    chosen = parser.parse_args(arguments)
    started = time.monotonic()
    if chosen.limits:
        print(limits())
        return 0
    if not theirs.folder():
        print("COMFYUI_PATH names no ComfyUI. Run: python dev.py bench", file=sys.stderr)
        return 2
    print(in_markdown(_rows(Effort(chosen.quick))))
    say(f"{time.monotonic() - started:.0f} s in all")
    return 0


def _rows(effort: Effort) -> list[Row]:
    say("ComfyUI's helpers, and the pictures")
    helper = theirs.load()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="pika-bench-") as folder:
        pictures = gallery(Path(folder), effort)
        rows += encoding.rows(pictures, helper, effort)
        rows += memory.rows(pictures, effort)
        rows += stall.rows(pictures, helper, effort)
        rows += many.rows(Path(folder), effort)
        rows += noticing.rows(helper.poll_interval, effort)
        rows += uploading.rows(Path(folder), effort)
    rows += starting.rows(effort)
    return rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
