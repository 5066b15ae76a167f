"""Download of a finished file: streamed, with limits, and resumed after an interruption."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError as TransportError

from ..errors import DownloadFailed, LinkRefused
from ..media import is_complete, kind_of_file
from ..message import Message
from .exchange import Exchange
from .limits import OVERHEAD, SizeLimits, Timeouts
from .network_guard import PrivateAddressError
from .partial import ContentRange, PartInfo, discard_part
from .route import RouteError
from .sessions import (
    CERTIFICATE_HINT,
    TRANSPORT_ERRORS,
    get_following_redirects,
    is_untrusted_certificate,
    iter_raw,
    read_text,
    root_cause,
)

_PRIVATE_ADDRESS_HINT: Final = Message(
    "Links of a public gateway must not lead there, so nothing was fetched. If you "
    "trust the gateway, get the link from Pika Status and open it in a browser."
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
        """Stream a file to ``part``.

        If ``part`` exists, and the media host has named its version, only the rest of the same
        version is requested. The bytes are stored as they arrive, and never decompressed. On
        return, the file is complete, and the file at `part_info_path` can be removed.

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
        info = PartInfo.load(part)
        size = part.stat().st_size if part.exists() else 0
        if size and size == info.total:
            return  # the process ended before the file was moved
        start = size if info.validator else 0
        host = urlsplit(url).hostname
        exchange = Exchange(
            idle=self.timeouts.read,
            seconds=self.timeouts.head,
            phase="the response had not begun after",
            max_bytes=2 * self.limits.file + OVERHEAD,  # chunks of few bytes have large headers
        )
        with closing(self._open(task_id, url, start, info, exchange)) as response:
            if response.status_code == 416 and start:
                discard_part(part)  # it belongs to another file: the next attempt starts at byte 0
                raise DownloadFailed(
                    task_id,
                    Message(
                        "{host} cannot resume the file from byte {start}.", host=host, start=start
                    ),
                )
            if response.status_code not in (200, 206):
                raise self._refusal(task_id, response, host, exchange)
            if response.headers.get("Transfer-Encoding", "").lower() not in ("", "chunked"):
                raise DownloadFailed(
                    task_id, Message("{host} sent the file in an unknown encoding.", host=host)
                )
            body = _Body.of(response, start)
            if body is None or (body.start and not info.matches(response.headers, body.total)):
                discard_part(part)
                raise DownloadFailed(
                    task_id,
                    Message(
                        "{host} resumed the file from another byte, or another version of it.",
                        host=host,
                    ),
                )
            exchange.begin_phase("the download took over", self.timeouts.download)
            self._write(task_id, response, body, part, info, check)
            size = part.stat().st_size
            if exchange.line_cut:
                raise DownloadFailed(
                    task_id, Message("The download broke off after {size} bytes.", size=size)
                )
            if not body.is_delimited:
                _check_end(task_id, part, info)
            with suppress(OSError):  # for the case that the process ends now; not necessary
                PartInfo(total=size).save(part)

    def _open(
        self, task_id: str, url: str, start: int, info: PartInfo, exchange: Exchange
    ) -> requests.Response:
        """Request a file from byte ``start`` on, or all of it if it has changed meanwhile."""
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": info.validator}
        try:
            return get_following_redirects(self.session, url, exchange, self.timeouts, headers)
        except TRANSPORT_ERRORS as error:
            what = Message(
                "No response from {host}: {cause}.",
                host=urlsplit(url).hostname,
                cause=root_cause(error),
            )
            hint = _hint_for(error)
            retryable = hint is None or (isinstance(error, RouteError) and not error.permanent)
            raise DownloadFailed(task_id, what, hint=hint or "", retryable=retryable) from None

    def _refusal(
        self, task_id: str, response: requests.Response, host: str | None, exchange: Exchange
    ) -> DownloadFailed:
        try:
            text = read_text(response, exchange, self.timeouts, self.limits)
        except (requests.RequestException, TransportError, OSError):
            text = ""  # the status is enough
        status = response.status_code
        kind = LinkRefused if 400 <= status < 500 else DownloadFailed
        return kind(
            task_id,
            Message(
                "HTTP {status} from {host}: {words}",
                status=status,
                host=host,
                words=self.describe(text),
            ),
        )

    def _write(
        self,
        task_id: str,
        response: requests.Response,
        body: _Body,
        part: Path,
        info: PartInfo,
        check: Callable[[], None],
    ) -> None:
        maximum = self.limits.file
        if (body.total or 0) > maximum:
            raise DownloadFailed(
                task_id,
                Message(
                    "The file has {total} bytes, over the limit of {maximum}.",
                    total=body.total,
                    maximum=maximum,
                ),
            )
        size = body.start
        rate = _RateCheck(task_id, size, self.timeouts, self.limits)
        with part.open("r+b" if size else "wb") as file:
            if not size:
                # The old bytes are gone by now, and none of the new ones are there yet.
                PartInfo.of(response.headers, body.total, info.digest).save(part)
            file.seek(size)
            try:
                for chunk in iter_raw(response):
                    check()
                    size += len(chunk)
                    if size > maximum:
                        raise DownloadFailed(
                            task_id, Message("The file has over {maximum} bytes.", maximum=maximum)
                        )
                    file.write(chunk)
                    rate.check(size)
            except (requests.RequestException, TransportError) as error:
                raise DownloadFailed(
                    task_id,
                    Message(
                        "The download broke off after {size} bytes: {cause}.",
                        size=size,
                        cause=root_cause(error),
                    ),
                ) from None
        if body.end is not None and size > body.end:
            discard_part(part)
            raise DownloadFailed(
                task_id, Message("{size} bytes arrived instead of {end}.", size=size, end=body.end)
            )
        expected = body.end if body.total is None else body.total
        if expected is not None and size < expected:
            raise DownloadFailed(
                task_id,
                Message(
                    "The download broke off after {size} of {expected} bytes.",
                    size=size,
                    expected=expected,
                ),
            )


@dataclass(frozen=True)
class _Body:
    """Which bytes of a file a response has.

    Attributes:
        start: Offset of its first byte in the file.
        end: Offset behind its last byte; None if only the end of the response shows it.
        total: Size of the file; None if it is unknown.
        is_delimited: Whether a response that was cut off is noticed. If not, it ends with the
            connection, for whatever reason.
    """

    start: int
    end: int | None
    total: int | None
    is_delimited: bool

    @classmethod
    def of(cls, response: requests.Response, asked: int) -> _Body | None:
        """From the head of a response; None if it does not fit the request.

        Args:
            asked: The offset of the first byte that was asked for.
        """
        length = response.headers.get("Content-Length", "")
        # It overrides a length (RFC 9112, section 6.3).
        chunked = bool(response.headers.get("Transfer-Encoding"))
        size = int(length) if _LENGTH.fullmatch(length) and not chunked else None
        if response.status_code == 200:
            return cls(0, size, size, chunked or size is not None)
        part = ContentRange.parse(response.headers.get("Content-Range", ""))
        if part is None or part.first != asked:
            return None
        end = part.last + 1
        if size is not None and size != end - asked:
            return None
        return cls(asked, end, part.total, True)


def _check_end(task_id: str, part: Path, info: PartInfo) -> None:
    """Check a file that ended with its connection.

    Where its structure does not prove that it is complete, a second response with the same bytes
    does: a connection that breaks by chance does not break twice at the same byte.

    Raises:
        DownloadFailed: It may be incomplete. The next attempt starts from byte 0.
    """
    kind = kind_of_file(part)
    size = part.stat().st_size
    if size and (kind.text or is_complete(part)):
        return
    digest = _digest(part)
    if size and digest == info.digest:
        return
    PartInfo(digest=digest).save(part)
    raise DownloadFailed(
        task_id,
        Message(
            "The connection ended after {size} bytes. The media host did not say how long "
            "the file is, and its end is not there ({name}).",
            size=size,
            name=kind.name,
        ),
    )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1024 * 1024):
            digest.update(chunk)
    return digest.hexdigest()


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
                self._task_id,
                Message("The download took over {seconds:g} s.", seconds=self._timeouts.download),
            )
        if now - self._window_start < self._timeouts.rate_window:
            return
        arrived, seconds = size - self._size_at_window_start, now - self._window_start
        if arrived < self._limits.rate_window:
            raise DownloadFailed(
                self._task_id,
                Message(
                    "The download almost stopped: {arrived} bytes in {seconds:.0f} s.",
                    arrived=arrived,
                    seconds=seconds,
                ),
            )
        self._size_at_window_start, self._window_start = size, now


def _hint_for(error: Exception) -> str | None:
    """What the user must change before another attempt can succeed; None if nothing."""
    if isinstance(error, PrivateAddressError):
        return _PRIVATE_ADDRESS_HINT
    if isinstance(error, RouteError):
        return error.hint
    return CERTIFICATE_HINT if is_untrusted_certificate(error) else None
