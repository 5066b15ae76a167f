"""Balance and price in a real ComfyUI: the route of the sidebar's head, and the text on a node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator import Simulator
from support.comfy import Comfy
from support.graphs import text_to_video
from support.routes import HEADER, foreign_requests, get, save_settings
from support.waiting import until

pytestmark = pytest.mark.comfy

_KEY = "paid-key-5d1f07a4e2-QW7Z"


@pytest.fixture
def paid(keyless: Comfy) -> Iterator[Simulator]:
    """A gateway with account endpoints, which the ComfyUI `keyless` uses."""
    with Simulator(key=_KEY, account="v1", height=64, clip_seconds=0.5, task_seconds=0.1) as sim:
        save_settings(keyless, base_url=sim.url, api_key=sim.key)
        yield sim


def texts_of_run(comfy: Comfy, prompt: str) -> list[str]:
    """What Pika Generate displays during a run."""
    with comfy.listen("cost") as events:
        run = comfy.wait(comfy.queue(text_to_video(prompt), client_id="cost"))
        assert run.error is None
        events.wait_for(lambda event: "fps" in str(event.data.get("text")))
        return events.texts("1")


def test_balance_is_served_as_numbers_without_a_currency(keyless: Comfy, paid: Simulator) -> None:
    """Quota, used and left; the user's own currency beside them. A second request within a minute
    is answered without the gateway."""
    paid.spend(7.6)
    answer = get(keyless, "balance")
    assert answer == {
        "balance": {
            "quota": 20.0,
            "used": pytest.approx(7.6),
            "left": pytest.approx(12.4),
            "unlimited": False,
        },
        "offered": True,
        "problem": "",
        "currency": "",
    }
    count = len(paid.log)
    assert get(keyless, "balance") == answer
    assert len(paid.log) == count
    save_settings(keyless, currency="CNY")
    assert get(keyless, "balance")["currency"] == "CNY"


def test_gateway_without_a_balance_is_no_error(keyed: Comfy) -> None:
    """The route says that there is none, and why."""
    answer = get(keyed, "balance")
    assert (answer["balance"], answer["offered"]) == (None, False)
    assert "does not report a balance" in answer["problem"]


def test_balance_is_only_for_the_editor(comfy: Comfy) -> None:
    """As every other route: no page of another origin, no rebound name, no request without the
    header learns the balance."""
    for name, headers in foreign_requests(comfy).items():
        answer = comfy.request("GET", "/pika/balance", headers=headers)
        assert answer.status_code == 403, name
        assert "quota" not in answer.text, name
    assert comfy.request("POST", "/pika/balance", json={}, headers=HEADER).status_code == 405


def test_connection_test_shows_the_balance(keyless: Comfy, paid: Simulator) -> None:
    """Below the verdict; diagnostics with the connection, too."""
    paid.spend(7.6)
    answer = keyless.request("POST", "/pika/connection", json={}, headers=HEADER).json()
    assert answer["verdict"] == "good"
    assert answer["message"].splitlines()[1] == "Balance: 12.40 of 20.00 left, 7.60 used."
    text = get(keyless, "diagnostics?connection=1")["text"]
    assert "Balance: 12.40 of 20.00 left, 7.60 used." in text


def test_node_says_what_a_run_costs_once_the_price_is_known(
    keyless: Comfy, paid: Simulator
) -> None:
    """Two runs teach the price. The third one displays it before the request leaves, with what is
    left, and behind the task's id. The task list has the price of each task. A reused task has no
    cost."""
    get(keyless, "balance")
    for number in (1, 2):
        texts = texts_of_run(keyless, f"Teaches the price, {number}")
        assert not any("about" in text for text in texts)
        used = 0.25 * number
        until(lambda used=used: _used(keyless) == used, what="the reading after the submit")
    prompt = "Costs what the others did"
    texts = texts_of_run(keyless, prompt)
    assert texts[-1].endswith(" · about 0.25")
    assert any(
        text.startswith("Sending the request") and text.endswith("about 0.25, 19.50 left")
        for text in texts
    ), texts
    until(lambda: _used(keyless) == 0.75, what="the reading after the submit")
    tasks = get(keyless, "tasks?limit=500")["tasks"]
    prices = {task["prompt"]: (task["price"], task["estimate"]) for task in tasks}
    assert prices["Teaches the price, 1"] == (0.25, None)
    assert prices["Teaches the price, 2"] == (0.25, None)
    assert prices[prompt] == (0.25, 0.25)


def _used(comfy: Comfy) -> float:
    return float(get(comfy, "balance")["balance"]["used"])


def test_price_set_by_hand_is_displayed_with_the_currency(keyless: Comfy, paid: Simulator) -> None:
    """At the first run. A markup in the currency is refused."""
    answer = keyless.request("POST", "/pika/settings", json={"currency": "<b>"}, headers=HEADER)
    assert (answer.status_code, answer.json()["name"]) == (400, "currency")
    save_settings(keyless, price=1.5, currency="CNY")
    assert texts_of_run(keyless, "By hand")[-1].endswith(" · about 1.50 CNY")
    assert paid.used() == 0.25
