"""Where clips are drawn: two threads, a folder, and no clip drawn twice."""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from .render import Rendering, render
from .settings import Settings
from .strict import Ask

_THREADS = 2


class Studio:
    """Draws in the background; requests with the same body share one file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._drawn: dict[str, Future[Rendering]] = {}
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="simulator-render")
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if settings.media_dir is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="pika-simulator-")
            self._folder = Path(self._temporary.name)
        else:
            self._folder = settings.media_dir
            self._folder.mkdir(parents=True, exist_ok=True)

    def order(self, ask: Ask) -> Future[Rendering]:
        """The files of a request, now or later."""
        settings = self._settings
        # Sizes are in the name too: a media folder may outlive the settings it was made with.
        look = [ask.summary, settings.height, settings.clip_seconds]
        name = hashlib.sha256(json.dumps(look, sort_keys=True).encode()).hexdigest()[:32]
        with self._lock:
            if name not in self._drawn:
                self._drawn[name] = self._pool.submit(
                    render,
                    ask,
                    self._folder / name,
                    shorter=settings.height,
                    seconds=settings.clip_seconds,
                    stopped=self._stopped.is_set,
                )
            return self._drawn[name]

    def close(self) -> None:
        """Stops within a frame, and removes the folder if it was temporary."""
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._temporary is not None:
            self._temporary.cleanup()
