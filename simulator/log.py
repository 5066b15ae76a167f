"""What was asked of the simulator, request by request."""

from __future__ import annotations

import copy
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Server = Literal["api", "cdn"]
# A simulator left on for days must not eat the memory of the desk.
MOST_REQUESTS = 50_000


@dataclass
class Request:
    """One request and what came of it.

    `query` is the raw query string. `headers` is case-insensitive. `size` is the body in bytes,
    `text` the body as it came when it is under 1 MB, `body` the parsed JSON with each
    Base64 medium replaced by `{"bytes", "sha256", "kind", "width", "height"}`. `wall` is
    seconds since 1970, `monotonic` seconds of `time.monotonic()`. `status` is None until it is
    answered, and for ever when the connection was reset. `cut` says that the answer broke off.
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

    def to_json(self, key: str) -> dict[str, Any]:
        """For other processes. A token that is not the simulator's own `key` is masked: it may
        be a real one, sent here by mistake.
        """
        shown = {**vars(self), "headers": dict(self.headers)}
        for name, value in self.headers.items():
            if name.lower() == "authorization" and value != f"Bearer {key}":
                shown["headers"][name] = "***"
        return shown


class Log:
    """Requests in the order of their arrival. Safe to use from several threads."""

    def __init__(self, echo: Callable[[Request], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._requests: deque[Request] = deque(maxlen=MOST_REQUESTS)
        self._echo = echo

    def arrived(self, request: Request) -> None:
        """Notes a request whose answer is not known yet."""
        with self._lock:
            self._requests.append(request)

    def answered(self, request: Request, status: int) -> None:
        """Notes the answer of a request that has arrived before."""
        request.status = None if request.reset else status
        if self._echo is not None:
            self._echo(request)

    def snapshot(
        self, method: str | None = None, path: str | None = None, server: Server | None = None
    ) -> list[Request]:
        """Copies of the requests that fit; a `path` that ends in / means all below it."""
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
