"""The state of a task, as the feed ``GET /pika/feed/{task id}`` reports it.

The shape of the response is that of the public reference pages of gateways of this family, read
November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from urllib.parse import urlsplit

from ..text import shorten
from .responses import message_in

#: Maximum length of a link. Characters.
MAX_LINK: Final = 8192


class Status(str, Enum):
    """The status of a task. A status that is not known here is `UNKNOWN`: the task goes on."""

    QUEUED = "queued"
    PENDING = "pending"
    FINISHED = "finished"
    ERROR = "error"
    UNKNOWN = "unknown"

    @property
    def over(self) -> bool:
        """Whether the status is final."""
        return self in (Status.FINISHED, Status.ERROR)


@dataclass(frozen=True)
class Task:
    """A task as one response of the feed describes it.

    Attributes:
        id: The gateway's id.
        status: The status, as far as it is known here.
        raw_status: The gateway's own word for it; shown to the user.
        progress: Percent, 0…100. The gateway may leave it at 0 until the task is finished.
        result_url: Link to the file; empty until the task is finished.
        poster_url: Link to a picture of the video; empty if there is none.
        error: The gateway's message if the task failed; else empty.
        response: The whole response.
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
    def from_feed(cls, task_id: str, response: Mapping[str, Any]) -> Task:
        """Read a response of the feed.

        Before a task is finished any field may be missing, and ``videos`` may be empty. Some
        gateways wrap the response in ``data``. (Public reference pages.)
        """
        inner = response.get("data")
        feed: Mapping[str, Any] = inner if isinstance(inner, Mapping) else response
        videos = feed.get("videos")
        first = videos[0] if isinstance(videos, list) and videos else {}
        video: Mapping[str, Any] = first if isinstance(first, Mapping) else {}
        # Only the status of the video can end a task. An error about the response as a whole, with
        # HTTP 200, is a temporary error of the gateway.
        raw = shorten(_text(video.get("status")) or _feed_trouble(feed)) or Status.QUEUED.value
        url = _link(video.get("resultUrl"))
        return cls(
            id=task_id,
            status=_status(raw, url),
            raw_status=raw,
            progress=_percent(video.get("progress")),
            result_url=url,
            poster_url=_link(video.get("videoPoster")) or _link(video.get("imageThumb")),
            error=shorten(message_in(video.get("error"))),
            response=response,
        )

    @classmethod
    def finished(cls, task_id: str, result_url: str) -> Task:
        """A task that is known to be finished, without a response of the feed."""
        status = Status.FINISHED
        return cls(task_id, status, status.value, 100, result_url, "", "", {})


def _status(raw: str, url: str) -> Status:
    try:
        status = Status(raw.lower())
    except ValueError:
        return Status.UNKNOWN
    if status is Status.FINISHED and not url:
        return Status.PENDING  # the link may follow a moment later
    return status


def _feed_trouble(feed: Mapping[str, Any]) -> str:
    """What a response without a video status says instead; empty if it says nothing."""
    message = message_in(feed)
    return f"no status: {message}" if message else _text(feed.get("status")) and "no status"


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


def _percent(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return 0
    return int(min(max(value, 0), 100))
