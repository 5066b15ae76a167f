"""Run a simulated Pika gateway on this machine until Ctrl-C. It is free and needs no network."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from .dialects import DIALECTS
from .log import Request
from .server import Simulator
from .settings import ACCOUNTS

_EPILOG = """
A prompt with the word "forbidden" fails like one that the moderation rejects. For other errors,
POST a fault such as {"on": "submit", "status": 502} to /simulator/faults; simulator/fault.py has
all fields. DELETE removes the faults.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until SIGINT or SIGTERM. Returns 0, or 1 if the simulator cannot start."""
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
            dialect=options.dialect,
            account=options.account,
            quota=options.quota,
            unlimited=options.unlimited,
            price=options.price,
            prices=dict(options.price_of),
            refund=not options.no_refund,
            charge_seconds=options.charge_seconds,
        )
    except ValueError as error:
        return _fail(str(error))
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    try:
        simulator.start()
    except OSError as error:
        address = f"listen on {options.host}:{options.port}"
        action = f"use the folder {error.filename}" if error.filename else address
        return _fail(f"cannot {action}: {error.strerror}")
    print(f"Simulated Pika gateway: {simulator.url} (media: {simulator.cdn_url})")
    print("It charges nothing and does not use the network. To use it, set:")
    print(f"  PIKA_BASE_URL={simulator.url}")
    print(f"  PIKA_API_KEY={simulator.key}", flush=True)
    # On Windows, a wait without a timeout cannot be interrupted.
    while not stop.wait(0.5):
        pass
    simulator.close()
    print("stopped", flush=True)
    return 0


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr, flush=True)
    return 1


def _print_request(request: Request) -> None:
    status = "reset" if request.status is None else str(request.status)
    clock = time.strftime("%H:%M:%S", time.localtime(request.wall))
    size = f" {request.size} bytes" if request.size else ""
    task = f" task {request.task_id}" if request.task_id and request.method == "POST" else ""
    milliseconds = 1000 * (time.monotonic() - request.monotonic)
    line = f"{clock} {request.server} {request.method} {request.path} {status}{size}{task}"
    print(f"{line} {milliseconds:.0f} ms", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator", description=__doc__, epilog=_EPILOG
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    add("--port", type=int, default=8190, help="0 is any free port (default: %(default)s)")
    add("--key", default="simulator-key", help="the API key to accept (default: %(default)s)")
    add("--task-seconds", type=float, default=6, help="duration of a task (default: %(default)s)")
    add("--clip-seconds", type=float, default=3, help="length of a clip (default: %(default)s)")
    add("--size", type=int, default=360, help="shorter side in pixels (default: %(default)s)")
    add("--media", type=Path, help="folder for the files (default: a temporary folder)")
    add(
        "--dialect",
        choices=list(DIALECTS),
        default="pika",
        help="the shape of the answers, see simulator/dialects.py (default: %(default)s)",
    )
    add(
        "--account",
        choices=ACCOUNTS,
        default="v1",
        help="the spelling of the account endpoints, see simulator/account.py "
        "(default: %(default)s)",
    )
    add("--quota", type=float, default=20, help="what the key may use up (default: %(default)s)")
    add("--unlimited", action="store_true", help="the key has no limit")
    add("--price", type=float, default=0.25, help="price of a task (default: %(default)s)")
    add(
        "--price-of",
        type=_price,
        action="append",
        default=[],
        metavar="NAME=PRICE",
        help="price of a task with this effect or model, such as Melt=0.5; may be repeated",
    )
    add("--no-refund", action="store_true", help="a task that fails is charged, too")
    add(
        "--charge-seconds",
        type=float,
        default=0,
        help="how late the counter shows a charge (default: %(default)s)",
    )
    return parser


def _price(text: str) -> tuple[str, float]:
    name, _, price = text.rpartition("=")
    return name, float(price)


if __name__ == "__main__":
    sys.exit(main())
