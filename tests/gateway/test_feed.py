"""GET /pika/feed/{id}: tasks, temporary errors and lasting errors."""

from __future__ import annotations

import json
import time

import pytest

from pika_api.errors import FeedError, FeedRefused, TaskNotFound
from pika_api.gateway import Status, Timeouts
from simulator import Simulator
from support.api import KEY, RawServer, answer, ask, client_of, drip, free_port, payload, reset

FEED = {"id": "t", "videos": [{"status": "pending", "progress": 40}]}


def test_feed_is_read_with_the_key(quick: Simulator) -> None:
    """One GET without a body; the response becomes a Task."""
    with client_of(quick.url, quick.key) as client:
        task_id = client.submit(payload())
        task = client.feed(task_id)
    seen = quick.log[-1]
    assert (seen.method, seen.path, seen.size) == ("GET", f"/pika/feed/{task_id}", 0)
    assert seen.headers["Authorization"] == f"Bearer {quick.key}"
    assert task.id == task_id
    assert task.response["promptText"] == ask().prompt_text


@pytest.mark.parametrize(
    ("task_id", "path"), [("a/b", "a%2Fb"), ("../x?y#z", "..%2Fx%3Fy%23z"), ("ü", "%C3%BC")]
)
def test_task_id_is_one_segment_of_the_path(task_id: str, path: str) -> None:
    """Whatever the user entered, the request goes below /pika/feed/."""
    with RawServer(answer(200, FEED)) as server, client_of(server.url) as client:
        assert client.feed(task_id).id == task_id
        assert server.seen[0].line == f"GET /pika/feed/{path} HTTP/1.1"


def test_404_is_task_not_found(quick: Simulator) -> None:
    """The error has the gateway's message and the id."""
    with (
        client_of(quick.url, quick.key) as client,
        pytest.raises(TaskNotFound, match="no such task") as caught,
    ):
        client.feed("absent")
    assert caught.value.task_id == "absent"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 405, 301, 302, 307, 308])
def test_clear_rejection_is_not_retryable(quick: Simulator, status: int) -> None:
    """Key or address are wrong: the error says what to check."""
    quick.fault("feed", status=status, body="No", headers={"Location": "https://elsewhere.example"})
    with (
        client_of(quick.url, quick.key) as client,
        pytest.raises(FeedRefused, match=f"HTTP {status}") as caught,
    ):
        client.feed("t")
    assert caught.value.hint
    assert not caught.value.retryable


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_temporary_error_is_retryable(quick: Simulator, status: int) -> None:
    """The error has the wait that the gateway asks for."""
    quick.fault("feed", status=status, body="<html><body>Later", headers={"Retry-After": "4"})
    with (
        client_of(quick.url, quick.key) as client,
        pytest.raises(FeedError, match="an HTML page: Later") as caught,
    ):
        client.feed("t")
    assert not isinstance(caught.value, FeedRefused)
    assert caught.value.retryable
    assert (caught.value.status, caught.value.retry_after) == (status, 4.0)


@pytest.mark.usefixtures("calm")
@pytest.mark.parametrize(
    "raw",
    [
        answer(200, b"<html><body>Welcome</body></html>"),
        answer(200, b'{"id": "t", "vid'),
        answer(200, FEED, length=900),
        answer(200, []),
        answer(200, b""),
        answer(200, b"[" * 100_000),
        answer(200, b'{"a":' * 100_000),
        answer(200, b'{"x": "' + b"x" * 5_000_000 + b'"}'),
        answer(307, b"", Location="https://[bad"),
        answer(200, b"no", Content_Encoding="gzip"),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
        reset,
    ],
    ids=[
        "html", "half", "cut", "list", "empty", "deep", "deep object", "5 MB", "bad location",
        "not gzip", "ssh", "closed", "reset",
    ],
)  # fmt: skip
def test_unreadable_response_is_retryable(raw: bytes) -> None:
    """None of these ends the waiting, and none is read without a limit."""
    with (
        RawServer(raw) as server,
        client_of(server.url) as client,
        pytest.raises(FeedError) as caught,
    ):
        client.feed("t")
    assert not isinstance(caught.value, FeedRefused)
    assert caught.value.retryable
    assert len(str(caught.value)) < 2000


def test_closed_port_is_retryable() -> None:
    """The gateway may be back later."""
    with (
        client_of(f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(FeedError, match=r"No response from.*refused"),
    ):
        client.feed("t")


def test_silent_and_dripping_responses_end() -> None:
    """A feed that never responds, or never ends, is given up in time."""
    timeouts = Timeouts(read=0.3, response=0.5)
    head = answer(200, b"", length=10_000)

    def drips(connection: object) -> None:
        connection.sendall(head)  # type: ignore[attr-defined]
        drip(b" " * 200, 0.02)(connection)  # type: ignore[arg-type]

    def silent(connection: object) -> None:
        connection.recv(1)  # type: ignore[attr-defined]

    for act in (drips, silent):
        with RawServer(act) as server, client_of(server.url, timeouts=timeouts) as client:
            started = time.monotonic()
            with pytest.raises(FeedError):
                client.feed("t")
            assert time.monotonic() - started < 2


def test_chunked_and_compressed_response_is_read() -> None:
    """Proxies do this to a valid response."""
    import gzip

    zipped = gzip.compress(json.dumps(FEED).encode())
    half = len(zipped) // 2
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (zipped[:half], zipped[half:]))
    raw = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n"
        b"Connection: close\r\n\r\n" + body + b"0\r\n\r\n"
    )
    with RawServer(raw) as server, client_of(server.url) as client:
        task = client.feed("t")
    assert (task.status, task.progress) == (Status.PENDING, 40)


def test_key_is_masked_in_the_feed() -> None:
    """In the error, in all fields and names, and in the response as a whole."""
    quoting = {
        "videos": [{"status": "error", "error": f"key {KEY} is used up"}],
        KEY: [KEY], "more": {"deep": f"x{KEY}y"},
    }  # fmt: skip
    with RawServer(answer(200, quoting)) as server, client_of(server.url) as client:
        task = client.feed("t")
    assert task.error == "key [key] is used up"
    assert KEY not in json.dumps(task.response)
