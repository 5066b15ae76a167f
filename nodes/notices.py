"""The event with which the server tells the editor that a task has ended."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final, TypeVar

from ..pika_api.errors import DownloadFailed, PikaError, TaskFailed
from ..pika_api.log import log
from .progress import send_to_page

if TYPE_CHECKING:
    from ..pika_api.tasks import Service

_T = TypeVar("_T")

#: ``{"number": the journal entry, "seconds": how long the node waited for the task}``. The page
#: reads everything else through the pack's routes, which check who asks.
EVENT: Final = "pika.task_ended"


async def announce_end(service: Service, task_id: str, collecting: Awaitable[_T]) -> _T:
    """Wait for the file of a task, and send the event when the task has ended.

    It goes to one page: the one that queued the prompt. A prompt that comes from elsewhere has no
    page to tell. The interrupt and the end of the waiting time do not end the task.

    Raises:
        PikaError: As `collecting` does.
    """
    began = time.monotonic()
    try:
        result = await collecting
    except (TaskFailed, DownloadFailed):
        await _send(service, task_id, time.monotonic() - began)
        raise
    await _send(service, task_id, time.monotonic() - began)
    return result


async def _send(service: Service, task_id: str, seconds: float) -> None:
    find, gateway = service.journal.find_by_task_id, service.settings.gateway
    try:
        entry = await service.prepare(find, task_id, gateway)
    except PikaError as error:
        # The result is there, or the error that counts is about to be raised.
        log.debug("task %s: its end was not announced: %s", task_id, error)
        return
    if entry is not None:
        send_to_page(EVENT, {"number": entry.id, "seconds": round(seconds, 1)})
