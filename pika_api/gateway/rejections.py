"""The error for a response or a broken exchange, by what it proves about the charge."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import requests

from ..errors import Busy, FeedError, FeedRefused, Refused, SubmitUnknown, TaskNotFound, Unreachable
from ..request import Payload
from ..text import format_size, shorten
from .masking import KeyMask
from .retry import parse_retry_after
from .sessions import CERTIFICATE_HINT, Reply, is_untrusted_certificate, root_cause

#: 4xx statuses of a submit that may come from a proxy on the way, so they do not prove that the
#: gateway rejected the request.
_UNPROVEN_4XX: Final = frozenset({408, 425, 499})
#: Redirects of a submit that say that the request was not handled. 302 and 303 may follow a
#: success.
_MOVED: Final = frozenset({301, 307, 308})
#: 4xx statuses of the feed that may be temporary.
_TEMPORARY_4XX: Final = frozenset({408, 425, 429})

_NETWORK_HINT: Final = (
    "Check the network, PIKA_BASE_URL, and the proxy variables (HTTPS_PROXY, NO_PROXY)."
)
_NO_TLS_HINT: Final = (
    "The server there does not speak TLS: check the address and its port. Behind a company's "
    "proxy, set REQUESTS_CA_BUNDLE to its certificate file."
)
_CHANGE_INPUT_HINT: Final = "Change the input that the message names, and queue again."
_HINT_BY_STATUS: Final = {
    401: "The gateway does not accept the key: check it in Settings → Pika, or PIKA_API_KEY.",
    402: "The account has no credit left: top it up at the gateway.",
    403: "The gateway does not allow this with your key: check the key's rights and PIKA_BASE_URL.",
    404: "The gateway has no such address: check PIKA_BASE_URL.",
    405: "The gateway has no such call: check PIKA_BASE_URL.",
}


def submit_error(
    reply: Reply, host: str, mask: KeyMask, payload: Payload, now: float
) -> Busy | Refused | SubmitUnknown:
    """The error for a response to a submit.

    Args:
        reply: A response whose status is not 2xx.
        host: The gateway's host, for the message.
        payload: The request.
        now: Seconds since the epoch, for a Retry-After date.
    """
    status = reply.status
    what = f"HTTP {status} from {host}: {mask.message(reply.text)}"
    retry_after = _retry_after(reply, now)
    if status == 413:
        return Refused(what, status=status, hint=_too_large_hint(payload))
    if status == 429 or (status == 503 and retry_after is not None):
        return Busy(
            what,
            status=status,
            retry_after=retry_after,
            hint="The gateway is busy, or the account's limit is reached: try again later.",
        )
    target = redirect_target(reply)
    if status in _MOVED and target is not None:
        return Refused(
            f"HTTP {status} from {host}: it redirects to {target}. A request with the key follows "
            "no redirect.",
            status=status,
            hint="If you trust that address, set PIKA_BASE_URL to it.",
        )
    if 400 <= status < 500 and status not in _UNPROVEN_4XX:
        return Refused(what, status=status, hint=_HINT_BY_STATUS.get(status, _CHANGE_INPUT_HINT))
    return SubmitUnknown(what, status=status)


def _retry_after(reply: Reply, now: float) -> float | None:
    """Seconds to wait, as the response asks; None if it does not."""
    headers = reply.headers
    return parse_retry_after(headers.get("Retry-After"), now, headers.get("Date"))


def broken_submit_error(
    error: Exception, host: str, mask: KeyMask, payload: Payload
) -> Unreachable | SubmitUnknown:
    """The error for a submit without a complete response.

    Args:
        error: How the exchange broke.
        payload: The request; it knows how much of it was handed over.
    """
    cause = mask.text(root_cause(error))
    if not payload.started:
        return Unreachable(f"No connection to {host}: {cause}.", hint=connection_hint(error))
    if not payload.complete:
        return Unreachable(
            f"The connection to {host} broke before the request was sent completely: {cause}.",
            connected=True,
            hint="Queue again. If it happens every time, send a smaller image or video.",
        )
    return SubmitUnknown(
        f"The request was sent to {host}, but no complete response came back: {cause}."
    )


def redirect_target(reply: Reply) -> str | None:
    """The host that a response redirects to, for a message; None if its Location is invalid."""
    try:
        return shorten(urlsplit(reply.headers.get("Location", "")).netloc) or "no address"
    except ValueError:
        return None


def feed_error(
    task_id: str, reply: Reply, host: str, mask: KeyMask, now: float
) -> FeedError | TaskNotFound:
    """The error for a response of the feed whose status is not 200."""
    status = reply.status
    what = f"HTTP {status} from {host}: {mask.message(reply.text)}"
    if status == 404:
        return TaskNotFound(task_id, what)
    if status in _TEMPORARY_4XX or status >= 500 or redirect_target(reply) is None:
        retry_after = _retry_after(reply, now)
        return FeedError(what, status=status, retry_after=retry_after)
    return FeedRefused(what, status=status, hint=_HINT_BY_STATUS.get(status, _NETWORK_HINT))


def connection_hint(error: Exception) -> str:
    """What to check if the gateway cannot be reached."""
    if not isinstance(error, requests.exceptions.SSLError):
        return _NETWORK_HINT
    return CERTIFICATE_HINT if is_untrusted_certificate(error) else _NO_TLS_HINT


def _too_large_hint(payload: Payload) -> str:
    total = f"The request was {format_size(len(payload))}"
    if payload.heaviest is None:
        return f"{total}: shorten the prompt."
    name, size = payload.heaviest
    total += f", of which the {name} takes {format_size(size)}"
    if name == "video":
        return f"{total}: connect a smaller video, or give video_url."
    return (
        f"{total}: connect a smaller image, choose image_format jpeg, lower PIKA_MAX_BODY_MB, "
        "or give image_url."
    )
