"""A hostile gateway or media host: none of its responses does any harm."""

from __future__ import annotations

import contextlib
import functools
import gzip
import json
import socket
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3

from pika_api import text
from pika_api.errors import DownloadFailed, FeedError, PikaError, Refused, SubmitUnknown
from pika_api.gateway import SizeLimits, Task, Timeouts, cancellable, network_guard
from pika_api.gateway.feed import MAX_LINK
from pika_api.journal import Journal
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Service
from pika_api.text import MAX_TASK_ID, is_task_id, sanitize
from support.api import KEY, RawServer, answer, ask, client_of, drip, payload, run
from support.waiting import until

#: A public address that no host has (RFC 5737).
PUBLIC = "https://203.0.113.1"


@contextlib.contextmanager
def service_at(url: str, home: Path) -> Iterator[Service]:
    """A service with a journal of its own."""
    settings = Settings(api_key=KEY, base_url=url)
    service = Service(settings, Journal(sqlite_url(home)), home / "output")
    try:
        yield service
    finally:
        service.close()


def feed_of(**video: Any) -> bytes:
    """A response of the feed about one video."""
    return answer(200, {"videos": [video]})


def endless(head: bytes, piece: bytes, every: float = 0.0) -> Callable[[socket.socket], None]:
    """A head, then the same chunk for as long as the client reads."""

    def act(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(head)
            while True:
                connection.sendall(piece)
                time.sleep(every)

    return act


@functools.cache
def bomb() -> bytes:
    """A few bytes that decompress to 64 MiB."""
    return gzip.compress(bytes(64 * 1024 * 1024))


def call(server: RawServer, name: str, part: Path, **options: Any) -> None:
    """Make one of the client's calls, with the server as gateway and as media host."""
    with client_of(server.url, **options) as client:
        calls: dict[str, Callable[[], object]] = {
            "submit": lambda: client.submit(payload()),
            "feed": lambda: client.feed("t"),
            "download": lambda: client.download("t", f"{server.url}/v", part, lambda: None),
            "picture": lambda: client.fetch_image(f"{server.url}/p"),
        }
        calls[name]()


@pytest.fixture(params=["urllib3", "urllib3 1"])
def _any_urllib3(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the installed version of urllib3, and without what version 1 lacks."""
    if request.param == "urllib3 1":
        for kind in (urllib3.response.HTTPResponse, *urllib3.response.HTTPResponse.__mro__):
            if "read1" in vars(kind):
                monkeypatch.delattr(kind, "read1")


# Timeouts of each request.


@pytest.mark.parametrize(
    ("name", "silence"), [("submit", 120.0), ("feed", 30.0), ("download", 30.0), ("picture", 30.0)]
)
@pytest.mark.parametrize("factor", [1.0, 0.5], ids=["default", "injected"])
def test_each_request_has_its_timeouts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, silence: float, factor: float
) -> None:
    """10 s to connect, and this much silence, are passed to `requests` by default."""
    passed: list[object] = []
    send = requests.adapters.HTTPAdapter.send

    def record(adapter: Any, request: Any, **options: Any) -> requests.Response:
        passed.append(options["timeout"])
        return send(adapter, request, **options)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", record)
    timeouts = Timeouts(connect=10.0 * factor, submit=120.0 * factor, read=30.0 * factor)
    options = {} if factor == 1.0 else {"timeouts": timeouts}
    errors = (PikaError, requests.RequestException)
    with RawServer(answer(400, b"No")) as server, contextlib.suppress(*errors):
        call(server, name, tmp_path / "v.part", **options)
    assert passed == [(10.0 * factor, silence * factor)]


# Size limits.


@pytest.mark.usefixtures("_any_urllib3")
@pytest.mark.parametrize("name", ["submit", "feed", "picture"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "zip bomb"])
def test_huge_response_is_not_read(tmp_path: Path, name: str, packed: bool) -> None:
    """Endless, or a few bytes that decompress to 64 MiB: little memory is used, and there is an
    error.
    """
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    raw = answer(200, bomb(), Content_Encoding="gzip") if packed else endless(head, b" " * 65536)
    errors = (SubmitUnknown, FeedError, requests.RequestException)
    with RawServer(raw) as server:
        tracemalloc.start()
        try:
            with pytest.raises(errors, match=f"over {SizeLimits().response} bytes"):
                call(server, name, tmp_path / "v.part")
            assert tracemalloc.get_traced_memory()[1] < 5 * SizeLimits().response
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("name", ["submit", "feed", "download", "picture"])
def test_no_compression_is_requested(tmp_path: Path, name: str) -> None:
    """So an honest server sends nothing that has to be decompressed."""
    with RawServer(answer(200, {"id": "t"})) as server:
        call(server, name, tmp_path / "v.part")
        assert server.seen[0].header("Accept-Encoding") == "identity"


@pytest.mark.parametrize(
    "packed", [b"\x1f\x8b rubbish", gzip.compress(b'{"id":"t"}' * 9, mtime=0)[:12]]
)
def test_response_that_cannot_be_decompressed_is_unknown(packed: bytes) -> None:
    """The request was sent, and the response cannot be read."""
    with (
        RawServer(answer(200, packed, Content_Encoding="gzip")) as server,
        client_of(server.url) as client,
        pytest.raises(SubmitUnknown),
    ):
        client.submit(payload())


@pytest.mark.usefixtures("_any_urllib3")
def test_compressed_file_is_stored_unchanged(tmp_path: Path) -> None:
    """A file with a Content-Encoding is not decompressed, so its size on disk is limited."""
    data = gzip.compress(bytes(1024 * 1024))
    with RawServer(answer(200, data, Content_Encoding="gzip")) as server:
        call(server, "download", tmp_path / "v.part")
    assert (tmp_path / "v.part").read_bytes() == data


@pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", "0x10"])
def test_invalid_content_length_is_ignored(tmp_path: Path, length: str) -> None:
    """Also one that Python's `int` accepts, or fails on."""
    raw = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\nabc"
    with RawServer(raw.encode("latin-1")) as server, contextlib.suppress(DownloadFailed):
        call(server, "download", tmp_path / "v.part")
        assert (tmp_path / "v.part").read_bytes() == b"abc"


# Time limits.


@pytest.mark.parametrize(
    "act",
    [
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        endless(b"HTTP/1.1 200 OK\r\n", b"X-Drip: 1\r\n", 0.05),
        drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 500, 0.05),
    ],
    ids=["endless 100", "dripping head", "dripping line"],
)
@pytest.mark.parametrize("name", ["submit", "feed", "download", "picture"])
def test_head_that_never_ends_times_out(tmp_path: Path, act: Any, name: str) -> None:
    """Each read is in time, but the whole head is not."""
    with RawServer(act) as server:
        started = time.monotonic()
        with pytest.raises((PikaError, requests.RequestException)) as caught:
            call(server, name, tmp_path / "v.part", timeouts=Timeouts(head=0.5))
        assert time.monotonic() - started < 4
    assert name != "submit" or isinstance(caught.value, SubmitUnknown)


#: The beginning of a response in chunks.
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.usefixtures("_any_urllib3")
@pytest.mark.parametrize(
    "act",
    [
        endless(CHUNKED + b"5;", b"x" * 65536),
        endless(CHUNKED + b"5;", b"x", 0.01),
        endless(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-Trailer: 1\r\n" * 1000),
        endless(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-Trailer: 1\r\n", 0.01),
        endless(CHUNKED + b"2\r\n{}\r\n0\r\nX-Trailer: ", b"x" * 65536),
        endless(CHUNKED, b"1;" + b"x" * 60_000 + b"\r\n \r\n"),
        endless(b"HTTP/1.1 200 ", b"x", 0.01),
        endless(b"", b"HTTP/1.1 103 Early Hints\r\nX: 1\r\n\r\n"),
    ],
    ids=[
        "chunk extension", "dripping chunk extension", "trailers", "dripping trailers",
        "trailer line", "chunks of large extensions", "dripping status line", "early hints",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["submit", "feed", "download", "picture"])
def test_bytes_beside_the_body_are_limited(tmp_path: Path, act: Any, name: str) -> None:
    """Parts of a response that HTTP libraries read without a limit end in time, and with little
    memory."""
    timeouts = Timeouts(head=1.0, response=1.0, download=1.0)
    limits = SizeLimits(response=100_000, file=100_000)
    tracemalloc.start()
    try:
        with (
            RawServer(act) as server,
            pytest.raises((PikaError, requests.RequestException)) as caught,
        ):
            call(server, name, tmp_path / "v.part", timeouts=timeouts, limits=limits)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()
    assert name != "submit" or isinstance(caught.value, SubmitUnknown)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "body",
    [endless(b"", b"x" * 65536), endless(b"", b"x", 0.01), gzip.compress(bytes(50_000_000))],
    ids=["endless", "dripping", "gzip bomb"],
)
@pytest.mark.parametrize("name", ["download", "picture"])
def test_body_of_a_redirect_is_not_read(tmp_path: Path, status: int, body: Any, name: str) -> None:
    """The redirect is followed at once, whatever it contains."""

    def redirect(connection: socket.socket) -> None:
        head = f"HTTP/1.1 {status} Moved\r\nLocation: /v2?signature=a%2Fb\r\n"
        connection.sendall(head.encode() + b"Content-Encoding: gzip\r\n\r\n")
        body(connection) if callable(body) else connection.sendall(body)

    with RawServer(redirect, answer(200, b"data")) as server:
        call(server, name, tmp_path / "v.part")
        assert [request.line.split()[1] for request in server.seen][1:] == ["/v2?signature=a%2Fb"]


@pytest.mark.parametrize("name", ["download", "picture"])
def test_endless_redirects_are_an_error(tmp_path: Path, name: str) -> None:
    """After some redirects nothing more is requested."""
    with RawServer(answer(302, b"", Location="/again")) as server:
        with pytest.raises((DownloadFailed, requests.RequestException), match="redirects"):
            call(server, name, tmp_path / "v.part")
        assert len(server.seen) < 10


@pytest.mark.parametrize("name", ["feed", "download", "picture"])
@pytest.mark.parametrize("act", [CHUNKED + b"5;", b"HTTP/1.1 200", b""], ids=["body", "head", "-"])
def test_cancelled_call_closes_its_connection(tmp_path: Path, name: str, act: bytes) -> None:
    """A thread that waits for a silent server ends, and the server sees the end."""
    closed, cancelled = threading.Event(), threading.Event()

    def silent(connection: socket.socket) -> None:
        connection.sendall(act)
        while connection.recv(65536):
            pass
        closed.set()

    def work() -> None:
        with cancellable(cancelled), contextlib.suppress(PikaError, requests.RequestException):
            call(server, name, tmp_path / "v.part")

    with RawServer(silent) as server:
        thread = threading.Thread(target=work)
        thread.start()
        until(lambda: server.seen, what="the request")
        cancelled.set()
        thread.join(60)
        assert not thread.is_alive()
        assert closed.wait(60)


@pytest.mark.parametrize("name", ["download", "picture", "feed"])
def test_signature_of_a_link_is_in_no_traceback(tmp_path: Path, name: str) -> None:
    """ComfyUI logs the traceback of a node's error, with all chained errors."""
    link = "http://127.0.0.1:1/v.mp4?signature=secret-4711"
    with client_of("http://127.0.0.1:1") as client:
        calls: dict[str, Callable[[], object]] = {
            "feed": lambda: client.feed("t?signature=secret-4711"),
            "download": lambda: client.download("t", link, tmp_path / "v.part", lambda: None),
            "picture": lambda: client.fetch_image(link),
        }
        with pytest.raises((PikaError, requests.RequestException)) as caught:
            calls[name]()
    # Without the source lines, which quote this test.
    chain = traceback.TracebackException.from_exception(caught.value, lookup_lines=False)
    texts = []
    while chain is not None:
        texts.append(str(chain))
        suppressed = chain.__suppress_context__ and chain.__cause__ is None
        chain = None if suppressed else chain.__cause__ or chain.__context__
    assert "secret-4711" not in "".join(texts)


def test_head_timeout_is_longer_than_any_silence() -> None:
    """It does not end a response that is late within the other time limits."""
    timeouts = Timeouts()
    assert timeouts.head > max(timeouts.submit, timeouts.read) + timeouts.connect


@pytest.mark.usefixtures("_any_urllib3")
@pytest.mark.parametrize(
    ("timeouts", "words"),
    [
        (Timeouts(rate_window=0.3), "almost stopped"),
        (Timeouts(download=0.3), r"took over 0\.3 s"),
    ],
    ids=["pace", "time"],
)
def test_dripping_download_is_ended(tmp_path: Path, timeouts: Timeouts, words: str) -> None:
    """A byte now and then must not occupy a thread forever. The bytes that arrived are kept."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    with (
        RawServer(endless(head, b"x", 0.02)) as server,
        pytest.raises(DownloadFailed, match=words),
    ):
        call(server, "download", tmp_path / "v.part", timeouts=timeouts)
    assert (tmp_path / "v.part").stat().st_size > 0


@pytest.mark.usefixtures("_any_urllib3")
def test_slow_download_is_completed(tmp_path: Path) -> None:
    """It brings more than the minimum in each window."""
    data = bytes(range(100))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"

    def act(connection: socket.socket) -> None:
        connection.sendall(head)
        drip(data, 0.02)(connection)

    with RawServer(act) as server:
        call(
            server,
            "download",
            tmp_path / "v.part",
            timeouts=Timeouts(rate_window=0.5),
            limits=SizeLimits(rate_window=2),
        )
    assert (tmp_path / "v.part").read_bytes() == data


# Nesting and characters.


@pytest.mark.usefixtures("calm")
@pytest.mark.parametrize("depth", [200, 490, 900, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")])
def test_deeply_nested_response_is_read_or_an_error(depth: int, opening: str, closing: str) -> None:
    """What was read can be written as JSON again."""
    deep = f'{{"videos": [], "deep": {opening * depth}1{closing * depth}}}'
    with RawServer(answer(200, deep.encode())) as server, client_of(server.url) as client:
        try:
            response = client.feed("t").response
        except FeedError:
            return
    assert json.loads(json.dumps(response))["videos"] == []


@pytest.mark.parametrize(
    "character", ["\ud800", "\0", "\x1b", "\r", "\x9b", "\u202e"], ids=ascii
)  # fmt: skip
def test_unsafe_characters_are_replaced(tmp_path: Path, character: str) -> None:
    """Surrogates, which no database accepts; terminal control sequences; direction marks. In a
    rejection, in the error of a task, in its link and in its status.
    """
    body = json.dumps({"message": f"no{character}no"}).encode()
    with RawServer(answer(400, body)) as server, service_at(server.url, tmp_path) as service:
        with pytest.raises(Refused, match="no\N{REPLACEMENT CHARACTER}no"):
            run(service.submit(ask()))
        assert service.journal.entries()[0].last_error.endswith("no\N{REPLACEMENT CHARACTER}no")
    body = json.dumps({"videos": [{"status": "error", "error": character}]}).encode()
    with RawServer(answer(200, body)) as server, service_at(server.url, tmp_path) as service:
        with pytest.raises(PikaError) as caught:
            run(service.wait("a"))
        assert character not in str(caught.value)
    for video in (
        {"status": "finished", "resultUrl": f"{PUBLIC}/{character}"},
        {"status": f"on{character}its way"},
    ):
        raw = answer(200, json.dumps({"videos": [video]}).encode())
        with RawServer(raw) as server, service_at(server.url, tmp_path) as service:
            task = run(service.status(f"b-{len(raw)}"))
        assert character not in task.result_url + task.raw_status


def test_ordinary_characters_are_kept() -> None:
    """Line feeds, tabs, letters and emoji are not unsafe."""
    assert sanitize("a\r\nb\n\tc 猫 é 👍🏽 ‍") == "a\nb\n\tc 猫 é 👍🏽 ‍"


def test_long_message_is_shortened() -> None:
    """An error or a status of a megabyte is neither shown nor stored in full."""
    long = "x" * 1_000_000
    task = Task.from_feed("t", {"videos": [{"status": long, "error": {"message": long}}]})
    assert len(task.error) == len(task.raw_status) == text.MAX_MESSAGE


@pytest.mark.parametrize(
    "task_id", ["../../etc/passwd", "..", ".", "a\nb", "a\x1b[2Jb", "", "x" * (MAX_TASK_ID + 1)]
)
def test_task_id_cannot_be_a_path(tmp_path: Path, task_id: str) -> None:
    """It is one segment of a URL path and a plain file name, or it is not accepted as an id."""
    from pika_api.tasks.collect import file_stem

    name = file_stem("https://gateway.example", task_id)
    assert (tmp_path / name).resolve().parent == tmp_path.resolve()
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set('/\\:*?"<>|.')
    if is_task_id(task_id):
        return  # see test_task_id_is_one_segment_of_the_path
    with (
        RawServer(answer(200, {"id": task_id})) as server,
        client_of(server.url) as client,
        pytest.raises(SubmitUnknown, match="without a task id"),
    ):
        client.submit(payload())


# Links.


@pytest.mark.parametrize(
    "link",
    [
        "file:///etc/passwd",
        "ftp://example.com/v.mp4",
        "javascript:alert(1)",
        "data:video/mp4;base64,AAAA",
        "//example.com/v.mp4",
        "/etc/passwd",
        "https://",
        "https://[bad",
        "https://example.com/" + "x" * MAX_LINK,
    ],
    ids=lambda link: link[:24],
)
def test_only_http_links_are_accepted(link: str) -> None:
    """Another scheme, no host, or no end: not a link, for the file and for its picture."""
    videos = [{"status": "finished", "resultUrl": link, "videoPoster": link}]
    task = Task.from_feed("t", {"videos": videos})
    assert (task.result_url, task.poster_url) == ("", "")


@pytest.mark.parametrize("name", ["download", "picture"])
@pytest.mark.parametrize("link", ["file:///etc/passwd", "gopher://127.0.0.1/", "https://[bad"])
def test_redirect_to_another_scheme_is_refused(tmp_path: Path, name: str, link: str) -> None:
    """A media host may redirect, but only to http and https."""
    with (
        RawServer(answer(302, b"", Location=link)) as server,
        pytest.raises((DownloadFailed, requests.RequestException)),
    ):
        call(server, name, tmp_path / "v.part")
    assert not (tmp_path / "v.part").exists()


def test_invalid_redirect_of_a_submit_is_unknown() -> None:
    """An invalid Location header is an error of the gateway, and nothing is resent."""
    with (
        RawServer(answer(301, b"", Location="https://[bad")) as server,
        client_of(server.url) as client,
        pytest.raises(SubmitUnknown),
    ):
        client.submit(payload())


def reach(gateway: str, link: str, part: Path, **options: Any) -> None:
    """Follow a link from the gateway, for a file and for a picture."""
    with client_of(gateway, **options) as client:
        with pytest.raises(DownloadFailed) as caught:
            client.download("t", link, part, lambda: None)
        assert "private address" in caught.value.what
        assert "browser" in caught.value.hint
        assert not caught.value.retryable
        with pytest.raises(requests.RequestException, match="private address"):
            client.fetch_image(link)
    assert not part.exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_public_gateway_cannot_link_to_a_private_address(tmp_path: Path, host: str) -> None:
    """By address and by name: no request arrives at a server of this machine."""
    with RawServer(answer(200, b"secret")) as server:
        link = server.url.replace("127.0.0.1", host) + "/admin?delete=all"
        reach(PUBLIC, link, tmp_path / "v.part")
        assert server.seen == []


def test_public_gateway_cannot_redirect_to_a_private_address(tmp_path: Path) -> None:
    """The first host is public; the target of its redirect is checked as well."""
    with RawServer(answer(200, b"secret")) as inner:
        with RawServer(answer(302, b"", Location=f"{inner.url}/admin")) as outer:
            seen = iter([False, True] * 2)  # the host and its target, for file and picture
            reach(
                PUBLIC,
                f"{outer.url}/v.mp4",
                tmp_path / "v.part",
                is_private=lambda peer, _own: peer != "203.0.113.1" and next(seen),
            )
            assert len(outer.seen) == 2
        assert inner.seen == []


def test_private_gateway_can_link_to_a_private_address(tmp_path: Path) -> None:
    """The simulator, or the gateway of a company, has its files in the same network."""
    with RawServer(answer(200, b"data")) as server:
        call(server, "download", tmp_path / "v.part")
    assert (tmp_path / "v.part").read_bytes() == b"data"


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("10.1.2.3", True), ("172.31.255.1", True),
        ("192.168.0.1", True), ("169.254.169.254", True), ("100.100.100.200", True),
        ("0.0.0.0", True), ("::1", True), ("::", True), ("fe80::1%eth0", True), ("fd00::1", True),
        ("::ffff:10.0.0.1", True), ("172.32.0.1", False), ("8.8.8.8", False),
        ("224.0.0.1", True), ("255.255.255.255", True), ("192.0.0.192", True),
        ("168.63.129.16", True), ("fec0::1", True), ("ff02::1", True), ("64:ff9b:1::1", True),
        ("::10.0.0.1", True), ("64:ff9b::10.0.0.1", True), ("64:ff9b::808:808", False),
        ("2002:a00:1::1", True), ("2002:808:808::1", False), ("2606:4700::5efe:a00:1", True),
        ("2606:4700::200:5efe:192.168.0.1", True), ("2001::f5ff:fffe", True),
        ("198.18.0.7", False), ("2606:4700::1111", False), ("::ffff:8.8.8.8", False),
    ],
)  # fmt: skip
def test_private_addresses(address: str, inside: bool) -> None:
    """This machine, home and company networks, and cloud metadata services; not the addresses that
    a local proxy assigns.
    """
    assert network_guard.is_private_address(address) is inside


def test_extra_json_cannot_change_address_or_headers() -> None:
    """It only goes into the body."""
    extra = {"base_url": PUBLIC, "Authorization": "Bearer other", "url": PUBLIC}
    with RawServer(answer(200, {"id": "t"})) as server, client_of(server.url) as client:
        client.submit(payload(ask(extra=extra)))
        seen = server.seen[0]
    assert seen.line == "POST /pika/generate HTTP/1.1"
    assert seen.header("Authorization") == f"Bearer {KEY}"
    assert json.loads(seen.body)["base_url"] == PUBLIC
