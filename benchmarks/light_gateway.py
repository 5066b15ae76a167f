"""A gateway that needs little time: tasks take a fixed time, and all have the same small clip.

It runs in a process of its own, so that it does not share the interpreter lock with the client that
is measured. It is not a simulator: it checks nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import av
import numpy as np
from aiohttp import web

_ROOT: Final = Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def light_gateway(seconds: float) -> Iterator[str]:
    """The address of such a gateway; each task takes these seconds."""
    command = [sys.executable, "-m", __name__, str(seconds)]
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()  # it ends then


def report_of(url: str) -> dict[str, Any]:
    """What the gateway at an address has seen since the last report; see `_Gateway.report`."""
    with urlopen(f"{url}/report") as response:
        report: dict[str, Any] = json.load(response)
    return report


@dataclass
class _Task:
    number: str
    created: float
    noticed: float | None = None


class _Gateway:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._clip = _clip()
        self._tasks: dict[str, _Task] = {}
        self._polls = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.post("/pika/generate", self._generate),
                web.get("/pika/feed/{id}", self._feed),
                web.get("/clip/{id}", self._send_clip),
                web.get("/report", self._report),
            ]
        )
        return app

    async def _generate(self, request: web.Request) -> web.Response:
        await request.read()
        task = _Task(str(uuid.uuid4()), time.monotonic())
        self._tasks[task.number] = task
        return web.json_response({"id": task.number})

    async def _feed(self, request: web.Request) -> web.Response:
        self._polls += 1
        task = self._tasks[request.match_info["id"]]
        age = time.monotonic() - task.created
        video: dict[str, object] = {"id": task.number, "status": "pending"}
        if age >= self._seconds:
            task.noticed = task.noticed or age - self._seconds
            link = f"http://{request.host}/clip/{task.number}"
            video |= {"status": "finished", "progress": 100, "resultUrl": link}
        else:
            video["progress"] = int(100 * age / self._seconds)
        return web.json_response({"id": task.number, "videos": [video]})

    async def _send_clip(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._clip, content_type="video/mp4")

    async def _report(self, _request: web.Request) -> web.Response:
        """How late each end was noticed, in seconds; the seconds in which all tasks were submitted;
        the number of status requests.
        """
        times = [task.created for task in self._tasks.values()]
        late = [task.noticed for task in self._tasks.values() if task.noticed is not None]
        report = {"late": late, "submitting": max(times) - min(times), "polls": self._polls}
        self._tasks.clear()
        self._polls = 0
        return web.json_response(report)


def _clip() -> bytes:
    """Half a second of H.264, 64 × 48."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = Fraction(1, 24)
        for number in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number, np.uint8))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


async def _serve(seconds: float) -> None:
    runner = web.AppRunner(_Gateway(seconds).app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    # Its parent closes the pipe when it ends, however it ends.
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
