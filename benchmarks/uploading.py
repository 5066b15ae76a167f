"""A large video on its way out: memory and speed."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.alone import alone
from benchmarks.measure import Effort, say
from benchmarks.table import Row, megabytes, times

_SIZE: Final = 500_000_000
#: Theirs would take gigabytes: measured on this much, and scaled.
_THEIR_SIZE: Final = 50_000_000
_MOST: Final = 32_000_000


def rows(folder: Path, effort: Effort) -> Iterator[Row]:
    """A sparse file, to a server of another process that throws everything away."""
    say("upload of 500 MB")
    video = folder / "video.mp4"
    with video.open("wb") as file:
        file.truncate(_SIZE)
    with discarding() as address:
        runs = [alone("upload", address, video) for _ in range(effort.times(3, 1))]
    ours = sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]
    grown = max(run["memory"] for run in runs)
    their_memory = their_speed = ratio = ""
    if not effort.quick:
        theirs = alone("their_upload", _THEIR_SIZE)
        scaled = theirs["memory"] * _SIZE / _THEIR_SIZE
        their_memory, ratio = megabytes(scaled), times(scaled / max(grown, 1))
        their_speed = f"{_THEIR_SIZE / theirs['seconds'] / 1e6:,.0f} MB/s"
    yield Row(
        "500 MB video, growth of memory (theirs: of 50 MB, scaled)",
        megabytes(grown),
        their_memory,
        ratio,
        target=f"< {megabytes(_MOST)}",
        met=grown < _MOST,
    )
    speed = f"{_SIZE / ours['seconds'] / 1e6:,.0f} MB/s"
    yield Row("500 MB video, sent / theirs: only put together", speed, their_speed)


@contextmanager
def discarding() -> Iterator[str]:
    """The address of a server that reads requests to their end and answers with a task id."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def _accept(listening: socket.socket) -> None:
    while True:
        try:
            connection, _peer = listening.accept()
        except OSError:
            return  # closed: it is over
        with connection:
            _answer(connection)


def _answer(connection: socket.socket) -> None:
    """One request. Read into one buffer, so that this process costs as little as may be."""
    head = b""
    while b"\r\n\r\n" not in head:
        if not (piece := connection.recv(65536)):
            return
        head += piece
    headers, _, rest = head.partition(b"\r\n\r\n")
    left = -len(rest)
    for line in headers.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            left += int(line.split(b":")[1])
    buffer = bytearray(1024 * 1024)
    while left > 0:
        if not (count := connection.recv_into(buffer)):
            return
        left -= count
    body = json.dumps({"id": "discarded"}).encode()
    top = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    connection.sendall(top.encode() + body)
