"""The balance of the key, and the price of a task, learned from the gateway's usage counter.

Everything here happens beside the paid requests, in a thread of its own: no submit waits for it,
and an error of the account endpoints is no error of a task.

The price of a task is the difference of two readings of the counter between which this journal has
sent exactly one request. The journal knows what all of its processes send; it does not know other
programs with the same key, so `Prices` uses a price only if two observations agree.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from ..errors import AccountError, AccountNotOffered
from ..gateway import Balance, Client, SharedBackoff, cancellable
from ..journal import BalanceReading, Journal, Kind, SubmitMark
from ..log import log
from ..message import Message
from ..progress import NO_OBSERVER, ProgressObserver, pause, run_in_thread
from ..settings import Settings
from ..text import format_amount
from ..threads import StartThread, start_thread
from .policy import ServicePolicy
from .threads import DaemonPool

#: Decimals of a price: counters of this family have steps of 2e-6.
_DECIMALS: Final = 6
_NEVER: Final = float("-inf")


@dataclass(frozen=True)
class AccountState:
    """What is known of the account.

    Attributes:
        balance: The balance as it was read last; None if it could not be read yet.
        read_at: When that was, in seconds of the monotonic clock.
        problem: Why the last attempt to read it failed; empty if it did not.
        offered: Whether the gateway has account endpoints; None if that is not known yet.
    """

    balance: Balance | None = None
    read_at: float = 0.0
    problem: str = ""
    offered: bool | None = None


@dataclass(frozen=True)
class _Reading:
    """The counter at a moment, and what the journal had sent until then."""

    used: float
    unit: str
    mark: SubmitMark


class Account:
    """The account of one key at one gateway.

    Args:
        settings: The key and the gateway; a price set by hand; the currency.
        client: Reads the balance.
        journal: Knows what was sent, and keeps the prices.
        backoff: While it is active, nothing is read.
        policy: Waiting times.
        clock: Monotonic time in seconds.
        start: Starts a thread.
    """

    def __init__(
        self,
        settings: Settings,
        client: Client,
        journal: Journal,
        backoff: SharedBackoff,
        policy: ServicePolicy,
        clock: Callable[[], float] = time.monotonic,
        start: StartThread = start_thread,
    ) -> None:
        self._settings = settings
        self._client = client
        self._journal = journal
        self._backoff = backoff
        self._policy = policy
        self._clock = clock
        self._start = start
        self._pool = DaemonPool(1, "pika-account")
        self._closed = threading.Event()
        self._reading = threading.Lock()
        #: Guards the fields below.
        self._changed = threading.Condition()
        self._state = AccountState()
        self._baseline: _Reading | None = None
        #: Where the mark of the baseline begins, and so those that are compared with it.
        self._mark_start = 0
        #: The last reading, for limits, and when it began.
        self._reading_for_limits: tuple[BalanceReading | None, float] = (None, _NEVER)
        self._next_read = _NEVER
        #: After an error nothing is read until then, whatever is sent.
        self._paused_until = _NEVER
        self._retry_for_limits = _NEVER
        self._last_submit = _NEVER
        self._may_follow_up = False
        self._due: float | None = None
        #: The first submit for which no reading has begun yet.
        self._unread_since: float | None = None
        self._timer: threading.Thread | None = None

    def close(self) -> None:
        """End the reading in progress, if any, and read no more."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
            timer = self._timer
        self._pool.shutdown(cancel_futures=True)
        if timer is not None:
            timer.join()

    @property
    def state(self) -> AccountState:
        """What is known of the account. Asks nobody."""
        with self._changed:
            return self._state

    @property
    def balance(self) -> Balance | None:
        """The balance as it was read last; None if it is not known. Asks nobody."""
        return self.state.balance

    def price(self, model: str, effect: str) -> float | None:
        """What a task costs; None if that is not known. Reads the journal.

        Args:
            model, effect: As in the request; empty if it has none.
        """
        if self._settings.price is not None:
            return self._settings.price
        kind = Kind.of(self._settings.gateway, {"model": model, "pikaffect": effect})
        return None if kind is None else self._journal.prices.known(kind)

    def describe(self, estimate: float | None) -> Message:
        """What is known before a task is paid: ``about 0.25, 12.40 left``; empty if nothing is.

        Args:
            estimate: What the task is expected to cost.
        """
        balance = self.balance
        left = Message("")
        if balance is not None and balance.left is not None:
            amount = format_amount(balance.left, self._settings.currency)
            left = Message("{amount} left", amount=amount)
        return Message.joined(", ", self.describe_cost(estimate), left)

    def describe_cost(self, estimate: float | None) -> Message:
        """What a task is expected to cost: ``about 0.25``; empty if that is not known."""
        if estimate is None:
            return Message("")
        return Message("about {amount}", amount=format_amount(estimate, self._settings.currency))

    async def refresh(self, observer: ProgressObserver = NO_OBSERVER) -> AccountState:
        """Read the balance, unless that happened in the last minute and nothing was sent since.

        An error of the account endpoints is in the result. Raises `JournalError` only.
        """
        return await run_in_thread(self._pool, observer, self._refresh)

    def fresh_reading(self) -> BalanceReading | None:
        """The balance, if it was read a moment ago; None if not. Asks nobody."""
        return self._reading_since(self._clock() - self._policy.account_fresh)

    def _reading_since(self, start: float) -> BalanceReading | None:
        with self._changed:
            reading, began = self._reading_for_limits
        return reading if began >= start else None

    async def read_for_limit(self, observer: ProgressObserver) -> BalanceReading:
        """Read the balance, unless that happened a moment ago.

        Raises:
            AccountError: It cannot be read now.
            JournalError: The journal does not answer.
        """
        while (wait := self._backoff.wait()) > 0:
            await pause(wait, observer)
        return await run_in_thread(self._pool, observer, self._read_for_limit)

    def _read_for_limit(self) -> BalanceReading:
        with self._reading:  # a second caller finds the result of the first one
            start = self._clock()
            reading = self.fresh_reading()
            if reading is None and start >= self._retry_for_limits:
                self._read()
                reading = self._reading_since(start)
            if reading is None:
                raise AccountError(self.state.problem)
            return reading

    def submitted(self) -> None:
        """A request was sent and answered: read the counter soon. Raises nothing.

        Of many requests one after another only the last one counts, for up to a minute.
        """
        with self._changed:
            now = self._last_submit = self._next_read = self._clock()
            self._may_follow_up = True
            first = now if self._unread_since is None else self._unread_since
            self._unread_since = first
            due = min(now + self._policy.account_delay, first + self._policy.account_interval)
        self._read_at(due)

    def _read_at(self, due: float) -> None:
        """Read the balance in a thread of its own, at this time instead of an earlier one."""
        if self._closed.is_set() or self.state.offered is False or not self._settings.api_key:
            return
        with self._changed:
            self._due = due
            self._changed.notify_all()
            if self._timer is not None:
                return
            try:
                self._timer = self._start(self._run_timer, "pika-account-timer")
            except (RuntimeError, MemoryError, OSError) as error:
                self._due = None
                log.debug("account: not read, no thread: %s", error)

    def _run_timer(self) -> None:
        while True:
            with self._changed:
                while self._due is not None and not self._closed.is_set():
                    wait = self._due - self._clock()
                    if wait <= 0:
                        break
                    self._changed.wait(wait)
                if self._due is None or self._closed.is_set():
                    self._timer = None
                    return
                self._due = None
            if (pause := self._backoff.wait()) > 0:
                self._read_at(self._clock() + pause)
                continue
            try:
                self._refresh()
            except Exception as error:  # noqa: BLE001 - nothing paid depends on it
                log.debug("account: not read: %s", error)

    def _refresh(self) -> AccountState:
        with self._reading:  # a second caller finds the result of the first one
            if self._is_due():
                self._read()
            return self.state

    def _is_due(self) -> bool:
        may_ask = bool(self._settings.api_key) and not self._closed.is_set()
        due = max(self._next_read, self._paused_until)
        return may_ask and self._clock() >= due and self._backoff.wait() <= 0

    def _read(self) -> None:
        """Read the counter once, and learn from it."""
        policy = self._policy
        with self._changed:
            self._next_read = self._clock() + policy.account_interval
            self._unread_since = None
        prices = self._journal.prices
        if self._baseline is None:
            self._mark_start = prices.mark_start()
        mark = prices.submit_mark(self._mark_start)
        # Charges from a moment before may be missing: some gateways write them down in batches.
        complete_until = self._journal.now() - policy.account_settle
        started = self._clock()
        try:
            with cancellable(self._closed):
                balance = self._client.balance()
        except AccountNotOffered as error:
            self._failed(error, policy.account_absent, policy.account_absent, offered=False)
            return
        except AccountError as error:
            wait = error.retry_after or 0.0
            retry = max(wait, policy.account_retry)
            self._failed(error, max(wait, policy.account_interval), retry)
            return
        with self._changed:
            self._reading_for_limits = BalanceReading(balance.left, complete_until), started
            self._state = AccountState(balance, self._clock(), "", True)
        if self._settings.price is None:
            self._learn(_Reading(balance.used, balance.unit, mark))

    def _failed(
        self, error: AccountError, wait: float, retry: float, *, offered: bool | None = None
    ) -> None:
        with self._changed:
            was_offered = self._state.offered
            known = was_offered if offered is None else offered
            self._state = replace(self._state, problem=error.what, offered=known)
            self._paused_until = self._clock() + wait
            self._retry_for_limits = self._clock() + retry
        log.debug("account: %s", error.what)

    def _learn(self, reading: _Reading) -> None:
        """Take the difference to the last reading as the price of the one request in between."""
        if self._journal.prices.submit_mark(self._mark_start) != reading.mark:
            self._rebase(None)  # something was sent meanwhile: the counter may have it or not
            return
        baseline = self._baseline
        if baseline is None or baseline.unit != reading.unit:
            self._rebase(reading)
            return
        entry_id = reading.mark.only_request_since(baseline.mark)
        if entry_id is None:
            self._rebase(reading)
            return
        price = round(reading.used - baseline.used, _DECIMALS)
        if price > 0:
            self._observe(entry_id, reading.unit, price)
            with self._changed:
                self._baseline = reading
        elif price < 0:
            self._rebase(reading)
        else:
            self._follow_up()  # counters may lag: the charge is seen later, or it is free

    def _rebase(self, reading: _Reading | None) -> None:
        """Compare later readings with this one, if every charge so far is in its counter."""
        is_settled = self._clock() - self._last_submit >= self._policy.account_settle
        with self._changed:
            self._baseline = reading if is_settled else None
        if self._baseline is None:
            self._follow_up()

    def _follow_up(self) -> None:
        """Read once more after a submit, so that the next request has a baseline."""
        with self._changed:
            may, self._may_follow_up = self._may_follow_up and self._due is None, False
            due = max(self._next_read, self._last_submit + self._policy.account_settle)
        if may:
            self._read_at(due)

    def _observe(self, entry_id: int, unit: str, price: float) -> None:
        entry = self._journal.find_by_id(entry_id)
        if entry is None or entry.task_id is None or entry.gateway != self._settings.gateway:
            return
        kind = Kind.of(entry.gateway, entry.request)
        if kind is None or entry.key_id != self._settings.key_id:
            return
        is_known = self._journal.prices.observe(entry_id, kind, unit, price)
        log.debug("task %s: cost %s (price known: %s)", entry.task_id, price, is_known)
