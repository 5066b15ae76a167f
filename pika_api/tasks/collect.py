"""Save the file of a finished task. Links expire, so the file is downloaded at once."""

from __future__ import annotations

import contextlib
import threading
import time
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
    file_digest,
    inspect_file,
    kind_of_file,
)
from ..message import Message
from ..progress import Progress, ProgressObserver, pause
from ..settings import Settings
from . import messages
from .delivery import PLAIN, Delivery, add_to_file
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
        note: What is odd about the file or its place, as sentences; empty if nothing is.
    """

    task_id: str
    path: Path
    probe: Probe
    result_url: str
    note: str = ""


class _Lease:
    """The lease of one call on one task. Used by one thread at a time.

    Args:
        owner: Its owner.
        seconds: How long it lasts without being renewed.
    """

    def __init__(self, owner: str, seconds: float) -> None:
        self.owner = owner
        self._seconds = seconds
        self._begun: float | None = None

    def begin(self) -> None:
        """It was acquired now."""
        self._begun = time.monotonic()

    def end(self) -> None:
        """It was released."""
        self._begun = None

    @property
    def is_held(self) -> bool:
        """Whether it was acquired, and not released since. It may have lapsed."""
        return self._begun is not None

    @property
    def is_fresh(self) -> bool:
        """Whether it was acquired a moment ago."""
        return self._begun is not None and time.monotonic() - self._begun < self._seconds / 4


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
        self._placing = threading.Lock()

    async def collect(
        self,
        task_id: str,
        timeout: float | None,
        observer: ProgressObserver,
        gateway: str | None = None,
        delivery: Delivery = PLAIN,
    ) -> Collected:
        """See `Service.collect`."""
        look = partial(self._look, task_id, delivery, gateway)
        entry, existing = await self._workers.disk(observer, look)
        if existing is not None:
            return existing
        if gateway not in (None, self._settings.gateway):
            raise messages.other_gateway(task_id, str(gateway), self._settings.base_url)
        self._poller.check_gateway(task_id, entry)
        task = await self._finished(task_id, entry, timeout, observer)
        lease = _Lease(str(uuid.uuid4()), self._journal.lease)
        with self._workers.keeper.keeping(lease.owner):
            acquire = partial(self._acquire, task_id, lease, delivery)
            while (acquired := await self._workers.write(observer, acquire)) is None:
                observer.report(
                    Progress(Message("Another download of this file is running"), 100, task_id)
                )
                await pause(self._policy.row_check, observer)
            entry, existing = acquired
            if existing is not None:
                return existing
            return await self._download_with_retries(entry, task, lease, observer, delivery)

    async def _finished(
        self,
        task_id: str,
        entry: Entry | None,
        timeout: float | None,
        observer: ProgressObserver,
    ) -> Task:
        """The finished task of this gateway.

        A task that was finished before stays finished, whatever its feed says now: the link of
        that time may still work.
        """
        try:
            return await self._poller.wait_for(task_id, entry, timeout, observer)
        except (TaskNotFound, TaskFailed):
            find, gateway = self._journal.find_by_task_id, self._settings.gateway
            entry = await self._workers.disk(observer, find, task_id, gateway)
            if entry is None or entry.state not in (State.FINISHED, State.SAVED):
                raise
            log.info("task %s: no longer in the feed; trying its last link", task_id)
            return Task.finished(task_id, entry.result_url)

    def _acquire(
        self, task_id: str, lease: _Lease, delivery: Delivery
    ) -> tuple[Entry, Collected | None] | None:
        """The entry, and its file if there is one now; None while another worker has the lease."""
        settings = self._settings
        entry = self._journal.acquire_task(task_id, settings.base_url, settings.key_id, lease.owner)
        if entry is None:
            return None
        lease.begin()
        # The previous holder of the lease may have saved it.
        return entry, self._existing(entry, task_id, delivery, is_owner=True)

    def _look(
        self,
        task_id: str,
        delivery: Delivery,
        gateway: str | None = None,
        *,
        accept_damaged: bool = False,
    ) -> tuple[Entry | None, Collected | None]:
        """The entry of a task, and the file of an earlier download, if it is still there.

        Args:
            gateway: The gateway of the task. None for the current one, or for another one if only
                that has saved a task with this id.
            accept_damaged: Whether to accept one that was damaged after it was saved.

        Raises:
            DownloadFailed: It is there, and nothing can be read of it.
        """
        wanted = gateway or self._settings.gateway
        entry = self._journal.find_by_task_id(task_id, wanted)
        if entry is None:
            return None, None
        if entry.gateway != wanted and (gateway is not None or entry.state is not State.SAVED):
            return entry, None
        return entry, self._existing(entry, task_id, delivery, accept_damaged=accept_damaged)

    def _existing(
        self,
        entry: Entry,
        task_id: str,
        delivery: Delivery,
        *,
        is_owner: bool = False,
        accept_damaged: bool = False,
    ) -> Collected | None:
        """The file of an entry, if it is still there.

        Args:
            is_owner: Whether the caller has the lease. Without it, a file that is not recorded at
                its place is left to the worker that has it, which may be about to move it.
            accept_damaged: As `_look`.

        Raises:
            DownloadFailed: As `_look`.
        """
        if entry.state not in (State.FINISHED, State.SAVED):
            return None
        first = next(self._candidates(entry), None)
        if first is None:
            return None
        is_settled = entry.state is State.SAVED and str(first) == entry.file_path
        if is_owner or is_settled:
            return self._take_file(entry, task_id, delivery, accept_damaged)
        owner = str(uuid.uuid4())
        with self._workers.keeper.keeping(owner):
            if not self._journal.acquire_lease(entry.id, owner):
                return None
            try:
                entry = self._journal.get(entry.id)
                return self._take_file(entry, task_id, delivery, accept_damaged)
            finally:
                self._journal.release_lease(entry.id, owner)

    def _take_file(
        self, entry: Entry, task_id: str, delivery: Delivery, accept_damaged: bool
    ) -> Collected | None:
        """The first of the candidates that can be read. Raises `DownloadFailed`."""
        for candidate in self._candidates(entry):
            try:
                inspection = self._inspections.get(candidate)
                if inspection.damaged and not (accept_damaged or is_as_received(candidate)):
                    raise NotMedia(inspection.problem)
                # The process ended after it had received the file, and before it was done with it.
                is_new = entry.state is State.FINISHED
                return self._finish(
                    entry, candidate, inspection, delivery, is_new=is_new, is_first=is_new
                )
            except UnreadFormat as error:
                raise self._keep(entry, task_id, candidate, error) from error
            except RefusedMedia as error:
                raise messages.file_not_opened(task_id, candidate, str(error)) from error
            except (NotMedia, OSError) as error:
                if isinstance(error, NotMedia) and is_as_received(candidate):
                    raise self._keep(entry, task_id, candidate, error) from error
                log.warning("task %s: downloading %s again: %s", task_id, candidate, error)
        return None

    def _keep(
        self,
        entry: Entry,
        task_id: str,
        path: Path,
        error: NotMedia,
        lease: _Lease | None = None,
    ) -> DownloadFailed:
        """Record a complete file of which nothing can be read. Returns the error about it."""
        failure = messages.file_unreadable(task_id, path, error)
        self._record(entry, path, failure.what, lease)
        return failure

    def _finish(
        self,
        entry: Entry,
        path: Path,
        inspection: Inspection,
        delivery: Delivery,
        *,
        is_new: bool,
        is_first: bool,
        lease: _Lease | None = None,
    ) -> Collected:
        """Deliver and record a file that can be read, and return it.

        Args:
            lease: Ends then; None if the caller ends it.
            is_new: Whether it was just received. Then texts may be added.
            is_first: Whether nobody can know its name yet. Then it loses the name with which it
                was received, if it gets another one.

        Raises:
            OSError: It cannot be copied to the output folder.
        """
        notes = []
        stem = file_stem(entry.gateway, str(entry.task_id))
        if is_new and delivery.texts:
            notes.append(self._add_texts(entry, path, stem, inspection, delivery))
        target, note = self._place(path, stem, inspection, delivery)
        notes.append(note)
        problem = messages.odd_file(target, inspection) if inspection.problem else ""
        self._record(entry, target, problem, lease)
        if is_first and target != path and path.parent == self._output:
            with contextlib.suppress(OSError):  # Windows: a program has it open
                path.unlink()
        text = " ".join(filter(None, [problem, *notes]))
        return Collected(str(entry.task_id), target, inspection.probe, entry.result_url, text)

    def _add_texts(
        self, entry: Entry, path: Path, stem: str, inspection: Inspection, delivery: Delivery
    ) -> str:
        """Add texts to a file that is as it was received. Returns a note if it stays so."""
        if inspection.problem:
            return messages.workflow_not_added(Message("the file is not sound"))
        if not entry.sha256 or file_digest(path) != entry.sha256:
            return ""  # the process ended after it had added them
        problem = add_to_file(path, stem, delivery.texts, self._policy.decode_limits)
        if problem is not None:
            return messages.workflow_not_added(problem)
        self._inspections.remember(path, inspection)
        return ""

    def _place(
        self, path: Path, stem: str, inspection: Inspection, delivery: Delivery
    ) -> tuple[Path, str]:
        """The file where it is wanted, and a note if it cannot be there. Raises `OSError`."""
        if delivery.place is None:
            return self._in_output(path, stem), ""
        size = inspection.probe.width, inspection.probe.height
        try:
            with self._placing:  # two nodes may want the same file at the same place
                target = delivery.place.save(path, _ending(path), size)
            self._inspections.remember(target, inspection)
        except OSError as error:
            path = self._in_output(path, stem)
            return path, messages.not_placed(delivery.place.prefix, error, path)
        return target, ""

    def _record(self, entry: Entry, path: Path, problem: str, lease: _Lease | None = None) -> None:
        """Record a complete file, unless that is recorded already.

        Args:
            lease: That of a download, which ends; None for an earlier file.
        """
        known = (entry.state, entry.file_path, entry.last_error, entry.host or self._journal.host)
        if known == (State.SAVED, str(path), problem, self._journal.host):
            return
        if lease is None:
            self._journal.mark_saved(entry.id, path)
        else:
            self._journal.mark_saved(entry.id, path, sha256=entry.sha256, owner=lease.owner)
            lease.end()
        if problem:
            self._journal.record_error(entry.id, problem)

    def _candidates(self, entry: Entry) -> Iterator[Path]:
        """Where the file may be, the most likely place first.

        The output folder may have moved since its path was recorded, and a process may have ended
        just before it recorded the path. Files of earlier versions have other names.
        """
        stem = file_stem(entry.gateway, str(entry.task_id))
        recorded = Path(entry.file_path) if entry.file_path else None
        places = [self._output / name for name in possible_names(stem)]
        if recorded is not None:
            places.insert(0 if recorded.parent == self._output else len(places), recorded)
            if not recorded.is_file():
                places.append(self._output / recorded.name)
        yield from (path for path in dict.fromkeys(places) if path.is_file())

    def _in_output(self, path: Path, stem: str) -> Path:
        """The file in the output folder. One that was saved elsewhere gets a further name there."""
        if path.parent == self._output:
            return path
        target = self._output / (stem + _ending(path))
        self._output.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        part.unlink(missing_ok=True)
        files.link_or_copy(path, part)
        files.replace_file(part, target)
        return target

    async def _download_with_retries(
        self,
        entry: Entry,
        task: Task,
        lease: _Lease,
        observer: ProgressObserver,
        delivery: Delivery,
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
                return await self._workers.media(
                    observer, self._download, entry, task, lease, delivery, stop
                )
            except DownloadFailed as error:
                log.info("task %s: %s", task.id, error.what)
                refused += isinstance(error, LinkRefused)
                last = attempt == policy.download_attempts or refused == policy.refused_links
                if error.charge_note:
                    raise  # it is already worded for the user
                if last and error.retryable:
                    look = partial(self._look, task.id, delivery, accept_damaged=True)
                    _, damaged = await self._workers.disk(observer, look)
                    if damaged is not None:
                        return damaged
                if last or not error.retryable:
                    raise messages.download_failed(task.id, error, self._journal.home) from error
            finally:
                stop.set()
            await pause(policy.download_pause * 2.0 ** (attempt - 1), observer)
            find, gateway = self._journal.find_by_task_id, self._settings.gateway
            known = await self._workers.disk(observer, find, task.id, gateway)
            task = await self._finished(task.id, known, policy.relink_timeout, observer)

    def _download(
        self, entry: Entry, task: Task, lease: _Lease, delivery: Delivery, stop: threading.Event
    ) -> Collected:
        """One attempt, in a thread. It holds the lease while it works.

        Args:
            stop: Set when nobody waits for the file any more. The bytes received so far stay on
                disk.
        """

        def check() -> None:
            if stop.is_set():
                raise DownloadFailed(task.id, Message("The download was stopped."))

        with self._workers.keeper.keeping(lease.owner):
            try:
                if not lease.is_fresh:  # it may have waited long for its thread
                    if not self._journal.acquire_lease(entry.id, lease.owner):
                        what = Message("Another process is downloading it now.")
                        raise DownloadFailed(task.id, what)
                    lease.begin()
                return self._save(entry, task, lease, delivery, check)
            except DownloadFailed as error:
                self._journal.record_error(entry.id, error.what)
                raise
            finally:
                if lease.is_held:
                    self._journal.release_lease(entry.id, lease.owner)
                    lease.end()

    def _save(
        self,
        entry: Entry,
        task: Task,
        lease: _Lease,
        delivery: Delivery,
        check: Callable[[], None],
    ) -> Collected:
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
                digest = file_digest(unchecked)
                files.replace_file(unchecked, path)
            except OSError:
                files.replace_file(unchecked, part)  # it was decoded: it may be opened again
                raise
            if delivery.texts:  # without them, `_record` does it
                self._journal.mark_received(entry.id, digest)
            is_first = entry.state is not State.SAVED
            # What its row says of an earlier file is old.
            entry = replace(entry, state=State.FINISHED, sha256=digest, result_url=task.result_url)
            if isinstance(result, NotMedia):
                raise self._keep(entry, task.id, path, result, lease) from result
            self._inspections.remember(path, result)
            log.debug("task %s: received as %s", task.id, path)
            return self._finish(
                entry, path, result, delivery, is_new=True, is_first=is_first, lease=lease
            )
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


def _ending(path: Path) -> str:
    """The ending of a finished file's name."""
    return as_received(path.suffix) if is_as_received(path) else path.suffix


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
