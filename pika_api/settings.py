"""Key, base URL and limits: from the environment, then from the pack's own file."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from .errors import SettingsError

#: The gateway that the seed names.
DEFAULT_BASE_URL: Final = "https://api.gpt.ge"
FILE_NAME: Final = "settings.json"
#: How Base64 media are written: bare as the seed says, or as a data: URI.
BASE64_STYLES: Final = ("bare", "data-uri")
#: The settings that are numbers: their type, least and greatest value.
_NUMBERS: Final = {"max_requests": (int, 1, 64), "max_body_mb": (float, 0.2, 1000.0)}
_TEXTS: Final = ("api_key", "base_url", "base64_style")


@dataclass(frozen=True)
class Settings:
    """What a connection needs.

    Attributes:
        api_key: The Bearer token; blank where there is none. Never shown by ``repr``.
        base_url: The gateway's address, without a slash at the end.
        base64_style: One of `BASE64_STYLES`.
        max_requests: How many requests may be under way at once.
        max_body_mb: How large a request with an image may get, in millions of bytes.
    """

    api_key: str = field(default="", repr=False)
    base_url: str = DEFAULT_BASE_URL
    base64_style: str = "bare"
    max_requests: int = 8
    max_body_mb: float = 10.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", check_base_url(self.base_url))
        if any(character.isspace() or not 32 < ord(character) < 127 for character in self.api_key):
            raise SettingsError(
                "PIKA_API_KEY: the key has a space, a line break or a non-ASCII character in it.",
                way_out="Copy the key again, without quotes or anything around it.",
            )
        if self.base64_style not in BASE64_STYLES:
            raise SettingsError(
                f"PIKA_BASE64_STYLE: {self.base64_style!r} is not known.",
                way_out=f"Use one of: {', '.join(BASE64_STYLES)}.",
            )
        for name, (_kind, low, high) in _NUMBERS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(
                    f"PIKA_{name.upper()}: {value:g} is out of range.",
                    way_out=f"Use {low:g} to {high:g}.",
                )

    @property
    def max_body(self) -> int:
        """`max_body_mb` in bytes."""
        return int(self.max_body_mb * 1_000_000)

    @property
    def key_id(self) -> str:
        """Tells accounts apart without telling the key: 16 hexadecimal digits of a hash."""
        return hashlib.sha256(b"pika key id\0" + self.api_key.encode()).hexdigest()[:16]

    def require_key(self) -> None:
        """Raise a `SettingsError` with the way to a key, or to the simulator, if there is none."""
        if self.api_key:
            return
        raise SettingsError(
            "No API key: set PIKA_API_KEY in the environment ComfyUI starts from, then restart it.",
            way_out="To try without one: run `python -m simulator` in the pack's folder "
            "and set the two variables that it prints.",
        )


def load(home: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment; what it does not say, from ``home/settings.json``.

    Args:
        home: The pack's private folder: in ComfyUI, its system user directory.

    Raises:
        SettingsError: The file cannot be read, or a value cannot be used.
    """
    stored = _read(home / FILE_NAME)
    values: dict[str, Any] = {}
    for name in (*_TEXTS, *_NUMBERS):
        value = environ.get(f"PIKA_{name.upper()}", "").strip() or stored.get(name)
        if value not in (None, ""):
            values[name] = value
    for name, (kind, low, high) in _NUMBERS.items():
        if name not in values:
            continue
        try:
            values[name] = kind(values[name])
        except (TypeError, ValueError) as error:
            raise SettingsError(
                f"PIKA_{name.upper()}: {values[name]!r} is not a number of this kind.",
                way_out=f"Use {low:g} to {high:g}.",
            ) from error
    return Settings(**values)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"The settings in {path} cannot be read: {error}.",
            way_out='Mend or delete the file. It looks like {"api_key": "…", "base_url": "…"}.',
        ) from error
    if not isinstance(value, dict) or not all(
        isinstance(value.get(name, ""), str) for name in _TEXTS
    ):
        raise SettingsError(
            f"The settings in {path} are not a JSON object of texts.",
            way_out='Mend or delete the file. It looks like {"api_key": "…", "base_url": "…"}.',
        )
    return value


def check_base_url(url: str) -> str:
    """The base URL in its one written form.

    Raises:
        SettingsError: Not an address, carries a user name or a query, or is plain http to
            anything but this machine: the key would cross the network readable.
    """
    way_out = f"Set PIKA_BASE_URL to an https address such as {DEFAULT_BASE_URL}."
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"PIKA_BASE_URL: not an address: {error}.", way_out=way_out) from error
    if parts.scheme not in ("http", "https") or not host or any(map(str.isspace, parts.netloc)):
        raise SettingsError("PIKA_BASE_URL: not an http or https address.", way_out=way_out)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            "PIKA_BASE_URL: carries a user name, a query or a fragment.", way_out=way_out
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise SettingsError(
            f"PIKA_BASE_URL: plain http to {host} would send the key readable over the network.",
            way_out=way_out,
        )
    place = f"[{host}]" if ":" in host else host
    if port not in (None, {"http": 80, "https": 443}[parts.scheme]):
        place += f":{port}"
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
