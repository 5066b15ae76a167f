"""GET /pika/feed/{id}: what is a task, what asking again may mend, and what it will not."""

from __future__ import annotations

import json
import time

import pytest

from pika_api.errors import FeedError, FeedRefused, TaskNotFound
from pika_api.gateway import Status, sessions
from pika_api.gateway import client as client_module
from simulator import Simulator
from support.api import KEY, RawServer, answer, ask, client_of, drip, free_port, payload, reset

FEED = {"id": "t", "videos": [{"status": "pending", "progress": 40}]}


def test_a_task_is_asked_for_with_the_key(quick: Simulator) -> None:
    """One GET, with the key, without a body; the answer becomes a Task."""
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
def test_an_id_stays_one_part_of_the_path(task_id: str, path: str) -> None:
    """Whatever the user typed, the request goes below /pika/feed/."""
    with RawServer(answer(200, FEED)) as server, client_of(server.url) as client:
        assert client.feed(task_id).id == task_id
        assert server.seen[0].line == f"GET /pika/feed/{path} HTTP/1.1"


def test_an_unknown_task_is_not_found(quick: Simulator) -> None:
    """404: the gateway's words, and the id."""
    with (
        client_of(quick.url, quick.key) as client,
        pytest.raises(TaskNotFound, match="no such task") as caught,
    ):
        client.feed("absent")
    assert caught.value.task_id == "absent"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 405, 301, 302, 307, 308])
def test_a_clear_no_is_for_good(quick: Simulator, status: int) -> None:
    """Key or address are not good: asking again will not help, and the error says what to check."""
    quick.fault("feed", status=status, body="No", headers={"Location": "https://elsewhere.example"})
    with (
        client_of(quick.url, quick.key) as client,
        pytest.raises(FeedRefused, match=f"HTTP {status}") as caught,
    ):
        client.feed("t")
    assert caught.value.hint


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_trouble_may_pass(quick: Simulator, status: int) -> None:
    """Busy or broken for now, with the time to wait where it is told."""
    quick.fault("feed", status=status, body="<html><body>Later", headers={"Retry-After": "4"})
    with (
        client_of(quick.url, quick.key) as client,
        pytest.raises(FeedError, match="an HTML page: Later") as caught,
    ):
        client.feed("t")
    assert not isinstance(caught.value, FeedRefused)
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
def test_an_unreadable_answer_may_pass(raw: bytes) -> None:
    """Nothing of this ends the waiting, and nothing is read without end."""
    with (
        RawServer(raw) as server,
        client_of(server.url) as client,
        pytest.raises(FeedError) as caught,
    ):
        client.feed("t")
    assert not isinstance(caught.value, FeedRefused)
    assert len(str(caught.value)) < 2000


def test_no_gateway_may_pass() -> None:
    """Nothing listens, just now."""
    with (
        client_of(f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(FeedError, match=r"could not be asked.*refused"),
    ):
        client.feed("t")


def test_silence_and_drips_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed that never answers, or never ends, is given up after its time."""
    monkeypatch.setattr(client_module, "READ_TIMEOUT", 0.3)
    monkeypatch.setattr(sessions, "RESPONSE_TIMEOUT", 0.5)
    head = answer(200, b"", length=10_000)

    def drips(connection: object) -> None:
        connection.sendall(head)  # type: ignore[attr-defined]
        drip(b" " * 200, 0.02)(connection)  # type: ignore[arg-type]

    def silent(connection: object) -> None:
        connection.recv(1)  # type: ignore[attr-defined]

    for act in (drips, silent):
        with RawServer(act) as server, client_of(server.url) as client:
            started = time.monotonic()
            with pytest.raises(FeedError):
                client.feed("t")
            assert time.monotonic() - started < 2


def test_an_answer_in_chunks_and_zipped_is_read() -> None:
    """What proxies do to a good answer."""
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


def test_the_key_is_in_nothing_that_the_feed_says() -> None:
    """An answer that quotes the key comes without it, in its error, its fields and as a whole."""
    quoting = {
        "videos": [{"status": "error", "error": f"key {KEY} is used up"}],
        KEY: [KEY], "more": {"deep": f"x{KEY}y"},
    }  # fmt: skip
    with RawServer(answer(200, quoting)) as server, client_of(server.url) as client:
        task = client.feed("t")
    assert task.error == "key [key] is used up"
    assert KEY not in json.dumps(task.response)
