"""HTTP sessions that send the key to the gateway only, and responses that are read with limits."""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError as TransportError
from urllib3.util.ssl_match_hostname import CertificateError

from ..message import Message
from ..text import sanitize, without_queries
from .exchange import Exchange
from .limits import OVERHEAD, SizeLimits, Timeouts
from .network_guard import ConnectionCheck, GuardedAdapter
from .route import Route, RouteError, reads_environment

#: Everything that a failed request may raise. ValueError: a Location header that is not a URL.
TRANSPORT_ERRORS: Final = (requests.RequestException, TransportError, OSError, ValueError)
#: What helps if the certificate of the other side is not trusted.
CERTIFICATE_HINT: Final = Message(
    "The certificate is not trusted. Behind a company's proxy, set "
    "REQUESTS_CA_BUNDLE to its certificate file."
)

JSON_HEADERS: Final = {"Accept": "application/json"}

_CHUNK_BYTES: Final = 256 * 1024
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS: Final = 5


class Bearer(requests.auth.AuthBase):
    """Sends the key. For the gateway only. It also keeps a .netrc entry from replacing the key."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class NoAuth(requests.auth.AuthBase):
    """Sends no credentials, neither the key nor a .netrc entry. For the media host."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Session(requests.Session):
    """A session that handles no redirects.

    Even with ``allow_redirects=False``, requests would read and decompress the body of a redirect,
    without a limit.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        """No response is a redirect, as far as requests is concerned."""


def open_session(
    auth: requests.auth.AuthBase,
    *,
    connections: int = 1,
    base_url: str = "",
    check_connection: ConnectionCheck | None = None,
) -> requests.Session:
    """Open a session.

    Args:
        auth: The credentials that it sends.
        connections: How many connections are kept open.
        base_url: The base URL of the gateway; empty for the media host.
        check_connection: Called with each new connection that does not go through a proxy; may
            raise to refuse it.
    """
    session = _Session()
    session.auth = auth
    session.trust_env = reads_environment(base_url)
    session.headers["User-Agent"] = "ComfyUI-Pika"
    # Compression is not needed, and a few bytes can decompress to gigabytes.
    session.headers["Accept-Encoding"] = "identity"
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = GuardedAdapter(connections, check_connection)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


@dataclass(frozen=True)
class Reply:
    """A small response that was read completely.

    Attributes:
        status: The HTTP status.
        headers: The headers; names in any case.
        text: The body as UTF-8; invalid bytes are replaced.
    """

    status: int
    headers: requests.structures.CaseInsensitiveDict[str]
    text: str


def small_exchange(timeouts: Timeouts, limits: SizeLimits) -> Exchange:
    """The limits of an exchange with a small response."""
    return Exchange(
        idle=timeouts.read,
        seconds=timeouts.head,
        phase="the response had not begun after",
        max_bytes=limits.response + OVERHEAD,
    )


def send(
    session: requests.Session,
    method: str,
    url: str,
    exchange: Exchange,
    timeouts: Timeouts,
    **kwargs: Any,
) -> requests.Response:
    """Send one request. All requests of the pack are sent here. It follows no redirect.

    Args:
        exchange: The limits, also for reading the response later.
        kwargs: As `requests.Session.request`.

    Raises:
        RouteError: A variable for proxies or certificates cannot work, and nothing was sent, or the
            proxy did not connect.
        TRANSPORT_ERRORS: No head of a response arrived within the limits.
    """
    route = Route.of(url) if session.trust_env else Route()
    route.check()
    with limited(exchange, route):
        return session.request(
            method,
            url,
            timeout=(timeouts.connect, exchange.idle),
            allow_redirects=False,
            stream=True,
            **kwargs,
        )


@contextmanager
def limited(exchange: Exchange, route: Route) -> Iterator[None]:
    """Send a request in the block under the limits of an exchange. Raises as `send`."""
    try:
        with exchange:
            yield
    except BaseException as error:
        exchange.abort()
        if failure := route.failure(cause_chain(error), root_cause(error)):
            raise failure from None
        raise


def get_following_redirects(
    session: requests.Session,
    url: str,
    exchange: Exchange,
    timeouts: Timeouts,
    headers: Mapping[str, str] | None = None,
) -> requests.Response:
    """Send a GET and follow redirects. The bodies of redirects are not read.

    Raises:
        TRANSPORT_ERRORS: No response, too many redirects, or one to another scheme than http(s).
    """
    for _ in range(_MAX_REDIRECTS + 1):
        response = send(session, "GET", url, exchange, timeouts, headers=headers)
        location = response.headers.get("Location")
        if response.status_code not in _REDIRECTS or location is None:
            return response
        response.close()
        url = urljoin(url, requests.utils.requote_uri(location))
        if urlsplit(url).scheme not in ("http", "https"):
            raise requests.exceptions.InvalidSchema("a redirect leads to another scheme than http")
    raise requests.exceptions.TooManyRedirects(f"more than {_MAX_REDIRECTS} redirects")


def get_reply(session: requests.Session, url: str, timeouts: Timeouts, limits: SizeLimits) -> Reply:
    """Send one GET and read the response. It follows no redirect.

    Raises:
        TRANSPORT_ERRORS: There was no complete response.
    """
    exchange = small_exchange(timeouts, limits)
    response = send(session, "GET", url, exchange, timeouts, headers=JSON_HEADERS)
    return read_reply(response, exchange, timeouts, limits)


def read_reply(
    response: requests.Response, exchange: Exchange, timeouts: Timeouts, limits: SizeLimits
) -> Reply:
    """Read a small response, and close it. Raises like `read_limited`."""
    with closing(response):
        text = read_text(response, exchange, timeouts, limits)
        return Reply(response.status_code, response.headers, text)


def read_text(
    response: requests.Response, exchange: Exchange, timeouts: Timeouts, limits: SizeLimits
) -> str:
    """The body of a small response as text. Raises like `read_limited`."""
    return read_limited(response, exchange, timeouts, limits).decode("utf-8", "replace")


def read_limited(
    response: requests.Response, exchange: Exchange, timeouts: Timeouts, limits: SizeLimits
) -> bytes:
    """The body of a small response, read with a limit of size and one of time.

    Raises:
        requests.exceptions.ContentDecodingError: It is larger than `limits.response`, compressed
            or decompressed, or it cannot be decompressed.
        requests.ConnectionError: The connection broke, or it took longer than `timeouts.response`.
    """
    exchange.begin_phase("the response took over", timeouts.response)
    data = bytearray()
    for chunk in iter_raw(response):
        data += chunk
        if len(data) > limits.response:
            raise _too_large(limits)
    encoding = response.headers.get("Content-Encoding", "").lower()
    compressed = encoding in ("gzip", "x-gzip", "deflate")
    return _decompress(bytes(data), limits) if compressed else bytes(data)


def _decompress(data: bytes, limits: SizeLimits) -> bytes:
    """Decompress up to the limit. Some proxies compress although it was not asked for."""
    try:
        plain = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(data, limits.response + 1)
    except zlib.error as error:
        raise requests.exceptions.ContentDecodingError(
            f"the response cannot be decompressed: {error}"
        ) from error
    if len(plain) > limits.response:
        raise _too_large(limits)
    return plain


def _too_large(limits: SizeLimits) -> Exception:
    return requests.exceptions.ContentDecodingError(f"the response is over {limits.response} bytes")


def iter_raw(response: requests.Response) -> Iterator[bytes]:
    """The bytes of a response as they arrive, not decompressed.

    `Response.iter_content` would wait until a chunk is full, and decompresses without a limit.

    Raises:
        requests.ConnectionError: The connection broke.
        requests.exceptions.ReadTimeout: A limit of the exchange was reached.
    """
    raw = response.raw
    try:
        if not hasattr(raw, "read1"):
            yield from _iter_raw_urllib3_v1(raw)
            return
        while chunk := raw.read1(_CHUNK_BYTES, decode_content=False):
            yield chunk
    except (TransportError, HTTPException, OSError) as error:
        late = any(isinstance(each, TimeoutError) for each in cause_chain(error))
        kind = requests.exceptions.ReadTimeout if late else requests.exceptions.ConnectionError
        raise kind(error) from error


def _iter_raw_urllib3_v1(raw: Any) -> Iterator[bytes]:
    """The same for urllib3 1, which has no `read1`: read from the response of http.client."""
    remaining = raw.length_remaining  # None if the other side did not send a length
    while remaining is None or remaining > 0:
        chunk = raw._fp.read1(_CHUNK_BYTES if remaining is None else min(remaining, _CHUNK_BYTES))
        if not chunk and remaining:
            raise IncompleteRead(b"", remaining)
        if not chunk:
            return
        remaining = None if remaining is None else remaining - len(chunk)
        yield chunk


def cause_chain(error: BaseException) -> Sequence[BaseException]:
    """An error and its causes, outermost first. Transport errors wrap each other several times."""
    chain = [error]
    while True:
        inner = chain[-1]
        reason = getattr(inner, "reason", None)
        cause = reason if isinstance(reason, BaseException) else None
        cause = cause or inner.__cause__
        cause = cause or (None if inner.__suppress_context__ else inner.__context__)
        if cause is None:  # urllib3 1 passes some causes as an argument
            cause = next((each for each in inner.args if isinstance(each, BaseException)), None)
        if cause is None or cause in chain:
            return chain
        chain.append(cause)


def root_cause(error: BaseException) -> str:
    """The text of the innermost cause: one line, sanitized, without a full stop; never empty.

    Transport errors quote URLs, whose queries may contain signatures: they are left out. For the
    same reason no transport error is chained to an error of the pack.
    """
    inner = cause_chain(error)[-1]
    if isinstance(inner, RouteError):
        return inner.what.mapped(_line)
    return (_line(str(inner)) or type(inner).__name__).rstrip(".")


def _line(text: str) -> str:
    return without_queries(sanitize(" ".join(text.split())))


def is_untrusted_certificate(error: BaseException) -> bool:
    """Whether a request failed because the certificate of the other side is not trusted."""
    untrusted = (ssl.SSLCertVerificationError, CertificateError)
    return any(isinstance(each, untrusted) for each in cause_chain(error))
