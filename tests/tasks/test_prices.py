"""Balance and price: read beside the paid requests, learned from the usage counter."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pika_api.errors import NotAccepted, TaskFailed
from pika_api.journal import Entry, Kind
from pika_api.progress import Progress, ProgressObserver
from pika_api.tasks import Service, ServicePolicy
from simulator import Simulator
from support.api import RawServer, ServiceHarness, answer, ask, run
from support.waiting import until

QUICK = ServicePolicy(account_interval=0.3, account_delay=0.05, account_settle=0.1)
USAGE = "/v1/dashboard/billing/usage"

_numbers = itertools.count()


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[ServiceHarness]:
    """Services at a gateway with a counter: 0.25 a task, 0.5 with the effect Melt."""
    with Simulator(account="v1", prices={"Melt": 0.5}, task_seconds=0.1) as gateway:
        harness = ServiceHarness(gateway, tmp_path, QUICK)
        yield harness
        harness.close()


def settle(service: Service) -> None:
    """Wait until the readings after the last submit are over."""
    until(lambda: service.account._due is None, what="the readings of the counter")
    run(service.account.refresh())


def submit(service: Service, effect: str | None = None) -> Entry:
    """Submit another request alone, and wait for the readings."""
    prompt = f"A pear, number {next(_numbers)}"
    submitted = run(service.submit(ask(prompt, pikaffect=effect)))
    settle(service)
    entry = service.journal.find_by_task_id(submitted.task_id)
    assert entry is not None
    return entry


def test_price_is_used_once_two_observations_agree(harness: ServiceHarness) -> None:
    """One difference of the counter is no price yet. After the second one both tasks have it, and
    the next request is entered with it as its estimate. Another effect has its own price."""
    service = harness.service
    run(service.account.refresh())
    first = submit(service)
    assert (first.price, service.account.price("1.5", "")) == (None, None)
    second = submit(service)
    assert service.account.price("1.5", "") == 0.25
    assert (second.price, second.estimate) == (0.25, None)
    assert service.journal.get(first.id).price == 0.25
    third = submit(service)
    assert (third.price, third.estimate) == (0.25, 0.25)
    assert service.account.price("1.5", "Melt") is None
    assert [submit(service, "Melt").price for _ in range(3)] == [None, 0.5, 0.5]
    assert service.account.price("1.5", "Melt") == 0.5
    assert service.account.price("1.5", "") == 0.25
    assert service.account.price("2.0", "") is None
    until(lambda: service.account.balance is not None, what="the balance")
    assert service.account.describe(0.25) == "about 0.25, 17.75 left"


def test_price_outlives_the_process_and_belongs_to_its_gateway(harness: ServiceHarness) -> None:
    """Another service on the same journal knows the price at once; one of another gateway does
    not, and neither does another unit of the same gateway take part."""
    run(harness.service.account.refresh())
    for _ in range(2):
        submit(harness.service)
    assert harness.another().account.price("1.5", "") == 0.25
    assert harness.another(base_url="http://127.0.0.1:9").account.price("1.5", "") is None
    prices = harness.journal.prices
    kind = Kind(harness.gateway_id, "1.5", "")
    assert not prices.observe(1001, kind, "token", 125_000)
    assert prices.known(kind) is None
    assert prices.observe(1002, kind, "token", 125_000)
    assert prices.known(kind) == 125_000


def test_noise_of_another_program_is_not_a_price(harness: ServiceHarness) -> None:
    """Differences that do not agree are not used, and do not replace a price that is known. A new
    price is used when it was observed twice."""
    service, sim = harness.service, harness.gateway
    run(service.account.refresh())

    def noisy(amount: float) -> Entry:
        sim.spend(amount)
        return submit(service)

    assert [noisy(amount).price for amount in (0.11, 0.07, 0.02)] == [None] * 3
    assert service.account.price("1.5", "") is None
    assert [submit(service).price for _ in range(2)] == [None, 0.25]
    assert noisy(0.4).price is None
    assert service.account.price("1.5", "") == 0.25
    noisy(0.05)
    assert noisy(0.05).price == 0.3
    assert service.account.price("1.5", "") == 0.3


def test_several_requests_at_once_are_not_observed(harness: ServiceHarness) -> None:
    """Two requests between two readings, of the same process or of two, give no price: not even
    half of the difference."""
    services = [harness.service, harness.another()]
    for _ in range(3):
        for service in services:
            run(service.account.refresh())

        async def both() -> None:
            texts = [f"Plum {next(_numbers)}" for _ in services]
            work = [each.submit(ask(text)) for each, text in zip(services, texts, strict=True)]
            await asyncio.gather(*work)

        run(both())
        for service in services:
            settle(service)
    assert harness.service.account.price("1.5", "") is None
    assert all(entry.price is None for entry in harness.journal.entries())


def test_two_processes_do_not_observe_one_task_twice(harness: ServiceHarness) -> None:
    """Each of two services sees the counter before and after the same task. That is one
    observation."""
    one, other = harness.service, harness.another()
    for service in (one, other):
        run(service.account.refresh())
    submit(one)
    time.sleep(QUICK.account_interval)
    run(other.account.refresh())
    assert one.account.price("1.5", "") is None


def test_late_counter_does_not_move_a_price_to_the_next_task(tmp_path: Path) -> None:
    """A gateway that writes charges down in batches shows the charge of a task after the next one
    was sent. Nothing is learned from that, least of all the price of the other effect."""
    with Simulator(account="v1", prices={"Melt": 0.5}, charge_seconds=0.3) as gateway:
        policy = replace(QUICK, account_settle=5.0)
        harness = ServiceHarness(gateway, tmp_path, policy)
        service = harness.service
        run(service.account.refresh())
        for effect in ("Melt", None) * 3:
            run(service.submit(ask(f"Fig {next(_numbers)}", pikaffect=effect)))
            time.sleep(0.4)
        assert service.account.price("1.5", "") in (None, 0.25)
        assert service.account.price("1.5", "Melt") in (None, 0.5)
        harness.close()


def test_refund_of_a_failed_task_is_not_a_price(harness: ServiceHarness) -> None:
    """A task fails and its price is given back between two readings: no observation."""
    service = harness.service
    run(service.account.refresh())
    for _ in range(3):
        harness.gateway.fault("task", error="moderation")
        failed = run(service.submit(ask(f"Lime {next(_numbers)}")))
        with pytest.raises(TaskFailed):
            run(service.wait(failed.task_id))
        submit(service, "Melt")
    assert service.account.price("1.5", "Melt") in (None, 0.5)


def test_price_set_by_hand_wins(harness: ServiceHarness) -> None:
    """It is the estimate of every request at once, and nothing is learned beside it."""
    service = harness.another(price=1.5, currency="CNY")
    run(service.account.refresh())
    for _ in range(3):
        entry = submit(service)
        assert (entry.estimate, entry.price) == (1.5, None)
    assert service.account.price("2.0", "Melt") == 1.5
    assert service.account.describe(1.5) == "about 1.50 CNY, 19.25 CNY left"
    assert harness.another().account.price("1.5", "") is None


def test_cost_is_reported_before_the_request_leaves(harness: ServiceHarness) -> None:
    """Where a price is known, the line about sending has it; a reused task has no cost."""
    lines: list[Progress] = []
    observer = ProgressObserver(report=lines.append)
    service = harness.another(price=0.25)
    run(service.account.refresh())
    submitted = run(service.submit(ask("Quince"), observer=observer))
    assert any(line.text.endswith(" · about 0.25, 20.00 left") for line in lines)
    assert submitted.estimate == 0.25
    lines.clear()
    again = run(service.submit(ask("Quince"), observer=observer))
    assert (again.reused, again.estimate) == (True, None)
    assert not any("about" in line.text for line in lines)


def test_readings_are_few(harness: ServiceHarness) -> None:
    """Any number of callers causes one reading a minute. Many submits one after another cause one
    reading when the last one is over, and one more to have a baseline."""
    service = harness.another(max_requests=4)
    policy = replace(QUICK, account_interval=60.0, account_delay=0.5)
    service = Service(service.settings, harness.journal, harness.output, policy=policy)

    async def many() -> None:
        await asyncio.gather(*(service.account.refresh() for _ in range(20)))
        await asyncio.gather(*(service.submit(ask(f"Kiwi {number}")) for number in range(8)))

    run(many())
    run(service.account.refresh())
    time.sleep(1.0)
    count = len(harness.gateway.requests("GET", USAGE))
    service.close()
    assert 2 <= count <= 3


def test_gateway_without_account_endpoints_is_asked_once(tmp_path: Path) -> None:
    """It says so, submits work, and no later submit or refresh asks again."""
    with Simulator(dialect="wrapped") as gateway:
        harness = ServiceHarness(gateway, tmp_path, QUICK)
        service = harness.service
        state = run(service.account.refresh())
        assert (state.offered, state.balance) == (False, None)
        assert "does not report a balance" in state.problem
        count = len(gateway.log)
        submit(service)
        time.sleep(2 * QUICK.account_interval)
        run(service.account.refresh())
        assert [each.path for each in gateway.log[count:]] == ["/pika/generate"]
        harness.close()


@pytest.mark.parametrize(
    "act",
    [
        lambda sim: sim.fault("account", status=500, times=None),
        lambda sim: sim.fault("account", reset=True, times=None),
        lambda sim: sim.fault("account", delay=30, times=None),
        lambda sim: sim.fault("account", status=429, headers={"Retry-After": "60"}, times=None),
    ],
    ids=["500", "reset", "silent", "429"],
)
def test_trouble_of_the_account_endpoints_never_delays_a_submit(
    act: Callable[[Simulator], object], harness: ServiceHarness
) -> None:
    """Submits go through while a reading fails or hangs, also after a 429 to it; and the service
    closes at once."""
    service = harness.service
    act(harness.gateway)
    reader = threading.Thread(target=lambda: run(service.account.refresh()))
    reader.start()
    time.sleep(0.1)
    started = time.monotonic()
    for _ in range(3):
        run(service.submit(ask(f"Apple {next(_numbers)}")))
    assert time.monotonic() - started < 5
    assert harness.posts == 3
    service.close()
    reader.join()
    assert time.monotonic() - started < 8


def test_nothing_is_read_while_a_back_off_is_active(harness: ServiceHarness) -> None:
    """After a 429 to any request the counter is not read until the back-off is over."""
    service = harness.service
    service._workers.backoff.slow_down(0.6)
    assert run(service.account.refresh()).balance is None
    assert harness.gateway.requests("GET", USAGE) == []
    time.sleep(0.7)
    assert run(service.account.refresh()).balance is not None


def test_429_of_the_counter_pauses_readings_only(harness: ServiceHarness) -> None:
    """Its Retry-After is kept, also after a submit."""
    service = harness.service
    harness.gateway.fault("account", status=429, headers={"Retry-After": "60"})
    assert "429" in run(service.account.refresh()).problem
    submit(service)
    assert len(harness.gateway.requests("GET", "/v1/dashboard/billing/subscription")) == 1


def test_balance_of_a_service_without_a_key_is_not_read(harness: ServiceHarness) -> None:
    """Nothing is sent without a key."""
    service = harness.another(api_key="")
    assert run(service.account.refresh()).balance is None
    assert harness.gateway.log == []


def test_request_over_the_quota_is_refused_without_a_charge(tmp_path: Path) -> None:
    """The simulator's own rule, as in new-api: 403 before a task is created."""
    with Simulator(account="v1", quota=0.3) as gateway:
        harness = ServiceHarness(gateway, tmp_path, QUICK)
        submit(harness.service)
        with pytest.raises(NotAccepted, match="credit"):
            harness.submit(ask("One too many"))
        assert gateway.used() == 0.25
        harness.close()


def test_broken_thread_start_loses_only_the_balance(harness: ServiceHarness) -> None:
    """Where the system has no more threads, the submit still returns its task."""
    service = harness.service

    def refuse(_run: Callable[[], None], _name: str) -> threading.Thread:
        raise RuntimeError("can't start new thread")

    service.account._start = refuse
    assert harness.submit(ask("Papaya"))
    assert service.account.balance is None


def test_hostile_model_has_no_price(harness: ServiceHarness) -> None:
    """Only short texts are kinds; anything else is submitted without an estimate."""
    assert Kind.of("g", {"model": "x" * 65}) is None
    assert Kind.of("g", {"model": {"a": 1}}) is None
    assert Kind.of("g", {}) == Kind("g", "", "")
    assert harness.service.account.price("x" * 65, "") is None


def test_answer_of_the_counter_is_bounded(harness: ServiceHarness) -> None:
    """A counter that answers with megabytes is not read to the end."""
    page = answer(200, b'{"hard_limit_usd": 5, "x": "' + b"y" * 5_000_000 + b'"}')
    with RawServer(page) as server:
        service = harness.another(base_url=server.url, api_key="k")
        assert "bytes" in run(service.account.refresh()).problem
