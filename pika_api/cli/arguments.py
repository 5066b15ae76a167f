"""What ``python -m pika_api`` can be told, and the request that it makes of that."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from ..errors import InvalidInput
from ..media import Media, encode_image, read_image_file, read_video_file
from ..request import (
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

_EXIT_CODES: Final = """exit codes:
  0  done
  1  an error; its message says what it means for the money. doctor: something is wrong
  2  the arguments are off
  3  unclear whether the request was accepted and charged
  4  the task is not finished yet; it is kept
  5  the gateway ended the task with an error
  130  interrupted; the task, if there is one, is kept
"""


def make_parser() -> argparse.ArgumentParser:
    """All commands with their arguments."""
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
    doctor = commands.add_parser("doctor", help="say what is wrong, for you or for a bug report")
    doctor.add_argument("--no-connection", action="store_true", help="do not ask the gateway")
    _add_output(doctor)
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, default=Path("pika"), help="folder for the file")


def _add_waiting(parser: argparse.ArgumentParser) -> None:
    _add_output(parser)
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


def build_request(args: argparse.Namespace) -> GenerateRequest:
    """The request that was asked for. Raises `InvalidInput`."""
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


def _image(given: str | None) -> Media | str | None:
    if given is None or _is_url(given):
        return given
    return encode_image(read_image_file(Path(given)), form="png")[0]


def _video(given: str | None) -> Media | str | None:
    if given is None or _is_url(given):
        return given
    made = read_video_file(Path(given))
    if made is None:
        raise InvalidInput("--video", f"{given} is not MP4 with H.264.", "Convert it first.")
    return made
