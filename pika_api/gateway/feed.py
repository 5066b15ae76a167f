"""What the feed says of a task. The answer's shape is from public reference pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from urllib.parse import urlsplit

from ..text import shorten
from .responses import message_in

#: A longer address than this is none. Characters.
MAX_LINK: Final = 8192


class Status(str, Enum):
    """Where a task stands. Anything the feed says beyond these is `UNKNOWN` and goes on."""

    QUEUED = "queued"
    PENDING = "pending"
    FINISHED = "finished"
    ERROR = "error"
    UNKNOWN = "unknown"

    @property
    def over(self) -> bool:
        """Whether the gateway will not change it any more."""
        return self in (Status.FINISHED, Status.ERROR)


@dataclass(frozen=True)
class Task:
    """One reading of the feed.

    Attributes:
        status: The known status.
        raw_status: The gateway's own word for it, shown to the user.
        progress: Per cent, 0…100; the gateway may leave it at 0 until the end.
        result_url: The file's address; empty until finished.
        poster_url: A picture to show meanwhile; empty where there is none.
        error: The gateway's words where it failed.
        response: The whole answer, as it came.
    """

    id: str
    status: Status
    raw_status: str
    progress: int
    result_url: str
    poster_url: str
    error: str
    response: Mapping[str, Any]

    @classmethod
    def from_feed(cls, task_id: str, answer: Mapping[str, Any]) -> Task:
        """Read one answer of ``GET /pika/feed/{task id}``.

        Any field may be missing before the task is finished, and ``videos`` may be empty (public);
        some gateways wrap the answer in ``data`` (public).
        """
        inner = answer.get("data")
        feed: Mapping[str, Any] = inner if isinstance(inner, Mapping) else answer
        videos = feed.get("videos")
        first = videos[0] if isinstance(videos, list) and videos else {}
        video: Mapping[str, Any] = first if isinstance(first, Mapping) else {}
        # Only the video's own status can end a task: an error about the answer itself, with
        # HTTP 200, is the gateway's trouble of the moment.
        raw = shorten(_text(video.get("status")) or _trouble(feed)) or Status.QUEUED.value
        url = _link(video.get("resultUrl"))
        return cls(
            id=task_id,
            status=_status(raw, url),
            raw_status=raw,
            progress=_per_cent(video.get("progress")),
            result_url=url,
            poster_url=_link(video.get("videoPoster")) or _link(video.get("imageThumb")),
            error=shorten(message_in(video.get("error"))),
            response=answer,
        )

    @classmethod
    def finished(cls, task_id: str, result_url: str) -> Task:
        """A task that is known to be finished, without a reading of the feed."""
        done = Status.FINISHED
        return cls(task_id, done, done.value, 100, result_url, "", "", {})


def _status(raw: str, url: str) -> Status:
    try:
        status = Status(raw.lower())
    except ValueError:
        return Status.UNKNOWN
    if status is Status.FINISHED and not url:
        return Status.PENDING  # the link may come a moment after the word
    return status


def _trouble(feed: Mapping[str, Any]) -> str:
    """What an answer without a video's status says; empty where it says nothing."""
    words = message_in(feed)
    return f"no status: {words}" if words else _text(feed.get("status")) and "no status"


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _link(value: object) -> str:
    text = _text(value)
    try:
        parts = urlsplit(text)
        is_link = parts.scheme in ("https", "http") and parts.hostname and len(text) <= MAX_LINK
        return text if is_link else ""
    except ValueError:
        return ""


def _per_cent(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return 0
    return int(min(max(value, 0), 100))
