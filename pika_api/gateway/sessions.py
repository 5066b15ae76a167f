"""How requests leave: sessions that give nobody a key that is not theirs, and bounded answers."""

from __future__ import annotations

import ssl
import time
import zlib
from collections.abc import Iterator, Sequence
from http.client import HTTPException, IncompleteRead
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import requests
from urllib3.exceptions import HTTPError as TransportError
from urllib3.util.ssl_match_hostname import CertificateError

from ..text import sanitize
from .network_guard import GuardedAdapter

#: Seconds to make a connection.
CONNECT_TIMEOUT: Final = 10.0
#: Seconds of silence while a feed or a file is read.
READ_TIMEOUT: Final = 30.0
#: Seconds in which an answer that has begun must be there whole.
RESPONSE_TIMEOUT: Final = 60.0
#: An answer of the gateway is small; more than this is not read. Bytes.
MAX_RESPONSE: Final = 4 * 1024 * 1024
#: What can come out of a request that breaks. A ValueError is an address that the other side
#: gave in a Location and that is none.
TRANSPORT_ERRORS: Final = (requests.RequestException, TransportError, OSError, ValueError)

_CHUNK: Final = 256 * 1024


class Bearer(requests.auth.AuthBase):
    """The key, for the gateway only. Being set, it also keeps a .netrc from replacing it."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class NoAuth(requests.auth.AuthBase):
    """Nothing, for the media host: neither our key nor a .netrc entry goes there."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Session(requests.Session):
    """One that takes nothing from .netrc for a host that it is redirected to."""

    def rebuild_auth(
        self,
        prepared_request: requests.PreparedRequest,
        response: requests.Response,  # noqa: ARG002 - the base class passes it
    ) -> None:
        prepared_request.headers.pop("Authorization", None)


def open_session(
    auth: requests.auth.AuthBase,
    connections: int = 1,
    *,
    base_url: str = "",
    public_only: bool = False,
) -> requests.Session:
    """A session of its own kind.

    Args:
        base_url: The gateway's, where the session is for it.
        outside: Whether it may connect to public addresses only, through redirects too.
    """
    made = _Session()
    made.auth = auth
    # Plain http goes to this machine only; a proxy would carry the key readable over the network.
    made.trust_env = not base_url.startswith("http:")
    made.headers["User-Agent"] = "ComfyUI-Pika"
    # A few bytes that unpack to gigabytes are nothing to ask for.
    made.headers["Accept-Encoding"] = "identity"
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = GuardedAdapter(connections, public_only=public_only)
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    return made


def read_limited(answer: requests.Response, seconds: float | None = None) -> bytes:
    """A small answer, whole: neither endless in bytes, packed or not, nor dripping in for ever.

    Args:
        seconds: In which it must be there; `RESPONSE_TIMEOUT` where left out.
    """
    data = bytearray()
    seconds = RESPONSE_TIMEOUT if seconds is None else seconds
    deadline = time.monotonic() + seconds
    for chunk in iter_raw(answer):
        data += chunk
        if len(data) > MAX_RESPONSE:
            raise _too_large()
        if time.monotonic() > deadline:
            raise requests.exceptions.ReadTimeout(f"the answer took over {seconds:g} s to read")
    zipped = answer.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip", "deflate")
    return _decompress(bytes(data)) if zipped else bytes(data)


def _decompress(data: bytes) -> bytes:
    """What a proxy has zipped unasked, up to the limit."""
    try:
        plain = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(data, MAX_RESPONSE + 1)
    except zlib.error as error:
        raise requests.exceptions.ContentDecodingError(f"it does not unzip: {error}") from error
    if len(plain) > MAX_RESPONSE:
        raise _too_large()
    return plain


def _too_large() -> Exception:
    return requests.exceptions.ContentDecodingError(f"the answer is over {MAX_RESPONSE} bytes")


def iter_raw(answer: requests.Response) -> Iterator[bytes]:
    """What arrives, as it arrives and never unpacked. `iter_content` waits for a whole chunk, and
    unpacks one whole however large that gets.

    Raises:
        requests.ConnectionError: It broke off.
    """
    raw = answer.raw
    try:
        if not hasattr(raw, "read1"):
            yield from _iter_raw_urllib3_v1(raw)
            return
        while piece := raw.read1(_CHUNK, decode_content=False):
            yield piece
    except (TransportError, HTTPException, OSError) as error:
        raise requests.exceptions.ConnectionError(error) from error


def _iter_raw_urllib3_v1(raw: Any) -> Iterator[bytes]:
    """The same with urllib3 1, which has no such call: Python's own answer is below it."""
    left = raw.length_remaining  # None where the other side did not say
    while left is None or left > 0:
        piece = raw._fp.read1(_CHUNK if left is None else min(left, _CHUNK))
        if not piece and left:
            raise IncompleteRead(b"", left)
        if not piece:
            return
        left = None if left is None else left - len(piece)
        yield piece


def cause_chain(error: BaseException) -> Sequence[BaseException]:
    """An error and what is inside it: transport errors wrap each other several deep."""
    found = [error]
    while True:
        inner = found[-1]
        reason = getattr(inner, "reason", None)
        nested = reason if isinstance(reason, BaseException) else None
        nested = nested or inner.__cause__
        nested = nested or (None if inner.__suppress_context__ else inner.__context__)
        if nested is None:  # urllib3 1 hands some on so
            nested = next((each for each in inner.args if isinstance(each, BaseException)), None)
        if nested is None or nested in found:
            return found
        found.append(nested)


def root_cause(error: BaseException) -> str:
    """The innermost cause in plain words."""
    inner = cause_chain(error)[-1]
    return (sanitize(" ".join(str(inner).split())) or type(inner).__name__).rstrip(".")


def certificate_hint(error: BaseException) -> str:
    """What helps where the other side's certificate was not accepted; empty where it was."""
    untrusted = (ssl.SSLCertVerificationError, CertificateError)
    if not any(isinstance(each, untrusted) for each in cause_chain(error)):
        return ""
    return (
        "The certificate was not accepted. Behind a company's proxy, set REQUESTS_CA_BUNDLE "
        "to its certificate file."
    )
