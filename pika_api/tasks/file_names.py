"""Names of the files in the output folder. They depend on gateway, task id and content."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..media import Probe
from ..settings import Settings

_IMAGE_SUFFIXES: Final = {
    "png": ".png",
    "jpeg": ".jpg",
    "webp": ".webp",
    "gif": ".gif",
    "bmp": ".bmp",
    "tiff": ".tiff",
}
#: Suffixes of files that the pack opens, then those of others that may have been received.
_SUFFIXES: Final = (
    ".mp4", ".webm", ".png", ".jpg", ".webp", ".gif", ".bmp", ".tiff",
    ".avi", ".ts", ".flv", ".mpg", ".ogg", ".wmv", ".gz", ".bin",
)  # fmt: skip
#: Before the suffix of a file that cannot be decoded, or only in part, although it was received
#: completely. To download such a file again would change nothing.
_AS_RECEIVED: Final = ".as-received"
_DEFAULT_GATEWAY: Final = Settings().gateway
#: What a hash at the end of a name looks like: that of an id has 8 digits, of a gateway 10. And the
#: number behind a name that the user has chosen.
_HASHED: Final = re.compile(r"-([0-9a-f]{8}|[0-9a-f]{10})$|_[0-9]{5,}_$")


def file_stem(gateway: str, task_id: str) -> str:
    """A file's name without suffix, valid on every system, whatever the gateway's id contains.

    Two gateways may use the same id. They never share a file.

    Args:
        gateway: Its identity, as `gateway_of` returns it.
    """
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", task_id)[:80]
    # Some file systems do not distinguish A from a. An id must not look like one with a hash.
    if safe != task_id.lower() or _HASHED.search(safe):
        safe += "-" + hashlib.sha256(task_id.encode()).hexdigest()[:8]
    if gateway != _DEFAULT_GATEWAY:
        safe += "-" + hashlib.sha256(gateway.encode(errors="surrogateescape")).hexdigest()[:10]
    return f"pika_{safe}"


def file_suffix(probe: Probe) -> str:
    """The suffix for a file's content, whatever its link says."""
    if probe.kind == "image":
        return _IMAGE_SUFFIXES[probe.container]
    return ".webm" if "webm" in probe.container else ".mp4"


def as_received(suffix: str) -> str:
    """The ending of the name of a file that cannot be decoded, or only in part."""
    return _AS_RECEIVED + suffix


def is_as_received(path: Path) -> bool:
    """Whether a file has such a name."""
    return path.stem.endswith(_AS_RECEIVED)


def possible_names(stem: str) -> Iterator[str]:
    """All names that a complete file with this stem can have."""
    for suffix in _SUFFIXES:
        yield stem + suffix
    for suffix in _SUFFIXES:
        yield stem + as_received(suffix)
