"""The account: quota and usage of the key, in the spellings that gateways of this family have.

Sources, read November 2026: the documentation of api.gpt.ge; new-api (github.com/QuantumNous/
new-api) and one-api (github.com/songquanpeng/one-api), by file. The numbers have no currency: a
site shows dollars, another currency or points, whatever the names of the fields say (new-api
controller/billing.go).
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ..errors import AccountError, AccountNotOffered
from ..message import Message
from ..text import format_amount
from .dialects import Meaning, problem_in
from .limits import Timeouts
from .masking import KeyMask
from .responses import json_object
from .retry import parse_retry_after
from .sessions import TRANSPORT_ERRORS, Reply, root_cause

#: The quota of a key without a limit: new-api and one-api controller/billing.go.
UNLIMITED: Final = 100_000_000.0
#: `total_usage` counts hundredths: new-api and one-api controller/billing.go.
_HUNDREDTHS: Final = 100.0
#: Largest amount that is believed. A counter of points stays far below it.
_MAX_AMOUNT: Final = 1e15
#: "12.5": some sites send amounts as texts.
_DECIMAL: Final = re.compile(r"\s*-?[0-9]{1,16}(\.[0-9]{1,16})?\s*")
#: Statuses of a path that the gateway does not have.
_NO_SUCH_PATH: Final = frozenset({404, 405, 410, 501})
#: Time limits: shorter than for other calls, since nothing paid depends on an answer. Seconds.
_TIMEOUTS: Final = Timeouts(connect=5.0, read=10.0, head=15.0, response=10.0)


@dataclass(frozen=True)
class Balance:
    """Quota and usage of a key. Amounts are in the unit of the gateway.

    Attributes:
        used: What was used up so far: a counter that grows with each charge.
        quota: What the key could use up in all; None if it has no limit.
        left: What is left of it; None if it has no limit. May be negative.
        unit: Names the counter: amounts of different units cannot be compared.
    """

    used: float
    quota: float | None
    left: float | None
    unit: str

    @property
    def unlimited(self) -> bool:
        """Whether the key has no limit."""
        return self.quota is None

    def describe(self, currency: str) -> Message:
        """The balance for people: ``12.40 of 20.00 left, 7.60 used``.

        Args:
            currency: What the user calls the unit; empty if that is not known.
        """
        used = format_amount(self.used, currency)
        if self.quota is None or self.left is None:
            return Message("unlimited, {used} used", used=used)
        return Message(
            "{left} of {quota} left, {used} used",
            left=format_amount(self.left, currency),
            quota=format_amount(self.quota, currency),
            used=used,
        )


@dataclass(frozen=True)
class Spelling:
    """One form of the account endpoints.

    Attributes:
        paths: The paths below the base URL.
        read: Makes the balance of the answers to the paths; None if they have other fields.
    """

    paths: Sequence[str]
    read: Callable[..., Balance | None]


def _billing(subscription: Mapping[str, Any], usage: Mapping[str, Any]) -> Balance | None:
    """new-api and one-api controller/billing.go."""
    quota, used = _amount(subscription.get("hard_limit_usd")), _amount(usage.get("total_usage"))
    if quota is None or used is None or used < 0:
        return None
    used /= _HUNDREDTHS
    if quota == UNLIMITED:
        return Balance(used, None, None, "billing")
    return Balance(used, quota, quota - used, "billing")


def _token(answer: Mapping[str, Any]) -> Balance | None:
    """new-api controller/token.go, GetTokenUsage. The amounts are points."""
    data = answer.get("data")
    fields = data if isinstance(data, Mapping) else answer
    used, left = _amount(fields.get("total_used")), _amount(fields.get("total_available"))
    quota = _amount(fields.get("total_granted"))
    if used is None or used < 0:
        return None
    if fields.get("unlimited_quota") is True:
        return Balance(used, None, None, "token")
    if quota is None and left is not None:
        quota = left + used
    if quota is None:
        return None
    left = quota - used if left is None else left
    return Balance(used, quota, left, "token")


#: The spellings, the most common first.
SPELLINGS: Final[Mapping[str, Spelling]] = {
    # The documentation of api.gpt.ge; new-api router/dashboard.go; one-api router/dashboard.go.
    "v1": Spelling(("/v1/dashboard/billing/subscription", "/v1/dashboard/billing/usage"), _billing),
    # new-api and one-api router/dashboard.go.
    "dashboard": Spelling(
        ("/dashboard/billing/subscription", "/dashboard/billing/usage"), _billing
    ),
    # new-api router/api-router.go. Without the slash at the end it answers with a redirect.
    "token": Spelling(("/api/usage/token/",), _token),
}


class AccountReader:
    """Reads the account of one gateway and remembers its spelling. Safe in threads.

    Args:
        base_url: The address of the gateway.
        get: Sends a GET with the key, under these time limits.
        mask: Keeps the key out of messages.
        clock: Seconds since the epoch, for Retry-After dates.
    """

    def __init__(
        self,
        base_url: str,
        get: Callable[[str, Timeouts], Reply],
        mask: KeyMask,
        clock: Callable[[], float],
        timeouts: Timeouts,
    ) -> None:
        self._base_url = base_url
        self._get = get
        self._mask = mask
        self._clock = clock
        self._timeouts = _shorter(timeouts)
        self._host = base_url.partition("://")[2].partition("/")[0]
        self._lock = threading.Lock()
        self._spelling: str | None = None

    def read(self) -> Balance:
        """Ask the gateway for quota and usage, with the spelling that worked last time first.

        Raises:
            AccountNotOffered: The gateway has no account endpoints.
            AccountError: It did not answer, or with an error.
        """
        with self._lock:
            known = self._spelling
        refusal: AccountError | None = None
        for name in sorted(SPELLINGS, key=lambda each: each != known):
            try:
                balance = self._read_as(SPELLINGS[name])
            except AccountError as error:
                if error.status not in (401, 403):
                    raise
                # Some gateways refuse every path that they do not know.
                refusal = refusal or error
                continue
            if balance is not None:
                with self._lock:
                    self._spelling = name
                return balance
        raise refusal or AccountNotOffered(
            Message("{host} does not report a balance.", host=self._host)
        )

    def _read_as(self, spelling: Spelling) -> Balance | None:
        """The balance in one spelling; None if the gateway does not have it."""
        answers = []
        for path in spelling.paths:
            answer = self._answer(path)
            if answer is None:
                return None
            answers.append(answer)
        return spelling.read(*answers)

    def _answer(self, path: str) -> Mapping[str, Any] | None:
        """The JSON at a path; None if the gateway does not have the path.

        A redirect is not followed with the key, and a web page is what a gateway of this family
        serves for each path that it does not know.
        """
        try:
            reply = self._get(f"{self._base_url}{path}", self._timeouts)
        except TRANSPORT_ERRORS as error:
            cause = self._mask.text(root_cause(error))
            raise AccountError(
                Message(
                    "{host} does not report the balance: {cause}.", host=self._host, cause=cause
                )
            ) from None
        status, body = reply.status, json_object(reply.text)
        problem = problem_in(body, failed=status != 200)
        if status == 200 and problem is None:
            return body
        unknown_path = status in _NO_SUCH_PATH or 300 <= status < 400
        if unknown_path or (problem is not None and problem.means is Meaning.NO_CALL):
            return None
        headers = reply.headers
        raise AccountError(
            Message(
                "HTTP {status} from {host} for the balance: {words}",
                status=status,
                host=self._host,
                words=self._mask.message(reply.text),
            ),
            status=status,
            retry_after=parse_retry_after(
                headers.get("Retry-After"), self._clock(), headers.get("Date")
            ),
        )


def _shorter(timeouts: Timeouts) -> Timeouts:
    names = ("connect", "read", "head", "response")
    limits = {name: min(getattr(timeouts, name), getattr(_TIMEOUTS, name)) for name in names}
    return replace(timeouts, **limits)


def _amount(value: object) -> float | None:
    """A finite amount of a credible size; None for anything else."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # An integer of a thousand digits is not a float; it is compared before it is converted.
    is_credible = -_MAX_AMOUNT <= value <= _MAX_AMOUNT  # False for NaN
    return float(value) if is_credible and math.isfinite(value) else None
