"""The account endpoints: quota and usage in every spelling, and answers that are something else."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pika_api.errors import AccountError, AccountNotOffered
from pika_api.gateway import Balance, HealthCheck, SizeLimits, Timeouts
from pika_api.settings import Settings
from pika_api.text import format_amount
from simulator import Simulator
from simulator.dialects import INDEX_PAGE
from support.api import KEY, RawServer, answer, client_of, drip, free_port, reset

SUBSCRIPTION: dict[str, Any] = {"object": "billing_subscription", "hard_limit_usd": 5}
USAGE: dict[str, Any] = {"object": "list", "total_usage": 69.59646}
V1 = "/v1/dashboard/billing/subscription"


def balance_of(sim: Simulator) -> Balance:
    """The balance of the simulator's key."""
    with client_of(sim.url, sim.key) as client:
        return client.balance()


@pytest.mark.parametrize("spelling", ["v1", "dashboard", "token"])
@pytest.mark.parametrize("unlimited", [False, True])
def test_balance_in_every_spelling(spelling: str, unlimited: bool) -> None:
    """Quota, used and left are plain numbers, with the usage of hundredths divided; a key without
    a limit has neither quota nor left."""
    with Simulator(account=spelling, quota=20, unlimited=unlimited) as sim:
        sim.spend(7.6)
        balance = balance_of(sim)
    scale = 500_000 if spelling == "token" else 1
    assert balance.used == pytest.approx(7.6 * scale)
    assert balance.unlimited is unlimited
    expected = (None, None) if unlimited else (20 * scale, pytest.approx(12.4 * scale))
    assert (balance.quota, balance.left) == expected
    assert balance.unit == ("token" if spelling == "token" else "billing")


def test_balance_of_the_documented_example() -> None:
    """The answers of the reference page: 695.9646 hundredths are 6.959646 used."""
    page = answer(200, {**SUBSCRIPTION, "hard_limit_usd": 5, "access_until": 0})
    with RawServer(page, answer(200, {"object": "list", "total_usage": 695.9646})) as server:
        with client_of(server.url) as client:
            balance = client.balance()
        lines = [seen.line for seen in server.seen]
    assert balance == Balance(6.959646, 5.0, 5.0 - 6.959646, "billing")
    assert lines == [f"GET {V1} HTTP/1.1", "GET /v1/dashboard/billing/usage HTTP/1.1"]
    assert balance.describe("CNY") == "-1.96 CNY of 5.00 CNY left, 6.96 CNY used"


def test_spelling_is_remembered() -> None:
    """The first reading looks for the spelling, the next ones ask for nothing else. A gateway that
    changes its spelling is read again."""
    with (
        Simulator(account="token", dialect="wrapped") as sim,
        client_of(sim.url, sim.key) as client,
    ):
        client.balance()
        assert sim.requests("GET", V1)
        count = len(sim.log)
        client.balance()
        assert [each.path for each in sim.log[count:]] == ["/api/usage/token/"]
        sim.fault("account", status=404)
        with pytest.raises(AccountNotOffered):
            client.balance()
        assert client.balance().quota == 20 * 500_000


NOT_OFFERED = {
    "404": answer(404, {"error": {"message": "not found"}}),
    "405": answer(405),
    "501": answer(
        501, {"error": {"code": "api_not_implemented", "message": "API not implemented"}}
    ),
    "web page": answer(200, INDEX_PAGE.encode(), Content_Type="text/html"),
    "empty": answer(200),
    "no JSON object": answer(200, [1, 2]),
    "other fields": answer(200, {"object": "list", "data": []}),
    "redirect": answer(307, Location="https://example.com/login"),
    "unknown path": answer(400, {"error": {"message": "Invalid URL (GET /v1/dashboard)"}}),
    "no number": answer(200, {"hard_limit_usd": {}, "total_usage": [], "total_used": "many"}),
    "NaN": answer(200, b'{"hard_limit_usd": NaN, "total_usage": NaN, "total_used": NaN}'),
    "infinite": answer(200, b'{"hard_limit_usd": 1e999, "total_usage": -Infinity}'),
    "huge": answer(200, b'{"hard_limit_usd": 1' + b"0" * 400 + b', "total_usage": 1}'),
    "too many digits": answer(200, b'{"hard_limit_usd": 1' + b"0" * 9999 + b', "total_usage": 1}'),
    "negative use": answer(200, {"hard_limit_usd": 5, "total_usage": -1, "total_used": -1}),
    "true": answer(200, {"hard_limit_usd": True, "total_usage": False, "total_used": True}),
    "deep": answer(200, b"[" * 100_000),
}


@pytest.mark.parametrize("reply", NOT_OFFERED.values(), ids=NOT_OFFERED)
def test_anything_else_is_no_balance(reply: bytes) -> None:
    """An answer without usable numbers means that the gateway reports none. It is no error of the
    gateway, no exception of Python, and never a number. No redirect is followed with the key."""
    no_balance = pytest.raises(AccountNotOffered, match="does not report a balance")
    with RawServer(reply) as server, client_of(server.url) as client, no_balance:
        client.balance()


ERRORS = {
    "401": (answer(401, {"error": {"message": f"Invalid token {KEY}"}}), 401),
    "403": (answer(403, {"message": "无权访问"}), 403),
    "429": (answer(429, {"message": "slow down"}, Retry_After="7"), 429),
    "500": (answer(500), 500),
    "502 page": (answer(502, b"<html><title>Bad gateway</title></html>"), 502),
    "error in a 200": (answer(200, {"error": {"message": "database is locked"}}), 200),
    "success: false": (answer(200, {"success": False, "message": "no such token"}), 200),
    "reset": (reset, None),
    "cut": (answer(200, b'{"hard_limit', length=4000), None),
    "larger than allowed": (answer(200, b" " * 70_000), None),
    "endless": (drip(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 500, 0.02), None),
}


@pytest.mark.parametrize(("reply", "status"), ERRORS.values(), ids=ERRORS)
def test_error_is_reported_within_limits_and_without_the_key(
    reply: Any, status: int | None
) -> None:
    """An error says what the gateway answered, and is over soon. It is not "not offered": the
    balance may be there the next time."""
    limits, timeouts = SizeLimits(response=65_536), Timeouts(head=1.0, read=0.5, response=1.0)
    started = time.monotonic()
    with (
        RawServer(reply) as server,
        client_of(server.url, limits=limits, timeouts=timeouts) as client,
        pytest.raises(AccountError) as caught,
    ):
        client.balance()
    assert time.monotonic() - started < 5
    assert not isinstance(caught.value, AccountNotOffered)
    assert caught.value.status == status
    assert caught.value.retry_after == (7.0 if status == 429 else None)
    assert KEY not in str(caught.value)


def test_no_connection_is_an_error() -> None:
    """As every other exchange: one line with the reason."""
    failure = pytest.raises(AccountError, match="does not report the balance")
    with client_of(f"http://127.0.0.1:{free_port()}") as client, failure:
        client.balance()


def test_numbers_may_be_texts() -> None:
    """Some sites send amounts as texts."""
    page = answer(200, {"hard_limit_usd": "20.5", "total_usage": " 150 "})
    with RawServer(page) as server, client_of(server.url) as client:
        assert client.balance() == Balance(1.5, 20.5, 19.0, "billing")


def test_refused_path_is_not_the_end() -> None:
    """A gateway that refuses one spelling with 403 may have another one."""
    token = {"data": {"total_granted": 10, "total_used": 4, "total_available": 6}}
    script = (answer(403), answer(403), answer(200, token))
    with RawServer(*script) as server, client_of(server.url) as client:
        assert client.balance() == Balance(4, 10, 6, "token")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.00"), (12.4, "12.40"), (0.25, "0.25"), (0.125, "0.125"), (0.000002, "0.000002"),
        (1234.567, "1234.57"), (125_000, "125000"), (-1.5, "-1.50"), (0.3, "0.30"),
    ],
)  # fmt: skip
def test_amounts_are_plain_numbers(amount: float, text: str) -> None:
    """Two decimals, more where a small price needs them; the currency only if there is one."""
    assert format_amount(amount) == text
    assert format_amount(amount, "CNY") == f"{text} CNY"


def test_health_check_describes_the_balance() -> None:
    """For *Test connection* and doctor: the numbers with the user's currency, or why there are
    none. The key is not part of it."""
    with Simulator(account="v1") as sim:
        sim.spend(7.6)
        settings = Settings(api_key=sim.key, base_url=sim.url, currency="CNY")
        text = HealthCheck(settings).balance()
        assert text == "Balance: 12.40 CNY of 20.00 CNY left, 7.60 CNY used."
        sim.fault("account", status=500, body=f"broken for {sim.key}")
        assert HealthCheck(settings).balance().endswith("broken for [key]")
    with Simulator() as sim:
        text = HealthCheck(Settings(api_key=sim.key, base_url=sim.url)).balance()
    assert text == f"{sim.url.removeprefix('http://')} does not report a balance."
