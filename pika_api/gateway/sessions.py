"""HTTP sessions that send the key to the gateway only, and responses that are read with limits."""

from __future__ import annotations

import ssl
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import requests
from urllib3.exceptions import HTTPError as TransportError
from urllib3.util.ssl_match_hostname import CertificateError

from ..text import sanitize
from .limits import SizeLimits, Timeouts
from .network_guard import AddressCheck, GuardedAdapter

#: Everything that a failed request may raise. ValueError: a Location header that is not a URL.
TRANSPORT_ERRORS: Final = (requests.RequestException, TransportError, OSError, ValueError)
#: What helps if the certificate of the other side is not trusted.
CERTIFICATE_HINT: Final = (
    "The certificate is not trusted. Behind a company's proxy, set REQUESTS_CA_BUNDLE to its "
    "certificate file."
)

_CHUNK_BYTES: Final = 256 * 1024


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
    """A session that takes no credentials from .netrc when it follows a redirect."""

    def rebuild_auth(
        self,
        prepared_request: requests.PreparedRequest,
        response: requests.Response,  # noqa: ARG002 - the base class passes it
    ) -> None:
        prepared_request.headers.pop("Authorization", None)


def open_session(
    auth: requests.auth.AuthBase,
    timeouts: Timeouts,
    *,
    connections: int = 1,
    base_url: str = "",
    refused_addresses: AddressCheck | None = None,
) -> requests.Session:
    """Open a session.

    Args:
        auth: The credentials that it sends.
        timeouts: Here for the head of a response; the other limits are given with each request.
        connections: How many connections are kept open.
        base_url: The base URL of the gateway; empty for the media host.
        refused_addresses: Which addresses it may not connect to, also through redirects; None to
            allow all.
    """
    session = _Session()
    session.auth = auth
    # Plain http only goes to this machine. A proxy would carry the key unencrypted.
    session.trust_env = not base_url.startswith("http:")
    session.headers["User-Agent"] = "ComfyUI-Pika"
    # Compression is not needed, and a few bytes can decompress to gigabytes.
    session.headers["Accept-Encoding"] = "identity"
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = GuardedAdapter(connections, head_timeout=timeouts.head, is_private=refused_addresses)
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


def get_reply(session: requests.Session, url: str, timeouts: Timeouts, limits: SizeLimits) -> Reply:
    """Send one GET and read the response. It follows no redirect.

    Raises:
        TRANSPORT_ERRORS: There was no complete response.
    """
    response = session.get(
        url,
        headers={"Accept": "application/json"},
        timeout=(timeouts.connect, timeouts.read),
        allow_redirects=False,
        stream=True,
    )
    with closing(response):
        return Reply(response.status_code, response.headers, read_text(response, timeouts, limits))


def read_text(response: requests.Response, timeouts: Timeouts, limits: SizeLimits) -> str:
    """The body of a small response as text. Raises like `read_limited`."""
    return read_limited(response, timeouts, limits).decode("utf-8", "replace")


def read_limited(response: requests.Response, timeouts: Timeouts, limits: SizeLimits) -> bytes:
    """The body of a small response, read with a limit of size and one of time.

    Raises:
        requests.exceptions.ContentDecodingError: It is larger than `limits.response`, compressed
            or decompressed, or it cannot be decompressed.
        requests.exceptions.ReadTimeout: It took longer than `timeouts.response`.
        requests.ConnectionError: The connection broke.
    """
    data = bytearray()
    deadline = time.monotonic() + timeouts.response
    for chunk in iter_raw(response):
        data += chunk
        if len(data) > limits.response:
            raise _too_large(limits)
        if time.monotonic() > deadline:
            raise requests.exceptions.ReadTimeout(
                f"the response took over {timeouts.response:g} s to read"
            )
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
    """
    raw = response.raw
    try:
        if not hasattr(raw, "read1"):
            yield from _iter_raw_urllib3_v1(raw)
            return
        while chunk := raw.read1(_CHUNK_BYTES, decode_content=False):
            yield chunk
    except (TransportError, HTTPException, OSError) as error:
        raise requests.exceptions.ConnectionError(error) from error


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
    """The text of the innermost cause: one line, sanitized, without a full stop; never empty."""
    inner = cause_chain(error)[-1]
    return (sanitize(" ".join(str(inner).split())) or type(inner).__name__).rstrip(".")


def is_untrusted_certificate(error: BaseException) -> bool:
    """Whether a request failed because the certificate of the other side is not trusted."""
    untrusted = (ssl.SSLCertVerificationError, CertificateError)
    return any(isinstance(each, untrusted) for each in cause_chain(error))
