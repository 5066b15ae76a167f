"""HTTP with the gateway and the media host: one call, one request; nothing is sent again here."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import requests

from ..errors import Busy, FeedError, FeedRefused, Refused, SubmitUnknown, TaskNotFound, Unreachable
from ..request import Payload
from ..settings import Settings
from ..text import format_size, is_task_id, sanitize, shorten
from .downloads import download_file
from .feed import Task
from .network_guard import resolves_to_private_address
from .responses import error_message, json_object
from .retry import parse_retry_after
from .sessions import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    TRANSPORT_ERRORS,
    Bearer,
    NoAuth,
    certificate_hint,
    open_session,
    read_limited,
    root_cause,
)

#: Seconds of silence while the answer to a submit is awaited.
SUBMIT_TIMEOUT: Final = 120.0
#: Where the id stands: the seed's name, then those of gateways that have another.
_ID_FIELDS: Final = ("id", "task_id", "taskId")
#: A decoded answer is kept this deep.
_MAX_DEPTH: Final = 100
#: Statuses of a submit that say the request was received and not carried out. 408, 425 and 499
#: speak of the way there, not of the task, so they prove nothing.
_UNPROVEN_4XX: Final = frozenset({408, 425, 499})
_MOVED: Final = frozenset({301, 307, 308})

_NETWORK_HINT: Final = (
    "Check the network, PIKA_BASE_URL, and the proxy variables (HTTPS_PROXY, NO_PROXY)."
)


class Client:
    """Blocking calls to one gateway; may be used from several threads.

    Args:
        settings: Key, base URL and limits.
        clock: Seconds since the epoch, for Retry-After dates.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._feeds = open_session(
            Bearer(settings.api_key), settings.max_requests, base_url=settings.base_url
        )

    def close(self) -> None:
        """Give the kept connections back."""
        self._feeds.close()

    def submit(self, payload: Payload) -> str:
        """Send one paid request, once.

        Returns:
            The task id.

        Raises:
            Unreachable, Busy, Refused: It provably did not become a task.
            SubmitUnknown: It may have.
        """
        url = f"{self._settings.base_url}/pika/generate"
        payload.reset()
        # A connection of its own: a kept one that the other side has just closed would break
        # after the request was written, which nobody could tell from a broken answer.
        bearer = Bearer(self._settings.api_key)
        with closing(open_session(bearer, base_url=self._settings.base_url)) as session:
            try:
                answer = session.post(
                    url,
                    data=payload,
                    headers={"Content-Type": "application/json", "Accept": "application/json"},
                    timeout=(CONNECT_TIMEOUT, SUBMIT_TIMEOUT),
                    allow_redirects=False,
                    stream=True,
                )
            except TRANSPORT_ERRORS as error:
                raise self._submit_broke(error, payload) from self._without_key(error)
            with closing(answer):
                status, headers = answer.status_code, answer.headers
                try:
                    text = self._read(answer)[2]
                except TRANSPORT_ERRORS as error:
                    if not 300 <= status < 500:
                        raise self._submit_broke(error, payload) from self._without_key(error)
                    text = "(its answer broke off)"  # the status alone says what matters
        if 200 <= status < 300:
            return self._task_id(status, text)
        raise self._submit_refused(status, headers, text, payload)

    def _submit_broke(self, error: Exception, payload: Payload) -> Unreachable | SubmitUnknown:
        broke = self._clean(root_cause(error))
        if not payload.started:
            return Unreachable(f"No connection to {self._host}: {broke}.", hint=_hint_for(error))
        if not payload.complete:
            return Unreachable(
                f"The connection to {self._host} broke before the request was sent whole: {broke}.",
                connected=True,
                hint="Queue again. If it happens every time, send a smaller image or video.",
            )
        return SubmitUnknown(
            f"The request was sent to {self._host}, and no whole answer came back: {broke}."
        )

    def _task_id(self, status: int, text: str) -> str:
        answer = json_object(text) or {}
        inner = answer.get("data")
        for place in (answer, inner if isinstance(inner, dict) else {}):
            for name in _ID_FIELDS:
                task_id = place.get(name)
                if isinstance(task_id, (str, int)) and is_task_id(str(task_id).strip()):
                    return str(task_id).strip()
        raise SubmitUnknown(
            f"The gateway answered HTTP {status} without a task id: {self._shown(text)}",
            status=status,
        )

    def _submit_refused(
        self,
        status: int,
        headers: requests.structures.CaseInsensitiveDict[str],
        text: str,
        payload: Payload,
    ) -> Busy | Refused | SubmitUnknown:
        what = f"HTTP {status} from {self._host}: {self._words(text)}"
        later = parse_retry_after(headers.get("Retry-After"), self._clock())
        if status == 413:
            return Refused(what, status=status, hint=_too_large(payload))
        if status == 429 or (status == 503 and later is not None):
            return Busy(
                what,
                status=status,
                retry_after=later,
                hint="The gateway is busy, or the account's limit is reached: try later.",
            )
        if status in _MOVED:
            where = shorten(urlsplit(headers.get("Location", "")).netloc) or "nowhere"
            return Refused(
                f"HTTP {status} from {self._host}: it points to {where}. "
                "A request that carries the key follows no redirect.",
                status=status,
                hint="If you trust that address, set PIKA_BASE_URL to it.",
            )
        if 400 <= status < 500 and status not in _UNPROVEN_4XX:
            return Refused(
                what, status=status, hint=_HINT_BY_STATUS.get(status, _CHANGE_INPUT_HINT)
            )
        return SubmitUnknown(what, status=status)

    def feed(self, task_id: str) -> Task:
        """Ask once how a task is.

        Raises:
            TaskNotFound: 404: it does not exist, or does not exist yet.
            FeedRefused: Key or address are not good.
            FeedError: Anything else that asking again may mend.
        """
        url = f"{self._settings.base_url}/pika/feed/{quote(task_id, safe='')}"
        try:
            answer = self._feeds.get(
                url,
                headers={"Accept": "application/json"},
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                allow_redirects=False,
                stream=True,
            )
            with closing(answer):
                status, headers, text = self._read(answer)
        except TRANSPORT_ERRORS as error:
            raise FeedError(
                f"{self._host} could not be asked: {self._clean(root_cause(error))}.",
                hint=_hint_for(error),
            ) from self._without_key(error)
        if status == 200:
            found = json_object(text)
            if found is None:
                raise FeedError(f"The feed's answer is not JSON: {self._words(text)}", status=200)
            return Task.from_feed(task_id, self._masked(found))
        raise self._feed_refused(task_id, status, headers, text)

    def _feed_refused(
        self,
        task_id: str,
        status: int,
        headers: requests.structures.CaseInsensitiveDict[str],
        text: str,
    ) -> FeedError | TaskNotFound:
        what = f"HTTP {status} from {self._host}: {self._words(text)}"
        if status == 404:
            return TaskNotFound(task_id, what)
        later = parse_retry_after(headers.get("Retry-After"), self._clock())
        if status in (408, 425, 429) or status >= 500:
            return FeedError(what, status=status, retry_after=later)
        return FeedRefused(what, status=status, hint=_HINT_BY_STATUS.get(status, _NETWORK_HINT))

    def download(self, task_id: str, url: str, part: Path, check: Callable[[], None]) -> None:
        """Stream a finished file to ``part``; see `downloads.fetch`."""
        with closing(self._media_session()) as session:
            download_file(session, task_id, url, part, check, self._words)

    def fetch_image(self, url: str) -> bytes:
        """Fetch a poster, at most `MAX_RESPONSE` bytes. Raises `requests.RequestException`."""
        try:
            with closing(self._media_session()) as session:
                answer = session.get(url, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), stream=True)
                with closing(answer):
                    answer.raise_for_status()
                    return read_limited(answer)
        except requests.RequestException:
            raise
        except TRANSPORT_ERRORS as error:
            raise requests.ConnectionError(root_cause(error)) from error

    def _media_session(self) -> requests.Session:
        """For links, which the gateway chooses: one from outside leads to nothing inside."""
        host = urlsplit(self._settings.base_url).hostname or ""
        return open_session(NoAuth(), public_only=not resolves_to_private_address(host))

    @property
    def _host(self) -> str:
        return urlsplit(self._settings.base_url).netloc

    def _read(
        self, answer: requests.Response
    ) -> tuple[int, requests.structures.CaseInsensitiveDict[str], str]:
        return answer.status_code, answer.headers, read_limited(answer).decode("utf-8", "replace")

    def _words(self, text: str) -> str:
        # First too: once shortened, what is left of the key would not be known for it.
        return self._clean(error_message(self._clean(text)))

    def _masked(self, value: Any, depth: int = 0) -> Any:
        """The decoded answer, without the key in any of its texts."""
        if isinstance(value, str):
            return self._clean(value)
        if depth == _MAX_DEPTH and isinstance(value, (list, dict)):
            return "…"
        if isinstance(value, list):
            return [self._masked(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {
                self._clean(name): self._masked(item, depth + 1) for name, item in value.items()
            }
        return value

    def _without_key(self, error: Exception) -> Exception | None:
        """The cause of an error, for its traceback; none where it quotes the key."""
        key = self._settings.api_key
        quoted = key and key in "".join(traceback.format_exception(error))
        return None if quoted else error

    def _shown(self, text: str) -> str:
        """An answer as it came, should there be an id in it that nobody expected there."""
        return shorten(self._clean(text.strip())) or "(an empty answer)"

    def _clean(self, text: str) -> str:
        """Harmless, and without the key, should the other side quote it."""
        key = self._settings.api_key
        return sanitize(text.replace(key, "[key]") if key else text)


_CHANGE_INPUT_HINT: Final = "Change the input that the message names, and queue again."
_HINT_BY_STATUS: Final = {
    401: "The gateway does not accept the key: check it in Settings → Pika, or PIKA_API_KEY.",
    402: "The account's credit is used up: top it up at the gateway.",
    403: "The gateway does not let this key do this: check the key's rights and PIKA_BASE_URL.",
    404: "There is no such address at the gateway: check PIKA_BASE_URL.",
    405: "There is no such call at the gateway: check PIKA_BASE_URL.",
}


def _too_large(payload: Payload) -> str:
    told = f"The request was {format_size(len(payload))}"
    if payload.heaviest is None:
        return f"{told}: shorten the prompt."
    name, size = payload.heaviest
    told += f", of which the {name} takes {format_size(size)}"
    if name == "video":
        return f"{told}: connect a smaller video, or give video_url."
    return (
        f"{told}: connect a smaller image, choose image_format jpeg, lower PIKA_MAX_BODY_MB, "
        "or give image_url."
    )


def _hint_for(error: Exception) -> str:
    if not isinstance(error, requests.exceptions.SSLError):
        return _NETWORK_HINT
    return certificate_hint(error) or (
        "What answers there does not speak TLS: check the address and its port. Behind a company's "
        "proxy, set REQUESTS_CA_BUNDLE to its certificate file."
    )
