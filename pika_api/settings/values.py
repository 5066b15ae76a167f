"""Key, base URL and limits: what they may be."""

from __future__ import annotations

import hashlib
import ipaddress
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from ..errors import SettingsError

#: The gateway that the seed names.
DEFAULT_BASE_URL: Final = "https://api.gpt.ge"
#: How Base64 media are written: bare as the seed says, or as a data: URI.
BASE64_STYLES: Final = ("bare", "data-uri")
#: The least and greatest value of those that are numbers.
RANGES: Final = {"max_requests": (1, 64), "max_body_mb": (0.2, 1000.0)}


@dataclass(frozen=True)
class Settings:
    """What a connection needs.

    Attributes:
        api_key: The Bearer token; blank where there is none. Never shown by ``repr``.
        base_url: The gateway's address, without a slash at the end.
        base64_style: One of `BASE64_STYLES`.
        max_requests: How many requests may be under way at once.
        max_body_mb: How large a request with an image may get, in millions of bytes.
        withheld: The address that a stored key was entered for, where it is not this one: the key
            is not given out then.
    """

    api_key: str = field(default="", repr=False)
    base_url: str = DEFAULT_BASE_URL
    base64_style: str = "bare"
    max_requests: int = 8
    max_body_mb: float = 10.0
    withheld: str = ""

    def __post_init__(self) -> None:
        for name in NAMES:
            object.__setattr__(self, name, check_setting(name, getattr(self, name)))

    @property
    def max_body(self) -> int:
        """`max_body_mb` in bytes."""
        return int(self.max_body_mb * 1_000_000)

    @property
    def key_id(self) -> str:
        """Tells accounts apart without telling the key: 16 hexadecimal digits of a hash."""
        return hashlib.sha256(b"pika key id\0" + self.api_key.encode()).hexdigest()[:16]

    @property
    def missing_key(self) -> str:
        """Why there is no key, and the way to one; empty where there is one."""
        if self.api_key:
            return ""
        if self.withheld:
            start = f"The stored API key was entered for {self.withheld} and is not sent to "
            start += f"{url_origin(self.base_url)}: enter the one for it"
        else:
            start = "No API key: enter yours"
        return f"{start} in ComfyUI's Settings → Pika, or set PIKA_API_KEY before ComfyUI starts."

    def require_key(self) -> None:
        """Raise a `SettingsError` with the way to a key, or to the simulator, if there is none."""
        if missing := self.missing_key:
            raise SettingsError(
                missing,
                hint="To try without one: run `python -m simulator` in the pack's folder "
                "and set the two variables that it prints.",
            )


def check_setting(name: str, value: Any) -> Any:
    """A setting's value in its one written form.

    Raises:
        SettingsError: It cannot be used; the message never repeats a key.
    """
    return _CHECKS[name](value)


def _check_key(key: Any) -> str:
    if not isinstance(key, str):
        raise SettingsError("the key is not a text.", name="api_key", hint=_COPY_AGAIN)
    text: str = key.strip()
    # Quotation marks: `set PIKA_API_KEY="…"` makes them part of it on Windows.
    if any(each in "\"'" or each.isspace() or not 32 < ord(each) < 127 for each in text):
        raise SettingsError(
            "the key has a quotation mark, a space, a line break or a non-ASCII character in it.",
            name="api_key",
            hint=_COPY_AGAIN,
        )
    return text


def check_base_url(url: Any) -> str:
    """The base URL in its one written form.

    Raises:
        SettingsError: Not an address, carries a user name or a query, or is plain http to
            anything but this machine: the key would cross the network readable.
    """
    try:
        parts = urlsplit(url.strip() if isinstance(url, str) else "")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _no_address(f"not an address: {error}.") from error
    if parts.scheme not in ("http", "https") or not host or any(map(str.isspace, parts.netloc)):
        raise _no_address("not an http or https address.")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise _no_address("carries a user name, a query or a fragment.")
    if parts.scheme == "http" and not _is_loopback(host):
        raise _no_address(f"plain http to {host} would send the key readable over the network.")
    place = f"[{host}]" if ":" in host else host
    if port not in (None, {"http": 80, "https": 443}[parts.scheme]):
        place += f":{port}"
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))


def url_origin(base_url: str) -> str:
    """Scheme, host and port of a checked base URL: what a key is entered for."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


def _no_address(problem: str) -> SettingsError:
    hint = f"Use an https address such as {DEFAULT_BASE_URL}."
    return SettingsError(problem, name="base_url", hint=hint)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_style(style: Any) -> str:
    if style not in BASE64_STYLES:
        raise SettingsError(
            f"{style!r} is not known.",
            name="base64_style",
            hint=f"Use one of: {', '.join(BASE64_STYLES)}.",
        )
    return str(style)


def _check_number(name: str, value: Any) -> int | float:
    kind = type(DEFAULTS[name])
    low, high = RANGES[name]
    hint = f"Use {low:g} to {high:g}."
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isnan(number) or (kind is int and not number.is_integer()):
        what = "a whole number" if kind is int else "a number"
        raise SettingsError(f"{value!r} is not {what}.", name=name, hint=hint)
    if not low <= number <= high:
        raise SettingsError(f"{number:g} is out of range.", name=name, hint=hint)
    return int(number) if kind is int else number


_COPY_AGAIN: Final = "Copy the key again, without quotes or anything around it."
#: What the user may set, in the order of `Settings`, and what each is where nobody did.
DEFAULTS: Final[Mapping[str, Any]] = {
    each.name: each.default for each in fields(Settings) if each.name != "withheld"
}
NAMES: Final = tuple(DEFAULTS)
_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "api_key": _check_key,
    "base_url": check_base_url,
    "base64_style": _check_style,
    "max_requests": lambda value: _check_number("max_requests", value),
    "max_body_mb": lambda value: _check_number("max_body_mb", value),
}
