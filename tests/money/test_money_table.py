"""Every fault while a request is sent: how often it is sent, what is charged, kept and reported.

A row of a table is one test over a real socket. After each, nothing charged is lost (the
fixture checks the journal), and the same request queued again does what the row says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import pytest

from pika_api.errors import PikaError, Refused, SubmitUnknown, Unreachable
from pika_api.journal import State
from pika_api.media import Media
from pika_api.progress import ProgressObserver
from support.api import RawServer, ServiceHarness, answer, ask, free_port, impatient, reset, run
from support.money import REUSES, SENDS, UNKNOWN, Stopped, assert_complete_error, queue_again, rows
from support.waiting import until

pytestmark = pytest.mark.slow

HTML = "<html><body><h1>Bad Gateway</h1></body></html>"
#: A picture that no socket's buffers hold.
BIG = Media("d" * 64, "image/png", 8, 8, b"\x89PNG" * 3_000_000, 12_000_000)


@pytest.fixture(autouse=True)
def _patience(harness: ServiceHarness) -> None:
    """An unreachable gateway is retried for a short time only."""
    harness.policy = impatient(harness.policy, 0.1)


# --- waiting for the submit's answer, and reading it ---------------------------------------------


@dataclass(frozen=True)
class Submit:
    """A fault on the submit (armed once), and what must come of it."""

    name: str
    fault: dict[str, Any]
    posts: int
    charged: int
    state: State
    error: type[PikaError] | None
    then: str


def later(value: str) -> dict[str, str]:
    return {"Retry-After": value}


def no(status: int) -> Submit:
    """A clear no: proven not accepted."""
    body = {"error": {"message": "No"}}
    given = {"status": status, "body": body}
    return Submit(str(status), given, 1, 0, State.REFUSED, Refused, SENDS)


def busy(name: str, **fault: Any) -> Submit:
    """Asked to come later: sent again, and then it is a task."""
    return Submit(name, fault, 2, 1, State.SUBMITTED, None, REUSES)


def maybe(name: str, accept: bool, **fault: Any) -> Submit:
    """Nobody can say, whether the gateway took it (and charged) or not."""
    name = f"{name}, {'charged' if accept else 'not charged'}"
    given = {**fault, "accept": accept}
    return Submit(name, given, 1, int(accept), State.UNKNOWN, SubmitUnknown, UNKNOWN)


SUBMITS = [
    # name, fault → POSTs, charged, row, error, queued again
    Submit("all is well", {"delay": 0.0}, 1, 1, State.SUBMITTED, None, REUSES),
    Submit("a slow answer", {"delay": 0.5}, 1, 1, State.SUBMITTED, None, REUSES),
    *(no(status) for status in (400, 401, 402, 403, 404, 405, 409, 410, 413, 415, 422, 451)),
    Submit("301", {"status": 301, "headers": {"Location": "https://a.example"}},
           1, 0, State.REFUSED, Refused, SENDS),
    Submit("307", {"status": 307, "headers": {"Location": "https://a.example"}},
           1, 0, State.REFUSED, Refused, SENDS),
    busy("429 + seconds", status=429, headers=later("1")),
    busy("429 + 0 seconds", status=429, headers=later("0")),
    busy("429 + a date that is over", status=429, headers=later(formatdate(0, usegmt=True))),
    busy("429 alone", status=429),
    busy("503 of an overloaded gateway", status=503, headers=later("0"),
         body={"error": {"message": "overloaded", "code": "system_cpu_overloaded"}}),
    Submit("503 without a channel", {"status": 503, "body": {"error": {
               "message": "当前分组 default 下对于模型 1.5 无可用渠道", "type": "one_api_error"}}},
           1, 0, State.REFUSED, Refused, SENDS),
    Submit("429 without credit", {"status": 429, "headers": later("0"), "body": {
               "error": {"message": "no quota", "code": "insufficient_quota"}}},
           1, 0, State.REFUSED, Refused, SENDS),
    Submit("429 with an id", {"status": 429, "headers": later("0"), "body": {"id": "t-4711"},
           "accept": True}, 1, 1, State.UNKNOWN, SubmitUnknown, UNKNOWN),
    *(maybe(*row) if len(row) == 2 else maybe(row[0], row[1], **row[2])
      for accept in (False, True) for row in (
          ("reset", accept, {"reset": True}),
          ("408", accept, {"status": 408}),
          ("425", accept, {"status": 425}),
          ("499", accept, {"status": 499}),
          ("500", accept, {"status": 500, "body": {"message": "Oops"}}),
          ("500 + Retry-After", accept, {"status": 500, "headers": later("0")}),
          ("502 HTML", accept, {"status": 502, "body": HTML}),
          ("502 HTML, cut", accept, {"status": 502, "body": HTML, "cut": 9}),
          ("503 bare", accept, {"status": 503}),
          ("503 + seconds", accept, {"status": 503, "headers": later("0")}),
          ("503 HTML + seconds", accept, {"status": 503, "body": HTML, "headers": later("0")}),
          ("503 + seconds, in JSON", accept, {"status": 503, "headers": later("0"),
                                              "body": {"message": "Service Unavailable"}}),
          ("503 + rubbish", accept, {"status": 503, "headers": later("soon")}),
          ("504", accept, {"status": 504, "body": "upstream timed out"}),
          ("302", accept, {"status": 302, "headers": {"Location": "/login"}}),
          ("303", accept, {"status": 303, "headers": {"Location": "/tasks"}}),
          ("200 without an id", accept, {"body": {"ok": True}}),
          ("200 with an empty id", accept, {"body": {"id": " "}}),
          ("200 with the id null", accept, {"body": {"id": "null"}}),
          ("200 with an id and an error", accept, {"body": {"id": "t-4711", "error": "timeout"}}),
          ("200 with two ids", accept, {"body": {"id": "req-1", "data": {"task_id": "t-4711"}}}),
          ("200 HTML", accept, {"body": HTML}),
          ("200 half a JSON", accept, {"body": '{"id": "c809'}),
          ("201 empty", accept, {"status": 201}),
          ("204", accept, {"status": 204}),
      )),
    maybe("200 cut after nothing", True, cut=0),
    maybe("200 cut within the id", True, cut=12),
    maybe("reset after a while", True, reset=True, delay=0.3),
]  # fmt: skip


@pytest.mark.parametrize("row", SUBMITS, ids=lambda row: row.name)
def test_fault_during_submit(harness: ServiceHarness, row: Submit) -> None:
    """As many POSTs and charges as the row says, its state, and its error with a note on the
    charge. What was provably not sent is released; what may be charged is kept and never resent
    automatically."""
    harness.gateway.fault("submit", **row.fault)
    if row.error is None:
        assert harness.submit() in harness.gateway.charged
    else:
        with pytest.raises(row.error) as caught:
            harness.submit()
        assert type(caught.value) is row.error
        assert_complete_error(caught.value, rows(harness.journal)[0])
    charged = harness.gateway.charged
    assert (harness.posts, len(charged)) == (row.posts, row.charged)
    (entry,) = rows(harness.journal)
    assert entry.state is row.state
    assert entry.task_id in (charged if row.error is None else [None])
    queue_again(harness, charged, row.then)


def test_retry_after_date_is_respected(harness: ServiceHarness) -> None:
    """Retry-After as an HTTP date: nothing is sent before it, then the request becomes a task."""
    date = time.time() + 2.0
    headers = later(formatdate(date, usegmt=True))
    harness.gateway.fault("submit", status=429, headers=headers)
    harness.submit()
    first, second = harness.gateway.requests("POST")
    assert second.wall >= int(date)
    assert (first.status, second.status) == (429, 200)


@pytest.mark.parametrize("status", [200, 429, 500, 400])
def test_interrupt_while_waiting_for_the_answer(harness: ServiceHarness, status: int) -> None:
    """The call ends, the POST does not. Its answer is recorded with nobody waiting, be it an id, a
    rejection or an unknown outcome; the next call respects it."""
    harness.gateway.fault("submit", delay=0.3, **({} if status == 200 else {"status": status}))

    def check() -> None:
        if harness.posts:
            raise Stopped

    with pytest.raises(Stopped):
        run(harness.service.submit(ask(), observer=ProgressObserver(check)))
    assert rows(harness.journal)[0].state is State.SENT
    until(lambda: rows(harness.journal)[0].state is not State.SENT, what="the end of the POST")
    if status == 200:
        queue_again(harness, harness.gateway.charged, REUSES)
    else:
        queue_again(harness, [], UNKNOWN if status == 500 else SENDS)


# --- connecting, and sending the body ------------------------------------------------------------


@dataclass(frozen=True)
class Elsewhere:
    """A gateway that is not the simulator, and what must come of a submit to it."""

    name: str
    server: Callable[[], AbstractContextManager[RawServer]] | None
    posts: int
    state: State
    error: type[PikaError]
    then: str
    image: Media | None = BIG


ELSEWHERE = [
    # name, what it does → POSTs, row, error, queued again
    Elsewhere("nothing listens", None, 0, State.REFUSED, Unreachable, SENDS, None),
    Elsewhere("reset within the body", lambda: RawServer(reset, read=1000),
              1, State.REFUSED, Unreachable, SENDS),
    Elsewhere("413 within the body", lambda: RawServer(answer(413, b"big"), read=1000),
              1, State.REFUSED, Refused, SENDS),
    Elsewhere("no HTTP", lambda: RawServer(b"SSH-2.0-OpenSSH\r\n"),
              1, State.UNKNOWN, SubmitUnknown, UNKNOWN, None),
    Elsewhere("closed without a word", lambda: RawServer(b""),
              1, State.UNKNOWN, SubmitUnknown, UNKNOWN, None),
    Elsewhere("1000 headers", lambda: RawServer(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000),
              1, State.UNKNOWN, SubmitUnknown, UNKNOWN, None),
]  # fmt: skip


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest) -> Iterator[tuple[Elsewhere, str, list[Any]]]:
    """The row's server: its address, and the requests it saw."""
    row: Elsewhere = request.param
    if row.server is None:
        yield row, f"http://127.0.0.1:{free_port()}", []
        return
    with row.server() as server:
        yield row, server.url, server.seen


@pytest.mark.parametrize("elsewhere", ELSEWHERE, ids=lambda row: row.name, indirect=True)
def test_connection_lost_during_upload(
    harness: ServiceHarness, elsewhere: tuple[Elsewhere, str, list[Any]]
) -> None:
    """A request that did not leave completely was not accepted: its row is released and the next
    attempt is another POST. If all of it left, the outcome is unknown and there is no other
    POST."""
    row, url, seen = elsewhere
    service = harness.another(base_url=url)
    for posts in (row.posts, row.posts * (2 if row.then == SENDS else 1)):
        with pytest.raises(row.error) as caught:
            run(service.submit(ask(image=row.image)))
        entry = rows(service.journal)[0]
        assert_complete_error(caught.value, entry)
        assert entry.state is row.state
        assert len(seen) == posts
