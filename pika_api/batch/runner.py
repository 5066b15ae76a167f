"""Run the rows of a table, some of them at a time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..errors import InvalidInput, JournalError, PikaError
from ..message import Message
from .results import FAILED, RESULT_COLUMNS, SAVED, Result, ResultLog, result_names
from .tables import Row, check_format, read_rows, write_rows
from .workers import RowWorker, request_of

#: Live tasks at a time.
DEFAULT_WINDOW: Final = 150
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
        worker: Runs the rows.
        table: The table; see `tables.FORMATS`. Columns are named as the inputs of the nodes.
        target: The file for the result: the same columns, and `RESULT_COLUMNS`.
        window: Maximum number of live tasks of each process.
        retry_failed: Whether tasks that the gateway has ended with an error are created again.
            That may be charged again.
        report: Called with the progress after each change.

    Raises:
        InvalidInput: A format is not known, or a file cannot be used.
    """

    def __init__(
        self,
        worker: RowWorker,
        table: Path,
        target: Path,
        *,
        window: int = DEFAULT_WINDOW,
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
        self._worker = worker
        self._table = table
        self._target = target
        self._window = window
        self._retry_failed = retry_failed
        self._report = report
        self._log = ResultLog(target.with_name(f"{target.name}.log"))
        self._progress = BatchProgress(0)
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
                request_of(row, self._table.parent, read_media=False)
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
        live: set[asyncio.Task[None]] = set()
        try:
            await self._worker.start()
            self._progress = BatchProgress(await asyncio.to_thread(self.check))
            window = self._window * self._worker.processes
            async for number, row in self._remaining():
                while len(live) >= window:
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
            await self._worker.close()
            self._log.close()
        summary = await asyncio.to_thread(self._write)
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
            return self._worker.has_file(result.file)
        return result.state == FAILED and not self._retry_failed

    async def _run_row(self, number: int, row: Row) -> None:
        self._progress.live += 1
        self._report(self._progress)
        try:
            outcome = await self._worker.run(row)
            if outcome.stop is not None:
                self._stop(outcome.stop)
            if (result := outcome.result) is not None:
                await asyncio.to_thread(self._log.add, number, row, result)
                self._progress.states[result.state] += 1
                self._progress.done += 1
        except OSError as error:
            self._stop(
                JournalError(Message("The results cannot be written: {error}.", error=error))
            )
        except Exception as error:  # noqa: BLE001 - a row never vanishes
            self._stop(PikaError(Message("{error}.", error=repr(error))))
        finally:
            self._progress.live -= 1
            self._report(self._progress)

    def _stop(self, error: PikaError) -> None:
        """Start no further rows."""
        self._problem = self._problem or error

    def _write(self) -> Summary:
        """Write the result: the rows of the table in their order, each with its own result."""
        states: Counter[str] = Counter()
        unfinished: dict[str, list[int]] = {}
        columns = self._columns()
        names = result_names(columns)

        def rows() -> Iterator[Row]:
            for number, row in enumerate(read_rows(self._table)):
                result = self._log.get(number, row)
                if result is not None:
                    states[result.state] += 1
                    if result.state != SAVED:
                        unfinished.setdefault(result.state, []).append(number + 1)
                values = {} if result is None else {n: getattr(result, n) for n in RESULT_COLUMNS}
                yield row | {names[name]: values.get(name) for name in RESULT_COLUMNS}

        write_rows(self._target, [*columns, *names.values()], rows())
        return Summary(self._progress.rows, dict(states), unfinished)

    def _columns(self) -> list[str]:
        """The names of all columns of the table; a JSON object may lack some."""
        names: dict[str, None] = {}
        for row in read_rows(self._table):
            names |= dict.fromkeys(row)
        return list(names)
