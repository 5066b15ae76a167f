"""Every fault after the charge, on the feed and at the media host: the task is never lost.

A row of the table is one test over a real socket.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from pika_api.errors import (
    DownloadFailed,
    FeedRefused,
    LinkRefused,
    PikaError,
    TaskFailed,
    TaskNotFound,
    TaskTimeout,
)
from pika_api.journal import State
from pika_api.progress import ProgressObserver
from pika_api.tasks import ServicePolicy
from support.api import ServiceHarness, run
from support.money import SENDS, TAKES_UP, Stopped, queue_again, rows, told

pytestmark = pytest.mark.slow

HTML = "<html><body><h1>Bad Gateway</h1></body></html>"


@dataclass(frozen=True)
class After:
    """Faults after the charge, and what must come of the waiting."""

    name: str
    faults: list[dict[str, Any]]
    error: type[PikaError] | None = None
    state: State = State.SAVED
    then: str = TAKES_UP
    timeout: float | None = None


def feed(name: str, error: Any = None, state: Any = State.SAVED, **fault: Any) -> After:
    return After(name, [{"on": "feed", **fault}], error, state)


def media(name: str, error: Any = None, state: Any = State.SAVED, **fault: Any) -> After:
    return After(name, [{"on": "media", **fault}], error, state)


def task(name: str, **fault: Any) -> After:
    return After(name, [{"on": "task", **fault}])


AFTER = [
    # the feed, once in trouble: the video comes all the same
    task("404 at first", hide_for=0.8),
    task("videos [] at first", empty_for=0.8),
    task("a status nobody knows", raw_status="baking", seconds=0.8),
    *(feed(f"feed {status}", status=status) for status in (408, 500, 502, 503, 504)),
    feed("feed 429 + seconds", status=429, headers={"Retry-After": "1"}),
    feed("feed 502 HTML", status=502, body=HTML),
    feed("feed 200 HTML", body=HTML),
    feed("feed half a JSON", body='{"id": "c8", "vide'),
    feed("feed cut", cut=9),
    feed("feed reset", reset=True),
    feed("feed without a video", body={"id": "x", "videos": [None]}),
    # the feed, for good: the task stays, and waiting again costs nothing
    *(feed(f"feed {status} for good", FeedRefused, State.SUBMITTED, status=status, times=None)
      for status in (400, 401, 402, 403, 302)),
    feed("feed 404 for good", TaskNotFound, State.SUBMITTED, status=404, times=None),
    After("feed 500 for good", [{"on": "feed", "status": 500, "times": None}],
          TaskTimeout, State.SUBMITTED, timeout=0.3),
    After("never finished", [{"on": "task", "stuck": True}],
          TaskTimeout, State.RUNNING, timeout=0.3),
    # the gateway's own end: the one state after which the same request is made anew
    After("status error", [{"on": "task", "error": "NSFW"}], TaskFailed, State.FAILED, SENDS),
    # the media host
    media("media 403 expired", expired=True),
    media("media 403 once", status=403),
    media("media cut", cut=200),
    media("media HTML", body=HTML),
    media("media reset", reset=True),
    media("media 500", status=500),
    media("media 503", status=503),
    media("media 403 for good", LinkRefused, State.FINISHED, status=403, times=None),
    media("media 404 for good", LinkRefused, State.FINISHED, status=404, times=None),
    media("media 500 for good", DownloadFailed, State.FINISHED, status=500, times=None),
    media("media HTML for good", DownloadFailed, State.FINISHED, body=HTML, times=None),
    media("media reset for good", DownloadFailed, State.FINISHED, reset=True, times=None),
    After("media and feed", [{"on": "media", "reset": True}, {"on": "feed", "status": 500}]),
]  # fmt: skip


@pytest.mark.parametrize("row", AFTER, ids=lambda row: row.name)
def test_fault_after_the_charge(harness: ServiceHarness, row: After) -> None:
    """One POST and one charge in every case. The task is in the journal under its id, an error
    names it and says that it is kept, and without the fault the video arrives at no cost."""
    grace = 0.0 if row.error is TaskNotFound else ServicePolicy().new_task_grace
    harness.policy = replace(harness.policy, download_attempts=2, new_task_grace=grace)
    for fault in row.faults:
        harness.gateway.fault(**fault)
    task_id = harness.submit()
    if row.error is None:
        assert run(harness.service.collect(task_id)).path.is_file()
    else:
        with pytest.raises(row.error) as caught:
            run(harness.service.collect(task_id, timeout=row.timeout))
        assert type(caught.value) is row.error
        told(caught.value, rows(harness.journal)[0])
    assert (harness.posts, harness.gateway.charged) == (1, [task_id])
    (entry,) = rows(harness.journal)
    assert (entry.state, entry.task_id) == (row.state, task_id)
    queue_again(harness, [task_id], row.then)
    if row.then == TAKES_UP and "stuck" not in row.faults[0]:
        assert run(harness.service.collect(task_id)).path.is_file()
        assert harness.posts == 1


@pytest.mark.parametrize("place", ["feed", "media"])
def test_interrupt_after_the_charge(harness: ServiceHarness, place: str) -> None:
    """Stopped while the feed or the media host is silent: the task is kept, and queueing again gets
    its video at no cost."""
    task_id = harness.submit()
    harness.gateway.fault(place, delay=0.4)
    server = "cdn" if place == "media" else "api"

    def check() -> None:
        if harness.gateway.requests("GET", server=server):
            raise Stopped

    with pytest.raises(Stopped):
        run(harness.service.collect(task_id, observer=ProgressObserver(check)))
    assert rows(harness.journal)[0].task_id == task_id
    queue_again(harness, [task_id], TAKES_UP)
    assert run(harness.service.collect(task_id)).path.is_file()
    assert (harness.posts, harness.gateway.charged) == (1, [task_id])
