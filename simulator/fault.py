"""Scripted faults: what goes wrong, where, and how often."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Place = Literal["submit", "feed", "media", "task", "account"]

_ANSWER = frozenset({"status", "body", "headers", "content_type", "delay", "reset", "cut"})
_ALLOWED: dict[str, frozenset[str]] = {
    "submit": _ANSWER | {"accept", "prompt"},
    "feed": _ANSWER | {"task_id"},
    "media": _ANSWER | {"task_id", "expired"},
    "account": _ANSWER,
    "task": frozenset(
        {
            "error",
            "seconds",
            "hide_for",
            "empty_for",
            "raw_status",
            "stuck",
            "no_progress",
            "prompt",
        }
    ),
}


@dataclass(frozen=True)
class Fault:
    """One fault, which happens `times` times (None: without limit). `on` says where.

    submit, feed, media, account: `delay` waits so many seconds before the answer. `reset` closes
    the connection with a TCP RST. `status`, `body` (a mapping is sent as JSON, a string as it is),
    `headers` and `content_type` replace those of the answer. `cut` sends all headers but only so
    many bytes of the body, and closes. `task_id` limits a feed or media fault to one task,
    `prompt` a submit or task fault to requests with this text in their prompt.

    submit: happens after the body has passed every check, so a 400 or 401 does not use it up. With
    only `delay`, `headers` or `cut` the answer is the real one, and the task is created. With
    `accept` the task is created (and charged) in every case.

    media: `expired` expires all URLs that were signed before the request for media that meets the
    fault. That request gets 403; the feed signs new URLs.

    task, for the next task that is created: it fails with `error`; takes `seconds`; the feed
    answers 404 for the first `hide_for` seconds and `videos: []` for the first `empty_for`
    seconds; `raw_status` replaces the status "pending"; `stuck` never ends; with `no_progress` the
    progress stays at 0.

    Raises ValueError or TypeError on fields that do not fit `on` or are out of range.
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
    prompt: str = ""
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
                raise ValueError(f"{spec.name} is not a field of a fault on {self.on}")
        if not isinstance(self.headers, Mapping):
            raise TypeError("headers must be an object")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"status must be 200 to 599, got {self.status}")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times must be at least 1, or None for no limit, got {self.times}")
        if min(self.delay, self.cut or 0, self.seconds or 0, self.hide_for, self.empty_for) < 0:
            raise ValueError("delay, cut, seconds, hide_for and empty_for must not be negative")

    @property
    def replaces(self) -> bool:
        """Whether it replaces the real answer."""
        return self.reset or self.status is not None or self.body is not None

    @property
    def text(self) -> str:
        """The scripted body as it is sent."""
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
        """Reads a Fault from a JSON object. Raises TypeError or ValueError."""
        if not isinstance(value, dict):
            raise TypeError("a fault must be a JSON object")
        known = {spec.name for spec in dataclasses.fields(cls)}
        unknown = sorted(set(value) - known)
        if unknown:
            raise ValueError(f"a fault has no field {', '.join(unknown)}")
        if "on" not in value:
            raise ValueError("a fault needs the field on")
        return cls(**value)


class FaultQueue:
    """The faults that are still to happen, in order. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: list[tuple[Fault, int | None]] = []

    def add(self, fault: Fault) -> None:
        """Appends a fault."""
        with self._lock:
            self._left.append((fault, fault.times))

    def clear(self) -> None:
        """Removes all faults."""
        with self._lock:
            self._left.clear()

    def take(self, on: Place, task_id: str | None = None, prompt: str = "") -> Fault | None:
        """Returns the first fault that fits and counts it as used once."""
        with self._lock:
            for index, (fault, left) in enumerate(self._left):
                if fault.on != on or fault.task_id not in (None, task_id):
                    continue
                if fault.prompt not in prompt:
                    continue
                if left is not None and left <= 1:
                    del self._left[index]
                elif left is not None:
                    self._left[index] = (fault, left - 1)
                return fault
        return None
