"""Time and size limits of the HTTP exchanges, as values that callers can replace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Timeouts:
    """Time limits, in seconds.

    Attributes:
        connect: To make a connection.
        upload: Until a request with its media is sent.
        submit: Of silence while the response to a submit is awaited.
        read: Of silence while a feed or a file is read.
        head: Until the head of a response has arrived, after redirects if any. It must be longer
            than any silence that is allowed: it only ends a head that arrives in drips, or never
            ends.
        response: Until the body of a small response has arrived, after its head.
        download: Of one attempt to download a file. The next attempt resumes it.
        rate_window: In which a download must bring `SizeLimits.rate_window` bytes.
    """

    connect: float = 10.0
    upload: float = 1800.0
    submit: float = 120.0
    read: float = 30.0
    head: float = 180.0
    response: float = 60.0
    download: float = 2 * 3600.0
    rate_window: float = 60.0


@dataclass(frozen=True)
class SizeLimits:
    """Size limits, in bytes.

    Attributes:
        response: Maximum size of a small response, compressed and decompressed.
        file: Maximum size of a downloaded file.
        rate_window: What a download must bring in `Timeouts.rate_window` seconds.
    """

    response: int = 4 * 1024 * 1024
    file: int = 4 * 1024 * 1024 * 1024
    rate_window: int = 64 * 1024


#: Bytes of an exchange beside the body: heads, redirects, chunk headers, trailers.
OVERHEAD: Final = 1024 * 1024
DEFAULT_TIMEOUTS: Final = Timeouts()
DEFAULT_SIZE_LIMITS: Final = SizeLimits()
