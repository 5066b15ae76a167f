"""A finished file, from its link to the disk: streamed, bounded, going on where it broke off."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError as TransportError

from ..errors import DownloadFailed, LinkRefused
from .network_guard import PrivateAddressError
from .sessions import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    TRANSPORT_ERRORS,
    certificate_hint,
    iter_raw,
    read_limited,
    root_cause,
)

#: The largest file that is fetched, in bytes.
MAX_FILE: Final = 4 * 1024 * 1024 * 1024
#: A download that brings fewer bytes than this in so many seconds is none.
MIN_BYTES: Final = 64 * 1024
RATE_WINDOW: Final = 60.0
#: Seconds that one try may take; the next goes on from there.
DOWNLOAD_TIMEOUT: Final = 2 * 3600.0

_LENGTH: Final = re.compile(r"[0-9]{1,18}")


def download_file(
    session: requests.Session,
    task_id: str,
    url: str,
    part: Path,
    check: Callable[[], None],
    words: Callable[[str], str],
) -> None:
    """Stream a file to ``part``, going on where an earlier try broke off.

    Its bytes are kept as they come: nothing is unpacked.

    Args:
        session: One without the key: the media host is somebody else.
        check: Called between reads; may raise to stop.
        words: What an answer says, fit to be shown.

    Raises:
        LinkRefused: The host says no: the link has expired, or the file is gone.
        DownloadFailed: It broke off, drips or is too large. ``part`` keeps what arrived.
        OSError: ``part`` cannot be written.
    """
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    host = urlsplit(url).hostname
    try:
        answer = session.get(
            url, headers=headers, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), stream=True
        )
    except TRANSPORT_ERRORS as error:
        raise DownloadFailed(
            task_id,
            f"No answer from {host}: {root_cause(error)}.",
            hint=_hint_for(error),
        ) from error
    with closing(answer):
        if answer.status_code == 416 and have:
            part.unlink()  # what is there is not of this file: the next try starts anew
            raise DownloadFailed(task_id, f"{host} cannot go on from byte {have}.")
        if answer.status_code not in (200, 206):
            raise _refusal(task_id, answer, host, words)
        start = 0
        if answer.status_code == 206:
            start = have
            if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                part.unlink()
                raise DownloadFailed(task_id, f"{host} went on from another byte.")
        _write(task_id, answer, part, start, check)


def _refusal(
    task_id: str, answer: requests.Response, host: str | None, words: Callable[[str], str]
) -> DownloadFailed:
    try:
        text = read_limited(answer).decode("utf-8", "replace")
    except (requests.RequestException, TransportError, OSError):
        text = ""  # the status says what matters
    what = f"HTTP {answer.status_code} from {host}: {words(text)}"
    kind = LinkRefused if 400 <= answer.status_code < 500 else DownloadFailed
    return kind(task_id, what)


def _write(
    task_id: str,
    answer: requests.Response,
    part: Path,
    start: int,
    check: Callable[[], None],
) -> None:
    length = answer.headers.get("Content-Length", "")
    expected = start + int(length) if _LENGTH.fullmatch(length) else None
    if (expected or 0) > MAX_FILE:
        raise DownloadFailed(task_id, f"The file is {expected} bytes, over the {MAX_FILE} kept.")
    size = start
    pace = _RateCheck(task_id, start)
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        try:
            for chunk in iter_raw(answer):
                check()
                size += len(chunk)
                if size > MAX_FILE:
                    raise DownloadFailed(task_id, f"The file is over {MAX_FILE} bytes.")
                file.write(chunk)
                pace.check(size)
        except (requests.RequestException, TransportError) as error:
            raise DownloadFailed(
                task_id, f"The download broke off after {size} bytes: {root_cause(error)}."
            ) from error
    if expected is not None and size != expected:
        raise DownloadFailed(task_id, f"The download broke off after {size} of {expected} bytes.")


class _RateCheck:
    """Whether a download goes on, or only drips. `requests` times each piece, however small."""

    def __init__(self, task_id: str, size: int) -> None:
        self._task_id = task_id
        self._size = size
        self._begun = self._since = time.monotonic()

    def check(self, size: int) -> None:
        """Look at it now that it has so many bytes. Raises `DownloadFailed`."""
        now = time.monotonic()
        if now - self._begun > DOWNLOAD_TIMEOUT:
            raise DownloadFailed(self._task_id, f"It took over {DOWNLOAD_TIMEOUT:g} s.")
        if now - self._since < RATE_WINDOW:
            return
        if size - self._size < MIN_BYTES:
            raise DownloadFailed(
                self._task_id,
                f"It all but stopped: {size - self._size} bytes in {now - self._since:.0f} s.",
            )
        self._size, self._since = size, now


def _hint_for(error: Exception) -> str:
    """What helps where trying again does not; empty where it may."""
    if isinstance(error, PrivateAddressError):
        return (
            "A gateway outside has no business there, so nothing was fetched. If you trust it, "
            "PikaStatus gives the link: open it in a browser."
        )
    return certificate_hint(error)
