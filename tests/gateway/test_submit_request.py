"""POST /pika/generate: one call is one request, and its error says what is proven."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pika_api.errors import Busy, InvalidInput, Refused, SubmitUnknown, Unreachable
from pika_api.gateway import Client, Timeouts
from pika_api.media import Media
from pika_api.request import Payload
from simulator import Simulator
from support.api import (
    GENERATE,
    RawServer,
    answer,
    ask,
    client_of,
    drip,
    free_port,
    from_pixels,
    payload,
    picture,
    reset,
)


@contextlib.contextmanager
def at(sim: Simulator, **options: Any) -> Iterator[Client]:
    with client_of(sim.url, sim.key, **options) as client:
        yield client


def big() -> Payload:
    """A body that is larger than the buffers of a socket."""
    data = b"\xff" * 20_000_000
    return Payload({"video": Media("0" * 64, "video/mp4", 1, 1, data, len(data))})


def test_submit_is_one_post_with_the_exact_body(quick: Simulator) -> None:
    """Method, path, key, type, length and each byte of the JSON. No chunked encoding."""
    stream = payload(ask(image=from_pixels(picture())))
    with at(quick) as client:
        task_id = client.submit(stream)
    (seen,) = quick.log
    assert (seen.method, seen.path, seen.query) == ("POST", GENERATE, "")
    assert seen.text is not None
    assert seen.text.encode() == b"".join(stream)
    assert seen.headers["Authorization"] == f"Bearer {quick.key}"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["Content-Length"] == str(len(stream))
    assert "Transfer-Encoding" not in seen.headers
    assert quick.charged == [task_id]


def test_401_is_refused_in_the_gateways_words(quick: Simulator) -> None:
    """The error contains the gateway's message, that nothing was charged, and what to check."""
    with client_of(quick.url, "wrong") as client, pytest.raises(Refused) as caught:
        client.submit(payload())
    assert caught.value.status == 401
    for words in ("Invalid token", "HTTP 401", "nothing was charged", "PIKA_API_KEY"):
        assert words in str(caught.value)
    assert quick.charged == []


@pytest.mark.parametrize("status", [400, 402, 403, 404, 405, 413, 422])
def test_clear_rejection_is_refused(quick: Simulator, status: int) -> None:
    """No charge; the error contains the gateway's message and its status."""
    quick.fault("submit", status=status, body={"error": {"message": "Not like this"}})
    with at(quick) as client, pytest.raises(Refused, match="Not like this") as caught:
        client.submit(payload())
    assert caught.value.status == status
    assert "nothing was charged" in str(caught.value)
    assert quick.charged == []


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [(429, {}, None), (429, {"Retry-After": "7"}, 7.0), (503, {"Retry-After": "3"}, 3.0),
     (503, {}, None)],
)  # fmt: skip
def test_busy_gateway_is_reported_with_its_retry_after(
    quick: Simulator, status: int, headers: dict[str, str], seconds: float | None
) -> None:
    """429, and the gateway's own error that it is overloaded, ask for another attempt."""
    body = {"error": {"message": "Too many", "code": "system_cpu_overloaded"}}
    quick.fault("submit", status=status, headers=headers, body=body)
    with at(quick) as client, pytest.raises(Busy, match="Too many") as caught:
        client.submit(payload())
    assert caught.value.retry_after == seconds
    assert len(quick.log) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"error": {"message": "Oops"}}),
        (502, "<html><body><h1>Bad Gateway</h1>Oops</body></html>"),
        (503, "Oops"),
        (504, "Oops"),
        (408, "Oops"),
        (425, "Oops"),
        (499, "Oops"),
    ],
)
@pytest.mark.parametrize("accept", [False, True])
@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}], ids=["", "Retry-After"])
def test_status_that_proves_nothing_is_unknown(
    quick: Simulator, status: int, body: Any, accept: bool, headers: dict[str, str]
) -> None:
    """A proxy may send these although the gateway accepted the request. One request, and nothing is
    proven.
    """
    quick.fault("submit", status=status, body=body, accept=accept, headers=headers)
    with at(quick) as client, pytest.raises(SubmitUnknown, match="Oops") as caught:
        client.submit(payload())
    assert caught.value.status == status
    assert len(quick.log) == 1


@pytest.mark.parametrize("accept", [False, True])
def test_reset_after_the_body_is_unknown(quick: Simulator, accept: bool) -> None:
    """Before and after the gateway accepted the request, the client sees the same."""
    quick.fault("submit", reset=True, accept=accept)
    with at(quick) as client, pytest.raises(SubmitUnknown, match="no complete response came back"):
        client.submit(payload())
    assert len(quick.charged) == accept


def test_silence_after_submit_is_unknown(quick: Simulator) -> None:
    """A time-out while the response is awaited proves nothing."""
    quick.fault("submit", delay=1.0)
    with (
        at(quick, timeouts=Timeouts(submit=0.3)) as client,
        pytest.raises(SubmitUnknown, match="timed out"),
    ):
        client.submit(payload())
    assert len(quick.charged) == 1


def test_closed_port_is_unreachable() -> None:
    """No connection: the request was not sent, and the error says what to check."""
    with client_of(f"http://127.0.0.1:{free_port()}") as client:
        stream = payload()
        with pytest.raises(Unreachable, match="nothing was charged") as caught:
            client.submit(stream)
    assert not caught.value.connected
    assert not stream.started
    assert "PIKA_BASE_URL" in str(caught.value)


def test_port_without_tls_is_unreachable(quick: Simulator) -> None:
    """The handshake fails before anything is sent. The hint names certificates."""
    with (
        client_of(quick.url.replace("http:", "https:")) as client,
        pytest.raises(Unreachable, match="certificate") as caught,
    ):
        client.submit(payload())
    assert not caught.value.connected


def test_incomplete_body_is_not_accepted() -> None:
    """A request that was not sent completely cannot have become a task. There was a connection."""
    with RawServer(reset, read=100_000) as server, client_of(server.url) as client:
        stream = big()
        with pytest.raises(Unreachable, match="before the request was sent completely") as caught:
            client.submit(stream)
    assert caught.value.connected
    assert not stream.complete


def test_rejection_during_the_upload_is_read() -> None:
    """A 413 that arrives during the upload is reported with its message, not as a broken
    connection.
    """

    def say_no(connection: Any) -> None:
        connection.sendall(answer(413, {"message": "Too large for us"}))
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                pass

    with (
        RawServer(say_no, read=1000) as server,
        client_of(server.url) as client,
        pytest.raises(Refused, match="Too large for us"),
    ):
        client.submit(big())


def test_second_attempt_resets_the_payload(quick: Simulator) -> None:
    """A 429, then no connection: the second attempt was certainly not sent."""
    stream = payload()
    quick.fault("submit", status=429)
    with at(quick) as client, pytest.raises(Busy):
        client.submit(stream)
    with (
        client_of(f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(Unreachable) as caught,
    ):
        client.submit(stream)
    assert not caught.value.connected


def test_media_file_that_changed_is_not_sent(quick: Simulator, tmp_path: Path) -> None:
    """The client itself breaks the body off before its end."""
    path = tmp_path / "v.mp4"
    path.write_bytes(b"x" * 9)
    stream = Payload({"video": Media("0" * 64, "video/mp4", 1, 1, path, 10)})
    with at(quick) as client, pytest.raises(InvalidInput, match="changed while"):
        client.submit(stream)
    assert quick.charged == []


@pytest.mark.parametrize("body", [{"id": "t-1"}, {"data": {"id": "t-1"}}, {"id": " t-1\n", "x": 1}])
@pytest.mark.parametrize("status", [200, 201, 202])
def test_task_id_is_read_from_each_known_place(status: int, body: object) -> None:
    """At the top or in `data`, with any status 2xx."""
    with RawServer(answer(status, body)) as server, client_of(server.url) as client:
        assert client.submit(payload()) == "t-1"


@pytest.mark.usefixtures("calm")
@pytest.mark.parametrize(
    "raw",
    [
        answer(200, {}),
        answer(200, {"id": ""}),
        answer(200, {"id": None}),
        answer(200, {"id": True}),
        answer(200, {"data": [{"id": "t-1"}]}),
        answer(200, b"<html><body>Welcome</body></html>"),
        answer(200, b'{"id": "t-'),
        answer(200, b'{"id": "t-1"}', length=500),
        answer(204),
        answer(200, b"[" * 100_000),
        answer(302, b"", Location="https://elsewhere.example/"),
        answer(307, b"x", Location="https://[bad"),
        answer(200, b'{"id": "' + b"x" * 5_000_000 + b'"}'),
        answer(200, b"not gzip", Content_Encoding="gzip"),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
    ],
    ids=[
        "no id", "blank", "null", "boolean", "list", "html", "half", "cut", "204", "deep", "302",
        "bad location", "5 MB", "not gzip", "ssh", "closed",
    ],
)  # fmt: skip
def test_response_without_a_task_id_is_unknown(raw: bytes) -> None:
    """The request may have become a task: it is sent exactly once."""
    with RawServer(raw) as server, client_of(server.url) as client:
        with pytest.raises(SubmitUnknown):
            client.submit(payload())
        assert len(server.seen) == 1


@pytest.mark.parametrize("status", [301, 307, 308])
def test_redirect_is_refused_and_not_followed(status: int) -> None:
    """The error names the target. The other host gets neither the key nor the request."""
    with RawServer(answer(200, {"id": "stolen"})) as other:
        moved = answer(status, b"", Location=f"{other.url}/pika/generate")
        with (
            RawServer(moved) as server,
            client_of(server.url) as client,
            pytest.raises(Refused, match=other.url.removeprefix("http://")),
        ):
            client.submit(payload())
        assert other.seen == []


@pytest.mark.parametrize("status", [302, 303])
def test_302_after_submit_is_unknown_and_not_followed(status: int) -> None:
    """Some servers answer a successful POST with a redirect."""
    with RawServer(answer(200, {"id": "stolen"})) as other:
        moved = answer(status, b"", Location=other.url)
        with (
            RawServer(moved) as server,
            client_of(server.url) as client,
            pytest.raises(SubmitUnknown),
        ):
            client.submit(payload())
        assert other.seen == []


def test_dripping_response_ends_in_time() -> None:
    """A response that arrives byte by byte, never silent for long, ends."""
    raw = answer(200, json.dumps({"id": "t" * 300}).encode())
    head = raw.index(b"\r\n\r\n") + 4

    def slow(connection: Any) -> None:
        connection.sendall(raw[:head])
        drip(raw[head:], 0.02)(connection)

    timeouts = Timeouts(response=0.5)
    with RawServer(slow) as server, client_of(server.url, timeouts=timeouts) as client:
        started = time.monotonic()
        with pytest.raises(SubmitUnknown, match=r"took over 0\.5 s"):
            client.submit(payload())
        assert time.monotonic() - started < 3


def test_upload_that_takes_too_long_was_not_accepted() -> None:
    """A receiver that takes a few bytes now and then does not occupy the thread for days. The body
    was not sent completely, so nothing was charged."""
    large = Media("d" * 64, "image/png", 8, 8, b"\x89PNG" * 3_000_000, 12_000_000)

    def read_slowly(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while connection.recv(16 * 1024):
                time.sleep(0.02)

    with (
        RawServer(read_slowly, read=0) as server,
        client_of(server.url, timeouts=Timeouts(upload=0.5)) as client,
        pytest.raises(Unreachable, match=r"sending the request took over 0\.5 s") as caught,
    ):
        client.submit(payload(ask(image=large)))
    assert caught.value.charged is False
    assert len(server.seen) == 1
