"""Scripted trouble: what goes wrong, where, and how often."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Place = Literal["submit", "feed", "media", "task"]

_ANSWER = frozenset({"status", "body", "headers", "content_type", "delay", "reset", "cut"})
_ALLOWED: dict[str, frozenset[str]] = {
    "submit": _ANSWER | {"accept"},
    "feed": _ANSWER | {"task_id"},
    "media": _ANSWER | {"task_id", "expired"},
    "task": frozenset(
        {"error", "seconds", "hide_for", "empty_for", "raw_status", "stuck", "no_progress"}
    ),
}


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong, `times` times (None: for ever).

    submit, feed, media: `delay` seconds before the answer; `reset` closes the connection with a
    TCP RST; `status`, `body` (a mapping becomes JSON, a string goes out as it is), `headers` and
    `content_type` replace the answer; `cut` sends the whole answer's headers but only that many
    bytes of it, then closes. `task_id` limits feed and media faults to one task.

    submit only, after the body has passed every check (a 400 or 401 uses up no fault): the
    task is created when nothing but `delay`, `headers` or `cut` is set, as the
    answer then is the real one; `accept=True` creates (and charges) it in every case.

    media only: `expired` makes every URL signed until then invalid, when the next request for
    media comes, which is answered 403; the feed signs new ones.

    task, for the next task created: ends with `error`; takes `seconds`; the feed answers 404
    for `hide_for` seconds and `videos: []` for `empty_for` seconds after creation; `raw_status`
    is told instead of "pending"; `stuck` never ends; `no_progress` leaves progress at 0.

    Raises ValueError or TypeError on a value that cannot be acted out.
    """

    on: Place
    _: dataclasses.KW_ONLY
    status: int | None = None
    body: Mapping[str, Any] | list[Any] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None
    delay: float = 0.0
    accept: bool = False
    reset: bool = False
    cut: int | None = None
    expired: bool = False
    times: int | None = 1
    task_id: str | None = None
    error: str | None = None
    seconds: float | None = None
    hide_for: float = 0.0
    empty_for: float = 0.0
    raw_status: str | None = None
    stuck: bool = False
    no_progress: bool = False

    def __post_init__(self) -> None:
        if self.on not in get_args(Place):
            raise ValueError(f"on must be one of {', '.join(get_args(Place))}, got {self.on!r}")
        for spec in dataclasses.fields(self):
            if spec.name in {"on", "times"} or spec.name in _ALLOWED[self.on]:
                continue
            default = {} if spec.name == "headers" else spec.default
            if getattr(self, spec.name) != default:
                raise ValueError(f"{spec.name} means nothing for a fault on {self.on}")
        if not isinstance(self.headers, Mapping):
            raise TypeError("headers must be an object")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"status must be 200 to 599, got {self.status}")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times must be at least 1, or None for ever, got {self.times}")
        if min(self.delay, self.cut or 0, self.seconds or 0, self.hide_for, self.empty_for) < 0:
            raise ValueError("delay, cut, seconds, hide_for and empty_for must not be negative")

    @property
    def replaces(self) -> bool:
        """Whether the real answer never goes out."""
        return self.reset or self.status is not None or self.body is not None

    @property
    def text(self) -> str:
        """The scripted body as it goes over the wire."""
        if self.body is None:
            return ""
        return self.body if isinstance(self.body, str) else json.dumps(self.body)

    @property
    def media_type(self) -> str:
        """The Content-Type of the scripted body."""
        if self.content_type is not None:
            return self.content_type
        if self.on == "media":
            return "video/mp4"
        return "text/html" if self.text.lstrip().startswith("<") else "application/json"

    @classmethod
    def from_json(cls, value: object) -> Fault:
        """The Fault that a JSON object describes. Raises TypeError or ValueError."""
        if not isinstance(value, dict):
            raise TypeError("a fault must be a JSON object")
        known = {spec.name for spec in dataclasses.fields(cls)}
        unknown = sorted(set(value) - known)
        if unknown:
            raise ValueError(f"a fault has no field {', '.join(unknown)}")
        if "on" not in value:
            raise ValueError("a fault needs the field on")
        return cls(**value)


class FaultScript:
    """The faults still to come, in order. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: list[tuple[Fault, int | None]] = []

    def add(self, fault: Fault) -> None:
        """Appends a fault to the script."""
        with self._lock:
            self._left.append((fault, fault.times))

    def clear(self) -> None:
        """Forgets every fault."""
        with self._lock:
            self._left.clear()

    def take(self, on: Place, task_id: str | None = None) -> Fault | None:
        """The first fault that fits, which has one use less from now on."""
        with self._lock:
            for index, (fault, left) in enumerate(self._left):
                if fault.on != on or fault.task_id not in (None, task_id):
                    continue
                if left is not None and left <= 1:
                    del self._left[index]
                elif left is not None:
                    self._left[index] = (fault, left - 1)
                return fault
        return None
