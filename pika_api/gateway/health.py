"""Tests the connection: whether there is a gateway at the address, and whether it accepts the key.

It costs nothing. The API has no call for this, so the feed is asked about a task that cannot exist,
first with the key and then without: a gateway rejects a missing key before it looks for the task.
"""

from __future__ import annotations

import http.client
import time
import uuid
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

import requests

from ..errors import AccountError
from ..message import Message
from ..settings import Settings
from ..text import mask_key
from .account import AccountReader
from .dialects import Meaning, problem_in
from .limits import DEFAULT_SIZE_LIMITS, SizeLimits, Timeouts
from .masking import KeyMask
from .rejections import redirect_target
from .responses import error_message, is_html, json_object
from .route import RouteError
from .sessions import (
    TRANSPORT_ERRORS,
    Bearer,
    NoAuth,
    Reply,
    cause_chain,
    get_reply,
    open_session,
    root_cause,
)

#: Shorter than for other calls: the user is waiting in the settings dialog.
HEALTH_TIMEOUTS: Final = Timeouts(connect=5.0, read=10.0, response=10.0)

_TRY_LATER: Final = Message(
    "The gateway has a temporary problem, or a problem with the account; its "
    "message says which. Try again later."
)
_NO_CREDIT: Final = Message(
    "The gateway knows the key. The account has no credit left, or the key has "
    "used up its quota: top it up at the gateway."
)
_CHECK_ADDRESS: Final = Message(
    "Check the base URL, the network, and the proxy variables (HTTPS_PROXY)."
)


class Verdict(str, Enum):
    """The result of a test. The values are part of the routes' JSON."""

    GOOD = "good"
    NO_KEY = "no_key"
    BAD_KEY = "bad_key"
    BAD_ADDRESS = "bad_address"
    TROUBLE = "trouble"


@dataclass(frozen=True)
class HealthResult:
    """The result of a test.

    Attributes:
        verdict: The result.
        message: What was observed, and what helps; for the user. It never contains the key.
    """

    verdict: Verdict
    message: Message


@dataclass(frozen=True)
class HealthCheck:
    """A test of key and base URL.

    Attributes:
        settings: The settings to test.
        timeouts: Time limits of each request.
        limits: Size limits of each response.
    """

    settings: Settings
    timeouts: Timeouts = HEALTH_TIMEOUTS
    limits: SizeLimits = DEFAULT_SIZE_LIMITS

    def run(self) -> HealthResult:
        """Send one or two requests to the gateway; none of them is paid."""
        if missing := self.settings.missing_key:
            return HealthResult(Verdict.NO_KEY, missing)
        url = f"{self.settings.base_url}/pika/feed/{uuid.uuid4()}"
        try:
            with_key = self._get(url, Bearer(self.settings.api_key))
            result = self._judge_first(with_key)
            if result is None:
                result = self._judge_both(with_key, self._get(url, NoAuth()))
        except TRANSPORT_ERRORS as error:
            result = self._judge_broken(error)
        masked = result.message.mapped(lambda text: mask_key(text, self.settings.api_key))
        return HealthResult(result.verdict, masked)

    def balance(self) -> Message:
        """The balance of a key that the gateway accepts, or why there is none; for the user."""
        settings, mask = self.settings, KeyMask(self.settings.api_key)
        reader = AccountReader(settings.base_url, self._get_account, mask, time.time, self.timeouts)
        try:
            balance = reader.read().describe(settings.currency)
            return Message("Balance: {balance}.", balance=balance)
        except AccountError as error:
            return Message("{part0}", part0=error.what)

    def _get_account(self, url: str, timeouts: Timeouts) -> Reply:
        auth = Bearer(self.settings.api_key)
        with closing(open_session(auth, base_url=self.settings.base_url)) as session:
            return get_reply(session, url, timeouts, self.limits)

    @property
    def _host(self) -> str:
        return urlsplit(self.settings.base_url).netloc

    def _get(self, url: str, auth: requests.auth.AuthBase) -> Reply:
        session = open_session(auth, base_url=self.settings.base_url)
        with closing(session):
            reply = get_reply(session, url, self.timeouts, self.limits)
        # Masked before it is shortened: the rest of a cut key would not be recognized.
        return Reply(reply.status, reply.headers, mask_key(reply.text, self.settings.api_key))

    def _judge_first(self, reply: Reply) -> HealthResult | None:
        """What the response to a request with the key says; None if a second request must tell."""
        status, host = reply.status, self._host
        observed = Message(
            "{host} answered HTTP {status}: {words}",
            host=host,
            status=status,
            words=error_message(reply.text),
        )
        problem = problem_in(json_object(reply.text), failed=status >= 400)
        if problem is not None and problem.means is Meaning.CREDIT:
            return HealthResult(
                Verdict.TROUBLE,
                Message.joined("\n", observed, _NO_CREDIT),
            )
        if _is_temporary(status):
            return HealthResult(
                Verdict.TROUBLE,
                Message.joined("\n", observed, _TRY_LATER),
            )
        if 300 <= status < 400:
            target = redirect_target(reply) or Message("an invalid address")
            return HealthResult(
                Verdict.BAD_ADDRESS,
                Message.joined(
                    "\n",
                    Message(
                        "{host} answered HTTP {status} and redirects to {target}. The key is not "
                        "sent there.",
                        host=host,
                        status=status,
                        target=target,
                    ),
                    Message("If you trust that address, enter it as the base URL."),
                ),
            )
        if is_html(reply.text):
            return HealthResult(
                Verdict.BAD_ADDRESS,
                Message.joined(
                    "\n",
                    observed,
                    Message(
                        "This is a web page, not the response of a gateway: check the base URL, "
                        "and whether a proxy or a sign-in page is in between."
                    ),
                ),
            )
        if _refuses(reply):
            return HealthResult(
                Verdict.BAD_KEY,
                Message.joined(
                    "\n",
                    observed,
                    Message(
                        "The gateway is reachable and does not accept the key: check that the key "
                        "is complete, and that it belongs to this gateway ({base_url}).",
                        base_url=self.settings.base_url,
                    ),
                ),
            )
        return None

    def _judge_both(self, with_key: Reply, without: Reply) -> HealthResult:
        """What both responses say. Only a gateway that answers differently has checked the key."""
        host = self._host
        if _refuses(without) and not is_html(without.text):
            message = Message("The gateway at {host} responds and accepts the key.", host=host)
            return HealthResult(Verdict.GOOD, message)
        observed = Message(
            "{host} answered HTTP {status} with the key and HTTP {without} without one: {words}",
            host=host,
            status=with_key.status,
            without=without.status,
            words=error_message(with_key.text),
        )
        if _is_temporary(without.status):
            return HealthResult(
                Verdict.TROUBLE,
                Message.joined("\n", observed, _TRY_LATER),
            )
        if with_key.status == 404 or json_object(with_key.text) is None:
            return HealthResult(
                Verdict.BAD_ADDRESS,
                Message.joined(
                    "\n",
                    observed,
                    Message(
                        "This does not look like a gateway: check the base URL. If it is correct, "
                        "this test cannot tell whether the key is valid."
                    ),
                ),
            )
        return HealthResult(
            Verdict.TROUBLE,
            Message.joined("\n", observed, Message("This does not show whether the key is valid.")),
        )

    def _judge_broken(self, error: Exception) -> HealthResult:
        """What it means that there was no complete response."""
        host, cause = self._host, root_cause(error)
        if isinstance(error, RouteError):
            what = Message("No connection to {host}: {cause}.", host=host, cause=cause)
            message = Message.joined("\n", what, error.hint)
            return HealthResult(Verdict.BAD_ADDRESS, message)
        if isinstance(error, requests.exceptions.SSLError):
            return HealthResult(
                Verdict.BAD_ADDRESS,
                Message.joined(
                    "\n",
                    Message("No secure connection to {host}: {cause}.", host=host, cause=cause),
                    Message(
                        "Check the base URL. Behind a company's proxy, set REQUESTS_CA_BUNDLE to "
                        "its certificate file."
                    ),
                ),
            )
        late = isinstance(error, requests.exceptions.ReadTimeout)
        if late or any(_broke_off(each) for each in cause_chain(error)):
            return HealthResult(
                Verdict.TROUBLE,
                Message.joined(
                    "\n",
                    Message("{host} sent no complete response: {cause}.", host=host, cause=cause),
                    Message("Try again. {advice}", advice=_CHECK_ADDRESS),
                ),
            )
        return HealthResult(
            Verdict.BAD_ADDRESS,
            Message.joined(
                "\n",
                Message("No connection to {host}: {cause}.", host=host, cause=cause),
                _CHECK_ADDRESS,
            ),
        )


def _refuses(reply: Reply) -> bool:
    """Whether the response rejects the key, or that there is none."""
    return reply.status in (401, 403)


def _is_temporary(status: int) -> bool:
    """Whether the gateway is there, and has a problem of its own or with the account."""
    return status in (402, 408, 425, 429) or status >= 500


def _broke_off(error: BaseException) -> bool:
    """Whether there was a connection that broke."""
    broken = (ConnectionResetError, BrokenPipeError, http.client.IncompleteRead)
    return isinstance(error, broken)
