"""Download of a finished file: streamed, with limits, and resumed after an interruption."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError as TransportError

from ..errors import DownloadFailed, LinkRefused
from .exchange import Exchange
from .limits import OVERHEAD, SizeLimits, Timeouts
from .network_guard import PrivateAddressError
from .sessions import (
    CERTIFICATE_HINT,
    TRANSPORT_ERRORS,
    get_following_redirects,
    is_untrusted_certificate,
    iter_raw,
    read_text,
    root_cause,
)

_PRIVATE_ADDRESS_HINT: Final = (
    "Links of a public gateway must not lead there, so nothing was fetched. If you trust the "
    "gateway, get the link from Pika Status and open it in a browser."
)
#: A Content-Length that is believed: 1 to 18 digits.
_LENGTH: Final = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Downloader:
    """Downloads files from the media host.

    Attributes:
        session: A session without the key: the media host is not the gateway.
        timeouts: Time limits.
        limits: Size limits.
        describe: Turns the body of an error response into a text that can be shown.
    """

    session: requests.Session
    timeouts: Timeouts
    limits: SizeLimits
    describe: Callable[[str], str]

    def download(self, task_id: str, url: str, part: Path, check: Callable[[], None]) -> None:
        """Stream a file to ``part``. If ``part`` exists, only the rest is requested.

        The bytes are stored as they arrive, and never decompressed.

        Args:
            task_id: For the errors.
            url: The link. It is signed, so no error contains it.
            part: The incomplete file.
            check: Called between reads; may raise to stop.

        Raises:
            LinkRefused: The media host rejects the link: it has expired, or the file is gone.
            DownloadFailed: The download broke off, was too slow or too large. ``part`` keeps what
                arrived.
            OSError: ``part`` cannot be written.
        """
        size = part.stat().st_size if part.exists() else 0
        host = urlsplit(url).hostname
        exchange = Exchange(
            idle=self.timeouts.read,
            seconds=self.timeouts.head,
            phase="the response had not begun after",
            max_bytes=2 * self.limits.file + OVERHEAD,  # chunks of few bytes have large headers
        )
        with closing(self._open(task_id, url, size, exchange)) as response:
            if response.status_code == 416 and size:
                part.unlink()  # it belongs to another file: the next attempt starts from byte 0
                raise DownloadFailed(task_id, f"{host} cannot resume the file from byte {size}.")
            if response.status_code not in (200, 206):
                raise self._refusal(task_id, response, host, exchange)
            start = 0
            if response.status_code == 206:
                start = size
                if not response.headers.get("Content-Range", "").startswith(f"bytes {size}-"):
                    part.unlink()
                    raise DownloadFailed(task_id, f"{host} resumed the file from another byte.")
            exchange.begin_phase("the download took over", self.timeouts.download)
            self._write(task_id, response, part, start, check)

    def _open(self, task_id: str, url: str, size: int, exchange: Exchange) -> requests.Response:
        """Request a file from byte ``size`` on."""
        headers = {"Accept-Encoding": "identity"}
        if size:
            headers["Range"] = f"bytes={size}-"
        try:
            return get_following_redirects(self.session, url, exchange, self.timeouts, headers)
        except TRANSPORT_ERRORS as error:
            what = f"No response from {urlsplit(url).hostname}: {root_cause(error)}."
            hint = _hint_for(error)
            raise DownloadFailed(task_id, what, hint=hint or "", retryable=hint is None) from None

    def _refusal(
        self, task_id: str, response: requests.Response, host: str | None, exchange: Exchange
    ) -> DownloadFailed:
        try:
            text = read_text(response, exchange, self.timeouts, self.limits)
        except (requests.RequestException, TransportError, OSError):
            text = ""  # the status is enough
        status = response.status_code
        kind = LinkRefused if 400 <= status < 500 else DownloadFailed
        return kind(task_id, f"HTTP {status} from {host}: {self.describe(text)}")

    def _write(
        self,
        task_id: str,
        response: requests.Response,
        part: Path,
        start: int,
        check: Callable[[], None],
    ) -> None:
        maximum = self.limits.file
        length = response.headers.get("Content-Length", "")
        expected = start + int(length) if _LENGTH.fullmatch(length) else None
        if (expected or 0) > maximum:
            raise DownloadFailed(
                task_id, f"The file has {expected} bytes, over the limit of {maximum}."
            )
        size = start
        rate = _RateCheck(task_id, start, self.timeouts, self.limits)
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            try:
                for chunk in iter_raw(response):
                    check()
                    size += len(chunk)
                    if size > maximum:
                        raise DownloadFailed(task_id, f"The file has over {maximum} bytes.")
                    file.write(chunk)
                    rate.check(size)
            except (requests.RequestException, TransportError) as error:
                raise DownloadFailed(
                    task_id, f"The download broke off after {size} bytes: {root_cause(error)}."
                ) from None
        if expected is not None and size != expected:
            raise DownloadFailed(
                task_id, f"The download broke off after {size} of {expected} bytes."
            )


class _RateCheck:
    """Ends a download that is too slow. A read timeout does not: each single byte restarts it."""

    def __init__(self, task_id: str, size: int, timeouts: Timeouts, limits: SizeLimits) -> None:
        self._task_id = task_id
        self._timeouts = timeouts
        self._limits = limits
        self._started = self._window_start = time.monotonic()
        self._size_at_window_start = size

    def check(self, size: int) -> None:
        """Check the size that the file has now. Raises `DownloadFailed`."""
        now = time.monotonic()
        if now - self._started > self._timeouts.download:
            raise DownloadFailed(
                self._task_id, f"The download took over {self._timeouts.download:g} s."
            )
        if now - self._window_start < self._timeouts.rate_window:
            return
        arrived, seconds = size - self._size_at_window_start, now - self._window_start
        if arrived < self._limits.rate_window:
            raise DownloadFailed(
                self._task_id, f"The download almost stopped: {arrived} bytes in {seconds:.0f} s."
            )
        self._size_at_window_start, self._window_start = size, now


def _hint_for(error: Exception) -> str | None:
    """What the user must change before another attempt can succeed; None if nothing."""
    if isinstance(error, PrivateAddressError):
        return _PRIVATE_ADDRESS_HINT
    return CERTIFICATE_HINT if is_untrusted_certificate(error) else None
