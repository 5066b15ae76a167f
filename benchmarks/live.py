"""Many live tasks in one process: clients of different kinds against the same light gateway."""

from __future__ import annotations

import asyncio
import os
import resource
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import aiohttp

from benchmarks import comfyui, ours
from benchmarks.light_gateway import light_gateway, report_of
from benchmarks.measure import Effort, isolated, say, status
from benchmarks.table import Row, times

#: Seconds between two status requests of the bare loop.
_INTERVAL: Final = 1.2
_KEY: Final = "bench"
_THEIRS: Final = "ComfyUI's helpers"
_BODY: Final = {"promptText": "a lighthouse in a storm", "options": {"parameters": {}}}

_COLUMNS: Final = (
    "client",
    "wall s",
    "CPU ms per task",
    "noticed p50 / p95 s",
    "all submitted after s",
    "polls per task",
    "peak memory MB",
    "threads",
)
_MOST_WALL: Final = 1.5
_MOST_PROCESSOR: Final = 2.5


@dataclass(frozen=True)
class Run:
    """What one client needed for a number of tasks.

    Attributes:
        wall: Seconds until the last file was there.
        processor: Milliseconds of processor time for each task.
        noticed, noticed_late: Seconds from a task's end to the first answer that says so: median,
            and 95th percentile.
        submitting: Seconds in which all tasks were submitted.
        polls: Status requests for each task.
        memory: Resident memory at its peak, in MB.
        threads: Threads at their highest number.
    """

    wall: float
    processor: float
    noticed: float
    noticed_late: float
    submitting: float
    polls: float
    memory: float
    threads: int


def rows(effort: Effort) -> Iterator[Row]:
    """Ours against the bare loop."""
    count, seconds = effort.choose(300, 100, 3), effort.choose(30.0, 5.0, 0.2)
    runs = measure(count, seconds, ("ours", "bare loop"), effort)
    mine, bare = runs["ours"], runs["bare loop"]
    name = f"{count} live tasks of {seconds:g} s against a bare aiohttp loop"
    for what, ratio, unit, most in (
        ("wall", bare.wall / mine.wall, "s", _MOST_WALL),
        ("processor", bare.processor / mine.processor, "ms", _MOST_PROCESSOR),
    ):
        first, second = getattr(mine, what), getattr(bare, what)
        yield Row(
            f"{name}: {what}",
            f"{first:.1f} {unit}",
            f"{second:.1f} {unit}",
            times(ratio),
            target=f"≤ {most:g}× theirs",
            met=first <= most * second,
        )


def table(count: int, effort: Effort) -> str:
    """A Markdown table of all clients, for tasks of 30 s."""
    lines = [
        f"| {' | '.join(_COLUMNS)} |",
        f"| --- {'| ---: ' * (len(_COLUMNS) - 1)}|",
    ]
    clients = [name for name in _CLIENTS if name != _THEIRS or comfyui.has_helpers()]
    for name, run in measure(count, 30.0, clients, effort).items():
        lines.append(
            f"| {name} | {run.wall:.1f} | {run.processor:.1f} | {run.noticed:.1f} / "
            f"{run.noticed_late:.1f} | {run.submitting:.1f} | {run.polls:.1f} | {run.memory:.0f} "
            f"| {run.threads} |"
        )
    return "\n".join(lines)


def measure(count: int, seconds: float, clients: Sequence[str], effort: Effort) -> dict[str, Run]:
    """Run the clients one after another."""
    runs = {}
    with light_gateway(seconds) as url:
        for client in clients:
            say(f"{count} live tasks of {seconds:g} s: {client}")
            runs[client] = Run(**isolated(effort)(run_client, client, url, count))
    return runs


def run_client(name: str, url: str, count: int) -> dict[str, Any]:
    """Run one client in this process."""
    for variable in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[variable]  # the gateway is on this machine
    _allow_many_files()
    threads = _Highest()
    with TemporaryDirectory(prefix="pika-bench-live-") as folder:
        started, used = time.monotonic(), time.process_time()
        with threads:
            asyncio.run(_CLIENTS[name](url, count, Path(folder)))
        wall, processor = time.monotonic() - started, time.process_time() - used
    report = report_of(url)
    late = sorted(report["late"])
    run = Run(
        wall,
        processor / count * 1e3,
        late[len(late) // 2],
        late[int(len(late) * 0.95)],
        report["submitting"],
        report["polls"] / count,
        status("VmHWM") / 1e6,
        threads.count,
    )
    return asdict(run)


def _allow_many_files() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


class _Highest:
    """The highest number of threads during a block."""

    def __init__(self) -> None:
        self.count = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        while not self._over.wait(0.2):
            self.count = max(self.count, threading.active_count() - 1)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()


async def _ours(url: str, count: int, folder: Path) -> None:
    """Submit, wait for, download, check and record: all that the nodes do."""
    with ours.service(folder, url, _KEY) as service:

        async def one(take: int) -> None:
            submitted = await service.submit(ours.REQUEST, take=take)
            await service.collect(submitted.task_id)

        await asyncio.gather(*(one(take) for take in range(count)))


async def _bare(url: str, count: int, folder: Path) -> None:
    """Nothing but the requests."""
    headers = {"Authorization": f"Bearer {_KEY}"}
    connector = aiohttp.TCPConnector(limit=256)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:

        async def one(number: int) -> None:
            async with session.post(f"{url}/pika/generate", json=_BODY) as response:
                task_id = (await response.json())["id"]
            while True:
                await asyncio.sleep(_INTERVAL)
                async with session.get(f"{url}/pika/feed/{task_id}") as response:
                    video = (await response.json())["videos"][0]
                if video["status"] == "finished":
                    break
            async with session.get(video["resultUrl"]) as response:
                (folder / f"{number}.mp4").write_bytes(await response.read())

        await asyncio.gather(*(one(number) for number in range(count)))


async def _comfyui(url: str, count: int, folder: Path) -> None:
    """The helpers of ComfyUI's own nodes for remote services: submit, wait, and download."""
    await comfyui.run_tasks(url, _BODY, count, folder)


_CLIENTS: Final[dict[str, Callable[[str, int, Path], Awaitable[None]]]] = {
    "ours": _ours,
    "bare loop": _bare,
    _THEIRS: _comfyui,
}
