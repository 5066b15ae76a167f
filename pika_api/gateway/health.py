"""Does it work: is there a gateway at the address, and does it know the key? Costs nothing.

There is no call for this at the gateway. So its feed is asked of a task that cannot be, with the
key and without: a gateway turns away who has no key, before it looks for the task.
"""

from __future__ import annotations

import http.client
import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import requests

from ..settings import Settings
from .responses import error_message, is_html, json_object
from .sessions import (
    TRANSPORT_ERRORS,
    Bearer,
    NoAuth,
    cause_chain,
    open_session,
    read_limited,
    root_cause,
)

GOOD: Final = "good"
NO_KEY: Final = "no_key"
BAD_KEY: Final = "bad_key"
BAD_ADDRESS: Final = "bad_address"
TROUBLE: Final = "trouble"

#: Seconds to make a connection, of silence, and for a whole answer: somebody sits and waits.
_CONNECT_TIME: Final = 5.0
_READ_TIME: Final = 10.0
_TRY_LATER: Final = (
    "The gateway has trouble at the moment, or with the account: its words say which. Try again."
)
_CHECK_ADDRESS: Final = "Check the base URL, the network, and the proxy variables (HTTPS_PROXY)."


@dataclass(frozen=True)
class Finding:
    """What a test came to.

    Attributes:
        verdict: `GOOD`, `NO_KEY`, `BAD_KEY`, `BAD_ADDRESS` or `TROUBLE`.
        message: What was seen and what helps, for a person. Never the key.
    """

    verdict: str
    message: str


@dataclass(frozen=True)
class _Answer:
    """One answer: its status, what it says, and where it points to."""

    status: int
    text: str
    location: str = ""

    @property
    def refuses(self) -> bool:
        return self.status in (401, 403)

    @property
    def not_now(self) -> bool:
        """The gateway is there, and has to do with itself or with the account."""
        return self.status in (402, 408, 425, 429) or self.status >= 500


def check(settings: Settings) -> Finding:
    """Ask the gateway once or twice; never anything that is paid for."""
    if missing := settings.missing_key:
        return Finding(NO_KEY, missing)
    host = urlsplit(settings.base_url).netloc
    url = f"{settings.base_url}/pika/feed/{uuid.uuid4()}"
    try:
        with_key = _get(settings, url, Bearer(settings.api_key))
        found = _from_first(settings, with_key, host)
        if found is None:
            found = _from_both(with_key, _get(settings, url, NoAuth()), host)
    except TRANSPORT_ERRORS as error:
        found = _from_broken(error, host)
    return Finding(found.verdict, _clean(found.message, settings.api_key))


def _get(settings: Settings, url: str, auth: requests.auth.AuthBase) -> _Answer:
    with closing(open_session(auth, base_url=settings.base_url)) as session:
        answer = session.get(
            url,
            headers={"Accept": "application/json"},
            timeout=(_CONNECT_TIME, _READ_TIME),
            allow_redirects=False,
            stream=True,
        )
        with closing(answer):
            text = read_limited(answer, _READ_TIME).decode("utf-8", "replace")
            # Before it is shortened: what is left of a key would not be known for it.
            text = _clean(text, settings.api_key)
            return _Answer(answer.status_code, text, answer.headers.get("Location", ""))


def _from_first(settings: Settings, answer: _Answer, host: str) -> Finding | None:
    """What the answer to the key says; None where it takes another one to tell."""
    seen = f"{host} answered HTTP {answer.status}: {error_message(answer.text)}"
    if answer.not_now:
        return Finding(TROUBLE, f"{seen}\n{_TRY_LATER}")
    if 300 <= answer.status < 400:
        place = urlsplit(answer.location).netloc or "nowhere"
        return Finding(
            BAD_ADDRESS,
            f"{host} answered HTTP {answer.status} and points to {place}. The key is not sent "
            "along.\nIf you trust that address, enter it as the base URL.",
        )
    if is_html(answer.text):
        return Finding(
            BAD_ADDRESS,
            f"{seen}\nThat is a page for people, not a gateway's answer: check the base URL, and "
            "whether a proxy or a sign-in page is in between.",
        )
    if answer.refuses:
        return Finding(
            BAD_KEY,
            f"{seen}\nThe gateway is there and does not accept the key: check that it is whole, "
            f"and of this gateway ({settings.base_url}).",
        )
    return None


def _from_both(with_key: _Answer, without: _Answer, host: str) -> Finding:
    """What two answers say: only a gateway that tells the two apart has looked at the key."""
    if without.refuses and not is_html(without.text):
        return Finding(GOOD, f"The gateway at {host} answers and accepts the key.")
    seen = (
        f"{host} answered HTTP {with_key.status} with the key and HTTP {without.status} without "
        f"one: {error_message(with_key.text)}"
    )
    if without.not_now:
        return Finding(TROUBLE, f"{seen}\n{_TRY_LATER}")
    if with_key.status == 404 or json_object(with_key.text) is None:
        return Finding(
            BAD_ADDRESS,
            f"{seen}\nThis does not look like a gateway's address: check the base URL. If it is "
            "right, it cannot be told from here whether the key is good.",
        )
    return Finding(TROUBLE, f"{seen}\nWhether the key is good cannot be told from that.")


def _from_broken(error: Exception, host: str) -> Finding:
    """No whole answer: nobody there, or one who does not get through."""
    words = root_cause(error)
    if isinstance(error, requests.exceptions.SSLError):
        return Finding(
            BAD_ADDRESS,
            f"No safe connection to {host}: {words}.\nCheck the base URL. Behind a company's "
            "proxy, set REQUESTS_CA_BUNDLE to its certificate file.",
        )
    late = isinstance(error, requests.exceptions.ReadTimeout)
    if late or any(_broke_off(each) for each in cause_chain(error)):
        return Finding(
            TROUBLE, f"{host} gave no whole answer: {words}.\nTry again. {_CHECK_ADDRESS}"
        )
    return Finding(BAD_ADDRESS, f"No connection to {host}: {words}.\n{_CHECK_ADDRESS}")


def _broke_off(error: BaseException) -> bool:
    """Whether a connection stood, and broke."""
    broke = (ConnectionResetError, BrokenPipeError, http.client.IncompleteRead)
    return isinstance(error, broke)


def _clean(text: str, key: str) -> str:
    return text.replace(key, "[key]")
