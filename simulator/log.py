"""The log of all requests to the simulator."""

from __future__ import annotations

import copy
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Server = Literal["api", "cdn"]
# Limits the memory of a simulator that runs for days.
_MAX_REQUESTS = 50_000


@dataclass
class Request:
    """One request and the status of its answer.

    `query` is the raw query string. `headers` is case-insensitive. `size` is that of the body in
    bytes, `text` the body as received if it is under 1 MB, `body` the parsed JSON with each Base64
    medium replaced by `{"bytes", "sha256", "kind", "width", "height"}`. `wall` is in seconds since
    1970, `monotonic` in seconds of `time.monotonic()`. `status` is None before the answer and after
    a reset. `cut` says that the answer was cut off.
    """

    server: Server
    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    size: int = 0
    text: str | None = field(default=None, repr=False)
    body: Any = None
    task_id: str | None = None
    wall: float = field(default_factory=time.time)
    monotonic: float = field(default_factory=time.monotonic)
    status: int | None = None
    reset: bool = False
    cut: bool = False


class RequestLog:
    """Requests in order of arrival. Thread-safe."""

    def __init__(self, echo: Callable[[Request], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._requests: deque[Request] = deque(maxlen=_MAX_REQUESTS)
        self._echo = echo

    def add(self, request: Request) -> None:
        """Logs a request that is not answered yet."""
        with self._lock:
            self._requests.append(request)

    def complete(self, request: Request, status: int) -> None:
        """Sets the status of the answer to a logged request."""
        request.status = None if request.reset else status
        if self._echo is not None:
            self._echo(request)

    def snapshot(
        self, method: str | None = None, path: str | None = None, server: Server | None = None
    ) -> list[Request]:
        """Copies of the requests that match. A `path` that ends in / matches all paths below it."""
        with self._lock:
            requests = list(self._requests)
        return [
            copy.copy(request)
            for request in requests
            if method in (None, request.method)
            and server in (None, request.server)
            and (
                path in (None, request.path)
                or (path is not None and path.endswith("/") and request.path.startswith(path))
            )
        ]
