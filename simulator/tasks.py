"""Tasks: their states over time, and what the feed says about them."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .fault import Fault
from .picture import hash_of
from .render import Rendering
from .signing import Signer
from .strict import GenerateRequest

# The share of a task's time that it is queued.
_QUEUED_SHARE = 0.15
# A prompt with this word fails, for trying out errors without a script.
_FORBIDDEN = "forbidden"
_MODERATION = "Your prompt was rejected by the content moderation. Please change it and try again."


@dataclass(frozen=True)
class Task:
    """One accepted request. `body` is as in the log, `seconds` is how long the task takes."""

    id: str
    body: dict[str, Any]
    seconds: float
    fault: Fault | None = field(repr=False)
    rendering: Future[Rendering] = field(repr=False)
    account: str
    started: float = field(default_factory=time.monotonic, repr=False)

    @property
    def age(self) -> float:
        """Seconds since the request was accepted."""
        return time.monotonic() - self.started

    @property
    def error(self) -> str:
        """Why the task fails; empty if it does not."""
        if self.fault is not None and self.fault.error is not None:
            return self.fault.error
        if _FORBIDDEN in str(self.body["promptText"]).lower():
            return _MODERATION
        if self.rendering.done() and not self.rendering.cancelled():
            failure = self.rendering.exception()
            return f"Rendering failed: {failure}" if failure is not None else ""
        return ""

    @property
    def state(self) -> str:
        """queued, pending, finished or error. A fault may make the feed say something else."""
        age = self.age
        stuck = self.fault is not None and self.fault.stuck
        if age < self.seconds * _QUEUED_SHARE:
            return "queued"
        if stuck or age < self.seconds:
            return "pending"
        if self.error:
            return "error"
        # Never finished before the file can be downloaded, even if rendering takes longer.
        return "finished" if self.rendering.done() else "pending"

    @property
    def running(self) -> bool:
        """Whether it counts towards `max_running`."""
        return self.state in ("queued", "pending")

    @property
    def hidden(self) -> bool:
        """Whether the feed answers 404 for it."""
        return self.fault is not None and self.age < self.fault.hide_for

    @property
    def empty(self) -> bool:
        """Whether the feed has no video for it yet."""
        return self.fault is not None and self.age < self.fault.empty_for

    @property
    def progress(self) -> int:
        """0 to 100; 100 only when finished."""
        state = self.state
        if state == "finished":
            return 100
        if state == "queued" or (self.fault is not None and self.fault.no_progress):
            return 0
        return min(99, int(100 * self.age / self.seconds)) if self.seconds else 99

    def result(self) -> Rendering | None:
        """The files; None before they are rendered and if rendering failed."""
        if not self.rendering.done() or self.rendering.cancelled() or self.rendering.exception():
            return None
        return self.rendering.result()

    def media(self) -> dict[str, Path]:
        """The files by their path at the media origin."""
        result = self.result()
        if result is None:
            return {}
        name = f"/{self.id}/{'picture' if result.main.suffix == '.png' else 'video'}"
        return {
            f"{name}{result.main.suffix}": result.main,
            f"{name}_share{result.main.suffix}": result.main,
            f"/{self.id}/poster.jpg": result.poster,
            f"/{self.id}/thumbnail.jpg": result.thumbnail,
        }

    def feed(self, cdn_url: str, signer: Signer) -> dict[str, Any]:
        """The feed's answer, with newly signed URLs. Its shape is from public pages."""
        answer: dict[str, Any] = {"id": self.id, "promptText": self.body["promptText"]}
        if self.empty:
            return {**answer, "videos": []}
        state = self.state
        video: dict[str, Any] = {"id": self.id, "status": state, "progress": self.progress}
        if state == "pending" and self.fault is not None and self.fault.raw_status is not None:
            video["status"] = self.fault.raw_status
        if state != "queued":
            sent = self.body["options"]["parameters"].get("seed")
            video["seed"] = hash_of(self.id) % 2**31 if sent is None else sent
        if state == "error":
            video["error"] = self.error
        links = [cdn_url + signer.sign(path) for path in self.media()]
        result = self.result()
        if links and state == "pending":
            video["videoPoster"] = links[2]
        if links and result is not None and state == "finished":
            names = ("resultUrl", "sharingUrl", "videoPoster", "imageThumb")
            video.update(zip(names, links, strict=True), duration=result.duration, error="")
        return {**answer, "videos": [video]}


class TaskStore:
    """All tasks by id, in order of acceptance. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: dict[str, Task] = {}

    def accept(
        self,
        request: GenerateRequest,
        seconds: float,
        fault: Fault | None,
        rendering: Future[Rendering],
        account: str,
    ) -> Task:
        """Creates and charges a task."""
        if fault is not None and fault.seconds is not None:
            seconds = fault.seconds
        task = Task(str(uuid.uuid4()), request.summary, seconds, fault, rendering, account)
        with self._lock:
            self._tasks[task.id] = task
        return task

    def snapshot(self) -> dict[str, Task]:
        """A copy of all tasks."""
        with self._lock:
            return dict(self._tasks)

    def get(self, task_id: str) -> Task | None:
        """The task with this id, if there is one."""
        with self._lock:
            return self._tasks.get(task_id)

    def running(self) -> int:
        """The number of queued and pending tasks."""
        return sum(task.running for task in self.snapshot().values())
