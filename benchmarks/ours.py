"""The pack's side. Everything that the benchmarks use of `pika_api` is imported here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pika_api.gateway import Client, poll_delay
from pika_api.journal import Intent, Journal, Selection, State
from pika_api.media import Media, images, png
from pika_api.progress import NO_OBSERVER, run_in_thread
from pika_api.request import GenerateRequest, Payload
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Service

__all__ = [
    "OWNER",
    "REQUEST",
    "claim",
    "encode_png",
    "image_body",
    "in_thread",
    "journal",
    "newest",
    "poll_delay",
    "price_mark",
    "search",
    "selection",
    "service",
    "submit",
    "to_rgb8",
    "uploader",
]

#: The request without an image or a video.
REQUEST: Final = GenerateRequest("a lighthouse in a storm, waves breaking over the rocks")
#: Bytes of a request that are not its image, as in nodes/outgoing.py.
_REST: Final = 64 * 1024

#: The owner of the leases of a benchmark.
OWNER: Final = "bench"

encode_png = png.encode_png
to_rgb8 = images.to_rgb8


def image_body(image: Any, *, lossless: bool) -> int:
    """Encode an IMAGE and read the request body to its end. Returns its size in bytes."""
    pixels = image.detach().float().cpu().numpy()
    if lossless:
        prepared = images.prepare_image(pixels, form="png")
    else:
        prepared = images.prepare_image(pixels, limit=Settings().max_body - _REST)
    return sum(map(len, _payload(image=prepared.media)))


def in_thread(pool: Executor, work: Callable[[], object]) -> Awaitable[object]:
    """Run a function in a thread, as `Service.prepare` does."""
    return run_in_thread(pool, NO_OBSERVER, work)


def uploader(base_url: str, video: Path) -> Callable[[], object]:
    """A function that sends a request with a video file. The connection is already warm."""
    media = Media("0" * 64, "video/mp4", 1920, 1080, video, video.stat().st_size)
    client = Client(Settings(api_key="bench", base_url=base_url))
    client.submit(_payload())
    return lambda: client.submit(_payload(video=media))


@contextmanager
def service(folder: Path, base_url: str, key: str) -> Iterator[Service]:
    """A service with its journal and its output in the folder."""
    journal = Journal(sqlite_url(folder))
    running = Service(Settings(api_key=key, base_url=base_url), journal, folder / "output")
    try:
        yield running
    finally:
        running.close()
        journal.close()


def _payload(**media: Media) -> Payload:
    return Payload(replace(REQUEST, **media).body())


def journal(folder: Path) -> Journal:
    """A SQLite journal in the folder."""
    return Journal(sqlite_url(folder))


def claim(journal: Journal, fingerprint: str) -> int:
    """Claim a new request. The number of its entry."""
    intent = Intent(fingerprint, "https://api.gpt.ge", "key", 0, REQUEST.prompt_text, {})
    return journal.claim(intent, OWNER).entry.id


def submit(journal: Journal, number: int, task_id: str) -> None:
    """Record that a claimed request was sent, and its task."""
    journal.mark_sent(number, OWNER)
    journal.record_task(journal.get(number), task_id)


def newest(journal: Journal, state: str, limit: int = 1) -> int:
    """How many of the newest entries in a state were found."""
    return len(journal.entries((State(state),), limit=limit))


def selection(
    states: tuple[str, ...] = (), since: float | None = None, until: float | None = None
) -> Selection:
    """The filters of the list."""
    return Selection(since, until, frozenset(map(State, states)))


def price_mark(journal: Journal) -> object:
    """What the price of a task is learned from."""
    return journal.prices.submit_mark(journal.prices.mark_start())


def search(journal: Journal, text: str) -> int:
    """How many entries the first page of a search has."""
    return len(journal.page(limit=100, selection=Selection(search=text)).entries)
