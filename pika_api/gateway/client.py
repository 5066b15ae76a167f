"""HTTP calls to the gateway and the media host. One call is one request; nothing is repeated."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import requests

from ..errors import FeedError, SubmitUnknown
from ..request import Payload
from ..settings import Settings
from ..text import is_task_id
from .downloads import Downloader
from .feed import Task
from .limits import DEFAULT_SIZE_LIMITS, DEFAULT_TIMEOUTS, SizeLimits, Timeouts
from .masking import KeyMask
from .network_guard import AddressCheck, is_private_address, resolves_to_private_address
from .rejections import broken_submit_error, connection_hint, feed_error, submit_error
from .responses import json_object
from .sessions import (
    TRANSPORT_ERRORS,
    Bearer,
    NoAuth,
    Reply,
    get_reply,
    open_session,
    read_limited,
    read_text,
    root_cause,
)

#: Fields that may contain the id of a new task: the one of the API specification, then those of
#: other gateways.
_ID_FIELDS: Final = ("id", "task_id", "taskId")


class Client:
    """Blocking calls to one gateway. May be used from several threads.

    Args:
        settings: Key, base URL and limits.
        clock: Seconds since the epoch, for Retry-After dates.
        timeouts: Time limits of all calls.
        limits: Size limits of all calls.
        is_private: Which addresses the links of a public gateway may not lead to.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        limits: SizeLimits = DEFAULT_SIZE_LIMITS,
        is_private: AddressCheck = is_private_address,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._timeouts = timeouts
        self._limits = limits
        self._is_private = is_private
        self._mask = KeyMask(settings.api_key)
        self._host = urlsplit(settings.base_url).netloc
        self._feed_session = open_session(
            Bearer(settings.api_key),
            timeouts,
            connections=settings.max_requests,
            base_url=settings.base_url,
        )

    def close(self) -> None:
        """Close the open connections."""
        self._feed_session.close()

    def submit(self, payload: Payload) -> str:
        """Send one paid request, once.

        Returns:
            The id of the new task.

        Raises:
            Unreachable, Busy, Refused: The request certainly did not become a task.
            SubmitUnknown: It may have become one.
            InvalidInput: A media file changed while it was sent. No task.
        """
        reply = self._post(payload)
        if 200 <= reply.status < 300:
            return self._new_task_id(reply)
        raise submit_error(reply, self._host, self._mask, payload, self._clock())

    def _post(self, payload: Payload) -> Reply:
        payload.reset()
        # A new connection for each submit. A kept one may be closed by the other side at this very
        # moment: that breaks after the request was written, so it would prove nothing.
        base_url, timeouts = self._settings.base_url, self._timeouts
        bearer = Bearer(self._settings.api_key)
        with closing(open_session(bearer, timeouts, base_url=base_url)) as session:
            try:
                response = session.post(
                    f"{base_url}/pika/generate",
                    data=payload,
                    headers={"Content-Type": "application/json", "Accept": "application/json"},
                    timeout=(timeouts.connect, timeouts.submit),
                    allow_redirects=False,
                    stream=True,
                )
            except TRANSPORT_ERRORS as error:
                raise self._broken_submit(error, payload) from self._mask.cause(error)
            with closing(response):
                try:
                    text = read_text(response, timeouts, self._limits)
                except TRANSPORT_ERRORS as error:
                    if not 300 <= response.status_code < 500:
                        raise self._broken_submit(error, payload) from self._mask.cause(error)
                    text = "(the response broke off)"  # the status alone is proof
                return Reply(response.status_code, response.headers, text)

    def _broken_submit(self, error: Exception, payload: Payload) -> Exception:
        return broken_submit_error(error, self._host, self._mask, payload)

    def _new_task_id(self, reply: Reply) -> str:
        body = json_object(reply.text) or {}
        inner = body.get("data")
        for fields in (body, inner if isinstance(inner, dict) else {}):
            for name in _ID_FIELDS:
                task_id = fields.get(name)
                if isinstance(task_id, (str, int)) and is_task_id(str(task_id).strip()):
                    return str(task_id).strip()
        raise SubmitUnknown(
            f"The gateway answered HTTP {reply.status} without a task id: "
            f"{self._mask.excerpt(reply.text)}",
            status=reply.status,
        )

    def feed(self, task_id: str) -> Task:
        """Read the state of a task once.

        Raises:
            TaskNotFound: 404: the task does not exist, or does not exist yet.
            FeedRefused: The gateway rejects the key or the address.
            FeedError: Any other error. It may be temporary.
        """
        url = f"{self._settings.base_url}/pika/feed/{quote(task_id, safe='')}"
        try:
            reply = get_reply(self._feed_session, url, self._timeouts, self._limits)
        except TRANSPORT_ERRORS as error:
            raise FeedError(
                f"No response from {self._host}: {self._mask.text(root_cause(error))}.",
                hint=connection_hint(error),
            ) from self._mask.cause(error)
        if reply.status != 200:
            raise feed_error(task_id, reply, self._host, self._mask, self._clock())
        response = json_object(reply.text)
        if response is None:
            message = self._mask.message(reply.text)
            raise FeedError(f"The response of the feed is not JSON: {message}", status=200)
        return Task.from_feed(task_id, self._mask.json(response))

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
        timeout = (self._timeouts.connect, self._timeouts.read)
        try:
            with closing(self._media_session()) as session:
                response = session.get(url, timeout=timeout, stream=True)
                with closing(response):
                    response.raise_for_status()
                    return read_limited(response, self._timeouts, self._limits)
        except requests.RequestException:
            raise
        except TRANSPORT_ERRORS as error:
            raise requests.ConnectionError(root_cause(error)) from error

    def _media_session(self) -> requests.Session:
        """A session for links that the gateway chose; see `network_guard`."""
        host = urlsplit(self._settings.base_url).hostname or ""
        private_gateway = resolves_to_private_address(host, self._is_private)
        return open_session(
            NoAuth(),
            self._timeouts,
            refused_addresses=None if private_gateway else self._is_private,
        )
