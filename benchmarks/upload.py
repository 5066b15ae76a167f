"""Send a request with a large video: memory and speed."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks import comfyui, ours
from benchmarks.measure import Effort, in_new_process, isolated, peak_growth, say, timed
from benchmarks.table import Row, megabytes, times

#: Bytes.
_MOST_MEMORY: Final = 32_000_000
_MEGABYTE: Final = 1_000_000


def rows(folder: Path, effort: Effort) -> Iterator[Row]:
    """A sparse file, sent to a server in another process that discards it."""
    size = effort.choose(500, 500, 5) * _MEGABYTE
    # Theirs would need gigabytes: it is measured with a tenth and scaled.
    their_size = size // 10
    what = f"{size // _MEGABYTE} MB video"
    say(f"upload of a {what}")
    video = folder / "video.mp4"
    with video.open("wb") as file:
        file.truncate(size)
    with discarding_server() as address:
        runs = [
            in_new_process(our_upload, address, str(video)) for _ in range(effort.choose(3, 1, 1))
        ]
    seconds = sorted(run["seconds"] for run in runs)[len(runs) // 2]
    growth = max(run["memory"] for run in runs)
    their_memory = their_speed = ratio = ""
    if effort is not Effort.QUICK:
        theirs = isolated(effort)(their_body, their_size)
        scaled = theirs["memory"] * size / their_size
        their_memory, ratio = megabytes(scaled), times(scaled / max(growth, 1))
        their_speed = f"{their_size / theirs['seconds'] / 1e6:,.0f} MB/s"
    yield Row(
        f"{what}, growth of memory (theirs: of {their_size / 1e6:g} MB, scaled)",
        megabytes(growth),
        their_memory,
        ratio,
        target=f"< {megabytes(_MOST_MEMORY)}",
        met=growth < _MOST_MEMORY,
    )
    speed = f"{size / seconds / 1e6:,.0f} MB/s"
    yield Row(f"{what}, sent / theirs: only the body", speed, their_speed)


def our_upload(base_url: str, file: str) -> dict[str, float]:
    """Seconds, and bytes of memory, for sending a request with a video file."""
    return _measured(ours.uploader(base_url, Path(file)))


def their_body(size: int) -> dict[str, float]:
    """The same for their request body, which is completely in memory before it is sent."""
    helper = comfyui.load()
    video = _Zeros(size)
    return _measured(lambda: helper.video_body(video))


def _measured(call: Any) -> dict[str, float]:
    seconds = 0.0

    def measure() -> None:
        nonlocal seconds
        seconds = timed(call)

    return {"memory": peak_growth(measure), "seconds": seconds}


class _Zeros:
    """A VIDEO for their helper: its file consists of zeros and is copied without encoding."""

    def __init__(self, size: int) -> None:
        self._size = size

    def save_to(self, target: Any, **_options: object) -> None:
        target.write(bytes(self._size % _MEGABYTE))
        block = bytes(_MEGABYTE)
        for _ in range(self._size // _MEGABYTE):
            target.write(block)


@contextmanager
def discarding_server() -> Iterator[str]:
    """The address of a server that reads requests to their end and answers with a task id."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _accept(listener: socket.socket) -> None:
    while True:
        try:
            connection, _peer = listener.accept()
        except OSError:
            return  # closed
        with connection:
            _answer(connection)


def _answer(connection: socket.socket) -> None:
    """Read one request into one buffer, so that this process needs little time."""
    head = b""
    while b"\r\n\r\n" not in head:
        if not (block := connection.recv(65536)):
            return
        head += block
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
    response = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    connection.sendall(response.encode() + body)
