"""The settings and their allowed values."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from ..errors import SettingsError
from ..message import Message
from .addresses import gateway_of, is_loopback

#: The gateway of the API specification.
DEFAULT_BASE_URL: Final = "https://api.gpt.ge"
#: How Base64 media are written: bare as in the API specification, or as a data: URI.
BASE64_STYLES: Final = ("bare", "data-uri")
#: Minimum and maximum of the numeric settings: counts, millions of bytes, the unit of the balance.
RANGES: Final = {
    "max_requests": (1, 64),
    "max_body_mb": (0.2, 1000.0),
    "daily_limit": (0, 1_000_000),
    "run_limit": (0, 1_000_000),
    "daily_cost_limit": (0.0, 1_000_000_000.0),
    "min_balance": (0.0, 1_000_000_000.0),
    "price": (0.0, 1_000_000.0),
}
#: Maximum length of the currency, in characters.
MAX_CURRENCY: Final = 12


@dataclass(frozen=True)
class Settings:
    """Checked settings of a connection.

    Attributes:
        api_key: The Bearer token; empty if there is none. Not part of ``repr``.
        base_url: The address of the gateway, without a slash at the end.
        base64_style: One of `BASE64_STYLES`.
        max_requests: How many requests may run at the same time.
        max_body_mb: Maximum size of a request with an image, in millions of bytes.
        daily_limit: How many tasks may be charged per calendar day; 0 for no limit.
        run_limit: How many tasks may be charged per run of ComfyUI; 0 for no limit.
        daily_cost_limit: What the tasks of a calendar day may cost at one gateway, in its unit; 0
            for no limit.
        min_balance: The balance that must be left after a task; 0 for no limit.
        price: What a task costs, as the user says; None to learn it from the gateway.
        currency: What is written behind amounts, such as ``CNY``; may be empty.
        withheld_key_origin: The origin that the stored key was entered for, if `base_url` is at
            another one: `api_key` is empty then. Else empty.

    Raises:
        SettingsError: A value is invalid.
    """

    api_key: str = field(default="", repr=False)
    base_url: str = DEFAULT_BASE_URL
    base64_style: str = "bare"
    max_requests: int = 8
    max_body_mb: float = 10.0
    daily_limit: int = 0
    run_limit: int = 0
    daily_cost_limit: float = 0.0
    min_balance: float = 0.0
    price: float | None = None
    currency: str = ""
    withheld_key_origin: str = ""

    def __post_init__(self) -> None:
        for name in NAMES:
            object.__setattr__(self, name, check_setting(name, getattr(self, name)))

    def __getstate__(self) -> dict[str, Any]:
        """A pickle never contains the key. Another process reads it from its own environment."""
        return self.__dict__ | {"api_key": ""}

    def __copy__(self) -> Settings:
        return self

    def __deepcopy__(self, _memo: object) -> Settings:
        return self

    @property
    def max_body(self) -> int:
        """`max_body_mb` in bytes."""
        return int(self.max_body_mb * 1_000_000)

    @property
    def gateway(self) -> str:
        """The identity of the gateway, however its address is written; see `gateway_of`."""
        return gateway_of(self.base_url)

    @property
    def key_id(self) -> str:
        """Identifies the key without revealing it: 16 hexadecimal digits of a hash."""
        return hashlib.sha256(b"pika key id\0" + self.api_key.encode()).hexdigest()[:16]

    @property
    def missing_key(self) -> Message:
        """Why there is no key, and how to set one; empty if there is one."""
        if self.api_key:
            return Message("")
        if self.withheld_key_origin:
            return Message(
                "The stored API key was entered for {origin} and is not sent to {current}: enter "
                "the key of that gateway in ComfyUI's Settings → Pika, or set PIKA_API_KEY before "
                "ComfyUI starts.",
                origin=self.withheld_key_origin,
                current=url_origin(self.base_url),
            )
        return Message(
            "No API key: enter your key in ComfyUI's Settings → Pika, or set PIKA_API_KEY before "
            "ComfyUI starts."
        )

    def require_key(self) -> None:
        """Raise a `SettingsError` if there is no key. It says how to get one, or a simulator."""
        if missing := self.missing_key:
            raise SettingsError(
                missing,
                hint=Message(
                    "To try without a key: run `python -m simulator` in the pack's folder and set "
                    "the two variables that it prints."
                ),
            )


def check_setting(name: str, value: Any) -> Any:
    """The value of a setting in its normal form.

    Raises:
        SettingsError: The value is invalid. The message never contains a key.
    """
    return _CHECKS[name](value)


def _check_key(key: Any) -> str:
    if not isinstance(key, str):
        raise SettingsError(Message("the key is not a text."), name="api_key", hint=_COPY_AGAIN)
    text: str = key.strip()
    # Quotation marks: on Windows, `set PIKA_API_KEY="…"` makes them part of the value.
    if any(each in "\"'" or each.isspace() or not 32 < ord(each) < 127 for each in text):
        raise SettingsError(
            Message(
                "the key contains a quotation mark, a space, a line break or a non-ASCII character."
            ),
            name="api_key",
            hint=_COPY_AGAIN,
        )
    return text


def check_base_url(url: Any) -> str:
    """The base URL in its normal form.

    Raises:
        SettingsError: It is not a URL, contains a user name, a query or a fragment, or is plain
            http to another machine: the key would cross the network unencrypted.
    """
    try:
        parts = urlsplit(url.strip() if isinstance(url, str) else "")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _bad_base_url(Message("not a valid address: {error}.", error=error)) from error
    if parts.scheme not in ("http", "https") or not host:
        raise _bad_base_url(Message("not an http or https address."))
    # Surrogates, control characters and blanks cannot be sent, logged or stored.
    if not (parts.netloc + parts.path).isprintable() or any(map(str.isspace, parts.geturl())):
        raise _bad_base_url(
            Message("the address contains a blank or a character that cannot be sent.")
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise _bad_base_url(Message("the address contains a user name, a query or a fragment."))
    if parts.scheme == "http" and not is_loopback(host):
        raise _bad_base_url(
            Message("plain http to {host} would send the key unencrypted.", host=host)
        )
    netloc = f"[{host}]" if ":" in host else host
    if port not in (None, {"http": 80, "https": 443}[parts.scheme]):
        netloc += f":{port}"
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))


def url_origin(base_url: str) -> str:
    """Scheme, host and port of a checked base URL. A stored key is bound to this origin."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


def _bad_base_url(problem: str) -> SettingsError:
    hint = Message("Use an https address such as {example}.", example=DEFAULT_BASE_URL)
    return SettingsError(problem, name="base_url", hint=hint)


def _check_style(style: Any) -> str:
    if style not in BASE64_STYLES:
        raise SettingsError(
            Message("{value!r} is not a valid choice.", value=style),
            name="base64_style",
            hint=Message("Use one of: {known}.", known=", ".join(BASE64_STYLES)),
        )
    return str(style)


def _check_number(name: str, value: Any) -> int | float:
    kind = float if DEFAULTS[name] is None else type(DEFAULTS[name])
    low, high = RANGES[name]
    hint = Message("Use {low:g} to {high:g}.", low=low, high=high)
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isnan(number) or (kind is int and not number.is_integer()):
        problem = Message("{value!r} is not a number.", value=value)
        if kind is int:
            problem = Message("{value!r} is not a whole number.", value=value)
        raise SettingsError(problem, name=name, hint=hint)
    if not low <= number <= high:
        raise SettingsError(
            Message("{value:g} is out of range.", value=number), name=name, hint=hint
        )
    return int(number) if kind is int else number


def _check_currency(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else None
    if text is None or len(text) > MAX_CURRENCY or not text.isprintable() or set(text) & set("<>&"):
        raise SettingsError(
            Message("not a text of up to {maximum} characters.", maximum=MAX_CURRENCY),
            name="currency",
            hint=Message('Use a short name such as "CNY", or leave it out.'),
        )
    return text


_COPY_AGAIN: Final = Message(
    "Copy the key again, without quotation marks or anything else around it."
)
#: The settings that the user can change, in the order of `Settings`, with their defaults.
DEFAULTS: Final[Mapping[str, Any]] = {
    each.name: each.default for each in fields(Settings) if each.name != "withheld_key_origin"
}
NAMES: Final = tuple(DEFAULTS)
_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "api_key": _check_key,
    "base_url": check_base_url,
    "base64_style": _check_style,
    "max_requests": lambda value: _check_number("max_requests", value),
    "max_body_mb": lambda value: _check_number("max_body_mb", value),
    "daily_limit": lambda value: _check_number("daily_limit", value),
    "run_limit": lambda value: _check_number("run_limit", value),
    "daily_cost_limit": lambda value: _check_number("daily_cost_limit", value),
    "min_balance": lambda value: _check_number("min_balance", value),
    "price": lambda value: None if value is None else float(_check_number("price", value)),
    "currency": _check_currency,
}
