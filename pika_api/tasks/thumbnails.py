"""Thumbnails of tasks for the sidebar, stored on disk. A task may have none."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import requests

from .. import files
from ..errors import FeedError, TaskNotFound
from ..gateway import Client, root_cause
from ..journal import ACTIVE, Entry, State
from ..log import log
from ..media import NotMedia, first_frame, open_picture
from ..settings import gateway_of
from .file_names import file_stem

if TYPE_CHECKING:
    from PIL.Image import Image

#: Largest width and height of a thumbnail, in pixels.
SIZE: Final = (320, 640)
_JPEG_QUALITY: Final = 82
#: Seconds until a feed without a poster is read again: for a running and for a finished task.
_RETRY_ACTIVE: Final = 15.0
_RETRY_FINISHED: Final = 900.0


class Thumbnails:
    """Finds, creates and stores thumbnails.

    Args:
        folder: Where they are stored; created with the first one.
        client: Reads the feed and fetches pictures.
        base_url: The gateway that may be asked about its own tasks.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self,
        folder: Path,
        client: Client,
        base_url: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._client = client
        self._gateway = gateway_of(base_url)
        self._clock = clock
        self._retry_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def find(self, entry: Entry, may_ask: bool) -> Path | None:
        """The thumbnail of a task: the stored one, or one from its file, or from its feed.

        Args:
            may_ask: Whether the gateway may be asked.
        """
        if entry.task_id is None:
            return None
        stem = file_stem(entry.gateway, entry.task_id)
        path = self._path(stem)
        if path.is_file():
            return path
        try:
            if entry.file_path and (file := Path(entry.file_path)).is_file():
                return self._from_file(stem, file)
            return self._from_feed(entry, entry.task_id, stem) if may_ask else None
        except (NotMedia, OSError) as error:
            log.debug("task %s: no thumbnail: %s", entry.task_id, root_cause(error))
            return None

    def store(self, task_id: str, data: bytes) -> Path:
        """Store a thumbnail of a picture file, for a task of the gateway that may be asked.

        Raises `NotMedia` or `OSError`.
        """
        return self._store(file_stem(self._gateway, task_id), _decode(data))

    def _path(self, stem: str) -> Path:
        return self._folder / f"{stem}.jpg"

    def _from_file(self, stem: str, file: Path) -> Path:
        from PIL import Image

        pixels = first_frame(file)[0]
        return self._store(stem, Image.fromarray((pixels * 255.0).round().astype("uint8")))

    def _from_feed(self, entry: Entry, task_id: str, stem: str) -> Path | None:
        """Ask the feed, unless it had no poster a short time ago: a list may have thousands."""
        active = entry.state in ACTIVE
        is_own = entry.gateway == self._gateway
        if not is_own or not (active or entry.state is State.FINISHED):
            return None
        with self._lock:
            if self._retry_at.get(stem, 0.0) > self._clock():
                return None
            # Set before asking, so that parallel calls do not ask for the same task.
            self._retry_at[stem] = self._clock() + (_RETRY_ACTIVE if active else _RETRY_FINISHED)
        try:
            task = self._client.feed(task_id)
            data = self._client.fetch_image(task.poster_url) if task.poster_url else b""
        except (FeedError, TaskNotFound, requests.RequestException) as error:
            log.debug("task %s: no poster: %s", task_id, root_cause(error))
            return None
        return self.store(task_id, data) if data else None

    def _store(self, stem: str, picture: Image) -> Path:
        path = self._path(stem)
        # The first folder that is made may be this one: then the one above it is private, too.
        files.make_private_folder(self._folder.parent)
        files.make_private_folder(self._folder)
        picture.thumbnail(SIZE)
        part = path.with_name(f"{path.name}.{threading.get_ident()}.part")
        try:
            picture.save(part, "JPEG", quality=_JPEG_QUALITY)
            files.replace_file(part, path)
        finally:
            part.unlink(missing_ok=True)
        return path


def _decode(data: bytes) -> Image:
    """A picture file as RGB. Raises `NotMedia` if it is not one, or is too large to decode."""
    with open_picture(io.BytesIO(data)) as picture:
        picture.draft("RGB", SIZE)  # a JPEG is decoded at about this size
        return _rgb(picture)


def _rgb(picture: Image) -> Image:
    return picture.convert("RGB")
