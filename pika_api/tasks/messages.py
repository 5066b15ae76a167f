"""What to tell the user when a task does not come: what happened, the money, the next step."""

from __future__ import annotations

from ..errors import (
    DownloadFailed,
    FeedError,
    LinkRefused,
    SubmitUnknown,
    TaskFailed,
    TaskNotFound,
    TaskTimeout,
)
from ..gateway import Task
from ..journal import Entry
from ..text import format_duration

_GO_ON = (
    "To go on waiting, queue the same workflow again, or give this id to PikaResult; "
    "neither costs anything."
)


def _new_take(name: str | int, home: str) -> str:
    place = f' --home "{home}"' if home else ""
    return (
        "To pay for a new take on purpose, change the seed of PikaGenerate, or forget this one in "
        f"the sidebar's Pika tab (from a shell: python -m pika_api{place} forget {name}) and queue "
        "again."
    )


def submit_unknown(what: str, entry: Entry, home: str, status: int | None = None) -> SubmitUnknown:
    """A submit of which nobody can say whether it became a task."""
    return SubmitUnknown(
        what,
        status=status,
        charge_note="It may have been accepted and charged, so it is not sent again by itself.",
        hint="Look at the gateway's own list of tasks: if it is there, give its id to "
        f"PikaResult. {_new_take(entry.id, home)}",
    )


def earlier_submit_unknown(entry: Entry, home: str) -> SubmitUnknown:
    """The same request, queued again."""
    what = f"The last try of this very request ended unclear: {entry.last_error}"
    return submit_unknown(what, entry, home)


def task_failed(task: Task) -> TaskFailed:
    """The gateway ended the task."""
    words = task.error or "it gave no reason"
    return TaskFailed(
        task.id,
        f"The gateway ended task {task.id} with an error: {words}",
        charge_note="The gateway decides whether a failed task costs anything. Nothing is resent.",
        hint="Change what the message names and queue again. Queueing the unchanged workflow "
        "creates a new task, which may be charged.",
    )


def timed_out(task_id: str, waited: float, last: str) -> TaskTimeout:
    """The waiting ended before the task did."""
    return TaskTimeout(
        task_id,
        f"Task {task_id} is not finished after {format_duration(waited)}. Last word: {last}.",
        charge_note="It is paid for and kept; waiting costs nothing.",
        hint=f"{_GO_ON} timeout_minutes can be raised, and 0 waits for ever.",
    )


def task_not_found(task_id: str, what: str) -> TaskNotFound:
    """The gateway does not know the task."""
    return TaskNotFound(
        task_id,
        f"The gateway does not know task {task_id}. {what}",
        charge_note="Nothing was charged now, and the task stays in the journal.",
        hint="Check the id, and that the key and PIKA_BASE_URL are those it was made with.",
    )


def feed_unreadable(task_id: str, error: FeedError) -> FeedError:
    """The feed could not be read."""
    return type(error)(
        f"The feed of task {task_id} could not be read. {error.what}",
        status=error.status,
        retry_after=error.retry_after,
        charge_note="Asking costs nothing, and the task goes on at the gateway.",
        hint=error.hint or "Ask again in a moment.",
    )


def download_failed(task_id: str, error: DownloadFailed, home: str) -> DownloadFailed:
    """The file cannot be had."""
    gone = isinstance(error, LinkRefused)
    return type(error)(
        task_id,
        f"Task {task_id} is finished, but its file did not come. {error.what}",
        charge_note="The task is paid for and kept; nothing was charged now.",
        hint=(
            f"Its link has most likely expired. {_new_take(task_id, home)}"
            if gone
            else error.hint or "Queue the same workflow again: it goes on where it broke off."
        ),
    )
