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
from ..message import Message
from ..text import format_duration, sanitize


def _command(home: str) -> str:
    option = f' --home "{home}"' if home else ""
    return f"python -m pika_api{option}"


def _new_take_hint(name: str | int, home: str) -> str:
    return Message(
        "To pay for a new take on purpose, change the seed of Pika Generate. Or forget this "
        "request in the Pika tab of the sidebar (on the command line: "
        "{command} forget {name}) and queue the workflow again.",
        command=_command(home),
        name=name,
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
        charge_note=Message(
            "It may have been accepted and charged, so it is not sent again automatically."
        ),
        hint=Message(
            "Look for the task in the gateway's own list. If it is there, enter its id in "
            "the Pika tab of the sidebar (on the command line: {command} settle {id} "
            "TASK_ID): the same workflow then uses it. {new_take}",
            command=_command(home),
            id=entry.id,
            new_take=_new_take_hint(entry.id, home),
        ),
    )


def earlier_submit_unknown(entry: Entry, home: str) -> SubmitUnknown:
    """The same request, queued again after its outcome was unknown."""
    what = Message(
        "The outcome of the last attempt to send this request is unknown: {last_error}",
        last_error=entry.last_error,
    )
    return submit_unknown(what, entry, home)


def other_key_unclear(entry: Entry, error: FeedError, home: str) -> FeedError:
    """The request has a task of another key, and the gateway does not say whether it is known."""
    return type(error)(
        Message(
            "This request has task {task_id}, which was created with another key. Whether "
            "the gateway knows it with the current key could not be read. {cause}",
            task_id=entry.task_id,
            cause=error.what,
        ),
        status=error.status,
        retry_after=error.retry_after,
        charge_note=Message("Nothing was sent and nothing was charged."),
        hint=Message(
            "{hint} Or set the earlier key again. {new_take}",
            hint=error.hint or Message("Try again in a moment."),
            new_take=_new_take_hint(entry.id, home),
        ),
    )


def forgotten(entry: Entry) -> NotAccepted:
    """The request was forgotten while this process was suspended, so it is not sent."""
    return NotAccepted(
        Message("Request #{id} was forgotten before it was sent.", id=entry.id),
        hint=Message("Queue the workflow again to send it."),
    )


def id_not_recorded(task_id: str, error: JournalError, path: Path | None) -> JournalError:
    """The gateway accepted the request, and the journal could not store the task id.

    Args:
        path: The file that has the id; None if only this process has it.
    """
    place = Message("in {path}", path=path) if path else Message("until this process ends")
    return JournalError(
        Message(
            "The gateway created task {task_id}, but the journal could not record it: {cause}",
            task_id=task_id,
            cause=error.what,
        ),
        charge_note=Message("The task is charged. Write down its id: {task_id}", task_id=task_id),
        hint=Message(
            "The id is kept {place}. Fix the problem that the message names and queue the "
            "same workflow again: it uses this task.",
            place=place,
        ),
        charged=True,
    )


def task_failed(task: Task) -> TaskFailed:
    """The gateway ended the task with an error."""
    words = task.error or Message("no reason given")
    return TaskFailed(
        task.id,
        Message("The gateway ended task {id} with an error: {words}", id=task.id, words=words),
        charge_note=Message(
            "The gateway decides whether a failed task costs anything. Nothing is sent "
            "again automatically."
        ),
        hint=Message(
            "Change the input that the message names and queue again. Queueing the "
            "unchanged workflow creates a new task, which may be charged."
        ),
    )


def task_unclear(task: Task, seconds: float) -> TaskUnclear:
    """The feed has reported an error for a while, with a status word that is not known."""
    return TaskUnclear(
        task.id,
        Message(
            "The gateway has reported an error for task {id} for {seconds}, with the "
            "status «{raw_status}», which does not say whether the task has ended: {error}",
            id=task.id,
            seconds=format_duration(seconds),
            raw_status=task.raw_status,
            error=task.error,
        ),
        charge_note=Message("The task is kept, and nothing is sent again automatically."),
        hint=Message(
            "To continue waiting, queue the same workflow again: this costs nothing. If "
            "the error stays, look at the task in the gateway's own list."
        ),
    )


def timed_out(task_id: str, waited: float, last: str) -> TaskTimeout:
    """The task was not finished within the time limit."""
    return TaskTimeout(
        task_id,
        Message(
            "Task {task_id} is not finished after {waited}. The last status was: {last}.",
            task_id=task_id,
            waited=format_duration(waited),
            last=last,
        ),
        charge_note=Message("The task is paid for and kept. Waiting costs nothing."),
        hint=Message(
            "To continue waiting, queue the same workflow again or give this id to Pika "
            "Result. Neither costs anything. You can raise timeout_minutes; 0 means no "
            "limit."
        ),
    )


def task_not_found(task_id: str, what: str) -> TaskNotFound:
    """The gateway does not know the task."""
    return TaskNotFound(
        task_id,
        Message("The gateway does not know task {task_id}. {what}", task_id=task_id, what=what),
        charge_note=Message("Nothing was charged. The task stays in the journal."),
        hint=Message(
            "Check the id. Check that the key and PIKA_BASE_URL are those that the task "
            "was created with."
        ),
    )


def id_not_known(entry_id: int, task_id: str, what: str) -> TaskNotFound:
    """The gateway does not know the id that the user has for a request of unknown outcome."""
    return TaskNotFound(
        task_id,
        Message("The gateway does not know task {task_id}. {what}", task_id=task_id, what=what),
        charge_note=Message(
            "Nothing was charged. Request #{entry_id} has not changed.", entry_id=entry_id
        ),
        hint=Message(
            "Compare the id with the gateway's own list. The key must be one of the same account."
        ),
    )


def other_gateway(task_id: str, its_url: str, current_url: str) -> OtherGateway:
    """The task was created at another gateway than that of the settings."""
    return OtherGateway(
        task_id,
        Message(
            "Task {task_id} was created at {its_url}, but the base URL is now {current_url}.",
            task_id=task_id,
            its_url=its_url,
            current_url=current_url,
        ),
        charge_note=Message(
            "The current gateway was not asked, nothing was charged, and the task is kept."
        ),
        hint=Message(
            "Set the base URL to {its_url} (Settings → Pika, or PIKA_BASE_URL) and queue again.",
            its_url=its_url,
        ),
    )


def feed_unreadable(task_id: str, error: FeedError) -> FeedError:
    """The task's feed could not be read."""
    return type(error)(
        Message(
            "The status of task {task_id} could not be read. {cause}",
            task_id=task_id,
            cause=error.what,
        ),
        status=error.status,
        retry_after=error.retry_after,
        charge_note=Message("Asking costs nothing, and the task continues at the gateway."),
        hint=error.hint or Message("Try again in a moment."),
    )


def download_failed(task_id: str, error: DownloadFailed, home: str) -> DownloadFailed:
    """The file of a finished task could not be downloaded."""
    expired = isinstance(error, LinkRefused)
    return type(error)(
        task_id,
        Message(
            "Task {task_id} is finished, but its file could not be downloaded. {cause}",
            task_id=task_id,
            cause=error.what,
        ),
        charge_note=Message("The task is paid for and kept. Nothing was charged now."),
        hint=(
            Message(
                "Its link has probably expired. {new_take}", new_take=_new_take_hint(task_id, home)
            )
            if expired
            else error.hint
            or Message("Queue the same workflow again: the download continues where it stopped.")
        ),
        retryable=error.retryable,
    )


def file_not_opened(task_id: str, path: Path, reason: str) -> DownloadFailed:
    """The complete file of a finished task is kept, and is not opened."""
    return DownloadFailed(
        task_id,
        Message(
            "Task {task_id} is finished and its file is complete, but it is not opened: "
            "{reason}. The file is at {path}.",
            task_id=task_id,
            reason=reason,
            path=path,
        ),
        charge_note=Message("The task is paid for and its file is kept. Nothing was charged now."),
        hint=Message(
            "The file may be damaged or hostile. To download and inspect it again, move it "
            "elsewhere and queue the same workflow again. This costs nothing."
        ),
        retryable=False,
    )


def file_unreadable(task_id: str, path: Path, reason: NotMedia) -> DownloadFailed:
    """The complete file of a finished task is kept, and nothing of it can be read here."""
    return DownloadFailed(
        task_id,
        Message(
            "Task {task_id} is finished and its file is complete, but it cannot be read "
            "here: {reason}. The file is at {path}.",
            task_id=task_id,
            reason=reason,
            path=path,
        ),
        charge_note=Message("The task is paid for and its file is kept. Nothing was charged now."),
        hint=Message(
            "Try to open the file with a video player or another program. To download it "
            "again, delete it and queue the same workflow again. This costs nothing."
        ),
        retryable=False,
    )


def workflow_not_added(reason: str) -> Message:
    """A note about a file that stays as it was received, without the workflow."""
    return Message("The workflow is not in the file: {reason}.", reason=reason)


def not_placed(prefix: str, error: OSError, path: Path) -> Message:
    """A note about a file that cannot be saved where it is wanted."""
    reason = sanitize(str(error.strerror or error))
    return Message(
        "It cannot be saved as {wanted}: {reason}. It is {folder}/{name}.",
        wanted=sanitize(prefix[:80]),
        reason=reason,
        folder=path.parent.name,
        name=path.name,
    )


def odd_file(path: Path, inspection: Inspection) -> str:
    """A note about a file that is returned although something is odd about it."""
    place = f"{path.parent.name}/{path.name}"
    if not inspection.damaged:
        return Message(
            "The file was not checked to its end: {problem}. It is {place}.",
            problem=inspection.problem,
            place=place,
        )
    return Message(
        "The file is damaged: {problem}. It is kept as {place}. To download it again, "
        "delete it and queue the same workflow again.",
        problem=inspection.problem,
        place=place,
    )
