"""Save the file of a finished task. Links expire, so the file is downloaded at once."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Generic, TypeVar

from .. import files
from ..errors import DownloadFailed, LinkRefused, TaskFailed, TaskNotFound
from ..gateway import Client, Task, discard_part, part_info_path
from ..journal import Entry, Journal, State
from ..log import log
from ..media import (
    DecodeLimits,
    Inspection,
    NotMedia,
    Probe,
    RefusedMedia,
    UnreadFormat,
    inspect_file,
    kind_of_file,
)
from ..message import Message
from ..progress import Progress, ProgressObserver, pause
from ..settings import Settings
from . import messages
from .file_names import as_received, file_stem, file_suffix, is_as_received, possible_names
from .policy import ServicePolicy
from .poll import Poller
from .workers import Workers

_T = TypeVar("_T")


@dataclass(frozen=True)
class Collected:
    """The file of a finished task.

    Attributes:
        task_id: The gateway's id.
        path: The file.
        probe: Its properties, read from the file.
        result_url: The link it came from; it may have expired.
        note: What is odd about the file, as a sentence; empty if it is sound.
    """

    task_id: str
    path: Path
    probe: Probe
    result_url: str
    note: str = ""


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
        self._inspections = ProbeCache(partial(_decode, limits=policy.decode_limits))

    async def collect(
        self,
        task_id: str,
        timeout: float | None,
        observer: ProgressObserver,
        gateway: str | None = None,
    ) -> Collected:
        """See `Service.collect`."""
        existing = await self._workers.disk(observer, self._find_file, task_id, gateway)
        if existing is not None:
            return existing
        if gateway not in (None, self._settings.gateway):
            raise messages.other_gateway(task_id, str(gateway), self._settings.base_url)
        task = await self._finished(task_id, timeout, observer)
        entry = await self._workers.disk(observer, self._entry, task_id)
        owner = str(uuid.uuid4())
        with self._workers.keeper.keeping(owner):
            while not await self._workers.disk(
                observer, self._journal.acquire_lease, entry.id, owner
            ):
                observer.report(
                    Progress(Message("Another download of this file is running"), 100, task_id)
                )
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
            find, gateway = self._journal.find_by_task_id, self._settings.gateway
            entry = await self._workers.disk(observer, find, task_id, gateway)
            if entry is None or entry.state not in (State.FINISHED, State.SAVED):
                raise
            log.info("task %s: no longer in the feed; trying its last link", task_id)
            return Task.finished(task_id, entry.result_url)

    def _entry(self, task_id: str) -> Entry:
        return self._journal.adopt(task_id, self._settings.base_url, self._settings.key_id)

    def _find_file(
        self, task_id: str, gateway: str | None = None, *, accept_damaged: bool = False
    ) -> Collected | None:
        """The file of an earlier download, if it is still there.

        Args:
            gateway: The gateway of the task. None for the current one, or for another one if only
                that has saved a task with this id.
            accept_damaged: Whether to accept one that was damaged after it was saved.

        Raises:
            DownloadFailed: It is there, and nothing can be read of it.
        """
        wanted = gateway or self._settings.gateway
        entry = self._journal.find_by_task_id(task_id, wanted)
        if entry is None or entry.state not in (State.FINISHED, State.SAVED):
            return None
        if entry.gateway != wanted and (gateway is not None or entry.state is not State.SAVED):
            return None
        stem = file_stem(entry.gateway, task_id)
        for candidate in self._candidates(entry, stem):
            try:
                inspection = self._inspections.get(candidate)
                if inspection.damaged and not (accept_damaged or is_as_received(candidate)):
                    raise NotMedia(inspection.problem)
                path = self._in_output(candidate, stem)
            except UnreadFormat as error:
                raise self._keep(entry, task_id, candidate, error) from error
            except RefusedMedia as error:
                raise messages.file_not_opened(task_id, candidate, str(error)) from error
            except (NotMedia, OSError) as error:
                if isinstance(error, NotMedia) and is_as_received(candidate):
                    raise self._keep(entry, task_id, candidate, error) from error
                log.warning("task %s: downloading %s again: %s", task_id, candidate, error)
                continue
            return self._collected(entry, task_id, path, inspection, entry.result_url)
        return None

    def _keep(self, entry: Entry, task_id: str, path: Path, error: NotMedia) -> DownloadFailed:
        """Record a complete file of which nothing can be read. Returns the error about it."""
        failure = messages.file_unreadable(task_id, path, error)
        self._record(entry, path, failure.what)
        return failure

    def _collected(
        self, entry: Entry, task_id: str, path: Path, inspection: Inspection, url: str
    ) -> Collected:
        """Record a file that can be read, and return it."""
        note = messages.odd_file(path, inspection) if inspection.problem else ""
        self._record(entry, path, note)
        return Collected(task_id, path, inspection.probe, url, note)

    def _record(self, entry: Entry, path: Path, problem: str) -> None:
        """Record a complete file, unless that is recorded already."""
        known = (entry.state, entry.file_path, entry.last_error)
        if known != (State.SAVED, str(path), problem):
            self._journal.mark_saved(entry.id, path)
            if problem:
                self._journal.record_error(entry.id, problem)

    def _candidates(self, entry: Entry, stem: str) -> Iterator[Path]:
        """Where the file may be, the most likely place first.

        The output folder may have moved since its path was recorded, and a process may have ended
        just before it recorded the path. Files of earlier versions have other names.
        """
        recorded = Path(entry.file_path) if entry.file_path else None
        places = [self._output / name for name in possible_names(stem)]
        if recorded is not None:
            places.insert(0 if recorded.parent == self._output else len(places), recorded)
            if not recorded.is_file():
                places.append(self._output / recorded.name)
        yield from (path for path in dict.fromkeys(places) if path.is_file())

    def _in_output(self, path: Path, stem: str) -> Path:
        """The file in the output folder. A file that was saved elsewhere is copied there."""
        if path.parent == self._output:
            return path
        suffix = as_received(path.suffix) if is_as_received(path) else path.suffix
        target = self._output / (stem + suffix)
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
            observer.report(Progress(Message("Downloading"), 100, task.id))
            stop = threading.Event()
            try:
                return await self._workers.media(observer, self._download, entry, task, owner, stop)
            except DownloadFailed as error:
                log.info("task %s: %s", task.id, error.what)
                refused += isinstance(error, LinkRefused)
                last = attempt == policy.download_attempts or refused == policy.refused_links
                if error.charge_note:
                    raise  # it is already worded for the user
                if last and error.retryable:
                    damaged = await self._workers.disk(observer, self._find_damaged, task.id)
                    if damaged is not None:
                        return damaged
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
                raise DownloadFailed(task.id, Message("The download was stopped."))

        with self._workers.keeper.keeping(owner):
            try:
                if not self._journal.acquire_lease(entry.id, owner):
                    raise DownloadFailed(task.id, Message("Another process is downloading it now."))
                return self._save(entry, task, check)
            except DownloadFailed as error:
                self._journal.record_error(entry.id, error.what)
                raise
            finally:
                self._journal.release_lease(entry.id, owner)

    def _find_damaged(self, task_id: str) -> Collected | None:
        """A file that was damaged after it was saved, if another one cannot be downloaded."""
        return self._find_file(task_id, accept_damaged=True)

    def _save(self, entry: Entry, task: Task, check: Callable[[], None]) -> Collected:
        stem = file_stem(entry.gateway, task.id)
        path = part = self._output / f"{stem}.part"
        # The name of a complete file until it has been decoded. If the process dies of it, the next
        # one finds this name and does not decode the file again.
        unchecked = self._output / f"{stem}.unchecked"
        try:
            check()
            self._output.mkdir(parents=True, exist_ok=True)
            if unchecked.exists():
                reason = Message("it was refused, or the process ended while it was inspected")
                raise messages.file_not_opened(task.id, unchecked, reason)
            self._client.download(task.id, task.result_url, part, check)
            kind = kind_of_file(part)
            if kind.text:
                raise _not_the_file(task.id, part)
            files.replace_file(part, unchecked)
            part_info_path(part).unlink(missing_ok=True)
            ending, result = self._inspect(task.id, unchecked, kind.suffix)
            path = part.with_name(stem + ending)
            try:
                files.replace_file(unchecked, path)
            except OSError:
                files.replace_file(unchecked, part)  # it was decoded: it may be opened again
                raise
        except OSError as error:
            raise DownloadFailed(
                task.id,
                Message(
                    "The file cannot be saved in {output}: {strerror}.",
                    output=self._output,
                    strerror=error.strerror or error,
                ),
                hint=files.write_hint(error, path),
                retryable=False,
            ) from error
        entry = replace(entry, state=State.FINISHED)  # what its row says of an earlier file is old
        if isinstance(result, NotMedia):
            raise self._keep(entry, task.id, path, result) from result
        self._inspections.remember(path, result)
        log.debug("task %s: saved as %s", task.id, path)
        return self._collected(entry, task.id, path, result, task.result_url)

    def _inspect(
        self, task_id: str, unchecked: Path, suffix: str
    ) -> tuple[str, Inspection | NotMedia]:
        """The ending of a complete file's name, and what can be read of it or why nothing can.

        Args:
            suffix: That of its kind.

        Raises:
            DownloadFailed: It must not be opened.
        """
        try:
            inspection = _decode(unchecked, limits=self._policy.decode_limits)
        except UnreadFormat as error:
            return suffix, error
        except RefusedMedia as error:
            raise messages.file_not_opened(task_id, unchecked, str(error)) from error
        except NotMedia as error:
            return as_received(suffix), error
        suffix = file_suffix(inspection.probe)
        return as_received(suffix) if inspection.damaged else suffix, inspection


class ProbeCache(Generic[_T]):
    """Properties of files that were decoded completely once; thread-safe.

    A file is decoded again when its size or modification time has changed.

    Args:
        decode: Decodes a file and returns its properties.
    """

    _CAPACITY: Final = 1024

    def __init__(self, decode: Callable[[Path], _T]) -> None:
        self._decode = decode
        self._lock = threading.Lock()
        self._entries: dict[Path, tuple[tuple[int, int], _T]] = {}

    def get(self, path: Path) -> _T:
        """The properties of a file. Raises `NotMedia` or `OSError` as `inspect_file`."""
        version = _file_version(path)
        with self._lock:
            known = self._entries.get(path)
        if known is not None and known[0] == version:
            return known[1]
        probe = self._decode(path)
        self._store(path, version, probe)
        return probe

    def remember(self, path: Path, probe: _T) -> None:
        """Add a file that has just been decoded under another name. Raises `OSError`."""
        self._store(path, _file_version(path), probe)

    def _store(self, path: Path, version: tuple[int, int], probe: _T) -> None:
        with self._lock:
            self._entries.pop(path, None)
            self._entries[path] = (version, probe)
            if len(self._entries) > self._CAPACITY:
                del self._entries[next(iter(self._entries))]


def _decode(path: Path, limits: DecodeLimits) -> Inspection:
    return inspect_file(path, limits)


def _file_version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _not_the_file(task_id: str, path: Path) -> DownloadFailed:
    """The error for a page that came instead of the file. The page is removed, and quoted."""
    with path.open("rb") as file:
        head = file.read(60).decode("ascii", "replace").strip()
    discard_part(path)  # it is not what was paid for, and the next attempt must start over
    return DownloadFailed(
        task_id,
        Message("The download is neither a video nor a picture. It begins «{head}».", head=head),
        hint=Message(
            "The link may have expired, or the media host has a problem. Queue the same "
            "workflow again later: it asks for a fresh link and costs nothing."
        ),
    )
