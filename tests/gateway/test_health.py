"""The health check: what each response means, over a real socket. It never costs anything."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from pika_api.gateway import HealthCheck, HealthResult, Timeouts
from pika_api.settings import Settings
from simulator import Simulator
from support.api import KEY, Answer, RawServer, answer, drip, free_port, reset

PAGE = b"<!doctype html><html><title>Not found</title><body>Nothing here</body></html>"
NO_TASK = {"error": {"message": "There is no such task", "code": "task_not_found"}}
NO_TOKEN = {"error": {"message": "No token", "code": "no_token"}}


def check(url: str, key: str = KEY, **options: Any) -> HealthResult:
    """The result of a test of this address. The key must not be part of it."""
    result = HealthCheck(Settings(api_key=key, base_url=url), **options).run()
    assert not key or key not in result.message
    assert len(result.message.splitlines()) <= 2
    return result


def test_valid_key_is_good(simulator: Simulator) -> None:
    """Two requests to the feed and no paid one."""
    result = check(simulator.url, simulator.key)
    assert result.verdict == "good"
    assert [seen.method for seen in simulator.log] == ["GET", "GET"]
    assert simulator.charged == []


def test_wrong_key_is_reported_in_the_gateways_words(simulator: Simulator) -> None:
    """One request is enough."""
    result = check(simulator.url)
    assert result.verdict == "bad_key"
    for words in ("HTTP 401", "Invalid token", simulator.url):
        assert words in result.message
    assert len(simulator.log) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, {"error": {"message": "用户额度不足", "code": "insufficient_user_quota"}}),
        (401, {"error": {"message": "该令牌额度已用尽", "type": "one_api_error"}}),
        (429, {"code": 1102, "message": "Account balance not enough"}),
    ],
)
def test_account_without_credit_has_a_good_key(status: int, body: object) -> None:
    """The key is not to blame: the message says where to top up."""
    with RawServer(answer(status, body)) as server:
        result = check(server.url)
    assert result.verdict == "trouble"
    assert "top it up at the gateway" in result.message


def test_without_a_key_nothing_is_sent(simulator: Simulator) -> None:
    """The message says how to set a key."""
    result = check(simulator.url, "")
    assert result.verdict == "no_key"
    assert "Settings → Pika" in result.message
    assert simulator.log == []


def test_key_of_another_origin_is_not_sent(simulator: Simulator) -> None:
    """The stored key was entered for another address."""
    settings = Settings(base_url=simulator.url, withheld_key_origin="https://a.example")
    result = HealthCheck(settings).run()
    assert (result.verdict, "https://a.example" in result.message) == ("no_key", True)
    assert simulator.log == []


def test_closed_port_is_a_bad_address() -> None:
    """The message says what to check."""
    result = check(f"http://127.0.0.1:{free_port()}")
    assert result.verdict == "bad_address"
    assert "refused" in result.message
    assert "Check the base URL" in result.message


def test_unknown_host_is_a_bad_address() -> None:
    """The message names the host."""
    result = check("https://no-such-host.invalid")
    assert result.verdict == "bad_address"
    assert "no-such-host.invalid" in result.message


def test_tls_to_a_port_without_tls_is_a_bad_address(simulator: Simulator) -> None:
    """No request arrives, so the key was not sent."""
    result = check(simulator.url.replace("http:", "https:"))
    assert result.verdict == "bad_address"
    assert "No secure connection" in result.message
    assert simulator.log == []


#: The first and second response of the server, the verdict, and parts of the message.
ANSWERS: dict[str, tuple[list[Answer], str, list[str]]] = {
    "a gateway that shows tasks without a key": (
        [answer(200, {"id": "x", "videos": []}), answer(401, NO_TOKEN)], "good", []),
    "403 without a key": ([answer(404, NO_TASK), answer(403, NO_TOKEN)], "good", []),
    "400 for an unknown task": (
        [answer(400, {"message": "bad id"}), answer(401, NO_TOKEN)], "good", []),
    "403 with the key": (
        [answer(403, {"detail": "key disabled"})], "bad_key", ["HTTP 403", "key disabled"]),
    "404 to both": (
        [answer(404, NO_TASK)], "bad_address",
        ["HTTP 404 with the key and HTTP 404 without", "does not look like", "cannot tell"]),
    "a web server's 404 page": ([answer(404, PAGE)], "bad_address", ["web page"]),
    "a sign-in page": ([answer(200, PAGE)], "bad_address", ["web page", "sign-in"]),
    "a firewall's 403 page": ([answer(403, PAGE)], "bad_address", ["HTTP 403", "web page"]),
    "a firewall's page for a missing key": (
        [answer(404, NO_TASK), answer(403, PAGE)], "bad_address", ["HTTP 403 without"]),
    "plain text to both": ([answer(200, b"It works!")], "bad_address", ["It works!"]),
    "JSON to both": ([answer(200, {"ok": True})], "trouble", ["does not show"]),
    "a redirect": (
        [answer(301, b"", Location="https://elsewhere.example/x")], "bad_address",
        ["redirects to elsewhere.example", "not sent there"]),
    "429": ([answer(429, {"message": "slow down"})], "trouble", ["HTTP 429", "slow down"]),
    "402": ([answer(402, {"message": "no credit"})], "trouble", ["no credit"]),
    "500": ([answer(500, {"message": "oops"})], "trouble", ["HTTP 500", "oops"]),
    "a proxy's 502 page": ([answer(502, PAGE)], "trouble", ["HTTP 502"]),
    "503 to the second request": (
        [answer(404, NO_TASK), answer(503, {"message": "later"})], "trouble", ["HTTP 503"]),
    "a web page to the second request": (
        [answer(200, {"id": "x"}), answer(200, PAGE)], "trouble", ["does not show"]),
    "a reset": ([reset], "trouble", ["no complete response"]),
    "a cut response": ([answer(404, NO_TASK, length=5000)], "trouble", ["no complete response"]),
    "not HTTP": ([b"SSH-2.0-OpenSSH_9.2\r\n"], "bad_address", []),
    "the key quoted back": (
        [answer(401, {"message": f"Unknown key {KEY}"})], "bad_key", ["Unknown key [key]"]),
}  # fmt: skip


@pytest.mark.parametrize(("script", "verdict", "words"), ANSWERS.values(), ids=ANSWERS)
def test_verdict_of_each_response(script: list[Answer], verdict: str, words: list[str]) -> None:
    """Each response has its verdict. The key is sent with the first request only, and the only call
    is the feed of a task that cannot exist.
    """
    with RawServer(*script) as server:
        result = check(server.url)
        seen = server.seen
    assert result.verdict == verdict, result.message
    for each in words:
        assert each in result.message
    assert [each.header("Authorization") for each in seen] == [f"Bearer {KEY}", None][: len(seen)]
    assert all(each.line.startswith("GET /pika/feed/") for each in seen)
    assert 1 <= len(seen) <= 2


def test_redirect_is_not_followed() -> None:
    """The other address receives nothing."""
    with RawServer(answer(200, {})) as other:
        with RawServer(answer(302, b"", Location=f"{other.url}/x")) as server:
            assert check(server.url).verdict == "bad_address"
        assert other.seen == []


@pytest.mark.parametrize("slow", ["silent", "dripping"])
def test_slow_response_ends_in_time(slow: str) -> None:
    """The user is waiting: a silent response and a dripping one both end, as trouble."""

    def body_drips(connection: socket.socket) -> None:
        connection.sendall(answer(404, b"", length=100))
        drip(b"x" * 100, 0.05)(connection)

    acts: dict[str, Answer] = {
        "silent": lambda _connection: time.sleep(2.0),
        "dripping": body_drips,
    }
    with RawServer(acts[slow]) as server:
        started = time.monotonic()
        result = check(server.url, timeouts=Timeouts(read=0.3, response=0.3))
        assert time.monotonic() - started < 2.0
    assert result.verdict == "trouble"
    assert ("took over 0.3 s" if slow == "dripping" else "timed out") in result.message


def test_path_of_the_base_url_is_kept() -> None:
    """The feed is below the base URL, as in all calls."""
    with RawServer(answer(404, NO_TASK), answer(401, NO_TOKEN)) as server:
        assert check(f"{server.url}/v1/").verdict == "good"
        assert server.seen[0].line.startswith("GET /v1/pika/feed/")


def test_plain_http_to_this_machine_uses_no_proxy(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in all calls."""
    with RawServer(answer(200, {})) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert check(simulator.url, simulator.key).verdict == "good"
        assert proxy.seen == []


def test_missing_proxy_is_a_bad_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the environment variable."""
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    result = check("https://gateway.example")
    assert result.verdict == "bad_address"
    assert "HTTPS_PROXY" in result.message
