"""The account endpoints: a counter that moves with the tasks, and its options."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import requests
from simulator_helpers import post, submit, wait_until_done

from devtools import ROOT
from simulator import Simulator
from simulator.__main__ import _parser


def read(sim: Simulator, path: str, key: str = "") -> requests.Response:
    """The answer at a path."""
    headers = {"Authorization": f"Bearer {key or sim.key}"}
    return requests.get(sim.url + path, headers=headers, timeout=10)


def used(sim: Simulator) -> float:
    """What the usage endpoint says, in units."""
    return float(read(sim, "/v1/dashboard/billing/usage").json()["total_usage"]) / 100


def test_counter_grows_by_the_price_of_each_task() -> None:
    """By effect, then by model, then the price of all; another account has its own counter."""
    with Simulator(account="v1", price=0.25, prices={"Dissolve": 0.5, "2.0": 0.4}) as sim:
        submit(sim)
        assert used(sim) == pytest.approx(0.5)
        submit(sim, {"pikaffect": "Melt", "model": "2.0"})
        assert used(sim) == pytest.approx(0.9)
        submit(sim, {"pikaffect": "Melt"})
        sim.spend(1)
        assert used(sim) == pytest.approx(sim.used()) == pytest.approx(2.15)
        sim.add_key("other", "second")
        answer = read(sim, "/v1/dashboard/billing/usage", "other").json()
        assert answer == {"object": "list", "total_usage": 0.0}


@pytest.mark.parametrize(("refund", "expected"), [(True, 0.0), (False, 0.25)])
def test_failed_task_is_refunded_or_not(refund: bool, expected: float) -> None:
    """As the option says, once the task has failed."""
    with Simulator(account="v1", refund=refund, task_seconds=0.0) as sim:
        sim.fault("task", error="moderation")
        task_id = submit(sim, {"pikaffect": "Melt"})
        wait_until_done(sim, task_id)
        assert sim.used() == expected


def test_other_paths_and_a_wrong_key_get_nothing() -> None:
    """Only the chosen spelling exists, and only for the key."""
    with Simulator(account="token") as sim:
        assert read(sim, "/v1/dashboard/billing/usage").status_code == 404
        assert read(sim, "/api/usage/token/").json()["data"]["total_used"] == 0
        assert read(sim, "/api/usage/token/", "wrong").status_code == 401


def test_request_over_the_quota_is_refused() -> None:
    """403 in the words of the family; no task is created. A key without a limit has no quota."""
    with Simulator(account="v1", quota=0.1) as sim:
        answer = post(sim)
        assert (answer.status_code, sim.charged) == (403, [])
        assert answer.json()["error"]["code"] == "insufficient_user_quota"
    with Simulator(account="v1", quota=0.1, unlimited=True) as sim:
        assert post(sim).status_code == 200


@pytest.mark.parametrize(
    "options", [{"account": "v2"}, {"price": -1}, {"quota": -1}, {"prices": {"Melt": -0.1}}]
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    """As all others, before it starts."""
    with pytest.raises(ValueError, match="must"):
        Simulator(**options)


def test_command_line_has_the_options() -> None:
    """With account endpoints by default; prices by name, which may contain the sign."""
    arguments = ["--price-of", "Melt=0.5", "--price-of", "a=b=1", "--no-refund", "--unlimited"]
    options = _parser().parse_args(arguments)
    assert options.price_of == [("Melt", 0.5), ("a=b", 1.0)]
    assert (options.account, options.unlimited, options.no_refund) == ("v1", True, True)
    done = subprocess.run(
        [sys.executable, "-m", "simulator", "--price", "-1", "--port", "0"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, "must not be negative" in done.stderr) == (1, True)
