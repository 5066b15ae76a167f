"""A request from plain values, named as the inputs of the nodes: of a command line or a table."""

from __future__ import annotations

import atexit
import math
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from .errors import InvalidInput
from .media import Media, UnreadFormat, encode_image, prepare_video_file, read_image_file
from .message import Message
from .request import (
    CAMERA_MOVES,
    MAX_TAKE,
    Camera,
    GenerateRequest,
    Options,
    Parameters,
    check_take,
    parse_aspect_ratio,
    parse_extra,
)

#: The name for a request of a still image.
STILL: Final = "none"
#: The inputs of a request that `build_request` reads.
REQUEST_INPUTS: Final = (
    "prompt_text",
    "pikaffect",
    "model",
    "image",
    "video",
    "aspect_ratio",
    "frame_rate",
    "extend",
    "guidance_scale",
    "motion",
    "negative_prompt",
    *CAMERA_MOVES,
    "extra_json",
)
#: The input that chooses the take; it is not part of the request.
SEED: Final = "seed"
#: Inputs that are a choice, and the word for "none of them".
_OPTIONAL_CHOICES: Final = ("pikaffect", *CAMERA_MOVES)
_TRUE: Final = frozenset({"true", "1", "yes"})
_FALSE: Final = frozenset({"false", "0", "no"})


def build_request(
    values: Mapping[str, Any],
    *,
    folder: Path | None = None,
    name: Callable[[str], str] = str,
    read_media: bool = True,
) -> GenerateRequest:
    """The request that values describe; what is missing or None has its default.

    Args:
        values: By the names of `REQUEST_INPUTS`. Numbers and booleans may be texts. `image` and
            `video` are paths or URLs. Other names are ignored.
        folder: What relative paths start from; the working directory if None.
        name: The user's name for an input, for errors.
        read_media: Whether files are read. If not, they only must exist: to check many requests.

    Raises:
        InvalidInput: A value cannot be sent.
    """
    given = {key: values[key] for key in REQUEST_INPUTS if values.get(key) is not None}
    for key in _OPTIONAL_CHOICES:
        if given.get(key) == STILL:
            del given[key]
    options = Options(
        aspect_ratio=parse_aspect_ratio(
            str(given.get("aspect_ratio", "16:9")),
            name("aspect_ratio"),
            {STILL: None},
            numbers=True,
        ),
        frame_rate=_integer(given, "frame_rate", 24, name),
        extend=_boolean(given, "extend", name),
        parameters=Parameters(
            _integer(given, "guidance_scale", 12, name),
            _integer(given, "motion", 1, name),
            str(given.get("negative_prompt", "")),
        ),
        camera=Camera(**{move: given[move] for move in CAMERA_MOVES if move in given}),
    )
    return GenerateRequest(
        str(given.get("prompt_text", "")),
        pikaffect=given.get("pikaffect"),
        model=str(given.get("model", "1.5")),
        options=options,
        image=_media(given, "image", folder, _read_image if read_media else _stand_in, name),
        video=_media(given, "video", folder, _read_video if read_media else _stand_in, name),
        extra=parse_extra(str(given.get("extra_json", "")), name("extra_json")),
    )


def parse_seed(value: object, name: str = SEED) -> int:
    """Which take a value means; 0 if it is empty.

    Raises:
        InvalidInput: It is not a whole number from 0 to `MAX_TAKE`.
    """
    return 0 if is_empty(value) else check_take(name, _whole(value, name, 0, MAX_TAKE))


def is_empty(value: object) -> bool:
    """Whether a table has no value here: None, a blank text, or not a number."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value.strip())


def _integer(values: Mapping[str, Any], key: str, default: int, name: Callable[[str], str]) -> int:
    return _whole(values[key], name(key)) if key in values else default


def _whole(value: object, name: str, low: int | None = None, high: int | None = None) -> int:
    """A whole number from a text or a number of any type. Its range is checked elsewhere."""
    text = str(value).strip()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if re.fullmatch(r"-?[0-9]{1,30}", text):
        return int(text)
    hint = Message("Use a whole number.")
    if high is not None:
        hint = Message("Use a whole number from {low} to {high}.", low=low, high=high)
    problem = Message("{value!r} is not a whole number.", value=text[:60])
    raise InvalidInput(name, problem, hint)


def _boolean(values: Mapping[str, Any], key: str, name: Callable[[str], str]) -> bool:
    text = str(values.get(key, "false")).strip().lower()
    if text not in _TRUE | _FALSE:
        raise InvalidInput(
            name(key),
            Message("{value!r} is neither true nor false.", value=text[:60]),
            Message("Use true or false."),
        )
    return text in _TRUE


def _media(
    values: Mapping[str, Any],
    key: str,
    folder: Path | None,
    read: Callable[[Path, str], Media],
    name: Callable[[str], str],
) -> Media | str | None:
    """Media from a path; a URL as it is."""
    if key not in values:
        return None
    text = str(values[key]).strip()
    if text.startswith(("http://", "https://")):
        return text
    return read((folder or Path()) / Path(text).expanduser(), name(key))


def _stand_in(path: Path, name: str) -> Media:
    """In place of a file that is not read now."""
    if not path.is_file():
        raise InvalidInput(
            name,
            Message("There is no file {path}.", path=path),
            Message("Relative paths start from the folder of the table."),
        )
    return Media("0" * 64, "image/png" if name == "image" else "video/mp4", 16, 16, b"", 0)


def _read_image(path: Path, _name: str) -> Media:
    return encode_image(read_image_file(path), form="png")[0]


def _read_video(path: Path, name: str) -> Media:
    try:
        return prepare_video_file(path, _new_file).media
    except UnreadFormat as error:
        raise InvalidInput(
            name,
            Message("{file} cannot be sent: {error}.", file=path.name, error=error),
            Message("Convert it to MP4 first."),
        ) from error


def _new_file() -> Path:
    """The path of a converted video, which is removed when the process exits."""
    folder = tempfile.mkdtemp(prefix="pika-")  # no other user may read it
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder) / "video.mp4"
