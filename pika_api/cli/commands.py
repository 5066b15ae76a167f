"""What each command of ``python -m pika_api`` does."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import logging
import re
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ..errors import InvalidInput, PikaError, SubmitUnknown, TaskFailed, TaskTimeout
from ..journal import REUSABLE, Entry, Journal
from ..log import log
from ..progress import Progress, ProgressObserver
from ..settings import find_home, journal_url, load_settings
from ..support import run_diagnostics
from ..tasks import Service
from ..text import format_duration
from .arguments import build_request, make_parser


def _show(report: Progress) -> None:
    elapsed = f"{format_duration(report.elapsed)}  " if report.elapsed else ""
    print(f"{elapsed}{report.text}", file=sys.stderr, flush=True)


def _row(entry: Entry) -> str:
    age = format_duration(max(time.time() - entry.created_at, 0.0))
    prompt = " ".join(entry.prompt.split())[:50]
    name = entry.task_id or "-"
    return f"#{entry.id:<5} {entry.state.value:<9} {age:>12} ago  {name:<36}  {prompt}"


async def _run(args: argparse.Namespace, service: Service) -> None:
    observer = ProgressObserver(report=_show)
    task_id = getattr(args, "task_id", "")
    if args.command == "generate":
        request = build_request(args)
        submitted = await service.submit(request, take=args.seed, observer=observer)
        task_id = submitted.task_id
        if submitted.reused:
            print("took up the same request's task (no charge)", file=sys.stderr)
        print(task_id, flush=True)
    if args.command == "status":
        task = await service.status(task_id, observer=observer)
        print(json.dumps(task.response))
    elif args.command == "result" or args.wait:
        timeout = args.timeout_minutes * 60 or None
        collected = await service.collect(task_id, timeout=timeout, observer=observer)
        print(collected.path, flush=True)


def _tasks(args: argparse.Namespace, journal: Journal) -> None:
    for entry in journal.entries(limit=args.limit, forgotten=args.all):
        print(json.dumps(_public(entry)) if args.json else _row(entry))


def _public(entry: Entry) -> dict[str, object]:
    return {
        "number": entry.id,
        "state": entry.state.value,
        "task_id": entry.task_id,
        "prompt": entry.prompt,
        "created_at": entry.created_at,
        "result_url": entry.result_url,
        "file_path": entry.file_path,
        "last_error": entry.last_error,
    }


def _forget(args: argparse.Namespace, journal: Journal) -> None:
    name = args.task
    entry = journal.find_by_task_id(name)
    if entry is None and re.fullmatch(r"#?[0-9]{1,18}", name):
        entry = journal.find_by_id(int(name.lstrip("#")))
    if entry is None:
        raise InvalidInput("task", f"{name} is not in the journal.", "See `tasks` for what is.")
    if not journal.forget(entry.id):
        raise InvalidInput(
            "task", f"{entry.id} is being sent at this moment.", "Wait for it, or interrupt it."
        )
    kept = " Its task stays at the gateway." if entry.state in REUSABLE else ""
    print(f"#{entry.id} is forgotten: the same request will be sent, and charged, anew.{kept}")


def _doctor(args: argparse.Namespace, home: Path) -> int:
    found = run_diagnostics(home, args.output, connect=not args.no_connection)
    print(found.text)
    return 1 if found.problems else 0


def _carry_out(args: argparse.Namespace, home: Path) -> int:
    if args.command == "doctor":
        return _doctor(args, home)
    with closing(Journal(journal_url(home))) as journal:
        if args.command == "tasks":
            _tasks(args, journal)
        elif args.command == "forget":
            _forget(args, journal)
        else:
            # They are imported late, which must not be after something was paid.
            import av  # noqa: F401
            import numpy as np  # noqa: F401
            import PIL  # noqa: F401

            output = getattr(args, "output", Path("pika"))
            with closing(Service(load_settings(home), journal, output)) as service:
                asyncio.run(_run(args, service))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A console of Windows has not every character of a prompt: show it as a number there.
            stream.reconfigure(errors="backslashreplace")
    args = make_parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING if args.verbose else logging.ERROR)
    if args.verbose:
        log.setLevel(logging.DEBUG)
    try:
        return _carry_out(args, args.home or find_home())
    except PikaError as error:
        print(f"error: {error}", file=sys.stderr)
        return _code(error)
    except KeyboardInterrupt:
        print("stopped; a task that was made is kept: see `tasks`", file=sys.stderr)
        return 130


def _code(error: PikaError) -> int:
    if isinstance(error, SubmitUnknown):
        return 3
    if isinstance(error, TaskTimeout):
        return 4
    return 5 if isinstance(error, TaskFailed) else 1
