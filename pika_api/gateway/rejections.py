"""The error for a response or a broken exchange, by what it proves about the charge."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import requests

from ..errors import (
    Busy,
    FeedError,
    FeedRefused,
    Refused,
    SubmitUnknown,
    TaskNotFound,
    Unreachable,
    WebPage,
)
from ..message import Message
from ..request import Payload
from ..text import format_size, shorten
from .dialects import Meaning, Problem, named_ids, problem_in
from .masking import KeyMask
from .responses import is_html, json_object
from .retry import parse_retry_after
from .route import RouteError
from .sessions import CERTIFICATE_HINT, Reply, is_untrusted_certificate, root_cause

#: 4xx statuses of a submit that may come from a proxy on the way after it forwarded the request, so
#: they do not prove that the gateway rejected it. 408 and 425: RFC 9110 and RFC 8470. 460: AWS load
#: balancers. 499: nginx. Any other 4xx is sent instead of handling the request (RFC 9110, section
#: 15.5), by the gateway or by a proxy that did not forward it. 5xx says nothing of the kind: nginx,
#: HAProxy and CDNs send 502, 503 and 504, with and without Retry-After, when the gateway does not
#: answer them in time.
_UNPROVEN_4XX: Final = frozenset({408, 425, 460, 499})
#: Redirects of a submit that say that the request was not handled. 302 and 303 may follow a
#: success.
_MOVED: Final = frozenset({301, 307, 308})
#: Statuses of a submit that are about the content of this request, if the error does not say
#: something else. RFC 9110, section 15.5: 400 Bad Request, 413 Content Too Large, 422 Unprocessable
#: Content. RFC 7725: 451 Unavailable For Legal Reasons. 401, 402, 403, 404 and 405 are about the
#: key, the account and the address, which all requests share.
_ABOUT_REQUEST: Final = frozenset({400, 413, 422, 451})
#: Meanings that are about the content of this request.
_MEANS_REQUEST: Final = frozenset({Meaning.MODEL, Meaning.PROMPT})
#: 4xx statuses of the feed that may be temporary.
_TEMPORARY_4XX: Final = frozenset({408, 425, 429})

_NETWORK_HINT: Final = Message(
    "Check the network, PIKA_BASE_URL, and the proxy variables (HTTPS_PROXY, NO_PROXY)."
)
_NO_TLS_HINT: Final = Message(
    "The server there does not speak TLS: check the address and its port. Behind a "
    "company's proxy, set REQUESTS_CA_BUNDLE to its certificate file."
)
_CHANGE_INPUT_HINT: Final = Message("Change the input that the message names, and queue again.")
_CREDIT_HINT: Final = Message(
    "The account has no credit left, or the key has used up its quota: top it up at the gateway."
)
_HINT_BY_STATUS: Final = {
    401: Message(
        "The gateway does not accept the key: check it in Settings → Pika, or PIKA_API_KEY."
    ),
    402: _CREDIT_HINT,
    403: Message(
        "The gateway does not allow this with your key: check the key's rights and PIKA_BASE_URL."
    ),
    404: Message("The gateway has no such address: check PIKA_BASE_URL."),
    405: Message("The gateway has no such call: check PIKA_BASE_URL."),
}
_HINT_BY_MEANING: Final = {
    Meaning.CREDIT: _CREDIT_HINT,
    Meaning.MODEL: Message(
        "The gateway does not offer this model to your key: choose another model, or "
        "leave model empty. The gateway's own list says which models the group of your "
        "key has."
    ),
    Meaning.PROMPT: Message("The gateway's filter rejects the prompt: change it, and queue again."),
    Meaning.NO_CALL: _HINT_BY_STATUS[405],
}
_BUSY_HINT: Final = Message(
    "The gateway is busy, or the account's limit is reached: try again later."
)
_WEB_PAGE_HINT: Final = Message(
    "This address serves a web page, not the API: check PIKA_BASE_URL, and whether "
    "a proxy or a sign-in page is in between."
)


def submit_error(
    reply: Reply, host: str, mask: KeyMask, payload: Payload, now: float
) -> Busy | Refused | SubmitUnknown:
    """The error for a response to a submit from which no task id can be taken.

    Args:
        reply: The response.
        host: The gateway's host, for the message.
        payload: The request.
        now: Seconds since the epoch, for a Retry-After date.
    """
    status = reply.status
    what = Message(
        "HTTP {status} from {host}: {words}",
        status=status,
        host=host,
        words=mask.message(reply.text),
    )
    body = json_object(reply.text)
    ids = tuple(mask.text(each) for each in named_ids(body))
    proven = _is_refusal(reply)
    meaning = _meaning(reply, body, proven=proven)
    if ids or not (proven or meaning):
        return _unknown(reply, what, ids, mask)
    if status == 413:
        return Refused(what, status=status, hint=_too_large_hint(payload), about_request=True)
    if meaning is Meaning.BUSY or (status == 429 and meaning is None):
        retry_after = _retry_after(reply, now)
        return Busy(what, status=status, retry_after=retry_after, hint=_BUSY_HINT)
    if meaning is not None:
        return Refused(
            what,
            status=status,
            hint=_HINT_BY_MEANING[meaning],
            about_request=meaning in _MEANS_REQUEST,
        )
    if status in _MOVED:
        return Refused(
            Message(
                "HTTP {status} from {host}: it redirects to {target}. A request with the key "
                "follows no redirect.",
                status=status,
                host=host,
                target=redirect_target(reply),
            ),
            status=status,
            hint=Message("If you trust that address, set PIKA_BASE_URL to it."),
        )
    if is_html(reply.text) and status not in (401, 402):
        return Refused(what, status=status, hint=_WEB_PAGE_HINT)
    return Refused(
        what,
        status=status,
        hint=_HINT_BY_STATUS.get(status, _CHANGE_INPUT_HINT),
        about_request=status in _ABOUT_REQUEST,
    )


def _is_refusal(reply: Reply) -> bool:
    """Whether the status alone proves that the request was not handled."""
    if reply.status in _MOVED:
        return redirect_target(reply) is not None
    return 400 <= reply.status < 500 and reply.status not in _UNPROVEN_4XX


def _meaning(reply: Reply, body: object, *, proven: bool) -> Meaning | None:
    """What the gateway's own error means; None if it is not known, or not about a submit.

    Args:
        proven: Whether the request is known not to have been handled. Otherwise only a meaning that
            proves it counts.
    """
    problem = problem_in(body, failed=reply.status >= 300)
    if problem is None and proven and not is_html(reply.text):
        problem = Problem((), reply.text.strip())
    if problem is None:
        return None
    meaning = problem.means if proven else problem.proves
    return meaning if meaning is Meaning.BUSY or meaning in _HINT_BY_MEANING else None


def _unknown(reply: Reply, what: str, ids: tuple[str, ...], mask: KeyMask) -> SubmitUnknown:
    """The error for a response that does not prove whether there is a task."""
    if ids:
        names = Message(
            "It names {ids}, which may be the id of the new task.", ids=" and ".join(ids)
        )
        what = Message.joined(" ", what, names)
    elif 200 <= reply.status < 300 and is_html(reply.text):
        # No proof: nginx can answer with a page and status 200 instead of an error of the gateway
        # (error_page … =200), after it forwarded the request. If the base URL is wrong, nothing is
        # lost: with the right one the same workflow is another request, which is not held back.
        page = Message(
            "This address serves a web page, not the API: check PIKA_BASE_URL. With another base "
            "URL, the workflow is sent as a new request."
        )
        what = Message.joined(" ", what, page)
    elif 200 <= reply.status < 300:
        what = Message(
            "The gateway answered HTTP {status} without a task id: {words}",
            status=reply.status,
            words=mask.excerpt(reply.text),
        )
    answer = mask.answer(reply.text)
    return SubmitUnknown(what, status=reply.status, answer=answer, task_ids=ids)


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
        return Unreachable(
            Message("No connection to {host}: {cause}.", host=host, cause=cause),
            permanent=is_permanent(error),
            hint=connection_hint(error),
        )
    if not payload.complete:
        return Unreachable(
            Message(
                "The connection to {host} broke before the request was sent completely: {cause}.",
                host=host,
                cause=cause,
            ),
            connected=True,
            hint=Message("Queue again. If it happens every time, send a smaller image or video."),
        )
    return SubmitUnknown(
        Message(
            "The request was sent to {host}, but no complete response came back: {cause}.",
            host=host,
            cause=cause,
        )
    )


def redirect_target(reply: Reply) -> str | None:
    """The host that a response redirects to, for a message; None if its Location is invalid."""
    try:
        return shorten(urlsplit(reply.headers.get("Location", "")).netloc) or "no address"
    except ValueError:
        return None


def feed_error(
    task_id: str, reply: Reply, host: str, mask: KeyMask, now: float
) -> FeedError | TaskNotFound | None:
    """The error for a response of the feed; None if it may be about the task.

    A JSON answer with status 200 is an error only if it says that there is no such task: any other
    error in it may be temporary.
    """
    status = reply.status
    what = Message(
        "HTTP {status} from {host}: {words}",
        status=status,
        host=host,
        words=mask.message(reply.text),
    )
    problem = problem_in(json_object(reply.text), failed=status != 200)
    meaning = problem.means if problem is not None else None
    if status == 200:
        if problem is not None and problem.proves is Meaning.NO_TASK:
            return TaskNotFound(task_id, what, stated=True)
        return WebPage(what, status=status, hint=_WEB_PAGE_HINT) if is_html(reply.text) else None
    if status == 404 or (400 <= status < 500 and meaning is Meaning.NO_TASK):
        stated = problem is not None and problem.is_about_task
        return TaskNotFound(task_id, what, stated=stated)
    if 400 <= status < 500 and meaning is Meaning.CREDIT:
        return FeedRefused(what, status=status, hint=_CREDIT_HINT)
    if status in _TEMPORARY_4XX or status >= 500 or redirect_target(reply) is None:
        retry_after = _retry_after(reply, now)
        return FeedError(what, status=status, retry_after=retry_after)
    return FeedRefused(what, status=status, hint=_HINT_BY_STATUS.get(status, _NETWORK_HINT))


def is_permanent(error: Exception) -> bool:
    """Whether the user has to change the environment before another attempt can succeed."""
    return isinstance(error, RouteError) and error.permanent


def connection_hint(error: Exception) -> str:
    """What to check if the gateway cannot be reached."""
    if isinstance(error, RouteError):
        return error.hint
    if not isinstance(error, requests.exceptions.SSLError):
        return _NETWORK_HINT
    return CERTIFICATE_HINT if is_untrusted_certificate(error) else _NO_TLS_HINT


def _too_large_hint(payload: Payload) -> str:
    total = format_size(len(payload))
    if payload.heaviest is None:
        return Message("The request was {total}: shorten the prompt.", total=total)
    name, size = payload.heaviest
    if name == "video":
        return Message(
            "The request was {total}, of which the video takes {size}: connect a smaller video, or "
            "give video_url.",
            total=total,
            size=format_size(size),
        )
    return Message(
        "The request was {total}, of which the {name} takes {size}: connect a smaller image, "
        "choose image_format jpeg, lower PIKA_MAX_BODY_MB, or give image_url.",
        total=total,
        name=name,
        size=format_size(size),
    )
