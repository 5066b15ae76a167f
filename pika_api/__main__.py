"""``python -m pika_api``: the same calls as the nodes, from a shell."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from . import media, pictures, units
from .errors import InvalidInput, PikaError, SubmitUnknown, TaskFailed, TaskTimeout
from .home import find_home, journal_url
from .journal import Entry, Journal
from .request import (
    ASPECT_RATIOS,
    CAMERA_MOVES,
    FROM_IMAGE,
    PIKAFFECTS,
    Camera,
    GenerateRequest,
    Options,
    Parameters,
    parse_extra,
)
from .service import Service
from .settings_file import load
from .states import TAKEN_UP
from .watch import Report, Watch

_EXIT_CODES: Final = """exit codes:
  0  done
  1  an error; its message says what it means for the money
  2  the arguments are off
  3  unclear whether the request was accepted and charged
  4  the task is not finished yet; it is kept
  5  the gateway ended the task with an error
  130  interrupted; the task, if there is one, is kept
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pika_api",
        description="Pika video from a shell: progress on stderr, results on stdout.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", type=Path, help="folder of settings and journal (PIKA_HOME)")
    parser.add_argument("--verbose", action="store_true", help="log to stderr")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_generate(commands.add_parser("generate", help="submit; prints the task id"))
    status = commands.add_parser("status", help="ask once; prints the feed's answer as JSON")
    status.add_argument("task_id")
    result = commands.add_parser("result", help="wait for a task; prints its file's path")
    result.add_argument("task_id")
    _add_waiting(result)
    tasks = commands.add_parser("tasks", help="list the journal, newest first")
    tasks.add_argument("--limit", type=int, default=20)
    tasks.add_argument("--all", action="store_true", help="also forgotten ones")
    tasks.add_argument("--json", action="store_true", help="one JSON object a line")
    forget = commands.add_parser("forget", help="take a task out of the list: it is free again")
    forget.add_argument("task", help="a task id, or #number as `tasks` shows it")
    return parser


def _add_waiting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, default=Path("pika"), help="folder for the file")
    parser.add_argument("--timeout-minutes", type=float, default=20.0, help="0: no limit")


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", help="what the video should show")
    parser.add_argument("--pikaffect", choices=PIKAFFECTS)
    parser.add_argument("--model", default="1.5")
    parser.add_argument("--seed", type=int, default=0, help="which take this is; not sent")
    parser.add_argument("--image", help="a picture's path or URL")
    parser.add_argument("--video", help="an MP4's path, or a URL")
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
    parser.add_argument("--extra-json", default="", help="merged over the request body")
    parser.add_argument("--wait", action="store_true", help="then wait, and print the path too")
    _add_waiting(parser)


def _ratio(text: str) -> float | str | None:
    if text in ("none", FROM_IMAGE):
        return None if text == "none" else text
    try:
        return ASPECT_RATIOS[text] if text in ASPECT_RATIOS else float(text)
    except ValueError as error:
        raise InvalidInput(
            "--aspect-ratio", f"{text!r} is not known.", "Use a name such as 16:9, or a number."
        ) from error


def _request(args: argparse.Namespace) -> GenerateRequest:
    options = Options(
        aspect_ratio=_ratio(args.aspect_ratio),  # type: ignore[arg-type]
        frame_rate=args.frame_rate,
        extend=args.extend,
        parameters=Parameters(args.guidance_scale, args.motion, args.negative_prompt),
        camera=Camera(**{move: getattr(args, move) for move in CAMERA_MOVES}),
    )
    return GenerateRequest(
        args.prompt,
        pikaffect=args.pikaffect,
        model=args.model,
        options=options,
        image=_image(args.image),
        video=_video(args.video),
        extra=parse_extra(args.extra_json, "--extra-json"),
    )


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _image(given: str | None) -> media.Media | str | None:
    if given is None or _is_url(given):
        return given
    return pictures.encode(pictures.from_file(Path(given)), form="png")[0]


def _video(given: str | None) -> media.Media | str | None:
    if given is None or _is_url(given):
        return given
    made = media.from_video_file(Path(given))
    if made is None:
        raise InvalidInput("--video", f"{given} is not MP4 with H.264.", "Convert it first.")
    return made


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
        request = _request(args)
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO if args.verbose else logging.ERROR)
    home = args.home or find_home()
    try:
        journal = Journal(journal_url(home))
        if args.command == "tasks":
            _tasks(args, journal)
        elif args.command == "forget":
            _forget(args, journal)
        else:
            service = Service(load(home), journal, getattr(args, "output", Path("pika")))
            try:
                asyncio.run(_run(args, service))
            finally:
                service.close()
    except PikaError as error:
        print(f"error: {error}", file=sys.stderr)
        return _code(error)
    except KeyboardInterrupt:
        print("stopped; a task that was made is kept: see `tasks`", file=sys.stderr)
        return 130
    return 0


def _code(error: PikaError) -> int:
    if isinstance(error, SubmitUnknown):
        return 3
    if isinstance(error, TaskTimeout):
        return 4
    return 5 if isinstance(error, TaskFailed) else 1


if __name__ == "__main__":
    sys.exit(main())
