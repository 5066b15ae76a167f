"""Run the rows of a table, some of them at a time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..errors import (
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
from ..message import Message
from ..tasks import Service
from .results import FAILED, REFUSED, RUNNING, SAVED, UNKNOWN, Result, ResultLog
from .tables import Row, check_format, read_rows, write_rows

#: The columns of a result. If the table has a column of this name, ours begins with ``pika_``.
RESULT_COLUMNS: Final = ("id", "state", "file", "error", "price")
#: Live tasks at a time.
DEFAULT_WINDOW: Final = 150
#: So many refused requests in a row, without an accepted one in between, end the batch: it is the
#: key, the credit or the gateway, not the rows.
_MAX_REFUSALS: Final = 5
#: How many faulty rows an error lists.
_LISTED: Final = 20


class BatchStopped(PikaError):
    """The batch has ended before its last row. Run again, it goes on there."""


@dataclass(frozen=True)
class Summary:
    """What has become of all rows.

    Attributes:
        rows: How many rows the table has.
        states: How many rows have each state. Rows that were not sent have none.
        unfinished: For each state but "saved", the numbers of its rows, from 1.
    """

    rows: int
    states: Mapping[str, int]
    unfinished: Mapping[str, list[int]]


@dataclass
class BatchProgress:
    """How far a batch is.

    Attributes:
        rows: How many rows the table has.
        done: How many rows have a final result, also from an earlier start.
        live: How many tasks are being submitted or waited for.
        states: How many rows of this start have each state.
        started: The time of the start, by `time.monotonic`.
    """

    rows: int
    done: int = 0
    live: int = 0
    states: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float | None:
        """An estimate of the remaining time; None while nothing has finished."""
        finished = sum(self.states.values())
        if not finished:
            return None
        return (time.monotonic() - self.started) / finished * (self.rows - self.done)


class Batch:
    """A table of requests, and the file of its results.

    Args:
        service: Sends the requests. The caller closes it.
        table: The table; see `tables.FORMATS`. Columns are named as the inputs of the nodes.
        target: The file for the result: the same columns, and `RESULT_COLUMNS`.
        window: Maximum number of live tasks.
        timeout: Seconds to wait for each task; None for no limit.
        retry_failed: Whether tasks that the gateway has ended with an error are created again.
            That may be charged again.
        report: Called with the progress after each change.

    Raises:
        InvalidInput: A format is not known, or a file cannot be used.
    """

    def __init__(
        self,
        service: Service,
        table: Path,
        target: Path,
        *,
        window: int = DEFAULT_WINDOW,
        timeout: float | None = None,
        retry_failed: bool = False,
        report: Callable[[BatchProgress], None] = lambda _progress: None,
    ) -> None:
        check_format(table)
        check_format(target)
        if target.exists() and table.exists() and target.samefile(table):
            raise InvalidInput(
                target.name,
                Message("the result would replace the table."),
                Message("Choose another name for it."),
            )
        self._service = service
        self._table = table
        self._target = target
        self._window = window
        self._timeout = timeout
        self._retry_failed = retry_failed
        self._report = report
        self._log = ResultLog(target.with_name(f"{target.name}.log"))
        self._progress = BatchProgress(0)
        self._refusals = 0
        self._problem: PikaError | None = None

    def check(self) -> int:
        """Check all rows, before anything is sent. Returns how many there are.

        Raises:
            InvalidInput: Rows cannot be sent; it names them.
        """
        count, problems = 0, []
        for number, row in enumerate(read_rows(self._table), 1):
            count = number
            try:
                self._request(row, read_media=False)
            except InvalidInput as error:
                problems.append(Message("Row {number}: {error}", number=number, error=error))
        if not count:
            raise InvalidInput(
                self._table.name, Message("the table has no rows."), Message("Add some.")
            )
        if problems:
            more = len(problems) - _LISTED
            listed = [*problems[:_LISTED]]
            if more > 0:
                listed.append(Message("and {count} more", count=more))
            raise InvalidInput(
                self._table.name,
                Message.joined("\n", Message("some rows cannot be sent."), *listed),
                Message("Nothing was sent. Correct the table and start again."),
            )
        return count

    async def run(self) -> Summary:
        """Run all rows that have no final result yet, and write the result.

        Raises:
            InvalidInput: As `check`.
            BatchStopped: It has ended early, for a reason that concerns all rows. Everything until
                then is kept, and the result is written as far as it goes.
            asyncio.CancelledError: It was stopped. What was submitted is kept.
        """
        self._service.settings.require_key()
        self._progress = BatchProgress(await self._service.prepare(self.check))
        live: set[asyncio.Task[None]] = set()
        try:
            async for number, row in self._remaining():
                while len(live) >= self._window:
                    _, live = await asyncio.wait(live, return_when=asyncio.FIRST_COMPLETED)
                if self._problem is not None:
                    break
                live.add(asyncio.create_task(self._run_row(number, row)))
            while live:
                _, live = await asyncio.wait(live)
        finally:
            for task in live:
                task.cancel()
            await asyncio.gather(*live, return_exceptions=True)
            self._log.close()
        summary = await self._service.prepare(self._write)
        if self._problem is not None:
            raise BatchStopped(
                Message.joined("\n", Message("The batch has stopped."), self._problem.message),
                hint=Message(
                    "Run the same command again to go on; rows that have a task are kept."
                ),
            ) from self._problem
        return summary

    async def _remaining(self) -> AsyncIterator[tuple[int, Row]]:
        """The rows without a final result, with their numbers."""
        for number, row in enumerate(read_rows(self._table)):
            if self._is_final(self._log.get(number, row)):
                self._progress.done += 1
                continue
            yield number, row
            await asyncio.sleep(0)

    def _is_final(self, result: Result | None) -> bool:
        if result is None:
            return False
        if result.state == SAVED:
            return Path(result.file).is_file()
        return result.state == FAILED and not self._retry_failed

    async def _run_row(self, number: int, row: Row) -> None:
        self._progress.live += 1
        self._report(self._progress)
        try:
            result = await self._result_of(row)
            if result is not None:
                await self._service.prepare(self._log.add, number, row, result)
                self._progress.states[result.state] += 1
                self._progress.done += 1
        except OSError as error:
            self._stop(
                JournalError(Message("The results cannot be written: {error}.", error=error))
            )
        finally:
            self._progress.live -= 1
            self._report(self._progress)

    async def _result_of(self, row: Row) -> Result | None:
        """Submit a row and wait for its file. None if the batch has to stop."""
        service, task_id = self._service, ""
        try:
            request = await service.prepare(self._request, row)
            take = parse_seed(row.get(SEED))
            submitted = await service.submit(request, take=take)
            task_id, self._refusals = submitted.task_id, 0
            collected = await service.collect(task_id, timeout=self._timeout)
        except (LimitReached, SettingsError, JournalError) as error:
            self._stop(error)
            return Result(RUNNING, task_id, error=str(error)) if task_id else None
        except InvalidInput as error:
            return Result(REFUSED, error=str(error))
        except NotAccepted as error:
            self._refusals += 1
            if self._refusals >= _MAX_REFUSALS:
                self._stop(error)
            return Result(REFUSED, error=str(error))
        except SubmitUnknown as error:
            return Result(UNKNOWN, error=str(error))
        except TaskFailed as error:
            return Result(FAILED, task_id, error=str(error), price=await self._price(task_id))
        except PikaError as error:
            state = RUNNING if task_id or not isinstance(error, GatewayError) else REFUSED
            return Result(state, task_id, error=str(error))
        price = await self._price(task_id)
        return Result(SAVED, task_id, str(collected.path), collected.note, price)

    async def _price(self, task_id: str) -> float | None:
        journal, gateway = self._service.journal, self._service.settings.gateway
        with contextlib.suppress(JournalError):  # the task is finished all the same
            entry = await self._service.prepare(journal.find_by_task_id, task_id, gateway)
            return None if entry is None else entry.price
        return None

    def _request(self, row: Row, *, read_media: bool = True) -> Any:
        values = {name: row[name] for name in REQUEST_INPUTS if not is_empty(row.get(name))}
        parse_seed(row.get(SEED))
        return build_request(values, folder=self._table.parent, read_media=read_media)

    def _stop(self, error: PikaError) -> None:
        """Start no further rows."""
        self._problem = self._problem or error

    def _write(self) -> Summary:
        """Write the result: the rows of the table in their order, each with its own result."""
        states: Counter[str] = Counter()
        unfinished: dict[str, list[int]] = {}
        names = self._result_names()

        def rows() -> Iterator[Row]:
            for number, row in enumerate(read_rows(self._table)):
                result = self._log.get(number, row)
                if result is not None:
                    states[result.state] += 1
                    if result.state != SAVED:
                        unfinished.setdefault(result.state, []).append(number + 1)
                values = {} if result is None else {n: getattr(result, n) for n in RESULT_COLUMNS}
                yield row | {names[name]: values.get(name) for name in RESULT_COLUMNS}

        write_rows(self._target, [*self._columns(), *names.values()], rows())
        return Summary(self._progress.rows, dict(states), unfinished)

    def _columns(self) -> list[str]:
        """The names of all columns of the table; a JSON object may lack some."""
        names: dict[str, None] = {}
        for row in read_rows(self._table):
            names |= dict.fromkeys(row)
        return list(names)

    def _result_names(self) -> dict[str, str]:
        taken = set(self._columns())
        return {name: f"pika_{name}" if name in taken else name for name in RESULT_COLUMNS}
