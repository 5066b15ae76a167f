"""What an answer of the feed says about a task: wrappers, status words, progress, links and errors.

Shapes: ``{"id", "promptText", "videos": [{"id", "status", "progress", "resultUrl", …}]}`` (feed
page); the same below ``data``; new-api's own task, ``{"code": "success", "message": "", "data":
{"task_id", "status", "progress", "fail_reason", "result_url", "data": <the provider's answer>}}``
(new-api dto/task.go); a video object ``{"id", "status", "progress", "metadata": {"url"}}`` (new-api
model/task.go, ToOpenAIVideo).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final
from urllib.parse import urlsplit

from ..responses import message_in

#: Maximum length of a link. Characters.
MAX_LINK: Final = 8192
#: How many wrappers are opened: the answer, new-api's task, the provider's answer.
_MAX_LEVELS: Final = 3


class Word(Enum):
    """What a status word means."""

    QUEUED = auto()
    ACTIVE = auto()
    FINISHED = auto()
    FAILED = auto()
    UNKNOWN = auto()


#: The status words, as `normal_word` writes them.
STATUS_WORDS: Final[Mapping[str, Word]] = {
    # Feed page.
    "queued": Word.QUEUED,
    "pending": Word.ACTIVE,
    "finished": Word.FINISHED,
    "error": Word.FAILED,
    # new-api model/task.go. Its "unknown" stays `Word.UNKNOWN`: also a task that has not begun.
    "not_start": Word.QUEUED,
    "submitted": Word.QUEUED,
    "in_progress": Word.ACTIVE,
    "success": Word.FINISHED,
    "failure": Word.FAILED,
    # new-api dto/openai_video.go.
    "completed": Word.FINISHED,
    "failed": Word.FAILED,
    # Words of providers that gateways pass on (new-api issue #5045; relay/channel/task; Kling).
    "created": Word.QUEUED,
    "waiting": Word.QUEUED,
    "processing": Word.ACTIVE,
    "running": Word.ACTIVE,
    "succeeded": Word.FINISHED,
    "succeed": Word.FINISHED,
    "done": Word.FINISHED,
    "cancelled": Word.FAILED,
    "canceled": Word.FAILED,
    "expired": Word.FAILED,
}

#: The fields with the link to the file, best first: feed page; new-api dto/task.go; public
#: reference pages of other gateways.
LINK_FIELDS: Final = ("resultUrl", "result_url", "video_url", "videoUrl", "url")
#: new-api model/task.go: before `result_url` existed, the link of a finished task was written here.
_OLD_LINK_FIELD: Final = "fail_reason"
#: The fields with a picture of the video. Feed page.
POSTER_FIELDS: Final = ("videoPoster", "imageThumb")
#: The fields with the words of a failure: feed page; new-api dto/task.go; other gateways.
ERROR_FIELDS: Final = ("error", "fail_reason", "failReason", "error_message")
#: The fields with the id of a task or of its video.
_ID_FIELDS: Final = ("id", "task_id", "taskId")
#: "45", "45%" and "45.5 %": new-api writes the progress as a text.
_PERCENT: Final = re.compile(r"\s*([0-9]{1,6}(?:\.[0-9]{0,6})?)\s*%?\s*")


@dataclass(frozen=True)
class FeedView:
    """What one object in an answer says about the task.

    Attributes:
        raw: The status word as the gateway wrote it; empty if there is none.
        word: Its meaning.
        progress: Percent, 0…100.
        link: The link to the file; empty if there is none.
        poster: The link to a picture; empty if there is none.
        error: The words of a failure; empty if there are none.
        decides: Whether a failure that it reports ends the task.
    """

    raw: str = ""
    word: Word = Word.UNKNOWN
    progress: int = 0
    link: str = ""
    poster: str = ""
    error: str = ""
    decides: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether the file can be downloaded. A word that is not known must have full progress."""
        unknown_but_complete = self.word is Word.UNKNOWN and self.progress == 100
        return bool(self.link) and (self.word is Word.FINISHED or unknown_but_complete)


def read_feed(task_id: str, response: Mapping[str, Any]) -> FeedView:
    """What an answer of the feed says about a task, all its levels taken together.

    A failure releases the request, so it must be beyond doubt: it is the status of the task's
    video or of the task itself, and no other level says something else. An error about the response
    as a whole, with HTTP 200, is a temporary error of the gateway.
    """
    views = list(_views(task_id, response))
    stated = [view for view in views if view.raw]
    link = next((view.link for view in views if view.link), "")
    poster = next((view.poster for view in views if view.poster), "")
    finished = next((view for view in stated if view.is_finished), None)
    finished = finished or next((view for view in stated if view.word is Word.FINISHED), None)
    if finished is not None:
        word = Word.FINISHED if link else Word.ACTIVE  # the link may follow a moment later
        return FeedView(finished.raw, word, finished.progress, link, poster, finished.error)
    failed = [view for view in stated if view.word is Word.FAILED]
    if failed and len(failed) == len(stated):
        first = next((view for view in failed if view.decides), failed[0])
        word = Word.FAILED if first.decides else Word.UNKNOWN
        error = first.error or next((view.error for view in failed if view.error), "")
        return FeedView(first.raw, word, first.progress, link, poster, error, first.decides)
    going = next((view for view in stated if view.word is not Word.FAILED), FeedView())
    progress = going.progress or max((view.progress for view in views), default=0)
    return FeedView(going.raw, going.word, progress, link, poster, going.error)


def _views(task_id: str, response: Mapping[str, Any]) -> Iterator[FeedView]:
    """The views of an answer: the videos of all levels, then the tasks around them."""
    levels = list(_levels(response))
    for level in levels:
        for name in ("videos", "data"):  # a list of tasks below data: new-api, /suno/fetch
            rows = level.get(name)
            if isinstance(rows, list) and (view := _row(task_id, rows)) is not None:
                yield view
    for level in levels:
        # Beside `videos`, a status is about the response: the feed has none there.
        if "videos" not in level and _is_task(task_id, level):
            has_state = "progress" in level or _OLD_LINK_FIELD in level
            yield _view(level, decides=has_state and _names(task_id, level))


def _is_task(task_id: str, level: Mapping[str, Any]) -> bool:
    """Whether an object is a task, and not only a wrapper whose status is about the response."""
    has_fields = any(name in level for name in ("progress", _OLD_LINK_FIELD, *LINK_FIELDS))
    is_wrapper = isinstance(level.get("data"), (Mapping, list))
    return has_fields or (_names(task_id, level) and not is_wrapper)


def _levels(response: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    level: object = response
    for _ in range(_MAX_LEVELS):
        if not isinstance(level, Mapping):
            return
        yield level
        level = level.get("data")


def _row(task_id: str, rows: Sequence[object]) -> FeedView | None:
    """The view of the asked task among several videos; None if the list has none.

    A task has one video, whose id need not be the task's. Where a list has several and none has the
    task's id, one that is finished decides, and all must have failed for a failure.
    """
    videos = [row for row in rows if isinstance(row, Mapping)]
    own = next((row for row in videos if _names(task_id, row)), None)
    if own is not None:
        return _view(own, decides=True)
    views = [_view(row, decides=True) for row in videos]
    finished = next((view for view in views if view.is_finished), None)
    going = next((view for view in views if view.word is not Word.FAILED), None)
    return finished or going or next(iter(views), None)


def _names(task_id: str, fields: Mapping[str, Any]) -> bool:
    return any(str(fields.get(name)) == task_id for name in _ID_FIELDS)


def _view(fields: Mapping[str, Any], *, decides: bool) -> FeedView:
    raw = _status_text(fields.get("status"))
    word = STATUS_WORDS.get(normal_word(raw), Word.UNKNOWN)
    link = _first_link(fields, LINK_FIELDS)
    metadata = fields.get("metadata")  # new-api model/task.go, ToOpenAIVideo
    if not link and isinstance(metadata, Mapping):
        link = _first_link(metadata, LINK_FIELDS)
    if not link and word is Word.FINISHED:
        link = link_in(fields.get(_OLD_LINK_FIELD))
    words = (message_in(fields.get(name)) for name in ERROR_FIELDS)
    return FeedView(
        raw=raw,
        word=word,
        progress=percent(fields.get("progress")),
        link=link,
        poster=_first_link(fields, POSTER_FIELDS),
        error=next((text for text in words if text and not link_in(text)), ""),
        decides=decides,
    )


def _status_text(value: object) -> str:
    if type(value) is int:
        return str(value)
    return value.strip() if isinstance(value, str) else ""


def normal_word(text: str) -> str:
    """A status word in the form of `STATUS_WORDS`: lower case, with ``_`` between its parts."""
    return re.sub(r"[\s-]+", "_", text[:64].strip().lower())


def _first_link(fields: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((link for name in names if (link := link_in(fields.get(name)))), "")


def link_in(value: object) -> str:
    """The value if it is an http or https URL; else empty."""
    text = value.strip() if isinstance(value, str) else ""
    try:
        parts = urlsplit(text)
        is_link = parts.scheme in ("https", "http") and parts.hostname and len(text) <= MAX_LINK
        return text if is_link else ""
    except ValueError:
        return ""


def percent(value: object) -> int:
    """A progress as a whole number, 0…100; 0 for anything else.

    Args:
        value: A number, or a text such as ``"45%"``.
    """
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
        value = float(match[1])
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return 0
    return int(min(max(value, 0), 100))
