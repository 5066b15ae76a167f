"""What each command of ``python -m pika_api`` does."""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import json
import logging
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, TextIO

from ..batch import (
    OUTGOING,
    Batch,
    BatchProgress,
    Job,
    RayWorkers,
    RowWorker,
    ServiceWorker,
    Storage,
    Summary,
    is_address,
)
from ..errors import InvalidInput, PikaError, SubmitUnknown, TaskFailed, TaskTimeout
from ..gateway import Client
from ..journal import REUSABLE, Entry, Journal, Selection, State
from ..log import log
from ..progress import Progress, ProgressObserver
from ..settings import load_settings
from ..support import HomeChoice, choose_home, csv_chunks, name_in_request, run_diagnostics
from ..tasks import Service
from ..text import format_amount, format_duration, sanitize
from .arguments import Commands, build_request, make_parser

#: Exit codes by error class; the first that matches. Every other error is 1.
_EXIT_CODES: Final = ((SubmitUnknown, 3), (TaskTimeout, 4), (TaskFailed, 5))
_INTERRUPTED: Final = 130
#: Seconds between two lines about the progress of a batch.
_BATCH_LINE_EVERY: Final = 2.0
#: What the user can do about the rows of each state, and the exit code.
_UNFINISHED_ROWS: Final = {
    "unknown": (
        3,
        (
            "They may have been charged. Look for their tasks in the gateway's own list. If there "
            "is one, give its id to `settle`; if not, `forget` the number that `tasks` prints for "
            "it. Then run the same command again."
        ),
    ),
    "running": (4, "They have a task. Run the same command again to wait for it, at no charge."),
    "failed": (
        5,
        (
            "The gateway has ended their tasks with an error. --retry-failed creates them again, "
            "which may be charged."
        ),
    ),
    "refused": (1, "They were not charged. See the column error, and run the same command again."),
}
#: How many numbers of rows are printed.
_LISTED_ROWS: Final = 50


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A Windows console cannot show every character of a prompt: escape the others.
            stream.reconfigure(errors="backslashreplace")
    args = make_parser(_COMMANDS).parse_args(argv)
    logging.basicConfig(level=logging.WARNING if args.verbose else logging.ERROR)
    if args.verbose:
        log.setLevel(logging.DEBUG)
    try:
        return int(args.func(args, _home(args, choose_home(args.home))))
    except PikaError as error:
        _print(f"error: {error}", sys.stderr)
        return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 1)
    except KeyboardInterrupt:
        _print("Stopped. A task that was submitted is kept: see `tasks`.", sys.stderr)
        return _INTERRUPTED


def generate(args: argparse.Namespace, home: Path) -> int:
    """Submit a request and print its task id; with ``--wait`` also the path of its file."""

    async def run(service: Service, observer: ProgressObserver) -> None:
        submitted = await service.submit(build_request(args), take=args.seed, observer=observer)
        if submitted.reused:
            _print(f"Reused task {submitted.task_id}, no new charge.", sys.stderr)
        _print(submitted.task_id)
        if args.wait:
            await _collect(args, submitted.task_id, service, observer)

    return _with_service(args, home, run)


def batch(args: argparse.Namespace, home: Path) -> int:
    """Create a task for each row of a table, and write what has become of it.

    The exit code is that of the first state in `_UNFINISHED_ROWS` that a row has.
    """
    if args.window < 1:
        raise InvalidInput("--window", f"{args.window} is too small.", "Use 1 or more.")
    summary = _run_on_ray(args) if args.ray else _run_here(args, home)
    states = ", ".join(f"{state}: {count}" for state, count in sorted(summary.states.items()))
    _print(f"Rows: {summary.rows} ({states}). The result is {args.target}.", sys.stderr)
    for state, (_, words) in _UNFINISHED_ROWS.items():
        if numbers := summary.unfinished.get(state):
            _print(f"Rows {state}: {_numbers(numbers)}. {words}", sys.stderr)
    return next(
        (code for state, (code, _) in _UNFINISHED_ROWS.items() if state in summary.unfinished), 0
    )


def _run_here(args: argparse.Namespace, home: Path) -> Summary:
    """Run a batch in this process."""
    storage = Storage(args.output) if is_address(args.output) else None
    output = home / OUTGOING if storage else Path(args.output)
    summaries = []

    async def run(service: Service, _observer: ProgressObserver) -> None:
        folder, timeout = args.table.parent, args.timeout_minutes * 60 or None
        worker = ServiceWorker(service, folder, timeout=timeout, storage=storage)
        summaries.append(await _batch(args, worker).run())

    _with_service(args, home, run, output)
    return summaries[0]


def _run_on_ray(args: argparse.Namespace) -> Summary:
    """Run a batch in the actors of a cluster, with the settings and the journal that they have."""
    if args.ray_actors is not None and args.ray_actors < 1:
        raise InvalidInput("--ray-actors", f"{args.ray_actors} is too small.", "Use 1 or more.")
    output = args.output if is_address(args.output) else str(Path(args.output).absolute())
    timeout = args.timeout_minutes * 60 or None
    job = Job(output, args.table.parent.absolute(), timeout, args.home)
    worker = RayWorkers(args.ray, job, actors=args.ray_actors)
    return asyncio.run(_batch(args, worker).run())


def _batch(args: argparse.Namespace, worker: RowWorker) -> Batch:
    return Batch(
        worker,
        args.table,
        args.target,
        window=args.window,
        retry_failed=args.retry_failed,
        report=_BatchDisplay(),
    )


def _numbers(numbers: Sequence[int]) -> str:
    """Numbers of rows; only the first of very many."""
    text = ", ".join(map(str, numbers[:_LISTED_ROWS]))
    more = len(numbers) - _LISTED_ROWS
    return f"{text} and {more} more" if more > 0 else text


class _BatchDisplay:
    """Prints the progress of a batch, every few seconds."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, progress: BatchProgress) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _BATCH_LINE_EVERY
        left = progress.seconds_left
        rest = "" if left is None else f", about {format_duration(left)} left"
        states = "".join(f", {state}: {count}" for state, count in sorted(progress.states.items()))
        _print(
            f"{progress.done} of {progress.rows} rows, live: {progress.live}{states}{rest}",
            sys.stderr,
        )


def status(args: argparse.Namespace, home: Path) -> int:
    """Print the feed's answer for a task as JSON."""

    async def run(service: Service, observer: ProgressObserver) -> None:
        task = await service.status(args.task_id, observer=observer)
        _print(json.dumps(task.response))

    return _with_service(args, home, run)


def result(args: argparse.Namespace, home: Path) -> int:
    """Wait for a task and print the path of its file."""

    async def run(service: Service, observer: ProgressObserver) -> None:
        await _collect(args, args.task_id, service, observer)

    return _with_service(args, home, run)


def tasks(args: argparse.Namespace, home: Path) -> int:
    """List the journal, or write the ledger: the paid tasks, as CSV or JSON."""
    selection = Selection(args.since, args.until, frozenset(map(State, args.state or ())))
    is_filtered = selection != Selection()
    is_ledger = args.csv is not None or (args.json and is_filtered)
    limit = args.limit if args.limit is not None or args.csv or is_filtered else 20
    with closing(Journal.at(home)) as journal:
        entries = journal.ledger.entries(selection, paid=is_ledger, forgotten=is_ledger or args.all)
        if limit is not None and limit >= 0:
            entries = itertools.islice(entries, limit)
        if args.csv is not None:
            _write_csv(entries, args.csv)
            return 0
        for entry in entries:
            _print(json.dumps(_as_json(entry)) if args.json else _as_line(entry))
    return 0


def _write_csv(entries: Iterator[Entry], name: str) -> None:
    """Write a ledger to a new file, or to stdout for ``-``.

    Raises:
        InvalidInput: There is such a file already, or it cannot be written.
    """
    # As bytes: Windows would change the line breaks, and write another encoding than UTF-8.
    if name == "-":
        sys.stdout.flush()
        for chunk in csv_chunks(entries):
            sys.stdout.buffer.write(chunk.encode("utf-8"))
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    try:
        with path.open("xb") as file, _removed_on_error(path):
            for chunk in csv_chunks(entries):
                file.write(chunk.encode("utf-8"))
    except FileExistsError as error:
        raise InvalidInput("--csv", f"{path} exists already.", "Name a new file.") from error
    except OSError as error:
        problem = f"{path} cannot be written: {error.strerror or error}."
        raise InvalidInput("--csv", problem, "Name another file.") from error


@contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    """Remove a file that is not complete."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # Windows keeps the name of an open file
            path.unlink()
        raise


def balance(args: argparse.Namespace, home: Path) -> int:
    """Print the balance of the key. A gateway that does not report one is an error."""
    settings = load_settings(home)
    settings.require_key()
    with closing(Client(settings)) as client:
        account = client.balance()
    amounts = {"quota": account.quota, "used": account.used, "left": account.left}
    if args.json:
        extra = {"unlimited": account.unlimited, "currency": settings.currency}
        _print(json.dumps(amounts | extra))
        return 0
    for name, amount in amounts.items():
        text = "unlimited" if amount is None else format_amount(amount, settings.currency)
        _print(f"{name:<6}{text}")
    return 0


def settle(args: argparse.Namespace, home: Path) -> int:
    """Give a request whose outcome is unknown the id of its task."""

    async def run(service: Service, observer: ProgressObserver) -> None:
        number = _find_by_number(args.task, service.journal).id
        entry = await service.settle(number, args.task_id, observer=observer)
        effect = (
            f"It has failed: {entry.last_error} The same request creates a new task, which may be "
            "charged."
            if entry.state is State.FAILED
            else "The same request uses it, at no new charge."
        )
        _print(f"#{entry.id} is task {entry.task_id}. {effect}")

    return _with_service(args, home, run)


def forget(args: argparse.Namespace, home: Path) -> int:
    """Remove a task from lists and release its fingerprint."""
    with closing(Journal.at(home)) as journal:
        entry = _find(args.task, journal)
        if not journal.forget(entry.id):
            raise InvalidInput(
                "task", f"#{entry.id} is being sent at this moment.", "Wait, or interrupt it."
            )
    kept = " The task stays at the gateway." if entry.state in REUSABLE else ""
    _print(
        f"#{entry.id} is forgotten. The same request creates a new task, which may be charged."
        f"{kept}"
    )
    return 0


def backup(args: argparse.Namespace, home: Path) -> int:
    """Copy the journal into a new file."""
    with closing(Journal.at(home)) as journal:
        count = journal.backup(args.file)
    _print(f"The journal was copied to {args.file}. Requests in the copy: {count}.")
    return 0


def doctor(args: argparse.Namespace, home: Path) -> int:
    """Print the diagnostics; the exit code is 1 if there is a problem."""
    diagnostics = run_diagnostics(
        home, args.output, connect=not args.no_connection, choice=choose_home(args.home)
    )
    _print(diagnostics.text)
    return 1 if diagnostics.problems else 0


_COMMANDS: Final = Commands(
    generate, batch, status, result, tasks, balance, settle, forget, backup, doctor
)


def _home(args: argparse.Namespace, choice: HomeChoice) -> Path:
    """The private folder of a command.

    Raises:
        InvalidInput: The command may cost something, and another folder may have the task already.
    """
    if choice.conflict and args.func is not doctor:  # doctor reports it as a problem
        folders = "\n".join(f"  {folder}" for folder in choice.folders)
        hint = f"Name the folder, with --home or PIKA_HOME:\n{folders}"
        if args.func is generate or (args.func is batch and not args.ray):
            problem = f"{choice.conflict}. Nothing was sent: the task may be paid for already."
            raise InvalidInput("--home", problem, hint)
        _print(f"note: using {choice.home}, but {choice.conflict}. {hint}", sys.stderr)
    return choice.home


def _print(text: str, file: TextIO | None = None) -> None:
    """Print a text. Prompts and a gateway's words may contain commands for the terminal."""
    print(sanitize(text), file=file or sys.stdout, flush=True)


def _with_service(
    args: argparse.Namespace,
    home: Path,
    run: Callable[[Service, ProgressObserver], Awaitable[None]],
    output: Path | None = None,
) -> int:
    # These are imported late elsewhere. A missing package must be noticed before anything is paid.
    import av  # noqa: F401
    import numpy as np  # noqa: F401
    import PIL  # noqa: F401

    output = output or Path(getattr(args, "output", "pika"))

    async def run_to_end() -> None:
        await run(service, ProgressObserver(report=_print_progress))

    with (
        closing(Journal.at(home)) as journal,
        closing(Service(load_settings(home), journal, output)) as service,
    ):
        asyncio.run(run_to_end())
    return 0


async def _collect(
    args: argparse.Namespace, task_id: str, service: Service, observer: ProgressObserver
) -> None:
    timeout = args.timeout_minutes * 60 or None
    collected = await service.collect(task_id, timeout=timeout, observer=observer)
    _print(str(collected.path))
    if collected.note:
        _print(collected.note, sys.stderr)


def _print_progress(progress: Progress) -> None:
    elapsed = f"{format_duration(progress.elapsed)}  " if progress.elapsed else ""
    _print(f"{elapsed}{progress.text}", sys.stderr)


def _find(name: str, journal: Journal) -> Entry:
    """The row of a task id or ``#number``. Raises `InvalidInput`."""
    return journal.find_by_task_id(name) or _find_by_number(name, journal)


def _find_by_number(name: str, journal: Journal) -> Entry:
    """The row of ``#number``. Raises `InvalidInput`."""
    is_number = re.fullmatch(r"#?[0-9]{1,18}", name)
    entry = journal.find_by_id(int(name.lstrip("#"))) if is_number else None
    if entry is None:
        raise InvalidInput("task", f"{name} is not in the journal.", "`tasks` lists the journal.")
    return entry


def _as_line(entry: Entry) -> str:
    age = format_duration(max(time.time() - entry.created_at, 0.0))
    prompt = " ".join(entry.prompt.split())[:50]
    name = entry.task_id or "-"
    return f"#{entry.id:<5} {entry.state.value:<9} {age:>12} ago  {name:<36}  {prompt}"


def _as_json(entry: Entry) -> dict[str, object]:
    return {
        "number": entry.id,
        "state": entry.state.value,
        "task_id": entry.task_id,
        "prompt": entry.prompt,
        "created_at": entry.created_at,
        "result_url": entry.result_url,
        "file_path": entry.file_path,
        "sha256": entry.sha256,
        "last_error": entry.last_error,
        "answer": entry.answer,
        "price": entry.price,
        "estimate": entry.estimate,
        "gateway": entry.gateway,
        "model": name_in_request(entry, "model"),
        "effect": name_in_request(entry, "pikaffect"),
        "take": entry.take,
        "sent_at": entry.sent_at,
        "submitted_at": entry.submitted_at,
        "finished_at": entry.finished_at,
        "saved_at": entry.saved_at,
        "forgotten_at": entry.forgotten_at,
    }
