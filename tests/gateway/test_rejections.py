"""The errors of responses and broken exchanges: what they prove, and what they advise."""

from __future__ import annotations

import ssl
from email.utils import formatdate

import pytest
import requests

from pika_api.errors import Busy, SubmitUnknown, Unreachable
from pika_api.gateway.masking import KeyMask
from pika_api.gateway.rejections import broken_submit_error, submit_error
from pika_api.gateway.route import RouteError
from pika_api.gateway.sessions import Reply
from pika_api.media import Media
from pika_api.message import Message
from pika_api.request import Payload
from support.api import KEY, payload

HOST = "gateway.example"
NOW = 1_800_000_000.0
MASK = KeyMask(KEY)
BROKEN = requests.exceptions.ConnectionError(f"peer of {KEY} went away")
BAD_PROXY = RouteError(Message("HTTPS_PROXY is no URL"), hint=Message("Correct HTTPS_PROXY."))
NO_PROXY_NOW = RouteError(Message("the proxy is away"), hint=Message("Ask."), permanent=False)


def reply(status: int, text: str = "", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, requests.structures.CaseInsensitiveDict(named), text)


def media(mime: str, size: int) -> Media:
    return Media("0" * 64, mime, 1, 1, b"\xff" * size, size)


def sent(*, part: bool = False, whole: bool = False) -> Payload:
    """A payload of which nothing, a part or everything was handed over."""
    stream = payload()
    stream.started, stream.complete = part or whole, whole
    return stream


def wait_of(response: Reply) -> float | None:
    error = submit_error(response, HOST, MASK, payload(), NOW)
    assert isinstance(error, Busy)
    return error.retry_after


def test_retry_after_date_is_compared_with_the_gateways_clock() -> None:
    """A date in Retry-After is a wait from the response's Date; without one, from now."""
    until = formatdate(NOW + 30, usegmt=True)
    assert wait_of(reply(429, Retry_After=until)) == 30
    assert wait_of(reply(429, Retry_After=until, Date=formatdate(NOW + 20, usegmt=True))) == 10
    assert wait_of(reply(429)) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"id": "t-1", "error": "lost"}', "It names t-1, "),
        ("<html><body>Welcome</body></html>", "This address serves a web page"),
    ],
    ids=["an id", "a page"],
)
def test_explanation_of_an_unclear_answer_is_a_sentence_of_its_own(
    text: str, sentence: str
) -> None:
    """The gateway's words, one space, and what they mean here."""
    error = submit_error(reply(200, text), HOST, MASK, payload(), NOW)
    assert isinstance(error, SubmitUnknown)
    words, _, _ = error.what.partition(f" {sentence}")
    assert words != error.what
    assert words.startswith(f"HTTP 200 from {HOST}: ")
    assert words == words.strip()
    assert "XX" not in words


@pytest.mark.parametrize(
    ("error", "hint", "permanent"),
    [
        (BROKEN, "PIKA_BASE_URL", False),
        (BAD_PROXY, "Correct HTTPS_PROXY.", True),
        (NO_PROXY_NOW, "Ask.", False),
        (requests.exceptions.SSLError("wrong version number"), "does not speak TLS", False),
    ],
    ids=["network", "variable", "proxy", "no TLS"],
)
def test_nothing_was_sent(error: Exception, hint: str, permanent: bool) -> None:
    """The request may be sent again, except if the user must change something first. The hint is
    about the cause."""
    raised = broken_submit_error(error, HOST, MASK, sent())
    assert isinstance(raised, Unreachable)
    assert (raised.connected, raised.retryable, raised.charged) == (False, not permanent, False)
    assert hint in raised.hint


def test_untrusted_certificate_has_its_own_hint() -> None:
    """It is told apart from a server without TLS, also below the errors that wrap it."""
    error = requests.exceptions.SSLError("handshake failed")
    error.__cause__ = ssl.SSLCertVerificationError("self-signed certificate")
    assert "not trusted" in broken_submit_error(error, HOST, MASK, sent()).hint


def test_a_part_was_sent() -> None:
    """It cannot have become a task. There was a connection, so it is not resent automatically."""
    raised = broken_submit_error(BROKEN, HOST, MASK, sent(part=True))
    assert isinstance(raised, Unreachable)
    assert (raised.connected, raised.retryable, raised.charged) == (True, False, False)


def test_everything_was_sent() -> None:
    """It may have become a task."""
    raised = broken_submit_error(BROKEN, HOST, MASK, sent(whole=True))
    assert isinstance(raised, SubmitUnknown)
    assert (raised.status, raised.retryable, raised.charged) == (None, False, None)


@pytest.mark.parametrize("stream", [sent(), sent(part=True), sent(whole=True)],
                         ids=["nothing", "part", "all"])  # fmt: skip
def test_host_and_cause_are_named_without_the_key(stream: Payload) -> None:
    """Also where the transport quotes it."""
    text = broken_submit_error(BROKEN, HOST, MASK, stream).what
    assert HOST in text
    assert "peer of [key] went away" in text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"promptText": "x" * 3000}, ["The request was 3.0 kB: shorten the prompt"]),
        (
            {"image": media("image/png", 300_000), "video": media("video/mp4", 3_000_000)},
            ["4.4 MB, ", "the video takes 4.0 MB: ", "give video_url"],
        ),
        (
            {"image": media("image/png", 3_000_000), "video": media("video/mp4", 300_000)},
            ["4.4 MB, ", "the image takes 4.0 MB: ", "give image_url"],
        ),
    ],
    ids=["prompt", "video", "image"],
)
def test_too_large_request_names_its_largest_part(
    body: dict[str, object], words: list[str]
) -> None:
    """With the size of the whole request and of the part, and what makes it smaller."""
    error = submit_error(reply(413), HOST, MASK, Payload(body), NOW)
    for each in words:
        assert each in error.hint
