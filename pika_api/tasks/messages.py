"""Errors about tasks, worded for the user: what happened, effect on money, next step."""

from __future__ import annotations

from pathlib import Path

from ..errors import (
    DownloadFailed,
    FeedError,
    JournalError,
    LinkRefused,
    NotAccepted,
    OtherGateway,
    SubmitUnknown,
    TaskFailed,
    TaskNotFound,
    TaskTimeout,
    TaskUnclear,
)
from ..gateway import Task
from ..journal import Entry
from ..media import Inspection, NotMedia
from ..text import format_duration, sanitize


def _command(home: str) -> str:
    option = f' --home "{home}"' if home else ""
    return f"python -m pika_api{option}"


def _new_take_hint(name: str | int, home: str) -> str:
    return (
        "To pay for a new take on purpose, change the seed of Pika Generate. Or forget this "
        "request in the Pika tab of the sidebar (on the command line: "
        f"{_command(home)} forget {name}) and queue the workflow again."
    )


def submit_unknown(
    what: str,
    entry: Entry,
    home: str,
    status: int | None = None,
    *,
    answer: str = "",
    task_ids: tuple[str, ...] = (),
) -> SubmitUnknown:
    """A submit with an unknown outcome."""
    return SubmitUnknown(
        what,
        status=status,
        answer=answer,
        task_ids=task_ids,
        charge_note="It may have been accepted and charged, so it is not sent again automatically.",
        hint="Look for the task in the gateway's own list. If it is there, enter its id in the "
        f"Pika tab of the sidebar (on the command line: {_command(home)} settle {entry.id} "
        f"TASK_ID): the same workflow then uses it. {_new_take_hint(entry.id, home)}",
    )


def earlier_submit_unknown(entry: Entry, home: str) -> SubmitUnknown:
    """The same request, queued again after its outcome was unknown."""
    what = f"The outcome of the last attempt to send this request is unknown: {entry.last_error}"
    return submit_unknown(what, entry, home)


def other_key_unclear(entry: Entry, error: FeedError, home: str) -> FeedError:
    """The request has a task of another key, and the gateway does not say whether it is known."""
    return type(error)(
        f"This request has task {entry.task_id}, which was created with another key. Whether the "
        f"gateway knows it with the current key could not be read. {error.what}",
        status=error.status,
        retry_after=error.retry_after,
        charge_note="Nothing was sent and nothing was charged.",
        hint=f"{error.hint or 'Try again in a moment.'} Or set the earlier key again. "
        f"{_new_take_hint(entry.id, home)}",
    )


def forgotten(entry: Entry) -> NotAccepted:
    """The request was forgotten while this process was suspended, so it is not sent."""
    return NotAccepted(
        f"Request #{entry.id} was forgotten before it was sent.",
        hint="Queue the workflow again to send it.",
    )


def id_not_recorded(task_id: str, error: JournalError, path: Path | None) -> JournalError:
    """The gateway accepted the request, and the journal could not store the task id.

    Args:
        path: The file that has the id; None if only this process has it.
    """
    place = f"in {path}" if path else "until this process ends"
    return JournalError(
        f"The gateway created task {task_id}, but the journal could not record it: {error.what}",
        charge_note=f"The task is charged. Write down its id: {task_id}",
        hint=f"The id is kept {place}. Fix the problem that the message names and queue the same "
        "workflow again: it uses this task.",
        charged=True,
    )


def task_failed(task: Task) -> TaskFailed:
    """The gateway ended the task with an error."""
    words = task.error or "no reason given"
    return TaskFailed(
        task.id,
        f"The gateway ended task {task.id} with an error: {words}",
        charge_note="The gateway decides whether a failed task costs anything. Nothing is sent "
        "again automatically.",
        hint="Change the input that the message names and queue again. Queueing the unchanged "
        "workflow creates a new task, which may be charged.",
    )


def task_unclear(task: Task, seconds: float) -> TaskUnclear:
    """The feed has reported an error for a while, with a status word that is not known."""
    return TaskUnclear(
        task.id,
        f"The gateway has reported an error for task {task.id} for {format_duration(seconds)}, "
        f"with the status «{task.raw_status}», which does not say whether the task has ended: "
        f"{task.error}",
        charge_note="The task is kept, and nothing is sent again automatically.",
        hint="To continue waiting, queue the same workflow again: this costs nothing. If the error "
        "stays, look at the task in the gateway's own list.",
    )


def timed_out(task_id: str, waited: float, last: str) -> TaskTimeout:
    """The task was not finished within the time limit."""
    return TaskTimeout(
        task_id,
        f"Task {task_id} is not finished after {format_duration(waited)}. "
        f"The last status was: {last}.",
        charge_note="The task is paid for and kept. Waiting costs nothing.",
        hint="To continue waiting, queue the same workflow again or give this id to Pika Result. "
        "Neither costs anything. You can raise timeout_minutes; 0 means no limit.",
    )


def task_not_found(task_id: str, what: str) -> TaskNotFound:
    """The gateway does not know the task."""
    return TaskNotFound(
        task_id,
        f"The gateway does not know task {task_id}. {what}",
        charge_note="Nothing was charged. The task stays in the journal.",
        hint="Check the id. Check that the key and PIKA_BASE_URL are those that the task was "
        "created with.",
    )


def id_not_known(entry_id: int, task_id: str, what: str) -> TaskNotFound:
    """The gateway does not know the id that the user has for a request of unknown outcome."""
    return TaskNotFound(
        task_id,
        f"The gateway does not know task {task_id}. {what}",
        charge_note=f"Nothing was charged. Request #{entry_id} has not changed.",
        hint="Compare the id with the gateway's own list. The key must be one of the same account.",
    )


def other_gateway(task_id: str, its_url: str, current_url: str) -> OtherGateway:
    """The task was created at another gateway than that of the settings."""
    return OtherGateway(
        task_id,
        f"Task {task_id} was created at {its_url}, but the base URL is now {current_url}.",
        charge_note="The current gateway was not asked, nothing was charged, and the task is kept.",
        hint=f"Set the base URL to {its_url} (Settings → Pika, or PIKA_BASE_URL) and queue again.",
    )


def feed_unreadable(task_id: str, error: FeedError) -> FeedError:
    """The task's feed could not be read."""
    return type(error)(
        f"The status of task {task_id} could not be read. {error.what}",
        status=error.status,
        retry_after=error.retry_after,
        charge_note="Asking costs nothing, and the task continues at the gateway.",
        hint=error.hint or "Try again in a moment.",
    )


def download_failed(task_id: str, error: DownloadFailed, home: str) -> DownloadFailed:
    """The file of a finished task could not be downloaded."""
    expired = isinstance(error, LinkRefused)
    return type(error)(
        task_id,
        f"Task {task_id} is finished, but its file could not be downloaded. {error.what}",
        charge_note="The task is paid for and kept. Nothing was charged now.",
        hint=(
            f"Its link has probably expired. {_new_take_hint(task_id, home)}"
            if expired
            else error.hint
            or "Queue the same workflow again: the download continues where it stopped."
        ),
        retryable=error.retryable,
    )


def file_not_opened(task_id: str, path: Path, reason: str) -> DownloadFailed:
    """The complete file of a finished task is kept, and is not opened."""
    return DownloadFailed(
        task_id,
        f"Task {task_id} is finished and its file is complete, but it is not opened: {reason}. "
        f"The file is at {path}.",
        charge_note="The task is paid for and its file is kept. Nothing was charged now.",
        hint="The file may be damaged or hostile. To download and inspect it again, move it "
        "elsewhere and queue the same workflow again. This costs nothing.",
        retryable=False,
    )


def file_unreadable(task_id: str, path: Path, reason: NotMedia) -> DownloadFailed:
    """The complete file of a finished task is kept, and nothing of it can be read here."""
    return DownloadFailed(
        task_id,
        f"Task {task_id} is finished and its file is complete, but it cannot be read here: "
        f"{reason}. The file is at {path}.",
        charge_note="The task is paid for and its file is kept. Nothing was charged now.",
        hint="Try to open the file with a video player or another program. To download it again, "
        "delete it and queue the same workflow again. This costs nothing.",
        retryable=False,
    )


def workflow_not_added(reason: str) -> str:
    """A note about a file that stays as it was received, without the workflow."""
    return f"The workflow is not in the file: {reason}."


def not_placed(prefix: str, error: OSError, path: Path) -> str:
    """A note about a file that cannot be saved where it is wanted."""
    reason = sanitize(str(error.strerror or error))
    wanted = sanitize(prefix[:80])
    return f"It cannot be saved as {wanted}: {reason}. It is {path.parent.name}/{path.name}."


def odd_file(path: Path, inspection: Inspection) -> str:
    """A note about a file that is returned although something is odd about it."""
    place = f"{path.parent.name}/{path.name}"
    if not inspection.damaged:
        return f"The file was not checked to its end: {inspection.problem}. It is {place}."
    return (
        f"The file is damaged: {inspection.problem}. It is kept as {place}. To download it again, "
        "delete it and queue the same workflow again."
    )
