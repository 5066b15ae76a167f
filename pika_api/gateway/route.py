"""How a request leaves this machine: the proxy and the certificates that the environment chooses.

A variable that cannot work is an error before anything is sent, with its name and value. Without
this, requests reports it like a broken network, and the pack would try again.
"""

from __future__ import annotations

import functools
import os
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NewConnectionError
from urllib3.util import parse_url

from ..message import Message
from ..text import sanitize

#: Schemes of proxies that requests knows. Without one, it assumes http.
_HTTP_SCHEMES: Final = ("http", "https")
_SOCKS_SCHEMES: Final = ("socks4", "socks4a", "socks5", "socks5h")
#: The variables for a file of certificate authorities, the first one that is set counts.
BUNDLE_VARIABLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
#: Where a proxy comes from if no variable names it: Windows and macOS.
_SYSTEM: Final = Message("the proxy settings of the system")
#: The names of files in a folder of certificates (OpenSSL, X509_LOOKUP_hash_dir).
_HASHED: Final = re.compile(r"[0-9a-f]{8}\.[0-9]+")
#: How http.client reports a proxy that refuses to connect.
_REFUSAL: Final = re.compile(r"Tunnel connection failed: ((\d{3}).*)")
#: How PySocks reports the answer of a proxy that does not connect.
_SOCKS_REFUSAL: Final = re.compile("0x[0-9a-fA-F]{2}: ")
#: Longest part of a value that is quoted, in characters.
_MAX_VALUE: Final = 120

_EXAMPLE: Final = "HTTPS_PROXY=http://host:port"
_BUNDLE_HINT: Final = Message(
    "Set it to a file of certificate authorities in PEM format, without quotation marks, or remove "
    "the variable. Then restart ComfyUI."
)


class RouteError(requests.exceptions.ConnectionError):
    """The environment does not let a request out: a variable cannot work, or a proxy refuses.

    Attributes:
        what: What is wrong, without a full stop.
        hint: What the user can do.
        permanent: Whether the user has to change something before another attempt can succeed.
    """

    def __init__(self, what: Message, *, hint: Message, permanent: bool = True) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.permanent = permanent


@dataclass(frozen=True)
class Route:
    """How requests to one URL leave.

    Attributes:
        proxy: The proxy's URL, as the environment has it; empty for a direct connection.
        bundle: The file or folder of certificate authorities; empty for the usual ones.
    """

    proxy: str = ""
    bundle: str = ""

    @classmethod
    def of(cls, url: str) -> Route:
        """The route that requests takes to a URL if it reads the environment."""
        try:
            proxies = requests.utils.get_environ_proxies(url)
            proxy = requests.utils.select_proxy(url, proxies)
        except ValueError:
            return cls()  # not a URL; requests reports it
        values = (os.environ.get(name) for name in BUNDLE_VARIABLES)
        bundle = next(filter(None, values), "") if url.lower().startswith("https:") else ""
        return cls(proxy or "", bundle)

    def check(self) -> None:
        """Raise a `RouteError` if a variable cannot work."""
        if self.proxy:
            _check_proxy(self.proxy)
        if self.bundle:
            _check_bundle(self.bundle)

    def failure(self, chain: Sequence[BaseException], cause: str) -> RouteError | None:
        """The error for a failed request, if its proxy is the cause.

        Args:
            chain: The error and its causes, outermost first.
            cause: The text of the innermost one.
        """
        kinds: tuple[type[BaseException], ...] = (requests.exceptions.ProxyError,)
        if self.proxy.lower().startswith("socks"):  # urllib3 has no error of its own for these
            kinds = (NewConnectionError, ConnectTimeoutError)
        if not self.proxy or not any(isinstance(each, kinds) for each in chain):
            return None
        where = Message(
            "the proxy {proxy} ({source})",
            proxy=without_password(self.proxy),
            source=_source(self.proxy),
        )
        refusal = _REFUSAL.search(cause)
        if _SOCKS_REFUSAL.match(cause):
            hint = Message(
                "The proxy runs, and does not connect: check it, or set NO_PROXY to the host."
            )
            what = Message("{where} answered {words}", where=where, words=cause)
            return RouteError(what, hint=_with_no_proxy(hint), permanent=False)
        if refusal is None:
            hint = Message(
                "Start the proxy, or correct the variable, for example {example}.", example=_EXAMPLE
            )
            if "SSL" in cause:
                hint = Message(
                    "If the proxy does not speak TLS, write http:// instead of https://."
                )
            what = Message("{where} cannot be reached: {cause}", where=where, cause=cause)
            return RouteError(what, hint=_with_no_proxy(hint), permanent=False)
        words, status = refusal[1], int(refusal[2])
        hint = Message(
            "The proxy does not let this through: ask who runs it, or set NO_PROXY to the host."
        )
        if status == 407:
            hint = Message(
                "The proxy wants a user name and a password: http://user:password@host:port. Write "
                "special characters in them percent-encoded, such as %40 for @."
            )
        what = Message("{where} answered {words}", where=where, words=words)
        return RouteError(what, hint=_with_no_proxy(hint), permanent=status < 500)


def reads_environment(base_url: str) -> bool:
    """Whether requests to a gateway use proxies and certificates of the environment.

    Plain http only goes to this machine. A proxy would carry the key unencrypted.
    """
    return not base_url.startswith("http:")


def route_problem(base_url: str) -> str:
    """Why the environment lets no request to a gateway out; empty if it does."""
    if not reads_environment(base_url):
        return ""
    try:
        Route.of(base_url).check()
    except RouteError as error:
        return f"{error}. {error.hint}"
    return ""


def odd_no_proxy_entries(environ: Mapping[str, str] = os.environ) -> Sequence[str]:
    """The entries of ``NO_PROXY`` that match no host, because they are not host names."""
    value = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    entries = [entry.strip() for entry in value.split(",")]
    odd = [entry for entry in entries if entry != "*" and re.search(r"[/*;\"'\s]", entry)]
    return [_quoted(entry) for entry in odd if not _is_network(entry)]


def without_password(url: str) -> str:
    """A proxy's address without user name and password, also if it is not a valid URL."""
    scheme, separator, rest = url.strip().rpartition("://")
    return _quoted(f"{scheme}{separator}{rest.rpartition('@')[2]}")


def _check_proxy(proxy: str) -> None:
    shown = Message("{source} is {value}", source=_source(proxy), value=without_password(proxy))
    scheme, separator, _ = proxy.partition("://")
    scheme = scheme.lower() if separator else "http"
    if scheme in _SOCKS_SCHEMES and not _has_socks():
        raise RouteError(
            Message(
                "{shown}, and for a SOCKS proxy this Python needs the package PySocks", shown=shown
            ),
            hint=Message(
                "Install it with the Python that runs ComfyUI: python -m pip install PySocks. "
                "Then restart ComfyUI. Or use the HTTP port of the proxy."
            ),
        )
    if scheme not in (*_HTTP_SCHEMES, *_SOCKS_SCHEMES):
        other = "socks5h" if scheme == "socks" else "http"
        raise RouteError(
            Message(
                "{shown}, and {scheme} is not a kind of proxy that is known",
                shown=shown,
                scheme=_quoted(scheme),
            ),
            hint=Message(
                "Write {other}:// instead, for example {other}://127.0.0.1:1080.", other=other
            ),
        )
    if not _is_proxy_url(proxy if separator else f"http://{proxy}"):
        hint = Message(
            "Correct or remove the variable, for example {example}, and restart ComfyUI.",
            example=_EXAMPLE,
        )
        if "@" in proxy:
            escapes = Message("In the password, write @, : , / and # as %40, %3A, %2F and %23.")
            hint = Message.joined(" ", hint, escapes)
        raise RouteError(
            Message("{shown}, which is not the URL of a proxy", shown=shown), hint=hint
        )


def _has_socks() -> bool:
    """Whether requests can use SOCKS: without PySocks, it has a function that raises instead."""
    return isinstance(getattr(requests.adapters, "SOCKSProxyManager", None), type)


def _is_proxy_url(url: str) -> bool:
    if re.search(r"[\s\"'<>\\]", url):
        return False
    try:
        parts = parse_url(url)
    except LocationParseError:
        return False
    is_bare = parts.path in (None, "", "/") and not (parts.query or parts.fragment)
    return bool(parts.host) and is_bare and parts.port != 0


def _check_bundle(bundle: str) -> None:
    source = next(name for name in BUNDLE_VARIABLES if os.environ.get(name))
    shown = Message("{source} is {value}", source=source, value=_quoted(bundle))
    path, problem = Path(bundle), Message("")
    try:
        if not path.is_dir():
            stat = path.stat()
            _load_bundle(bundle, stat.st_mtime_ns, stat.st_size)
        elif not _has_hashed_files(path):
            problem = Message("a folder without certificates that are named by their hash")
    except (FileNotFoundError, NotADirectoryError):
        problem = Message("and there is no such file")
    except ssl.SSLError as error:
        problem = Message(
            "which is not a file of certificates in PEM format ({reason})", reason=error.reason
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        problem = Message("which cannot be read: {reason}", reason=reason)
    if problem:
        raise RouteError(Message.joined(", ", shown, problem), hint=_BUNDLE_HINT)


def _has_hashed_files(folder: Path) -> bool:
    return any(_HASHED.fullmatch(each.name) for each in folder.iterdir())


@functools.lru_cache(maxsize=8)
def _load_bundle(path: str, _modified: int, _size: int) -> None:
    """Load a file of certificates. Done again only if it has changed: it takes milliseconds."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)


def _source(proxy: str) -> str:
    """The name of the variable that sets a proxy."""
    for name, value in os.environ.items():
        if value == proxy and name.lower() in ("https_proxy", "http_proxy", "all_proxy"):
            return name
    return _SYSTEM


def _with_no_proxy(hint: Message) -> Message:
    """The hint; it also names entries of ``NO_PROXY`` that have no effect."""
    odd = odd_no_proxy_entries()
    if not odd:
        return hint
    entries = Message("In NO_PROXY, this matches no host: {odd}.", odd=", ".join(odd))
    return Message.joined(" ", hint, entries)


def _is_network(entry: str) -> bool:
    return requests.utils.is_valid_cidr(entry)


def _quoted(value: str) -> str:
    """A value for a message: one line, shortened."""
    value = sanitize(" ".join(value.split()))
    return value if len(value) <= _MAX_VALUE else f"{value[:_MAX_VALUE]}…"
