"""The state of a task, as the feed ``GET /pika/feed/{task id}`` reports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from ..text import shorten
from .dialects import FeedView, Word, read_feed
from .dialects.feeds import MAX_LINK
from .responses import message_in

__all__ = ["MAX_LINK", "Status", "Task"]


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
        error: The gateway's words about what went wrong; empty if there are none. The task has
            failed only if the status says so.
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
        """Read a response of the feed, in any of the shapes in `dialects`.

        Before a task is finished any field may be missing, and ``videos`` may be empty. (Public
        reference pages.)
        """
        view = read_feed(task_id, response)
        raw = view.raw
        if not raw and not view.is_finished:
            raw = _response_trouble(response)
            view = replace(view, word=Word.UNKNOWN if raw else Word.QUEUED)
        status = _status(view)
        return cls(
            id=task_id,
            status=status,
            raw_status=shorten(raw) or status.value,
            progress=view.progress,
            result_url=view.link,
            poster_url=view.poster,
            error=shorten(view.error),
            response=response,
        )

    @classmethod
    def finished(cls, task_id: str, result_url: str) -> Task:
        """A task that is known to be finished, without a response of the feed."""
        status = Status.FINISHED
        return cls(task_id, status, status.value, 100, result_url, "", "", {})


#: The status for each word. A finished task without a link has `Word.ACTIVE`.
_STATUS: Final = {
    Word.QUEUED: Status.QUEUED,
    Word.ACTIVE: Status.PENDING,
    Word.FINISHED: Status.FINISHED,
    Word.FAILED: Status.ERROR,
    Word.UNKNOWN: Status.UNKNOWN,
}


def _status(view: FeedView) -> Status:
    if view.is_finished:
        return Status.FINISHED  # also with a word that is not known
    return _STATUS[view.word]


def _response_trouble(response: Mapping[str, Any]) -> str:
    """What a response without a status says instead; empty if it says nothing."""
    inner = response.get("data")
    feed = inner if isinstance(inner, Mapping) else response
    message = message_in(feed) or message_in(response)
    has_status = isinstance(feed.get("status"), str)
    return f"no status: {message}" if message else "no status" if has_status else ""
