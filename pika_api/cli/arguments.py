"""The arguments of ``python -m pika_api``, and the request that they describe."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from ..batch import DEFAULT_WINDOW, FORMATS
from ..errors import InvalidInput
from ..inputs import REQUEST_INPUTS, SEED
from ..inputs import build_request as read_request
from ..journal import State
from ..request import (
    ASPECT_RATIOS,
    CAMERA_MOVES,
    FROM_IMAGE,
    MAX_TAKE,
    PIKAFFECTS,
    GenerateRequest,
    check_take,
)

_EXIT_CODES: Final = """exit codes:
  0    success
  1    an error; its message says what it means for the charge. doctor: there is a problem
  2    invalid arguments
  3    the outcome of the request is unknown: it may have been accepted and charged
  4    the task is not finished yet; it is kept
  5    the gateway ended the task with an error
  130  interrupted; a submitted task is kept
"""

#: Runs a command with its arguments and the private folder; returns the exit code.
Command = Callable[[argparse.Namespace, Path], int]


class Commands(NamedTuple):
    """The function of each command."""

    generate: Command
    batch: Command
    status: Command
    result: Command
    tasks: Command
    balance: Command
    settle: Command
    forget: Command
    backup: Command
    doctor: Command


def make_parser(commands: Commands) -> argparse.ArgumentParser:
    """The parser of all commands. Its result has the chosen command's function as ``func``."""
    parser = argparse.ArgumentParser(
        prog="python -m pika_api",
        description="Pika videos on the command line. Progress goes to stderr, results to stdout.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", type=Path, help="folder of settings and journal (PIKA_HOME)")
    parser.add_argument("--verbose", action="store_true", help="write the log to stderr")
    subparsers = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, help_text: str, func: Command) -> argparse.ArgumentParser:
        subparser: argparse.ArgumentParser = subparsers.add_parser(name, help=help_text)
        subparser.set_defaults(func=func)
        return subparser

    _add_generate(add("generate", "submit a request and print its task id", commands.generate))
    _add_batch(add("batch", "create a task for each row of a table", commands.batch))
    status = add("status", "print the gateway's current answer for a task", commands.status)
    status.add_argument("task_id")
    result = add("result", "wait for a task and print the path of its file", commands.result)
    result.add_argument("task_id")
    _add_waiting(result)
    _add_tasks(add("tasks", "list the journal, newest first", commands.tasks))
    balance = add("balance", "print quota, usage and what is left of the key", commands.balance)
    balance.add_argument("--json", action="store_true", help="one JSON object")
    settle = add("settle", "give a request with an unknown outcome its task id", commands.settle)
    settle.add_argument("task", help="the request's #number, as `tasks` prints it")
    settle.add_argument("task_id", help="the id that the gateway's own list shows")
    forget = add("forget", "remove a task, so that its request can be sent again", commands.forget)
    forget.add_argument("task", help="a task id, or #number as `tasks` prints it")
    backup = add("backup", "copy the journal into a new file, also during use", commands.backup)
    backup.add_argument("file", type=Path, metavar="FILE", help="the new file")
    doctor = add("doctor", "check the installation; for you or for a bug report", commands.doctor)
    doctor.add_argument("--no-connection", action="store_true", help="do not ask the gateway")
    _add_output(doctor)
    return parser


def _add_tasks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--limit",
        type=int,
        help="how many tasks (default: 20; all with --csv, --since, --until or --state)",
    )
    parser.add_argument("--all", action="store_true", help="also list forgotten tasks")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object per line")
    form.add_argument(
        "--csv",
        nargs="?",
        const="-",
        metavar="FILE",
        help="the paid tasks as CSV, for a spreadsheet; to a new file, or to stdout",
    )
    dates = "a date, or a date and time such as 2026-11-01T18:00"
    parser.add_argument("--since", type=parse_since, help=f"entered then or later: {dates}")
    parser.add_argument(
        "--until", type=parse_until, help="entered before then; a date includes that day"
    )
    parser.add_argument(
        "--state",
        action="append",
        choices=[state.value for state in State],
        help="only this state; may be repeated",
    )


def parse_since(text: str) -> float:
    """The value of ``--since``: seconds since the epoch. A date means its beginning."""
    return _parse_time(text, days=0)


def parse_until(text: str) -> float:
    """The value of ``--until``: seconds since the epoch. A date means its end."""
    return _parse_time(text, days=1)


def _parse_time(text: str, days: int) -> float:
    """A moment in the computer's time zone, unless the text has another one.

    Args:
        days: What is added to a date without a time.
    """
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            day = date.fromisoformat(text) + timedelta(days=days)
            return datetime(day.year, day.month, day.day).astimezone().timestamp()
        # Python 3.10 does not read a Z.
        return datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text)).astimezone().timestamp()
    except (ValueError, OverflowError, OSError) as error:
        problem = f"{text[:60]!r} is not a date such as 2026-11-01 or 2026-11-01T18:00."
        raise argparse.ArgumentTypeError(problem) from error


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, default=Path("pika"), help="folder for files")


def _add_waiting(parser: argparse.ArgumentParser) -> None:
    _add_output(parser)
    parser.add_argument("--timeout-minutes", type=float, default=20.0, help="0 means no limit")


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", help="what the video should show")
    parser.add_argument("--pikaffect", choices=PIKAFFECTS)
    parser.add_argument("--model", default="1.5")
    parser.add_argument(
        "--seed",
        type=_take,
        default=0,
        help=f"which take this is, 0 to {MAX_TAKE}; it is not sent",
    )
    parser.add_argument("--image", help="path or URL of an image")
    parser.add_argument("--video", help="path or URL of a video")
    parser.add_argument(
        "--aspect-ratio",
        default="16:9",
        help=f"{', '.join(ASPECT_RATIOS)}, a number, «{FROM_IMAGE}», or none for a still image",
    )
    parser.add_argument("--frame-rate", type=int, default=24)
    parser.add_argument("--extend", action="store_true", help="extend the video")
    parser.add_argument("--guidance-scale", type=int, default=12)
    parser.add_argument("--motion", type=int, default=1)
    parser.add_argument("--negative-prompt", default="")
    for move, directions in CAMERA_MOVES.items():
        parser.add_argument(f"--{move}", choices=directions)
    parser.add_argument(
        "--extra-json", default="", help="JSON object, merged over the request body"
    )
    parser.add_argument(
        "--wait", action="store_true", help="wait for the task and print its file's path"
    )
    _add_waiting(parser)


def _add_batch(parser: argparse.ArgumentParser) -> None:
    formats = ", ".join(FORMATS)
    parser.add_argument(
        "table",
        type=Path,
        metavar="IN",
        help=f"a table ({formats}) whose columns are named as the inputs of the nodes: "
        f"{', '.join(REQUEST_INPUTS)}, {SEED}",
    )
    parser.add_argument(
        "target",
        type=Path,
        metavar="OUT",
        help="the result: the same columns, and id, state, file, error, price",
    )
    parser.add_argument(
        "--window",
        type=int,
        default=DEFAULT_WINDOW,
        help=f"live tasks at a time, of each process (default: {DEFAULT_WINDOW})",
    )
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="create tasks again that the gateway has ended with an error; may be charged again",
    )
    parser.add_argument(
        "--output",
        default="pika",
        metavar="FOLDER",
        help="folder for files, or an address such as s3://bucket/clips (with the package fsspec)",
    )
    parser.add_argument(
        "--timeout-minutes", type=float, default=0.0, help="for each task; 0 means no limit"
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run on a cluster of Ray: its address, auto, or local. Each machine has PIKA_API_KEY, "
        "PIKA_BASE_URL and PIKA_JOURNAL_URL in its own environment",
    )
    parser.add_argument(
        "--ray-actors",
        type=int,
        metavar="N",
        help="processes on the cluster (default: one for each machine)",
    )


def _take(text: str) -> int:
    """The value of ``--seed``."""
    try:
        return check_take("seed", int(text))
    except InvalidInput as error:
        problem = str(error).removeprefix("seed: ").replace("\n", " ")
        raise argparse.ArgumentTypeError(problem) from error
    except ValueError as error:
        problem = f"{text[:60]!r} is not an integer from 0 to {MAX_TAKE}."
        raise argparse.ArgumentTypeError(problem) from error


def build_request(args: argparse.Namespace) -> GenerateRequest:
    """The request that the arguments describe. Raises `InvalidInput`."""
    values = {key: getattr(args, key) for key in REQUEST_INPUTS if hasattr(args, key)}
    return read_request(values | {"prompt_text": args.prompt}, name=_option)


def _option(name: str) -> str:
    """The option for an input."""
    return f"--{name.replace('_', '-')}"
