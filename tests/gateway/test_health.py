"""The connection test: what each answer means, over a real socket; it never costs anything."""

from __future__ import annotations

import socket
import time

import pytest

from pika_api.gateway import health
from pika_api.settings import Settings
from simulator import Simulator
from support.api import KEY, Answer, RawServer, answer, drip, free_port, reset

PAGE = b"<!doctype html><html><title>Not found</title><body>Nothing here</body></html>"
NO_TASK = {"error": {"message": "There is no such task", "code": "task_not_found"}}
NO_TOKEN = {"error": {"message": "No token", "code": "no_token"}}


def look_at(url: str, key: str = KEY) -> health.Finding:
    """What a test of this address comes to; the key is in none of it."""
    found = health.check(Settings(api_key=key, base_url=url))
    assert not key or key not in found.message
    assert len(found.message.splitlines()) <= 2
    return found


def test_a_good_key_is_good(simulator: Simulator) -> None:
    """Two questions to the feed, no paid request, and the key only with the first."""
    found = look_at(simulator.url, simulator.key)
    assert found.verdict == "good"
    assert [seen.method for seen in simulator.log] == ["GET", "GET"]
    assert simulator.charged == []


def test_a_wrong_key_is_told_with_the_gateways_words(simulator: Simulator) -> None:
    """One question is enough."""
    found = look_at(simulator.url)
    assert found.verdict == "bad_key"
    for words in ("HTTP 401", "Invalid token", simulator.url):
        assert words in found.message
    assert len(simulator.log) == 1


def test_without_a_key_nothing_is_asked(simulator: Simulator) -> None:
    """The message is the way to a key."""
    found = look_at(simulator.url, "")
    assert found.verdict == "no_key"
    assert "Settings → Pika" in found.message
    assert simulator.log == []


def test_a_key_that_is_withheld_is_not_sent(simulator: Simulator) -> None:
    """It was entered for another address."""
    settings = Settings(base_url=simulator.url, withheld="https://a.example")
    found = health.check(settings)
    assert (found.verdict, "https://a.example" in found.message) == ("no_key", True)
    assert simulator.log == []


def test_nobody_at_the_port_is_a_bad_address() -> None:
    """A wrong port."""
    found = look_at(f"http://127.0.0.1:{free_port()}")
    assert found.verdict == "bad_address"
    assert "refused" in found.message
    assert "Check the base URL" in found.message


def test_a_name_that_is_none_is_a_bad_address() -> None:
    """It does not resolve."""
    found = look_at("https://no-such-host.invalid")
    assert found.verdict == "bad_address"
    assert "no-such-host.invalid" in found.message


def test_tls_to_a_plain_port_is_a_bad_address(simulator: Simulator) -> None:
    """https where http is spoken; no request arrives, so the key has not left."""
    found = look_at(simulator.url.replace("http:", "https:"))
    assert found.verdict == "bad_address"
    assert "No safe connection" in found.message
    assert simulator.log == []


#: What the server answers first and second, the verdict, and what the message names.
ANSWERS: dict[str, tuple[list[Answer], str, list[str]]] = {
    "an open gateway that knows its tasks": (
        [answer(200, {"id": "x", "videos": []}), answer(401, NO_TOKEN)], "good", []),
    "403 without a key": ([answer(404, NO_TASK), answer(403, NO_TOKEN)], "good", []),
    "400 for a strange task": (
        [answer(400, {"message": "bad id"}), answer(401, NO_TOKEN)], "good", []),
    "403 with the key": (
        [answer(403, {"detail": "key disabled"})], "bad_key", ["HTTP 403", "key disabled"]),
    "404 to both": (
        [answer(404, NO_TASK)], "bad_address",
        ["HTTP 404 with the key and HTTP 404 without", "does not look like", "cannot be told"]),
    "a web server's 404 page": ([answer(404, PAGE)], "bad_address", ["page for people"]),
    "a sign-in page": ([answer(200, PAGE)], "bad_address", ["page for people", "sign-in"]),
    "a firewall's 403 page": ([answer(403, PAGE)], "bad_address", ["HTTP 403", "page for people"]),
    "a firewall's page for who has no key": (
        [answer(404, NO_TASK), answer(403, PAGE)], "bad_address", ["HTTP 403 without"]),
    "plain text to both": ([answer(200, b"It works!")], "bad_address", ["It works!"]),
    "JSON to both": ([answer(200, {"ok": True})], "trouble", ["cannot be told"]),
    "a redirect": (
        [answer(301, b"", Location="https://elsewhere.example/x")], "bad_address",
        ["points to elsewhere.example", "not sent along"]),
    "429": ([answer(429, {"message": "slow down"})], "trouble", ["HTTP 429", "slow down"]),
    "402": ([answer(402, {"message": "no credit"})], "trouble", ["no credit"]),
    "500": ([answer(500, {"message": "oops"})], "trouble", ["HTTP 500", "oops"]),
    "a proxy's 502 page": ([answer(502, PAGE)], "trouble", ["HTTP 502"]),
    "trouble at the second question": (
        [answer(404, NO_TASK), answer(503, {"message": "later"})], "trouble", ["HTTP 503"]),
    "a page at the second question": (
        [answer(200, {"id": "x"}), answer(200, PAGE)], "trouble", ["cannot be told"]),
    "a reset": ([reset], "trouble", ["no whole answer"]),
    "a cut answer": ([answer(404, NO_TASK, length=5000)], "trouble", ["no whole answer"]),
    "no HTTP": ([b"SSH-2.0-OpenSSH_9.2\r\n"], "bad_address", []),
    "the key quoted back": (
        [answer(401, {"message": f"Unknown key {KEY}"})], "bad_key", ["Unknown key [key]"]),
}  # fmt: skip


@pytest.mark.parametrize(("script", "verdict", "words"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_and_its_verdict(script: list[Answer], verdict: str, words: list[str]) -> None:
    """What each means; the key goes along with the first question and with no other, and nothing
    but the feed of a task that cannot be is asked for."""
    with RawServer(*script) as server:
        found = look_at(server.url)
        seen = server.seen
    assert found.verdict == verdict, found.message
    for each in words:
        assert each in found.message
    assert [each.header("Authorization") for each in seen] == [f"Bearer {KEY}", None][: len(seen)]
    assert all(each.line.startswith("GET /pika/feed/") for each in seen)
    assert 1 <= len(seen) <= 2


def test_a_redirect_is_not_followed() -> None:
    """The other address sees nothing."""
    with RawServer(answer(200, {})) as other:
        with RawServer(answer(302, b"", Location=f"{other.url}/x")) as server:
            assert look_at(server.url).verdict == "bad_address"
        assert other.seen == []


@pytest.mark.parametrize("slow", ["silent", "dripping"])
def test_a_slow_answer_is_bounded(slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits and waits: silence and a drip both end in time, as trouble."""
    monkeypatch.setattr(health, "_READ_TIME", 0.3)

    def body_drips(connection: socket.socket) -> None:
        health.sendall(answer(404, b"", length=100))
        drip(b"x" * 100, 0.05)(connection)

    acts: dict[str, Answer] = {
        "silent": lambda _connection: time.sleep(2.0),
        "dripping": body_drips,
    }
    with RawServer(acts[slow]) as server:
        started = time.monotonic()
        assert look_at(server.url).verdict == "trouble"
        assert time.monotonic() - started < 2.0


def test_a_path_in_the_address_is_kept() -> None:
    """The feed is asked below the base URL, as everywhere."""
    with RawServer(answer(404, NO_TASK), answer(401, NO_TOKEN)) as server:
        assert look_at(f"{server.url}/v1/").verdict == "good"
        assert server.seen[0].line.startswith("GET /v1/pika/feed/")


def test_the_key_goes_through_no_proxy_to_this_machine(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for every other request."""
    with RawServer(answer(200, {})) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert look_at(simulator.url, simulator.key).verdict == "good"
        assert proxy.seen == []


def test_a_proxy_that_is_not_there_is_a_bad_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable that leads there."""
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    found = look_at("https://gateway.example")
    assert found.verdict == "bad_address"
    assert "HTTPS_PROXY" in found.message
