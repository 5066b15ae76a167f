"""`python -m simulator`: the gateway at the desk, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from .log import Request
from .server import Simulator


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until SIGINT or SIGTERM. Returns the exit code: 1 when it could not start."""
    options = _parser().parse_args(arguments)
    try:
        simulator = Simulator(
            echo=_print_request,
            host=options.host,
            port=options.port,
            key=options.key,
            task_seconds=options.task_seconds,
            clip_seconds=options.clip_seconds,
            height=options.size,
            media_dir=options.media,
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    try:
        simulator.start()
    except OSError as error:
        where = f"{options.host}:{options.port}"
        print(f"error: cannot listen on {where}: {error.strerror}", file=sys.stderr, flush=True)
        return 1
    print(f"Simulated Pika gateway at {simulator.url} (media at {simulator.cdn_url})")
    print("It charges nothing and calls nobody. For the nodes, set:")
    print(f"  PIKA_BASE_URL={simulator.url}")
    print(f"  PIKA_API_KEY={simulator.key}", flush=True)
    # A wait without an end cannot be interrupted on Windows.
    while not stop.wait(0.5):
        pass
    simulator.close()
    print("stopped", flush=True)
    return 0


def _print_request(request: Request) -> None:
    status = "reset" if request.status is None else str(request.status)
    clock = time.strftime("%H:%M:%S", time.localtime(request.wall))
    size = f" {request.size} bytes" if request.size else ""
    task = f" task {request.task_id}" if request.task_id and request.method == "POST" else ""
    took = time.monotonic() - request.monotonic
    line = f"{clock} {request.server} {request.method} {request.path}"
    print(f"{line} {status}{size}{task} {took * 1000:.0f} ms", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="loopback only (%(default)s)")
    parser.add_argument("--port", type=int, default=8190, help="0 takes a free one (%(default)s)")
    parser.add_argument("--key", default="simulator-key", help="the token to let in (%(default)s)")
    parser.add_argument(
        "--task-seconds", type=float, default=6, help="how long a task takes (%(default)s)"
    )
    parser.add_argument(
        "--clip-seconds", type=float, default=3, help="how long a clip is (%(default)s)"
    )
    parser.add_argument(
        "--size", type=int, default=360, help="pixels of the shorter side (%(default)s)"
    )
    parser.add_argument("--media", type=Path, help="keep the files here (a temporary folder)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
