"""POST /pika/generate: one call is one request, and its error says what is proven."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pika_api.errors import Busy, InvalidInput, Refused, SubmitUnknown, Unreachable
from pika_api.gateway import Client, sessions
from pika_api.gateway import client as client_module
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
def at(sim: Simulator) -> Iterator[Client]:
    with client_of(sim.url, sim.key) as client:
        yield client


def big() -> Payload:
    """A body that no socket's buffers hold."""
    data = b"\xff" * 20_000_000
    return Payload({"video": Media("0" * 64, "video/mp4", 1, 1, data, len(data))})


def test_exactly_one_post_with_the_exact_body(quick: Simulator) -> None:
    """Method, path, key, type, length and every byte of the JSON; nothing in chunks."""
    made = payload(ask(image=from_pixels(picture())))
    with at(quick) as client:
        task_id = client.submit(made)
    (seen,) = quick.log
    assert (seen.method, seen.path, seen.query) == ("POST", GENERATE, "")
    assert seen.text is not None
    assert seen.text.encode() == b"".join(made)
    assert seen.headers["Authorization"] == f"Bearer {quick.key}"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["Content-Length"] == str(len(made))
    assert "Transfer-Encoding" not in seen.headers
    assert quick.charged == [task_id]


def test_a_wrong_key_is_refused_in_the_gateways_words(quick: Simulator) -> None:
    """401: what it said, that nothing was charged, and what to check."""
    with client_of(quick.url, "wrong") as client, pytest.raises(Refused) as caught:
        client.submit(payload())
    assert caught.value.status == 401
    for words in ("Invalid token", "HTTP 401", "nothing was charged", "PIKA_API_KEY"):
        assert words in str(caught.value)
    assert quick.charged == []


@pytest.mark.parametrize("status", [400, 402, 403, 404, 405, 413, 422])
def test_a_clear_no_is_refused(quick: Simulator, status: int) -> None:
    """Read and declined: no charge, the gateway's words, its status."""
    quick.fault("submit", status=status, body={"error": {"message": "Not like this"}})
    with at(quick) as client, pytest.raises(Refused, match="Not like this") as caught:
        client.submit(payload())
    assert caught.value.status == status
    assert "nothing was charged" in str(caught.value)
    assert quick.charged == []


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [(429, {}, None), (429, {"Retry-After": "7"}, 7.0), (503, {"Retry-After": "3"}, 3.0)],
)
def test_busy_is_told_with_its_time(
    quick: Simulator, status: int, headers: dict[str, str], seconds: float | None
) -> None:
    """429, and 503 with Retry-After, ask for another try, at a time."""
    quick.fault("submit", status=status, headers=headers, body={"message": "Too many"})
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
def test_a_broken_way_is_unknown(quick: Simulator, status: int, body: Any, accept: bool) -> None:
    """These may hide a task that was made, and sometimes do: one request, and nothing is proven."""
    quick.fault("submit", status=status, body=body, accept=accept)
    with at(quick) as client, pytest.raises(SubmitUnknown, match="Oops") as caught:
        client.submit(payload())
    assert caught.value.status == status
    assert len(quick.log) == 1


@pytest.mark.parametrize("accept", [False, True])
def test_a_reset_after_the_body_is_unknown(quick: Simulator, accept: bool) -> None:
    """Before or after the gateway accepted it, the same is seen from here."""
    quick.fault("submit", reset=True, accept=accept)
    with at(quick) as client, pytest.raises(SubmitUnknown, match="no whole answer came back"):
        client.submit(payload())
    assert len(quick.charged) == accept


def test_silence_is_unknown(quick: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time-out while the answer is awaited proves nothing."""
    monkeypatch.setattr(client_module, "SUBMIT_TIMEOUT", 0.3)
    quick.fault("submit", delay=1.0)
    with at(quick) as client, pytest.raises(SubmitUnknown, match="timed out"):
        client.submit(payload())
    assert len(quick.charged) == 1


def test_nothing_listening_is_unreachable() -> None:
    """No connection: proven unsent, and what to check."""
    with client_of(f"http://127.0.0.1:{free_port()}") as client:
        made = payload()
        with pytest.raises(Unreachable, match="nothing was charged") as caught:
            client.submit(made)
    assert not caught.value.connected
    assert not made.started
    assert "PIKA_BASE_URL" in str(caught.value)


def test_no_tls_at_the_other_side_is_unreachable(quick: Simulator) -> None:
    """The handshake fails before anything is said; the way out names certificates."""
    with (
        client_of(quick.url.replace("http:", "https:")) as client,
        pytest.raises(Unreachable, match="certificate") as caught,
    ):
        client.submit(payload())
    assert not caught.value.connected


def test_a_body_that_breaks_off_was_not_accepted() -> None:
    """A request that never left whole cannot have become a task; and it had a connection."""
    with RawServer(reset, read=100_000) as server, client_of(server.url) as client:
        made = big()
        with pytest.raises(Unreachable, match="before the request was sent whole") as caught:
            client.submit(made)
    assert caught.value.connected
    assert not made.complete


def test_an_early_no_to_a_big_body_is_heard() -> None:
    """A gateway that answers 413 while the body is still coming is quoted, not called broken."""

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


def test_a_second_try_begins_anew(quick: Simulator) -> None:
    """A 429, and then no connection: the second try is proven unsent, whatever the first was."""
    made = payload()
    quick.fault("submit", status=429)
    with at(quick) as client, pytest.raises(Busy):
        client.submit(made)
    with (
        client_of(f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(Unreachable) as caught,
    ):
        client.submit(made)
    assert not caught.value.connected


def test_a_medium_that_changed_is_proven_unsent(quick: Simulator, tmp_path: Path) -> None:
    """The body broke off before its end, by our own doing."""
    path = tmp_path / "v.mp4"
    path.write_bytes(b"x" * 9)
    made = Payload({"video": Media("0" * 64, "video/mp4", 1, 1, path, 10)})
    with at(quick) as client, pytest.raises(InvalidInput, match="changed while"):
        client.submit(made)
    assert quick.charged == []


@pytest.mark.parametrize("body", [{"id": "t-1"}, {"data": {"id": "t-1"}}, {"id": " t-1\n", "x": 1}])
@pytest.mark.parametrize("status", [200, 201, 202])
def test_an_id_is_found_where_gateways_put_it(status: int, body: object) -> None:
    """At the top, or wrapped in data; any 2xx."""
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
def test_an_answer_without_an_id_is_unknown(raw: bytes) -> None:
    """It may have become a task: exactly one request, and the error that is never sent again."""
    with RawServer(raw) as server, client_of(server.url) as client:
        with pytest.raises(SubmitUnknown):
            client.submit(payload())
        assert len(server.seen) == 1


@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """Refused, with where it points; the other host gets neither the key nor the request."""
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
def test_a_redirect_that_may_follow_a_success_is_unknown(status: int) -> None:
    """POST, then «see there» is how some say done; it is not followed either."""
    with RawServer(answer(200, {"id": "stolen"})) as other:
        moved = answer(status, b"", Location=other.url)
        with (
            RawServer(moved) as server,
            client_of(server.url) as client,
            pytest.raises(SubmitUnknown),
        ):
            client.submit(payload())
        assert other.seen == []


def test_a_slow_drip_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that comes byte by byte, never silent for long, still ends."""
    monkeypatch.setattr(sessions, "RESPONSE_TIMEOUT", 0.5)
    raw = answer(200, json.dumps({"id": "t" * 300}).encode())
    head = raw.index(b"\r\n\r\n") + 4

    def slow(connection: Any) -> None:
        connection.sendall(raw[:head])
        drip(raw[head:], 0.02)(connection)

    with RawServer(slow) as server, client_of(server.url) as client:
        started = time.monotonic()
        with pytest.raises(SubmitUnknown, match=r"took over 0\.5 s"):
            client.submit(payload())
        assert time.monotonic() - started < 3
