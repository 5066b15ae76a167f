"""Save the file of a finished task. Links expire, so the file is downloaded at once."""

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
from ..media import NotMedia, Probe, RefusedMedia, probe_file
from ..progress import Progress, ProgressObserver, pause
from ..settings import Settings
from . import messages
from .policy import ServicePolicy
from .poll import Poller
from .workers import Workers

_IMAGE_SUFFIXES: Final = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "gif": ".gif"}
_SUFFIXES: Final = (".mp4", ".webm", *_IMAGE_SUFFIXES.values())


@dataclass(frozen=True)
class Collected:
    """The file of a finished task.

    Attributes:
        task_id: The gateway's id.
        path: The file.
        probe: Its properties, read from the file.
        result_url: The link it came from; it may have expired.
    """

    task_id: str
    path: Path
    probe: Probe
    result_url: str


class Collector:
    """Downloads the files of finished tasks."""

    def __init__(
        self,
        settings: Settings,
        output: Path,
        client: Client,
        journal: Journal,
        poller: Poller,
        workers: Workers,
        policy: ServicePolicy,
    ) -> None:
        self._settings = settings
        self._output = output
        self._client = client
        self._journal = journal
        self._poller = poller
        self._workers = workers
        self._policy = policy
        self._probes = ProbeCache(_decode)

    async def collect(
        self, task_id: str, timeout: float | None, observer: ProgressObserver
    ) -> Collected:
        """See `Service.collect`."""
        existing = await self._workers.disk(observer, self._find_file, task_id)
        if existing is not None:
            return existing
        task = await self._finished(task_id, timeout, observer)
        entry = await self._workers.disk(observer, self._entry, task_id)
        owner = str(uuid.uuid4())
        with self._workers.keeper.keeping(owner):
            while not await self._workers.disk(
                observer, self._journal.acquire_lease, entry.id, owner
            ):
                observer.report(Progress("Another download of this file is running", 100, task_id))
                await pause(self._policy.row_check, observer)
            # The previous holder of the lease may have saved it.
            existing = await self._workers.disk(observer, self._find_file, task_id)
            return existing or await self._download_with_retries(entry, task, owner, observer)

    async def _finished(
        self, task_id: str, timeout: float | None, observer: ProgressObserver
    ) -> Task:
        """The finished task.

        A task that was finished before stays finished, whatever its feed says now: the link of
        that time may still work.
        """
        try:
            return await self._poller.wait(task_id, timeout, observer)
        except (TaskNotFound, TaskFailed):
            entry = await self._workers.disk(observer, self._journal.find_by_task_id, task_id)
            if entry is None or entry.state not in (State.FINISHED, State.SAVED):
                raise
            log.info("task %s: no longer in the feed; trying its last link", task_id)
            return Task.finished(task_id, entry.result_url)

    def _entry(self, task_id: str) -> Entry:
        return self._journal.adopt(task_id, self._settings.base_url, self._settings.key_id)

    def _find_file(self, task_id: str) -> Collected | None:
        """The file of an earlier download, if it is still there and complete."""
        entry = self._journal.find_by_task_id(task_id)
        if entry is None or entry.state not in (State.FINISHED, State.SAVED):
            return None
        for candidate in self._candidates(entry, task_id):
            try:
                probe = self._probes.get(candidate)
                path = self._in_output(candidate)
            except RefusedMedia as error:
                raise messages.file_not_opened(task_id, candidate, str(error)) from error
            except (NotMedia, OSError) as error:
                log.warning("task %s: downloading %s again: %s", task_id, candidate, error)
                continue
            if (entry.state, entry.file_path) != (State.SAVED, str(path)):
                self._journal.mark_saved(entry.id, path)
            return Collected(task_id, path, probe, entry.result_url)
        return None

    def _candidates(self, entry: Entry, task_id: str) -> Iterator[Path]:
        """Where the file may be.

        The output folder may have moved since its path was recorded, and a process may have ended
        just before it recorded the path.
        """
        if entry.file_path and (recorded := Path(entry.file_path)).is_file():
            yield recorded
        for suffix in _SUFFIXES:
            path = self._output / f"{file_stem(task_id)}{suffix}"
            if path.is_file() and str(path) != entry.file_path:
                yield path

    def _in_output(self, path: Path) -> Path:
        """The file in the output folder. A file that was saved elsewhere is copied there."""
        target = self._output / path.name
        if path.parent == self._output:
            return path
        if not target.exists():
            self._output.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f"{target.name}.part")
            shutil.copyfile(path, part)
            files.replace_file(part, target)
        return target

    async def _download_with_retries(
        self, entry: Entry, task: Task, owner: str, observer: ProgressObserver
    ) -> Collected:
        """Download with fresh links, as long as another attempt may help."""
        policy = self._policy
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
                last = attempt == policy.download_attempts or refused == policy.refused_links
                if error.charge_note:
                    raise  # it is already worded for the user
                if last or not error.retryable:
                    raise messages.download_failed(task.id, error, self._journal.home) from error
            finally:
                stop.set()
            await pause(policy.download_pause * 2.0 ** (attempt - 1), observer)
            task = await self._finished(task.id, policy.relink_timeout, observer)

    def _download(self, entry: Entry, task: Task, owner: str, stop: threading.Event) -> Collected:
        """One attempt, in a thread. It holds the lease while it works.

        Args:
            stop: Set when nobody waits for the file any more. The bytes received so far stay on
                disk.
        """

        def check() -> None:
            if stop.is_set():
                raise DownloadFailed(task.id, "The download was stopped.")

        with self._workers.keeper.keeping(owner):
            try:
                if not self._journal.acquire_lease(entry.id, owner):
                    raise DownloadFailed(task.id, "Another process is downloading it now.")
                return self._save(entry, task, check)
            except DownloadFailed as error:
                self._journal.record_error(entry.id, error.what)
                raise
            finally:
                self._journal.release_lease(entry.id, owner)

    def _save(self, entry: Entry, task: Task, check: Callable[[], None]) -> Collected:
        stem = file_stem(task.id)
        path = part = self._output / f"{stem}.part"
        # The name of a complete file until it has been decoded. If the process dies of it, the next
        # one finds this name and does not decode the file again.
        unchecked = self._output / f"{stem}.unchecked"
        try:
            check()
            self._output.mkdir(parents=True, exist_ok=True)
            if unchecked.exists():
                reason = "it was refused, or the process ended while it was inspected"
                raise messages.file_not_opened(task.id, unchecked, reason)
            self._client.download(task.id, task.result_url, part, check)
            files.replace_file(part, unchecked)
            probe = _probe_download(task.id, unchecked)
            path = part.with_name(stem + file_suffix(probe))
            try:
                files.replace_file(unchecked, path)
            except OSError:
                files.replace_file(unchecked, part)  # it was decoded: it may be opened again
                raise
            self._probes.remember(path, probe)
        except OSError as error:
            raise DownloadFailed(
                task.id,
                f"The file cannot be saved in {self._output}: {error.strerror or error}.",
                hint=files.write_hint(error, path),
                retryable=False,
            ) from error
        self._journal.mark_saved(entry.id, path)
        log.debug("task %s: saved as %s", task.id, path)
        return Collected(task.id, path, probe, task.result_url)


class ProbeCache:
    """Properties of files that were decoded completely once; thread-safe.

    A file is decoded again when its size or modification time has changed.

    Args:
        decode: Decodes a file and returns its properties.
    """

    _CAPACITY: Final = 1024

    def __init__(self, decode: Callable[[Path], Probe]) -> None:
        self._decode = decode
        self._lock = threading.Lock()
        self._entries: dict[Path, tuple[tuple[int, int], Probe]] = {}

    def get(self, path: Path) -> Probe:
        """The properties of a file. Raises `NotMedia` or `OSError` as `probe_file`."""
        version = _file_version(path)
        with self._lock:
            known = self._entries.get(path)
        if known is not None and known[0] == version:
            return known[1]
        probe = self._decode(path)
        self._store(path, version, probe)
        return probe

    def remember(self, path: Path, probe: Probe) -> None:
        """Add a file that has just been decoded under another name. Raises `OSError`."""
        self._store(path, _file_version(path), probe)

    def _store(self, path: Path, version: tuple[int, int], probe: Probe) -> None:
        with self._lock:
            self._entries.pop(path, None)
            self._entries[path] = (version, probe)
            if len(self._entries) > self._CAPACITY:
                del self._entries[next(iter(self._entries))]


def _decode(path: Path) -> Probe:
    return probe_file(path, decode=True)


def _file_version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _probe_download(task_id: str, path: Path) -> Probe:
    try:
        return _decode(path)
    except RefusedMedia as error:
        raise messages.file_not_opened(task_id, path, str(error)) from error
    except NotMedia as error:
        with path.open("rb") as file:
            head = file.read(60).decode("ascii", "replace").strip()
        path.unlink()  # not the file, so the next attempt must start over
        raise DownloadFailed(
            task_id,
            f"The download is neither a video nor a picture ({error}). It begins «{head}».",
        ) from error


def file_stem(task_id: str) -> str:
    """A file's name without suffix, valid on every system, whatever the gateway's id contains."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", task_id)[:80]
    if safe != task_id.lower():  # some file systems do not distinguish A from a
        safe += "-" + hashlib.sha256(task_id.encode()).hexdigest()[:8]
    return f"pika_{safe}"


def file_suffix(probe: Probe) -> str:
    """The suffix for a file's content, whatever its link says."""
    if probe.kind == "image":
        return _IMAGE_SUFFIXES[probe.container]
    return ".webm" if "webm" in probe.container else ".mp4"
