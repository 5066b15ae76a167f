"""The account endpoints: a real counter of what tasks cost, in the spellings of this family.

Sources, read November 2026: the documentation of api.gpt.ge; new-api (github.com/QuantumNous/
new-api) controller/billing.go and controller/token.go. As there, the counter is a whole number of
points, of which 500,000 are one unit, and `total_usage` is in hundredths of a unit.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from .settings import Settings
from .tasks import Task, TaskStore

POINTS = 500_000
_UNLIMITED = 100_000_000

#: The paths of each spelling.
PATHS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "v1": ("/v1/dashboard/billing/subscription", "/v1/dashboard/billing/usage"),
    "dashboard": ("/dashboard/billing/subscription", "/dashboard/billing/usage"),
    "token": ("/api/usage/token/",),
}


class Ledger:
    """What the accounts have used up. Thread-safe.

    A task is charged when it is accepted; the counter shows it `charge_seconds` later. With
    `refund`, a task that failed costs nothing.
    """

    def __init__(self, settings: Settings, tasks: TaskStore) -> None:
        self._settings = settings
        self._tasks = tasks
        self._lock = threading.Lock()
        self._other: Counter[str] = Counter()

    def price(self, body: Mapping[str, Any]) -> float:
        """The price of a request: of its effect, else of its model, else that of all."""
        settings = self._settings
        names = (str(body.get("pikaffect")), str(body.get("model")))
        return next((settings.prices[name] for name in names if name in settings.prices),
                    settings.price)  # fmt: skip

    def spend(self, amount: float, account: str = "first") -> None:
        """Charges something else to an account, as another program with the same key does."""
        with self._lock:
            self._other[account] += round(amount * POINTS)

    def used(self, account: str) -> int:
        """What the counter of an account shows, in points."""
        with self._lock:
            points = self._other[account]
        for task in self._tasks.snapshot().values():
            if task.account == account and self._is_charged(task):
                points += round(self.price(task.body) * POINTS)
        return points

    def can_pay(self, account: str, body: Mapping[str, Any]) -> bool:
        """Whether the account has enough left for a request."""
        left = self._settings.quota * POINTS - self.used(account)
        free = self._settings.account == "none" or self._settings.unlimited
        return free or left >= round(self.price(body) * POINTS)

    def _is_charged(self, task: Task) -> bool:
        refunded = self._settings.refund and task.state == "error"
        return not refunded and task.age >= self._settings.charge_seconds

    def answer(self, path: str, account: str) -> dict[str, Any]:
        """The answer at one of `PATHS`."""
        used, quota = self.used(account), round(self._settings.quota * POINTS)
        unlimited = self._settings.unlimited
        if path.endswith("/usage"):
            return {"object": "list", "total_usage": used / POINTS * 100}
        if path.endswith("/subscription"):
            limit = _UNLIMITED if unlimited else quota / POINTS
            return {
                "object": "billing_subscription",
                "has_payment_method": True,
                "soft_limit_usd": limit,
                "hard_limit_usd": limit,
                "system_hard_limit_usd": limit,
                "access_until": 0,
            }
        data = {
            "object": "token_usage",
            "name": "simulator",
            "total_granted": quota,
            "total_used": used,
            "total_available": quota - used,
            "unlimited_quota": unlimited,
            "expires_at": 0,
        }
        return {"code": True, "message": "ok", "data": data}
