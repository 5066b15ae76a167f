"""What becomes of one row: its request is submitted, waited for, and its file is saved."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from ..errors import (
    DownloadFailed,
    GatewayError,
    InvalidInput,
    JournalError,
    LimitReached,
    NotAccepted,
    PikaError,
    SettingsError,
    SubmitUnknown,
    TaskFailed,
)
from ..inputs import REQUEST_INPUTS, SEED, build_request, is_empty, parse_seed
from ..journal import Entry, State
from ..message import Message
from ..request import GenerateRequest
from ..tasks import Collected, Service
from .results import FAILED, REFUSED, RUNNING, SAVED, UNKNOWN, Result
from .storage import Storage
from .tables import Row

#: So many refused requests in a row, without an accepted one in between, end the batch: it is the
#: key, the credit or the gateway, not the rows.
_MAX_REFUSALS: Final = 5
#: Seconds between the attempts to copy a file to an address.
_COPY_PAUSES: Final = (1.0, 5.0)


@dataclass(frozen=True)
class Outcome:
    """What has become of a row.

    Attributes:
        result: None if there is nothing to write down: the row was not sent.
        stop: Why no further row can be sent; None if it can.
    """

    result: Result | None
    stop: PikaError | None = None


class RowWorker(Protocol):
    """Where the rows of a batch run."""

    @property
    def processes(self) -> int:
        """How many processes run rows, after `start`. Each has a window of live tasks."""

    async def start(self) -> None:
        """Called once, before the first row. Raises `PikaError` if no row can be sent."""

    async def run(self, row: Row) -> Outcome:
        """Submit a row and wait for its file. Many run at the same time."""

    async def close(self) -> None:
        """Called once, when no row is waited for any more."""

    def has_file(self, file: str) -> bool:
        """Whether the file of a result is still there. May block."""


def request_of(row: Mapping[str, Any], folder: Path, *, read_media: bool = True) -> GenerateRequest:
    """The request of a row.

    Args:
        folder: What relative paths of images and videos start from.
        read_media: As in `build_request`.

    Raises:
        InvalidInput: The row cannot be sent.
    """
    values = {name: row[name] for name in REQUEST_INPUTS if not is_empty(row.get(name))}
    parse_seed(row.get(SEED))
    return build_request(values, folder=folder, read_media=read_media)


class ServiceWorker:
    """Runs the rows in this process.

    Args:
        service: Sends the requests. The caller closes it.
        folder: The folder of the table: relative paths start there.
        timeout: Seconds to wait for each task; None for no limit.
        storage: Where files are moved that the service has saved; None to leave them there.
    """

    def __init__(
        self,
        service: Service,
        folder: Path,
        *,
        timeout: float | None = None,
        storage: Storage | None = None,
    ) -> None:
        self._service = service
        self._folder = folder
        self._timeout = timeout
        self._storage = storage
        self._refusals = 0

    @property
    def processes(self) -> int:
        return 1

    async def start(self) -> None:
        """Raise `SettingsError` without a key, `InvalidInput` if nothing can be written."""
        self._service.settings.require_key()
        if self._storage is not None:
            await self._service.prepare(self._storage.check)

    async def run(self, row: Row) -> Outcome:
        service, task_id = self._service, ""
        try:
            request = await service.prepare(request_of, row, self._folder)
            take = parse_seed(row.get(SEED))
            submitted = await service.submit(request, take=take)
            task_id, self._refusals = submitted.task_id, 0
            return Outcome(await self._saved(task_id))
        except (LimitReached, SettingsError, JournalError) as error:
            running = Result(RUNNING, task_id, error=str(error)) if task_id else None
            return Outcome(running, stop=error)
        except _NotCopied as error:
            return Outcome(Result(RUNNING, task_id, error=str(error)), stop=error)
        except InvalidInput as error:
            return Outcome(Result(REFUSED, error=str(error)))
        except NotAccepted as error:
            self._refusals += 1
            stop = error if self._refusals >= _MAX_REFUSALS else None
            return Outcome(Result(REFUSED, error=str(error)), stop)
        except SubmitUnknown as error:
            return Outcome(Result(UNKNOWN, error=str(error)))
        except TaskFailed as error:
            price = await self._price(task_id)
            return Outcome(Result(FAILED, task_id, error=str(error), price=price))
        except PikaError as error:
            state = RUNNING if task_id or not isinstance(error, GatewayError) else REFUSED
            return Outcome(Result(state, task_id, error=str(error)))

    async def close(self) -> None:
        """Nothing: the caller closes the service."""

    def has_file(self, file: str) -> bool:
        return has_file(self._storage, file)

    async def _saved(self, task_id: str) -> Result:
        """The result of a task whose file is where it is wanted."""
        if self._storage is not None:
            entry = await self._entry(task_id)
            if entry is not None and await self._is_stored(entry):
                return Result(SAVED, task_id, entry.file_path, price=entry.price)
        collected = await self._service.collect(task_id, timeout=self._timeout)
        file = str(collected.path)
        if self._storage is not None:
            file = await self._store(self._storage, collected)
        return Result(SAVED, task_id, file, collected.note, await self._price(task_id))

    async def _is_stored(self, entry: Entry) -> bool:
        storage = self._storage
        if storage is None or entry.state is not State.SAVED:
            return False
        return await self._service.prepare(storage.has, entry.file_path, entry.sha256)

    async def _store(self, storage: Storage, collected: Collected) -> str:
        """Move a file to the storage; returns its address. Raises `_NotCopied`."""
        for delay in (*_COPY_PAUSES, None):
            try:
                file = await self._service.prepare(storage.save, collected.path)
                break
            except OSError as error:
                if delay is None:
                    raise _NotCopied(collected, storage, error) from error
                await asyncio.sleep(delay)
        entry = await self._entry(collected.task_id)
        if entry is not None:
            await self._service.prepare(self._service.journal.mark_saved, entry.id, file)
        # Not before its address is written down: until then, this is the file of the task.
        await self._service.prepare(_remove, collected.path)
        return file

    async def _price(self, task_id: str) -> float | None:
        with contextlib.suppress(JournalError):  # the task is finished all the same
            entry = await self._entry(task_id)
            return None if entry is None else entry.price
        return None

    async def _entry(self, task_id: str) -> Entry | None:
        journal, gateway = self._service.journal, self._service.settings.gateway
        return await self._service.prepare(journal.find_by_task_id, task_id, gateway)


def has_file(storage: Storage | None, file: str) -> bool:
    """Whether the file of a result is still there."""
    return storage.lists(file) if storage is not None else Path(file).is_file()


class _NotCopied(DownloadFailed):
    """The file is in the local folder, and cannot be copied to its address."""

    def __init__(self, collected: Collected, storage: Storage, error: OSError) -> None:
        super().__init__(
            collected.task_id,
            Message(
                "The file {path} cannot be copied to {address}: {error}.",
                path=collected.path,
                address=storage.address,
                error=error,
            ),
            hint=Message("It is kept. Run the same command again to copy it, at no charge."),
            retryable=False,
        )


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # Windows: a program has it open
        path.unlink()
