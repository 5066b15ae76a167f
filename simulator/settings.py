"""The options of a simulator."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .dialects import DIALECTS

MEGABYTE = 1024 * 1024
# The spellings of the account endpoints; see `account.PATHS`.
ACCOUNTS = ("none", "v1", "dashboard", "token")


def is_loopback(host: str) -> bool:
    """Whether a host name or address always means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Settings:
    """The options of a `Simulator`. The defaults suit a test.

    `height` is the shorter side of a clip in pixels. `max_running` limits the tasks that run at the
    same time; a request over the limit gets 429. `max_body` is in bytes. `url_seconds` is how long
    a media URL is valid. `data_uri` accepts `data:` URIs besides bare Base64, `allow_seed` accepts
    `options.parameters.seed`; both are off because the API specification has neither. Without
    `media_dir`, files are in a temporary folder that is deleted when the simulator closes.

    `dialect` is a name of `dialects.DIALECTS`.

    `account` is the spelling of the account endpoints, one of `ACCOUNTS`. `quota` is what the key
    may use up; with `unlimited` it has no limit. A task costs `price`, or what `prices` has for its
    effect or its model. With `refund` a task that fails costs nothing. The counter shows a charge
    after `charge_seconds`. With account endpoints, a request over the quota gets 403.

    Raises ValueError on a host that is not loopback and on numbers out of range.
    """

    key: str = field(default="test-key", repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    task_seconds: float = 0.5
    clip_seconds: float = 1.0
    height: int = 128
    max_running: int | None = None
    max_body: int = 512 * MEGABYTE
    url_seconds: int = 3600
    data_uri: bool = False
    allow_seed: bool = False
    media_dir: Path | None = None
    dialect: str = "pika"
    account: str = "none"
    quota: float = 20.0
    unlimited: bool = False
    price: float = 0.25
    prices: Mapping[str, float] = field(default_factory=dict)
    refund: bool = True
    charge_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not is_loopback(self.host):
            raise ValueError(f"the simulator listens on loopback only, not on {self.host!r}")
        if not self.key:
            raise ValueError("the key must not be empty")
        if not 64 <= self.height <= 2160:
            raise ValueError(f"height must be 64 to 2160 pixels, got {self.height}")
        if not 0 < self.clip_seconds <= 60:
            raise ValueError(f"clip_seconds must be over 0 and at most 60, got {self.clip_seconds}")
        if self.dialect not in DIALECTS:
            raise ValueError(f"dialect must be one of {', '.join(DIALECTS)}, got {self.dialect!r}")
        if self.account not in ACCOUNTS:
            raise ValueError(f"account must be one of {', '.join(ACCOUNTS)}, got {self.account!r}")
        if min(self.quota, self.price, self.charge_seconds, *self.prices.values()) < 0:
            raise ValueError("quota, prices and charge_seconds must not be negative")
        if self.task_seconds < 0:
            raise ValueError(f"task_seconds must not be negative, got {self.task_seconds}")
