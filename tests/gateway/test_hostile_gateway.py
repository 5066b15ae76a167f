"""A gateway, or a media host, that means harm: nothing it answers does any."""

from __future__ import annotations

import contextlib
import functools
import gzip
import json
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3

from pika_api import text
from pika_api.errors import DownloadFailed, FeedError, PikaError, Refused, SubmitUnknown
from pika_api.gateway import Task, downloads, network_guard, sessions
from pika_api.gateway.feed import MAX_LINK
from pika_api.journal import Journal
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Service
from pika_api.text import MAX_TASK_ID, is_task_id, sanitize
from support.api import KEY, RawServer, answer, ask, client_of, drip, payload, run

#: An address of nobody's, outside.
OUTSIDE = "https://203.0.113.1"


@contextlib.contextmanager
def service_at(url: str, home: Path) -> Iterator[Service]:
    """A service with a journal of its own."""
    made = Service(Settings(api_key=KEY, base_url=url), Journal(sqlite_url(home)), home / "output")
    try:
        yield made
    finally:
        made.close()


def feed_of(**video: Any) -> bytes:
    """A feed's answer about one video."""
    return answer(200, {"videos": [video]})


def endless(head: bytes, piece: bytes, every: float = 0.0) -> Callable[[socket.socket], None]:
    """A head, then the same piece for as long as somebody reads."""

    def act(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(head)
            while True:
                connection.sendall(piece)
                time.sleep(every)

    return act


@functools.cache
def bomb() -> bytes:
    """A few bytes that unpack to 64 MiB."""
    return gzip.compress(bytes(64 * 1024 * 1024))


def call(server: RawServer, name: str, part: Path) -> None:
    """One of the client's calls, with the server as gateway and as media host."""
    with client_of(server.url) as client:
        calls: dict[str, Callable[[], object]] = {
            "submit": lambda: client.submit(payload()),
            "feed": lambda: client.feed("t"),
            "download": lambda: client.download("t", f"{server.url}/v", part, lambda: None),
            "picture": lambda: client.fetch_image(f"{server.url}/p"),
        }
        calls[name]()


@pytest.fixture(params=["urllib3", "urllib3 1"])
def _any_urllib3(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads the network for `requests`: as installed, and as the older one, which some
    ComfyUIs have.
    """
    if request.param == "urllib3 1":
        for kind in (urllib3.response.HTTPResponse, *urllib3.response.HTTPResponse.__mro__):
            if "read1" in vars(kind):
                monkeypatch.delattr(kind, "read1")


# Times.


@pytest.mark.parametrize(
    ("name", "silence"), [("submit", 120.0), ("feed", 30.0), ("download", 30.0), ("picture", 30.0)]
)
def test_each_request_has_its_times(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, silence: float
) -> None:
    """10 s to make a connection, and so much silence, are what `requests` is told."""
    seen: list[object] = []
    send = requests.adapters.HTTPAdapter.send

    def look(adapter: Any, request: Any, **given: Any) -> requests.Response:
        seen.append(given["timeout"])
        return send(adapter, request, **given)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", look)
    errors = (PikaError, requests.RequestException)
    with RawServer(answer(400, b"No")) as server, contextlib.suppress(*errors):
        call(server, name, tmp_path / "v.part")
    assert seen == [(10.0, silence)]


# Sizes.


@pytest.mark.usefixtures("_any_urllib3")
@pytest.mark.parametrize("name", ["submit", "feed", "picture"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "zip bomb"])
def test_a_huge_answer_is_not_read(tmp_path: Path, name: str, packed: bool) -> None:
    """Endless, or a few bytes that unpack to 64 MiB: the memory stays small, and it is an error."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    raw = answer(200, bomb(), Content_Encoding="gzip") if packed else endless(head, b" " * 65536)
    errors = (SubmitUnknown, FeedError, requests.RequestException)
    with RawServer(raw) as server:
        tracemalloc.start()
        try:
            with pytest.raises(errors, match=f"over {sessions.MAX_RESPONSE} bytes"):
                call(server, name, tmp_path / "v.part")
            assert tracemalloc.get_traced_memory()[1] < 5 * sessions.MAX_RESPONSE
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("name", ["submit", "feed", "download", "picture"])
def test_nothing_packed_is_asked_for(tmp_path: Path, name: str) -> None:
    """A good server then sends nothing that would have to be unpacked."""
    with RawServer(answer(200, {"id": "t"})) as server:
        call(server, name, tmp_path / "v.part")
        assert server.seen[0].header("Accept-Encoding") == "identity"


@pytest.mark.parametrize(
    "packed", [b"\x1f\x8b rubbish", gzip.compress(b'{"id":"t"}' * 9, mtime=0)[:12]]
)
def test_what_does_not_unzip_is_unknown(packed: bytes) -> None:
    """It was sent, and nobody can read what came of it."""
    with (
        RawServer(answer(200, packed, Content_Encoding="gzip")) as server,
        client_of(server.url) as client,
        pytest.raises(SubmitUnknown),
    ):
        client.submit(payload())


@pytest.mark.usefixtures("_any_urllib3")
def test_a_file_is_kept_as_it_comes(tmp_path: Path) -> None:
    """A file that calls itself packed is not unpacked: its size on disk is its size on the way."""
    data = gzip.compress(bytes(1024 * 1024))
    with RawServer(answer(200, data, Content_Encoding="gzip")) as server:
        call(server, "download", tmp_path / "v.part")
    assert (tmp_path / "v.part").read_bytes() == data


@pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", "0x10"])
def test_a_length_that_is_none_is_not_believed(tmp_path: Path, length: str) -> None:
    """What Python's own reader takes for a number, or chokes on, is no accident of ours."""
    raw = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\nabc"
    with RawServer(raw.encode("latin-1")) as server, contextlib.suppress(DownloadFailed):
        call(server, "download", tmp_path / "v.part")
        assert (tmp_path / "v.part").read_bytes() == b"abc"


# Time.


@pytest.mark.parametrize(
    "act",
    [
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        endless(b"HTTP/1.1 200 OK\r\n", b"X-Drip: 1\r\n", 0.05),
        drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 500, 0.05),
    ],
    ids=["endless 100", "a dripping head", "a dripping line"],
)
@pytest.mark.parametrize("name", ["submit", "feed", "download", "picture"])
def test_a_head_that_never_ends_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, act: Any, name: str
) -> None:
    """Each piece comes in time; the whole does not."""
    monkeypatch.setattr(network_guard, "HEAD_TIMEOUT", 0.5)
    with RawServer(act) as server:
        started = time.monotonic()
        with pytest.raises((PikaError, requests.RequestException)) as caught:
            call(server, name, tmp_path / "v.part")
        assert time.monotonic() - started < 4
    assert name != "submit" or isinstance(caught.value, SubmitUnknown)


def test_the_time_of_a_head_is_more_than_that_of_silence() -> None:
    """A gateway that thinks for as long as it may is not cut off by this."""
    from pika_api.gateway import client

    assert network_guard.HEAD_TIMEOUT > client.SUBMIT_TIMEOUT + sessions.CONNECT_TIMEOUT


@pytest.mark.usefixtures("_any_urllib3")
@pytest.mark.parametrize(
    ("limit", "words"), [("RATE_WINDOW", "all but stopped"), ("DOWNLOAD_TIMEOUT", "took over")]
)
def test_a_download_that_drips_is_broken_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str, words: str
) -> None:
    """A byte now and then does not hold a thread for ever; what has come is kept."""
    monkeypatch.setattr(downloads, limit, 0.3)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    with (
        RawServer(endless(head, b"x", 0.02)) as server,
        pytest.raises(DownloadFailed, match=words),
    ):
        call(server, "download", tmp_path / "v.part")
    assert (tmp_path / "v.part").stat().st_size > 0


@pytest.mark.usefixtures("_any_urllib3")
def test_a_slow_download_is_no_drip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """More than the least in each stretch of time: it goes on to its end."""
    monkeypatch.setattr(downloads, "RATE_WINDOW", 0.5)
    monkeypatch.setattr(downloads, "MIN_BYTES", 2)
    data = bytes(range(100))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"

    def act(connection: socket.socket) -> None:
        connection.sendall(head)
        drip(data, 0.02)(connection)

    with RawServer(act) as server:
        call(server, "download", tmp_path / "v.part")
    assert (tmp_path / "v.part").read_bytes() == data


# Shapes and characters.


@pytest.mark.usefixtures("calm")
@pytest.mark.parametrize("depth", [200, 490, 900, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")])
def test_a_deep_answer_is_no_accident(depth: int, opening: str, closing: str) -> None:
    """It is read as far as it goes, or it is none; what is read can be written again."""
    deep = f'{{"videos": [], "deep": {opening * depth}1{closing * depth}}}'
    with RawServer(answer(200, deep.encode())) as server, client_of(server.url) as client:
        try:
            response = client.feed("t").response
        except FeedError:
            return
    assert json.loads(json.dumps(response))["videos"] == []


@pytest.mark.parametrize(
    "odd", ["\ud800", "\0", "\x1b", "\r", "\x9b", "\u202e"], ids=ascii
)  # fmt: skip
def test_no_character_does_harm(tmp_path: Path, odd: str) -> None:
    """Half a character, which no database takes; a terminal's orders; marks that turn text round:
    in a refusal, in a task's error, in its link and its status.
    """
    said = json.dumps({"message": f"no{odd}no"}).encode()
    with RawServer(answer(400, said)) as server, service_at(server.url, tmp_path) as service:
        with pytest.raises(Refused, match="no\N{REPLACEMENT CHARACTER}no"):
            run(service.submit(ask()))
        assert service.journal.entries()[0].last_error.endswith("no\N{REPLACEMENT CHARACTER}no")
    said = json.dumps({"videos": [{"status": "error", "error": odd}]}).encode()
    with RawServer(answer(200, said)) as server, service_at(server.url, tmp_path) as service:
        with pytest.raises(PikaError) as caught:
            run(service.wait("a"))
        assert odd not in str(caught.value)
    for video in (
        {"status": "finished", "resultUrl": f"{OUTSIDE}/{odd}"},
        {"status": f"on{odd}its way"},
    ):
        raw = answer(200, json.dumps({"videos": [video]}).encode())
        with RawServer(raw) as server, service_at(server.url, tmp_path) as service:
            task = run(service.status("b"))
        assert odd not in task.result_url + task.raw_status


def test_line_ends_and_letters_stay() -> None:
    """What people write is not what does harm."""
    assert sanitize("a\r\nb\n\tc 猫 é 👍🏽 ‍") == "a\nb\n\tc 猫 é 👍🏽 ‍"


def test_a_long_word_is_cut() -> None:
    """An error or a status of a megabyte is neither shown nor kept whole."""
    long = "x" * 1_000_000
    task = Task.from_feed("t", {"videos": [{"status": long, "error": {"message": long}}]})
    assert len(task.error) == len(task.raw_status) == text.MAX_MESSAGE


@pytest.mark.parametrize(
    "task_id", ["../../etc/passwd", "..", ".", "a\nb", "a\x1b[2Jb", "", "x" * (MAX_TASK_ID + 1)]
)
def test_an_id_cannot_leave_its_place(tmp_path: Path, task_id: str) -> None:
    """It is one part of a path at the gateway, and a plain name in the output folder, or no id."""
    from pika_api.tasks.collect import file_stem

    name = file_stem(task_id)
    assert (tmp_path / name).resolve().parent == tmp_path.resolve()
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set('/\\:*?"<>|.')
    if is_task_id(task_id):
        return  # test_an_id_stays_one_part_of_the_path
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
def test_only_the_web_is_linked_to(link: str) -> None:
    """Other schemes, no host, no end: that is no link, for the file and for its poster."""
    videos = [{"status": "finished", "resultUrl": link, "videoPoster": link}]
    task = Task.from_feed("t", {"videos": videos})
    assert (task.result_url, task.poster_url) == ("", "")


@pytest.mark.parametrize("name", ["download", "picture"])
@pytest.mark.parametrize("link", ["file:///etc/passwd", "gopher://127.0.0.1/", "https://[bad"])
def test_a_redirect_leads_to_the_web_only(tmp_path: Path, name: str, link: str) -> None:
    """A media host may redirect, though not out of http."""
    with (
        RawServer(answer(302, b"", Location=link)) as server,
        pytest.raises((DownloadFailed, requests.RequestException)),
    ):
        call(server, name, tmp_path / "v.part")
    assert not (tmp_path / "v.part").exists()


def test_a_gateway_that_points_nowhere_is_told() -> None:
    """A Location that is no address is the gateway's trouble, and nothing is sent again."""
    with (
        RawServer(answer(301, b"", Location="https://[bad")) as server,
        client_of(server.url) as client,
        pytest.raises(SubmitUnknown),
    ):
        client.submit(payload())


def reach(gateway: str, link: str, part: Path) -> None:
    """Follow a link that the gateway gave, to a file and to a poster."""
    with client_of(gateway) as client:
        with pytest.raises(DownloadFailed) as caught:
            client.download("t", link, part, lambda: None)
        assert "own network" in caught.value.what
        assert "browser" in caught.value.hint  # and it is not tried again
        with pytest.raises(requests.RequestException, match="own network"):
            client.fetch_image(link)
    assert not part.exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_gateway_outside_reaches_nothing_inside(tmp_path: Path, host: str) -> None:
    """By address or by name: no request arrives at a server of this machine."""
    with RawServer(answer(200, b"secret")) as server:
        link = server.url.replace("127.0.0.1", host) + "/admin?delete=all"
        reach(OUTSIDE, link, tmp_path / "v.part")
        assert server.seen == []


def test_a_redirect_reaches_nothing_inside_either(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first host is outside, for all we know; where it points to is looked at too."""
    with RawServer(answer(200, b"secret")) as inner:
        with RawServer(answer(302, b"", Location=f"{inner.url}/admin")) as outer:
            seen = iter([False, True] * 2)  # the host, where it points to; for file and poster
            monkeypatch.setattr(
                network_guard, "is_private_address", lambda ip: ip != "203.0.113.1" and next(seen)
            )
            reach(OUTSIDE, f"{outer.url}/v.mp4", tmp_path / "v.part")
            assert len(outer.seen) == 2
        assert inner.seen == []


def test_a_gateway_inside_reaches_what_is_inside(tmp_path: Path) -> None:
    """The simulator, or a company's own gateway, has its files beside it."""
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
        ("198.18.0.7", False), ("2606:4700::1111", False), ("::ffff:8.8.8.8", False),
    ],
)  # fmt: skip
def test_what_is_inside(address: str, inside: bool) -> None:
    """This machine, home and company networks, a cloud's own; not what a local proxy makes up."""
    assert network_guard.is_private_address(address) is inside


def test_what_a_request_adds_goes_into_the_body_only() -> None:
    """A workflow's extra_json chooses no address and no header."""
    extra = {"base_url": OUTSIDE, "Authorization": "Bearer other", "url": OUTSIDE}
    with RawServer(answer(200, {"id": "t"})) as server, client_of(server.url) as client:
        client.submit(payload(ask(extra=extra)))
        seen = server.seen[0]
    assert seen.line == "POST /pika/generate HTTP/1.1"
    assert seen.header("Authorization") == f"Bearer {KEY}"
    assert json.loads(seen.body)["base_url"] == OUTSIDE
