"""HTTP calls to the gateway and the media host. One call is one request; nothing is repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import requests

from ..errors import FeedError, FeedRefused
from ..message import Message
from ..request import Payload
from ..settings import Settings
from .account import AccountReader, Balance
from .dialects import new_task_id
from .downloads import Downloader
from .exchange import Exchange
from .feed import Task
from .getter import Getter
from .limits import DEFAULT_SIZE_LIMITS, DEFAULT_TIMEOUTS, OVERHEAD, SizeLimits, Timeouts
from .masking import KeyMask
from .network_guard import AddressCheck, is_private_connection, refuse_private
from .rejections import (
    broken_submit_error,
    connection_hint,
    feed_error,
    is_permanent,
    submit_error,
)
from .responses import json_object
from .sessions import (
    TRANSPORT_ERRORS,
    Bearer,
    NoAuth,
    Reply,
    get_following_redirects,
    get_reply,
    open_session,
    read_limited,
    read_text,
    root_cause,
    send,
    small_exchange,
)


class Client:
    """Blocking calls to one gateway. May be used from several threads.

    Args:
        settings: Key, base URL and limits.
        clock: Seconds since the epoch, for Retry-After dates.
        timeouts: Time limits of all calls.
        limits: Size limits of all calls.
        is_private: Tells which connections the links of a public gateway may not make.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        limits: SizeLimits = DEFAULT_SIZE_LIMITS,
        is_private: AddressCheck = is_private_connection,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._timeouts = timeouts
        self._limits = limits
        self._is_private = is_private
        self._mask = KeyMask(settings.api_key)
        self._host = urlsplit(settings.base_url).netloc
        self._refuse_private = refuse_private(is_private)
        # Judged by the last connection that was made to the gateway itself. Before the first one,
        # and behind a proxy, by the base URL if that has an address instead of a name.
        self._gateway_is_private = _has_private_address(settings.base_url, is_private)
        self._feed_session = self._gateway_session(settings.max_requests)
        self._feed = Getter(self._feed_session, f"{settings.base_url}/pika/feed/")
        self._account = AccountReader(
            settings.base_url, self._get_for_account, self._mask, clock, timeouts
        )

    def close(self) -> None:
        """Close the open connections."""
        self._feed_session.close()

    def submit(self, payload: Payload, confirm: Callable[[], None] = lambda: None) -> str:
        """Send one paid request, once.

        Args:
            confirm: Called before the last bytes of the request leave. If it raises, the request
                certainly did not become a task, and its error is raised.

        Returns:
            The id of the new task.

        Raises:
            Unreachable, Busy, Refused: The request certainly did not become a task.
            SubmitUnknown: It may have become one.
            InvalidInput: A media file changed while it was sent. No task.
        """
        reply = self._post(payload, confirm)
        if 200 <= reply.status < 300 and (task_id := new_task_id(json_object(reply.text))):
            return task_id
        raise submit_error(reply, self._host, self._mask, payload, self._clock())

    def _post(self, payload: Payload, confirm: Callable[[], None]) -> Reply:
        payload.reset()
        # A new connection for each submit. A kept one may be closed by the other side at this very
        # moment: that breaks after the request was written, so it would prove nothing.
        timeouts, limits = self._timeouts, self._limits
        exchange = Exchange(
            idle=timeouts.submit,
            seconds=timeouts.upload,
            phase="sending the request took over",
            max_bytes=limits.response + OVERHEAD,
        )
        with closing(self._gateway_session()) as session:
            try:
                response = send(
                    session,
                    "POST",
                    f"{self._settings.base_url}/pika/generate",
                    exchange,
                    timeouts,
                    data=_Upload(payload, confirm, exchange, timeouts),
                    headers={"Content-Type": "application/json", "Accept": "application/json"},
                )
            except TRANSPORT_ERRORS as error:
                raise self._broken_submit(error, payload) from None
            with closing(response):
                try:
                    text = read_text(response, exchange, timeouts, limits)
                except TRANSPORT_ERRORS as error:
                    if not 300 <= response.status_code < 500:
                        raise self._broken_submit(error, payload) from None
                    text = "(the response broke off)"  # the status alone is proof
                return Reply(response.status_code, response.headers, text)

    def _broken_submit(self, error: Exception, payload: Payload) -> Exception:
        return broken_submit_error(error, self._host, self._mask, payload)

    def feed(self, task_id: str) -> Task:
        """Read the state of a task once.

        Raises:
            TaskNotFound: The task does not exist, or does not exist yet.
            FeedRefused: The gateway rejects the key or the address, or there is no credit left.
            WebPage: The address serves a web page.
            FeedError: Any other error. It may be temporary.
        """
        try:
            reply = self._feed.get(task_id, self._timeouts, self._limits)
        except TRANSPORT_ERRORS as error:
            kind = FeedRefused if is_permanent(error) else FeedError
            raise kind(
                Message(
                    "No response from {host}: {cause}.",
                    host=self._host,
                    cause=self._mask.text(root_cause(error)),
                ),
                hint=connection_hint(error),
            ) from None
        failure = feed_error(task_id, reply, self._host, self._mask, self._clock())
        if failure is not None:
            raise failure
        response = json_object(reply.text)
        if response is None:
            message = self._mask.message(reply.text)
            raise FeedError(
                Message("The response of the feed is not JSON: {message}", message=message),
                status=200,
            )
        return Task.from_feed(task_id, self._mask.json(response))

    def balance(self) -> Balance:
        """Read quota and usage of the key.

        Raises:
            AccountNotOffered: The gateway has no account endpoints.
            AccountError: It did not answer, or with an error.
        """
        return self._account.read()

    def _get_for_account(self, url: str, timeouts: Timeouts) -> Reply:
        with closing(self._gateway_session()) as session:
            return get_reply(session, url, timeouts, self._limits)

    def download(self, task_id: str, url: str, part: Path, check: Callable[[], None]) -> None:
        """Stream a finished file to ``part``; see `Downloader.download`."""
        with closing(self._media_session()) as session:
            downloader = Downloader(session, self._timeouts, self._limits, self._mask.message)
            downloader.download(task_id, url, part, check)

    def fetch_image(self, url: str) -> bytes:
        """Fetch a small picture, at most `SizeLimits.response` bytes.

        Raises:
            requests.RequestException: It could not be fetched.
        """
        timeouts, limits = self._timeouts, self._limits
        exchange = small_exchange(timeouts, limits)
        try:
            with closing(self._media_session()) as session:
                response = get_following_redirects(session, url, exchange, timeouts)
                with closing(response):
                    if response.status_code != requests.codes.ok:
                        raise requests.HTTPError(f"HTTP {response.status_code}")
                    return read_limited(response, exchange, timeouts, limits)
        except TRANSPORT_ERRORS as error:
            kind = type(error) if isinstance(error, requests.RequestException) else None
            raise (kind or requests.ConnectionError)(root_cause(error)) from None

    def _media_session(self) -> requests.Session:
        """A session for links that the gateway chose; see `network_guard`."""
        check = None if self._gateway_is_private else self._refuse_private
        return open_session(NoAuth(), check_connection=check)

    def _gateway_session(self, connections: int = 1) -> requests.Session:
        return open_session(
            Bearer(self._settings.api_key),
            connections=connections,
            base_url=self._settings.base_url,
            check_connection=self._note_connection,
        )

    def _note_connection(self, peer: str, own: str) -> None:
        self._gateway_is_private = self._is_private(peer, own)


def _has_private_address(base_url: str, is_private: AddressCheck) -> bool:
    """Whether the host of a URL is a private IP address or ``localhost``; False for other names."""
    host = urlsplit(base_url).hostname or ""
    try:
        return is_private("127.0.0.1" if host == "localhost" else host, "")
    except ValueError:
        return False


class _Upload:
    """A request body that ends at the exchange's deadline; then the response gets its own.

    A receiver that takes a few bytes now and then would occupy the thread for days.
    """

    def __init__(
        self,
        payload: Payload,
        confirm: Callable[[], None],
        exchange: Exchange,
        timeouts: Timeouts,
    ) -> None:
        self._payload = payload
        self._confirm = confirm
        self._exchange = exchange
        self._timeouts = timeouts

    def __len__(self) -> int:
        return len(self._payload)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._payload.chunks(self._confirm):
            self._exchange.check()
            yield piece
        self._exchange.begin_phase("the response had not begun after", self._timeouts.head)
