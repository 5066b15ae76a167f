"""Limits of one HTTP exchange: every received byte is counted, and every read has a deadline.

The time-out of a socket is restarted by each byte, and libraries read some parts of a response
without any limit: chunk headers with extensions, trailers, "100 Continue" responses. Here the
limits are in the reader below the HTTP parser, so they hold for every byte of an exchange.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final

#: Seconds between two looks at whether a blocked read was cancelled.
_CANCEL_INTERVAL: Final = 0.25
#: Longest line of a response, in bytes: a header, or a chunk header with its extensions.
_MAX_LINE: Final = 64 * 1024

_local: Final = threading.local()


class ExchangeCancelled(OSError):
    """Nobody needs the response any more, or the process ends."""


class ExchangeTooLarge(OSError):
    """The other side sent more bytes than the exchange allows."""


@contextlib.contextmanager
def cancellable(cancelled: threading.Event) -> Iterator[None]:
    """Exchanges that this thread begins in the block end soon after the event is set."""
    previous = getattr(_local, "cancelled", None)
    _local.cancelled = cancelled
    try:
        yield
    finally:
        _local.cancelled = previous


class Exchange:
    """The limits of one request and its response, redirects included.

    While it is entered (``with exchange:``), all responses that this thread receives count.

    Args:
        idle: Seconds that the other side may be silent.
        seconds: Until the first phase is over; see `begin_phase`.
        phase: For the error, before the seconds: "the response had not begun after".
        max_bytes: How many bytes may be received.
        clock: Monotonic time in seconds.

    Attributes:
        line_cut: Whether the connection ended within a line, such as the size of a chunk. Python's
            HTTP library takes what is there: "0" of "0400" then looks like the last chunk.
    """

    def __init__(
        self,
        *,
        idle: float,
        seconds: float,
        phase: str,
        max_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.idle = idle
        self.line_cut = False
        self._max_bytes = max_bytes
        self._clock = clock
        self._received = 0
        self._cancelled: threading.Event | None = getattr(_local, "cancelled", None)
        self._outer: Exchange | None = None
        self._readers: list[io.BufferedReader] = []
        self.begin_phase(phase, seconds)

    def begin_phase(self, phase: str, seconds: float) -> None:
        """Set a new deadline.

        Args:
            phase: For the error, before the seconds: "the response took over".
            seconds: From now.
        """
        self._phase = phase
        self._seconds = seconds
        self._deadline = self._clock() + seconds

    def now(self) -> float:
        """The exchange's time, in seconds."""
        return self._clock()

    def check(self) -> None:
        """Raise `TimeoutError` after the deadline, `ExchangeCancelled` if it was cancelled."""
        if self._cancelled is not None and self._cancelled.is_set():
            raise ExchangeCancelled("it was cancelled")
        if self._clock() >= self._deadline:
            raise TimeoutError(f"{self._phase} {self._seconds:g} s")

    def read_timeout(self, silent_since: float) -> float:
        """Seconds that the next read may block. Raises as `check`, or after `idle` seconds."""
        self.check()
        now = self._clock()
        idle_left = silent_since + self.idle - now
        if idle_left <= 0:
            raise TimeoutError(f"timed out: nothing arrived for {self.idle:g} s")
        return max(min(idle_left, self._deadline - now, _CANCEL_INTERVAL), 0.001)

    def count(self, size: int) -> None:
        """Count received bytes. Raises `ExchangeTooLarge`."""
        self._received += size
        if self._received > self._max_bytes:
            raise ExchangeTooLarge(f"over {self._max_bytes} bytes were sent")

    def attach(self, reader: io.BufferedReader) -> None:
        """Close this reader if the exchange is aborted."""
        self._readers.append(reader)

    def abort(self) -> None:
        """Close the responses that were begun. HTTP libraries forget some that they reject."""
        for reader in self._readers:
            reader.close()

    def __enter__(self) -> Exchange:
        self._outer, _local.exchange = getattr(_local, "exchange", None), self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _local.exchange = self._outer


class LimitedResponse(http.client.HTTPResponse):
    """A response of `http.client` that is read under the limits of the current exchange.

    Raises:
        RuntimeError: There is no current exchange: a request that has no limits.
    """

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        exchange: Exchange | None = getattr(_local, "exchange", None)
        if exchange is None:
            self.fp.close()
            raise RuntimeError("A request was sent outside of an Exchange.")
        # `detach` keeps the raw file, which keeps the socket open until the response is closed.
        raw = self.fp.detach()
        self.fp = _LineReader(_SocketReader(sock, raw, exchange), exchange)
        exchange.attach(self.fp)


class _SocketReader(io.RawIOBase):
    """Reads a socket under the limits of an exchange. Blocks for a short time at once."""

    def __init__(self, sock: Any, raw: Any, exchange: Exchange) -> None:
        self._sock = sock
        self._raw = raw
        self._exchange = exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for bytes. 0 at the end of the stream."""
        silent_since = self._exchange.now()
        try:
            while True:
                self._sock.settimeout(self._exchange.read_timeout(silent_since))
                try:
                    size = int(self._sock.recv_into(buffer))
                except TimeoutError:
                    continue  # the exchange decides whether to wait on
                self._exchange.count(size)
                return size
        except (TimeoutError, ExchangeCancelled, ExchangeTooLarge):
            # At once, whoever else still holds the socket.
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
            raise
        finally:
            if self._sock.fileno() != -1:
                self._sock.settimeout(self._exchange.idle)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _LineReader(io.BufferedReader):
    """A buffered reader whose lines have a maximum length. It notices a line that is cut off."""

    def __init__(self, raw: io.RawIOBase, exchange: Exchange) -> None:
        super().__init__(raw)
        self._exchange = exchange

    def readline(self, size: int | None = -1, /) -> bytes:
        limit = _MAX_LINE + 1 if size is None or size < 0 else min(size, _MAX_LINE + 1)
        line = super().readline(limit)
        if len(line) > _MAX_LINE:
            raise ExchangeTooLarge(f"a line of the response has over {_MAX_LINE} bytes")
        if line and len(line) < limit and not line.endswith(b"\n"):
            self._exchange.line_cut = True
        return line
