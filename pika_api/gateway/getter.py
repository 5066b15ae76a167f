"""Many small GETs to one host, such as readings of the feed.

For each request, requests looks for proxies, certificates and the connection pool again, and builds
the same headers. That takes as long as the exchange itself, so it is done once for many requests.
They are sent by the same adapter of requests, under the same limits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import requests

from .limits import SizeLimits, Timeouts
from .route import BUNDLE_VARIABLES, Route
from .sessions import JSON_HEADERS, Reply, limited, read_reply, small_exchange

#: Seconds until the environment is read again: proxies of Windows and macOS are not variables.
_LASTS: Final = 5.0
_VARIABLES: Final = (
    *(f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")),
    *(f"{scheme}_PROXY" for scheme in ("HTTP", "HTTPS", "ALL", "NO")),
    "REQUEST_METHOD",  # urllib ignores HTTP_PROXY where it is set
    *BUNDLE_VARIABLES,
)


@dataclass(frozen=True)
class _Plan:
    """What is the same for all requests.

    Attributes:
        request: The request, with the last part of its path missing.
        url: Its URL up to there.
        settings: The arguments of `HTTPAdapter.send` for proxies and certificates.
        environ: The variables that they were read from.
        until: When they are read again, in seconds of the clock.
    """

    request: requests.PreparedRequest
    url: str
    route: Route
    settings: Mapping[str, Any]
    environ: tuple[str | None, ...]
    until: float


class Getter:
    """Reads resources whose URLs differ in the last part of the path. Safe in threads.

    Args:
        session: Sends the requests. The caller closes it.
        url: The URL up to the last part, with a slash at its end.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self, session: requests.Session, url: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._session = session
        self._url = url
        self._clock = clock
        self._plan: _Plan | None = None

    def get(self, name: str, timeouts: Timeouts, limits: SizeLimits) -> Reply:
        """Send one GET and read the response. It follows no redirect.

        Args:
            name: The last part of the path, not quoted.

        Raises:
            TRANSPORT_ERRORS: There was no complete response.
        """
        plan = self._current_plan()
        request = plan.request.copy()
        request.url = plan.url + quote(name, safe="")
        exchange = small_exchange(timeouts, limits)
        with limited(exchange, plan.route):
            response = self._session.get_adapter(request.url).send(
                request, timeout=(timeouts.connect, exchange.idle), **plan.settings
            )
        return read_reply(response, exchange, timeouts, limits)

    def _current_plan(self) -> _Plan:
        plan, now = self._plan, self._clock()
        environ = tuple(map(os.environ.get, _VARIABLES)) if self._session.trust_env else ()
        if plan is None or now >= plan.until or plan.environ != environ:
            plan = self._plan = self._new_plan(environ, now + _LASTS)
        return plan

    def _new_plan(self, environ: tuple[str | None, ...], until: float) -> _Plan:
        """Raises `RouteError` or `requests.RequestException`."""
        session = self._session
        route = Route.of(self._url) if session.trust_env else Route()
        route.check()
        request = session.prepare_request(
            requests.Request("GET", f"{self._url}x", headers=JSON_HEADERS)
        )
        url = str(request.url)
        settings = session.merge_environment_settings(url, {}, True, None, None)
        return _Plan(request, url.removesuffix("x"), route, settings, environ, until)
