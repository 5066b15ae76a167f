"""Spending limits hold before the POST, for all nodes and processes on one journal together."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pika_api.errors import LimitReached, PikaError, Refused, SubmitUnknown
from pika_api.journal import Journal, Kind, Limits
from pika_api.journal.limits import start_of_day
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Service, Submitted
from simulator import Simulator
from support.api import Clock, ServiceHarness, ask, intent, run
from support.sizes import sized


def submit_all(service: Service, takes: range, **options: Any) -> list[object]:
    """Submit several takes at once; the results and errors."""

    async def all_at_once() -> list[object]:
        calls = (service.submit(ask(), take=take, **options) for take in takes)
        return await asyncio.gather(*calls, return_exceptions=True)

    return run(all_at_once())


def test_daily_limit_holds_for_parallel_requests(harness: ServiceHarness) -> None:
    """Three of eight are sent. The error names the limit, what was used, and where to change it."""
    service = harness.another(daily_limit=3)
    results = submit_all(service, range(8))
    errors = [each for each in results if isinstance(each, LimitReached)]
    assert len(errors) == 5
    assert harness.posts == 3
    for words in ("3 paid tasks today", "3 so far", "Settings → Pika", "PIKA_DAILY_LIMIT"):
        assert words in str(errors[0])
    assert errors[0].charged is False


def test_existing_tasks_are_still_reused(harness: ServiceHarness) -> None:
    """The limit is about new charges only."""
    task_id = harness.submit()
    service = harness.another(daily_limit=1)
    assert run(service.submit(ask())).task_id == task_id
    with pytest.raises(
        LimitReached, match="limit of 1 paid task today is reached: 1 so"
    ) as reached:
        run(service.submit(ask(), take=1))
    assert reached.value.name == "daily_limit"
    assert run(service.collect(task_id)).path.is_file()


def test_refused_requests_do_not_count(harness: ServiceHarness) -> None:
    """They were not charged. An unknown one may have been, so it counts."""
    service = harness.another(daily_limit=2)
    for take in range(3):
        harness.gateway.fault("submit", status=400, body={"error": {"message": "no"}})
        with pytest.raises(Refused):
            run(service.submit(ask(), take=take))
    harness.gateway.fault("submit", reset=True, accept=True)
    with pytest.raises(SubmitUnknown):
        run(service.submit(ask(), take=4))
    assert run(service.submit(ask(), take=5)).task_id
    with pytest.raises(LimitReached):
        run(service.submit(ask(), take=6))


def test_limit_per_run(harness: ServiceHarness) -> None:
    """Each run may create two tasks. Outside of ComfyUI there are no runs, and no such limit."""
    service = harness.another(run_limit=2)
    for prompt_id in ("run-1", "run-2"):
        results = submit_all(service, range(4), prompt_id=prompt_id)
        taken = [each for each in results if not isinstance(each, PikaError)]
        reused = [each for each in taken if getattr(each, "reused", False)]
        assert len(taken) - len(reused) == 2
    assert harness.posts == 4
    assert run(service.submit(ask(), take=99)).task_id


def test_forgotten_and_failed_tasks_count(harness: ServiceHarness) -> None:
    """They were paid for."""
    service = harness.another(daily_limit=2)
    run(service.submit(ask()))
    assert service.journal.forget(1)
    run(service.submit(ask()))
    service.journal.mark_failed(2, "moderation")
    with pytest.raises(LimitReached):
        run(service.submit(ask()))


def claim(journal: Journal, name: str, daily: int = 1, run_id: str = "") -> bool:
    """Whether another request may be sent."""
    try:
        journal.claim(intent(name, prompt_id=run_id), "me", Limits(daily_tasks=daily))
    except LimitReached:
        return False
    return True


def test_a_new_day_begins_at_midnight(tmp_path: Path) -> None:
    """In the computer's time zone. A clock that is set back does not free the limit."""
    clock = Clock()
    clock.now = start_of_day(1_800_000_000.0) + 23 * 3600
    with closing(Journal(sqlite_url(tmp_path), clock)) as journal:
        assert claim(journal, "a")
        assert journal.mark_sent(1, "me")
        assert not claim(journal, "b")
        clock.now += 3601
        assert claim(journal, "b")
        assert journal.mark_sent(2, "me")
        clock.now -= 48 * 3600
        assert not claim(journal, "c")


def test_request_of_a_dead_process_does_not_count(tmp_path: Path) -> None:
    """It was never sent, and its lease has lapsed."""
    clock = Clock()
    with closing(Journal(sqlite_url(tmp_path), clock)) as journal:
        assert claim(journal, "a")
        assert not claim(journal, "b")
        clock.now += journal.lease + 1
        assert claim(journal, "b")


def submit_in_process(
    home: Path, url: str, key: str, limits: dict[str, Any], barrier: Any, answers: Any
) -> None:
    """Submit a request of its own at the same moment as other processes."""
    settings = Settings(api_key=key, base_url=url, **limits)
    with (
        closing(Journal(sqlite_url(home))) as journal,
        closing(Service(settings, journal, home / "output")) as service,
    ):
        barrier.wait(60)
        try:
            run(service.submit(ask(), take=multiprocessing.current_process().pid or 0))
        except LimitReached:
            answers.put("limit")
        except Exception as error:  # noqa: BLE001 - the parent process fails on it
            answers.put(repr(error))
        else:
            answers.put("sent")


def submit_in_processes(harness: ServiceHarness, count: int, **limits: Any) -> list[str]:
    """Submit a request in each of so many processes at once; their sorted answers."""
    spawn = multiprocessing.get_context("spawn")
    barrier, answers = spawn.Barrier(count), spawn.Queue()
    gateway = harness.gateway
    arguments = (harness.home, gateway.url, gateway.key, limits, barrier, answers)
    processes = [spawn.Process(target=submit_in_process, args=arguments) for _ in range(count)]
    for process in processes:
        process.start()
    found = sorted(answers.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(30)
    answers.close()
    return found


@pytest.mark.slow
def test_processes_against_a_limit_of_half_as_many(harness: ServiceHarness) -> None:
    """One half is sent, the other half is told. The long form has twenty processes."""
    limit = sized(4, 10)
    found = submit_in_processes(harness, 2 * limit, daily_limit=limit)
    assert found == ["limit"] * limit + ["sent"] * limit
    assert harness.posts == limit


@pytest.mark.slow
def test_processes_against_limits_of_money(account: ServiceHarness) -> None:
    """Half of them fit into the money of the day. The balance never falls below its minimum: a
    reading that has some of their charges already may refuse more than necessary, never less."""
    count = sized(4, 20)
    half = count // 2
    limits = {"price": 0.25, "daily_cost_limit": half * 0.25, "min_balance": 20 - count * 0.25}
    found = submit_in_processes(account, count, **limits)
    assert found == ["limit"] * half + ["sent"] * half
    assert account.posts == half
    if sized(False, True):
        # The tasks of the last moments may be subtracted twice: there is room for them.
        most = count + half
        found = submit_in_processes(account, count, price=0.25, min_balance=20 - 0.25 * most)
        assert "sent" in found
        assert half < account.posts <= most
        assert account.gateway.used() <= 0.25 * most


def test_threads_with_services_of_their_own(harness: ServiceHarness) -> None:
    """As several ComfyUIs on one journal."""
    services = [harness.another(daily_limit=3) for _ in range(4)]

    def submit(number: int) -> bool:
        try:
            run(services[number % 4].submit(ask(), take=number))
        except LimitReached:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(submit, range(8))) == 3
    assert harness.posts == 3


def priced(harness: ServiceHarness, **settings: Any) -> Service:
    """A service of a user who has entered that a task costs 0.25."""
    return harness.another(**{"price": 0.25, "currency": "CNY", **settings})


@pytest.fixture
def account(tmp_path: Path) -> Iterator[ServiceHarness]:
    """Services at a gateway with a counter: a task costs 0.25, and 20 are left."""
    with Simulator(account="v1", height=64, clip_seconds=0.5) as gateway:
        harness = ServiceHarness(gateway, tmp_path)
        yield harness
        harness.close()


def outcomes(results: list[object]) -> tuple[int, list[LimitReached]]:
    """How many were sent, and the errors of the others."""
    errors = [each for each in results if isinstance(each, LimitReached)]
    assert len(errors) + sum(isinstance(each, Submitted) for each in results) == len(results)
    return len(results) - len(errors), errors


def test_money_per_day_holds_for_parallel_requests(harness: ServiceHarness) -> None:
    """1.00 a day is four tasks of 0.25. Running tasks count with their expected price; a reused
    task needs no money. The error names the limit, what was used, the price, and where to change
    it."""
    service = priced(harness, daily_cost_limit=1.0)
    sent, errors = outcomes(submit_all(service, range(8)))
    assert (sent, harness.posts) == (4, 4)
    for words in ("1.00 CNY per day", "1.00 CNY so far", "about 0.25 CNY", "Settings → Pika"):
        assert words in str(errors[0])
    assert "raise the limit" in errors[0].hint
    assert "PIKA_DAILY_COST_LIMIT" in errors[0].hint
    assert errors[0].name == "daily_cost_limit"
    takes = [entry.take for entry in service.journal.entries()]
    assert run(service.submit(ask(), take=takes[0])).reused


def test_refused_requests_cost_no_money(harness: ServiceHarness) -> None:
    """A refusal costs nothing. An unknown outcome and a failed task may have been charged."""
    service = priced(harness, daily_cost_limit=0.75)
    harness.gateway.fault("submit", status=400, body={"error": {"message": "no"}})
    with pytest.raises(Refused):
        run(service.submit(ask(), take=0))
    harness.gateway.fault("submit", reset=True, accept=True)
    with pytest.raises(SubmitUnknown):
        run(service.submit(ask(), take=1))
    run(service.submit(ask(), take=2))
    service.journal.mark_failed(3, "moderation")
    run(service.submit(ask(), take=3))
    with pytest.raises(LimitReached):
        run(service.submit(ask(), take=4))


def test_amounts_are_compared_as_decimals(harness: ServiceHarness) -> None:
    """Three tasks of 0.1 are 0.3, although 0.1 + 0.1 + 0.1 > 0.3 in binary."""
    service = harness.another(price=0.1, daily_cost_limit=0.3)
    assert outcomes(submit_all(service, range(4)))[0] == 3


@pytest.mark.parametrize(
    ("limit", "subject"),
    [("daily_cost_limit", "limit of 5.00 per day"), ("min_balance", "minimum balance of 5.00")],
)
def test_limit_of_money_needs_a_price(account: ServiceHarness, limit: str, subject: str) -> None:
    """What cannot be checked is not sent. The error says so, and what to do about it: with a price
    by hand the limit works, also for tasks from before."""
    account.submit()
    service = account.another(**{limit: 5.0})
    with pytest.raises(LimitReached, match="price of this task is not known") as unknown:
        run(service.submit(ask(), take=1))
    assert f"Your {subject} cannot be checked: " in str(unknown.value)
    assert "PIKA_PRICE" in unknown.value.hint
    assert f"PIKA_{limit.upper()}" in unknown.value.hint
    assert unknown.value.name == limit
    assert account.posts == 1
    assert run(service.submit(ask())).reused
    service = account.another(**{limit: 5.0}, price=0.25)
    assert run(service.submit(ask(), take=1)).estimate == 0.25


def test_learned_prices_count_for_tasks_from_before(account: ServiceHarness) -> None:
    """Tasks that were entered before the price was known count with it from then on. One of another
    effect, whose price is not known, is named: nothing is sent on a guess."""
    for take in range(3):
        account.submit(take=take)
    kind = Kind(account.gateway_id, "1.5", "")
    prices = account.journal.prices
    assert [prices.observe(number, kind, "billing", 0.25) for number in (1, 2)] == [False, True]
    service = account.another(daily_cost_limit=1.0)
    assert run(service.submit(ask(), take=3)).estimate == 0.25
    with pytest.raises(LimitReached, match=r"1\.00 so far"):
        run(service.submit(ask(), take=4))
    # Another process, without limits.
    run(account.another().submit(ask(pikaffect="Melt")))
    service = account.another(daily_cost_limit=9.0)
    subject = r"limit of 9\.00 per day cannot be checked: the price of 1 of your latest tasks"
    with pytest.raises(LimitReached, match=subject):
        run(service.submit(ask(), take=4))


def test_money_of_another_gateway_does_not_count(harness: ServiceHarness, tmp_path: Path) -> None:
    """Its prices have another unit. Other spellings of the same address are the same gateway."""
    journal = harness.journal
    limits = Limits(daily_cost=1.0)
    other = {"base_url": "https://elsewhere.example", "price": 400.0}
    journal.claim(intent("a", **other), "me")
    upper = {"base_url": "https://API.gpt.ge/", "price": 0.5}
    journal.claim(intent("b", price=0.25), "me", limits)
    journal.claim(intent("c", **upper), "me", limits)
    with pytest.raises(LimitReached, match=r"0\.75 so far"):
        journal.claim(intent("d", **upper), "me", limits)


def test_taken_over_request_counts_in_its_new_run_and_day(tmp_path: Path) -> None:
    """A request that a dead process never sent is one of the run that sends it, at the price of
    that day: otherwise a run of such requests would not be limited."""
    clock = Clock()
    with closing(Journal(sqlite_url(tmp_path), clock)) as journal:
        for name in "abc":
            journal.claim(intent(name, prompt_id="dead", price=0.1), "dead")
        clock.now += 3 * 86400
        limits = Limits(run_tasks=2, daily_cost=100)
        for name in "ab":
            claim = journal.claim(intent(name, prompt_id="new", price=0.2), "me", limits)
            assert (claim.acquired, claim.entry.estimate) == (True, 0.2)
        with pytest.raises(LimitReached, match="in this run"):
            journal.claim(intent("c", prompt_id="new", price=0.2), "me", limits)
        with pytest.raises(LimitReached, match=r"0\.40 so far"):
            journal.claim(intent("d", price=0.2), "me", Limits(daily_cost=0.5))


def test_balance_is_kept_by_parallel_requests(account: ServiceHarness) -> None:
    """18.9 must be left of 20: four tasks of 0.25. Tasks that are being sent count, although the
    reading of the balance does not have them. The error has all numbers."""
    service = priced(account, min_balance=18.9)
    sent, errors = outcomes(submit_all(service, range(8)))
    assert (sent, account.posts) == (4, 4)
    for words in ("minimum of 18.90 CNY", "20.00 CNY left", "1.00 CNY for tasks", "0.25 CNY"):
        assert words in str(errors[0])
    assert "top up your balance" in errors[0].hint
    assert "PIKA_MIN_BALANCE" in errors[0].hint
    assert errors[0].name == "min_balance"


def test_money_spent_elsewhere_lowers_the_balance(account: ServiceHarness) -> None:
    """The balance is read again before the claim if the last reading is older than a moment: what
    another program has spent is in it. A reused task needs no balance and reads none."""
    account.policy = replace(account.policy, account_fresh=0.0)
    service = priced(account, min_balance=10.0)
    run(service.submit(ask()))
    account.gateway.spend(9.9)
    with pytest.raises(LimitReached, match=r"9\.85 CNY left"):
        run(service.submit(ask(), take=1))
    before = len(account.gateway.requests("GET"))
    assert run(service.submit(ask())).reused
    assert len(account.gateway.requests("GET")) == before


@pytest.mark.parametrize("kind", ["none", "broken"])
def test_unread_balance_refuses_and_says_why(tmp_path: Path, kind: str) -> None:
    """A gateway without a balance, and one that does not answer, let nothing through."""
    with Simulator(account="none" if kind == "none" else "v1") as gateway:
        if kind == "broken":
            gateway.fault("account", status=502)
        harness = ServiceHarness(gateway, tmp_path)
        service = priced(harness, min_balance=1.0)
        with pytest.raises(LimitReached, match="cannot be checked") as error:
            run(service.submit(ask()))
        assert ("does not report a balance" if kind == "none" else "502") in str(error.value)
        assert "minimum balance of 1.00 CNY" in str(error.value)
        assert "(PIKA_MIN_BALANCE)" in error.value.hint
        assert error.value.name == "min_balance"
        assert harness.posts == 0
        harness.close()


def test_key_without_a_limit_has_any_balance(tmp_path: Path) -> None:
    """Nothing is left to keep, so nothing is refused."""
    with Simulator(account="v1", unlimited=True) as gateway:
        harness = ServiceHarness(gateway, tmp_path)
        assert run(priced(harness, min_balance=1000.0).submit(ask())).task_id
        harness.close()
