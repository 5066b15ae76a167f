"""Renders clips in two background threads, into one folder."""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from .render import Rendering, render
from .settings import Settings
from .strict import GenerateRequest

_THREADS = 2
# Different clips for requests with the same body. After these they repeat, so that a load test with
# one body does not wait for the renderer.
TAKES = 8


class RenderQueue:
    """Renders each take of each request once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._renderings: dict[str, Future[Rendering]] = {}
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="simulator-render")
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if settings.media_dir is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="pika-simulator-")
            self.folder = Path(self._temporary.name)
        else:
            self.folder = settings.media_dir
            self.folder.mkdir(parents=True, exist_ok=True)

    def add(self, request: GenerateRequest) -> Future[Rendering]:
        """The files of the next take of a request."""
        settings = self._settings
        # Sizes are part of the name, because a media folder can outlive its settings.
        identity = [request.summary, settings.height, settings.clip_seconds]
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
        with self._lock:
            take = 1 + self._requests[digest] % TAKES
            self._requests[digest] += 1
            name = f"{digest}-{take}"
            if name not in self._renderings:
                self._renderings[name] = self._pool.submit(
                    render,
                    request,
                    take,
                    self.folder / name,
                    shorter=settings.height,
                    seconds=settings.clip_seconds,
                    stopped=self._stopped.is_set,
                )
            return self._renderings[name]

    def close(self) -> None:
        """Stops within the time of one frame, and deletes the folder if it is temporary."""
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._temporary is not None:
            self._temporary.cleanup()
