"""``python -m pika_api``: the same calls as the nodes, from a shell."""

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

if not __package__:
    # Run by its path. ComfyUI's portable Python for Windows needs that: it does not look for
    # modules in the folder it is started in.
    sys.path[0] = str(Path(__file__).parent.parent)
    from pika_api.__main__ import main as run_in_package

    sys.exit(run_in_package())


def _lacking(error: ModuleNotFoundError) -> str:
    """What helps in a Python that is not ComfyUI's, which has all packages."""
    package = {"PIL": "Pillow", "sqlalchemy": "SQLAlchemy"}.get(error.name or "", error.name)
    return (
        f"error: {package} is not installed in this Python ({sys.executable}).\n"
        f"Use the Python that runs ComfyUI, or install it: python -m pip install {package}"
    )


try:
    from . import units
    from .command_line import make_parser, request_of
    from .diagnostics import diagnose
    from .errors import InvalidInput, PikaError, SubmitUnknown, TaskFailed, TaskTimeout
    from .home import find_home, journal_url
    from .journal import Entry, Journal
    from .log import log
    from .service import Service
    from .settings_file import load
    from .states import TAKEN_UP
    from .watch import Report, Watch
except ModuleNotFoundError as error:
    sys.exit(_lacking(error))


def _show(report: Report) -> None:
    elapsed = f"{units.duration(report.elapsed)}  " if report.elapsed else ""
    print(f"{elapsed}{report.text}", file=sys.stderr, flush=True)


def _row(entry: Entry) -> str:
    age = units.duration(max(time.time() - entry.created_at, 0.0))
    prompt = " ".join(entry.prompt.split())[:50]
    name = entry.task_id or "-"
    return f"#{entry.id:<5} {entry.state.value:<9} {age:>12} ago  {name:<36}  {prompt}"


async def _run(args: argparse.Namespace, service: Service) -> None:
    watch = Watch(report=_show)
    task_id = getattr(args, "task_id", "")
    if args.command == "generate":
        request = request_of(args)
        submitted = await service.submit(request, take=args.seed, watch=watch)
        task_id = submitted.task_id
        if submitted.taken_up:
            print("took up the same request's task (no charge)", file=sys.stderr)
        print(task_id, flush=True)
    if args.command == "status":
        task = await service.status(task_id, watch=watch)
        print(json.dumps(task.response))
    elif args.command == "result" or args.wait:
        timeout = args.timeout_minutes * 60 or None
        collected = await service.collect(task_id, timeout=timeout, watch=watch)
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
    entry = journal.find(name)
    if entry is None and re.fullmatch(r"#?[0-9]{1,18}", name):
        entry = journal.numbered(int(name.lstrip("#")))
    if entry is None:
        raise InvalidInput("task", f"{name} is not in the journal.", "See `tasks` for what is.")
    if not journal.forget(entry.id):
        raise InvalidInput(
            "task", f"{entry.id} is being sent at this moment.", "Wait for it, or interrupt it."
        )
    kept = " Its task stays at the gateway." if entry.state in TAKEN_UP else ""
    print(f"#{entry.id} is forgotten: the same request will be sent, and charged, anew.{kept}")


def _doctor(args: argparse.Namespace, home: Path) -> int:
    found = diagnose(home, args.output, connect=not args.no_connection)
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
            with closing(Service(load(home), journal, output)) as service:
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
    except ModuleNotFoundError as error:
        print(_lacking(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; a task that was made is kept: see `tasks`", file=sys.stderr)
        return 130


def _code(error: PikaError) -> int:
    if isinstance(error, SubmitUnknown):
        return 3
    if isinstance(error, TaskTimeout):
        return 4
    return 5 if isinstance(error, TaskFailed) else 1


if __name__ == "__main__":
    sys.exit(main())
