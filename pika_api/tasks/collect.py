"""From a finished task to a file on disk: links expire, so the file is brought at once."""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .. import files
from ..errors import DownloadFailed, LinkRefused, TaskFailed, TaskNotFound
from ..gateway import Client, Task
from ..journal import Entry, Journal, State
from ..log import log
from ..media import NotMedia, Probe, probe_file
from ..progress import CHECK_EVERY, Progress, ProgressObserver, pause
from ..settings import Settings
from . import messages
from .poll import Poller
from .workers import Workers

#: How many times a download is begun before it is an error, and how many links may be refused.
MAX_ATTEMPTS: Final = 5
MAX_REFUSED_LINKS: Final = 2
#: Seconds the feed is asked for a fresh link to a file.
RELINK_TIMEOUT: Final = 60.0

#: The endings of files, by what is in them.
_SUFFIXES: Final = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "gif": ".gif"}
_ENDINGS: Final = (".mp4", ".webm", *_SUFFIXES.values())


@dataclass(frozen=True)
class Collected:
    """A finished task's file on disk.

    Attributes:
        task_id: The gateway's id.
        path: Where the file is.
        probe: What it is, read back from it.
        result_url: The link it came from; it may have expired.
    """

    task_id: str
    path: Path
    probe: Probe
    result_url: str


class Collector:
    """Brings the files of finished tasks."""

    def __init__(
        self,
        settings: Settings,
        output: Path,
        client: Client,
        journal: Journal,
        waiter: Poller,
        workers: Workers,
    ) -> None:
        self._settings = settings
        self._output = output
        self._client = client
        self._journal = journal
        self._poller = waiter
        self._workers = workers

    async def collect(
        self, task_id: str, timeout: float | None, observer: ProgressObserver
    ) -> Collected:
        """See `Service.collect`."""
        found = await self._workers.disk(observer, self._on_disk, task_id)
        if found is not None:
            return found
        task = await self._finished(task_id, timeout, observer)
        entry = await self._workers.disk(observer, self._entry, task_id)
        owner = str(uuid.uuid4())
        with self._workers.keeper.keeping(owner):
            while not await self._workers.disk(
                observer, self._journal.acquire_lease, entry.id, owner
            ):
                observer.report(Progress("Being downloaded already", 100, task_id))
                await pause(CHECK_EVERY, observer)
            # Whoever had the lease before may have brought it.
            found = await self._workers.disk(observer, self._on_disk, task_id)
            return found or await self._bring(entry, task, owner, observer)

    async def _finished(
        self, task_id: str, timeout: float | None, observer: ProgressObserver
    ) -> Task:
        """The finished task. One that was finished before stays so, whatever its feed says now:
        the link of that time may still be good.
        """
        try:
            return await self._poller.wait(task_id, timeout, observer)
        except (TaskNotFound, TaskFailed):
            entry = await self._workers.disk(observer, self._journal.find_by_task_id, task_id)
            if entry is None or entry.state not in (State.FINISHED, State.SAVED):
                raise
            log.info("task %s: its feed does not know it any more; its last link is tried", task_id)
            return Task.finished(task_id, entry.result_url)

    def _entry(self, task_id: str) -> Entry:
        return self._journal.adopt(task_id, self._settings.base_url, self._settings.key_id)

    def _on_disk(self, task_id: str) -> Collected | None:
        """The file of an earlier time, if it is still there and still whole."""
        entry = self._journal.find_by_task_id(task_id)
        if entry is None or entry.state not in (State.FINISHED, State.SAVED):
            return None
        for path in self._places(entry, task_id):
            try:
                seen = probe_file(path, decode=True)
                here = self._here(path)
            except (NotMedia, OSError) as error:
                log.warning("task %s: its file is fetched again: %s: %s", task_id, path, error)
                continue
            if (entry.state, entry.file_path) != (State.SAVED, str(here)):
                self._journal.mark_saved(entry.id, here)
            return Collected(task_id, here, seen, entry.result_url)
        return None

    def _places(self, entry: Entry, task_id: str) -> Iterator[Path]:
        """Where the file may be: the folder can have moved, with all that is in it, since its
        path was written down; and a process can have ended just before it wrote it down.
        """
        if entry.file_path and (kept := Path(entry.file_path)).is_file():
            yield kept
        for ending in _ENDINGS:
            path = self._output / f"{file_stem(task_id)}{ending}"
            if path.is_file() and str(path) != entry.file_path:
                yield path

    def _here(self, path: Path) -> Path:
        """The file in the output folder: one that was saved elsewhere is copied there."""
        here = self._output / path.name
        if path.parent == self._output:
            return path
        if not here.exists():
            self._output.mkdir(parents=True, exist_ok=True)
            part = here.with_name(f"{here.name}.part")
            shutil.copyfile(path, part)
            files.replace_file(part, here)
        return here

    async def _bring(
        self, entry: Entry, task: Task, owner: str, observer: ProgressObserver
    ) -> Collected:
        """Download with fresh links, while that may help."""
        refused = 0
        attempt = 0
        while True:
            attempt += 1
            observer.report(Progress("Downloading", 100, task.id))
            stop = threading.Event()
            try:
                return await self._workers.media(observer, self._download, entry, task, owner, stop)
            except DownloadFailed as error:
                log.info("task %s: %s", task.id, error.what)
                refused += isinstance(error, LinkRefused)
                if attempt == MAX_ATTEMPTS or refused == MAX_REFUSED_LINKS or error.hint:
                    raise messages.download_failed(task.id, error, self._journal.home) from error
            finally:
                stop.set()
            await pause(0.5 * 2.0 ** (attempt - 1), observer)
            task = await self._finished(task.id, RELINK_TIMEOUT, observer)

    def _download(self, entry: Entry, task: Task, owner: str, stop: threading.Event) -> Collected:
        """One try, in a thread, which holds the lease for as long as it is at work.

        Args:
            stop: Set when nobody waits for it any more. What has come so far is kept.
        """

        def check() -> None:
            if stop.is_set():
                raise DownloadFailed(task.id, "The download was stopped.")

        with self._workers.keeper.keeping(owner):
            try:
                if not self._journal.acquire_lease(entry.id, owner):
                    raise DownloadFailed(task.id, "Somebody else is downloading it now.")
                return self._save(entry, task, check)
            except DownloadFailed as error:
                self._journal.record_error(entry.id, error.what)
                raise
            finally:
                self._journal.release_lease(entry.id, owner)

    def _save(self, entry: Entry, task: Task, check: Callable[[], None]) -> Collected:
        name = file_stem(task.id)
        path = part = self._output / f"{name}.part"
        try:
            check()
            self._output.mkdir(parents=True, exist_ok=True)
            self._client.download(task.id, task.result_url, part, check)
            seen = _look_at(task.id, part)
            path = part.with_name(name + suffix(seen))
            files.replace_file(part, path)
        except OSError as error:
            raise DownloadFailed(
                task.id,
                f"The file cannot be kept in {self._output}: {error.strerror or error}.",
                hint=files.write_hint(error, path),
            ) from error
        self._journal.mark_saved(entry.id, path)
        log.debug("task %s: saved as %s", task.id, path)
        return Collected(task.id, path, seen, task.result_url)


def _look_at(task_id: str, part: Path) -> Probe:
    try:
        return probe_file(part, decode=True)
    except NotMedia as error:
        with part.open("rb") as file:
            head = file.read(60).decode("ascii", "replace").strip()
        part.unlink()  # there is nothing to go on from: the next try starts anew
        raise DownloadFailed(
            task_id, f"What came is neither a video nor a picture ({error}). It begins «{head}»."
        ) from error


def file_stem(task_id: str) -> str:
    """A file's name without ending: safe on every system, whatever the gateway calls its task."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", task_id)[:80]
    if safe != task_id.lower():  # capitals too: some systems do not tell A from a
        safe += "-" + hashlib.sha256(task_id.encode()).hexdigest()[:8]
    return f"pika_{safe}"


def suffix(seen: Probe) -> str:
    """The ending that goes with a file's content, whatever its link said."""
    if seen.kind == "image":
        return _SUFFIXES[seen.container]
    return ".webm" if "webm" in seen.container else ".mp4"
