"""Small pictures of tasks for a list of them, kept on disk. Only for show: they may be missing."""

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
from ..media import PICTURES, NotMedia, check_size, first_frame
from .collect import file_stem

if TYPE_CHECKING:
    from PIL.Image import Image

#: The largest a small picture gets, in pixels: width, height.
SIZE: Final = (320, 640)
_QUALITY: Final = 82
#: Seconds until a feed that had no poster is asked again: of a task under way, of a finished one.
_SOON: Final = 15.0
_LATER: Final = 900.0


class Thumbnails:
    """Finds, makes and keeps the small picture of a task.

    Args:
        folder: Where they are kept; made when the first one comes.
        client: Asks the feed and fetches what it names.
        base_url: Of whose tasks the feed may be asked.
        clock: Seconds that only go forward.
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
        self._base_url = base_url
        self._clock = clock
        self._missing: dict[str, float] = {}
        self._lock = threading.Lock()

    def of(self, entry: Entry, may_ask: bool) -> Path | None:
        """The picture of a task: as it is kept, else from its file, else from its feed.

        Args:
            may_ask: Whether the gateway may be asked.
        """
        if entry.task_id is None:
            return None
        path = self._path(entry.task_id)
        if path.is_file():
            return path
        try:
            if entry.file_path and (file := Path(entry.file_path)).is_file():
                return self._from_file(entry.task_id, file)
            return self._from_feed(entry, entry.task_id) if may_ask else None
        except (NotMedia, OSError) as error:
            log.debug("task %s: no picture of it: %s", entry.task_id, root_cause(error))
            return None

    def keep(self, task_id: str, data: bytes) -> Path:
        """Keep a poster that has been fetched. Raises `NotMedia` or `OSError`."""
        return self._keep(task_id, _decoded(data))

    def _path(self, task_id: str) -> Path:
        return self._folder / f"{file_stem(task_id)}.jpg"

    def _from_file(self, task_id: str, file: Path) -> Path:
        from PIL import Image

        pixels = first_frame(file)[0]
        return self._keep(task_id, Image.fromarray((pixels * 255.0).round().astype("uint8")))

    def _from_feed(self, entry: Entry, task_id: str) -> Path | None:
        """Ask for it, unless that was in vain a short time ago: a list may have thousands."""
        may_come = entry.state in ACTIVE
        ours = entry.base_url == self._base_url
        if not ours or not (may_come or entry.state is State.FINISHED):
            return None
        with self._lock:
            if self._missing.get(task_id, 0.0) > self._clock():
                return None
            # From now on: whoever asks meanwhile need not wait for the same answer.
            self._missing[task_id] = self._clock() + (_SOON if may_come else _LATER)
        try:
            task = self._client.feed(task_id)
            data = self._client.fetch_image(task.poster_url) if task.poster_url else b""
        except (FeedError, TaskNotFound, requests.RequestException) as error:
            log.debug("task %s: no poster: %s", task_id, root_cause(error))
            return None
        return self.keep(task_id, data) if data else None

    def _keep(self, task_id: str, picture: Image) -> Path:
        path = self._path(task_id)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        picture.thumbnail(SIZE)
        part = path.with_name(f"{path.name}.{threading.get_ident()}.part")
        try:
            picture.save(part, "JPEG", quality=_QUALITY)
            files.replace_file(part, path)
        finally:
            part.unlink(missing_ok=True)
        return path


def _decoded(data: bytes) -> Image:
    """A poster as RGB. Raises `NotMedia` where it is none, or would fill the memory."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=PICTURES) as picture:
            check_size(picture.width, picture.height)
            picture.draft("RGB", SIZE)  # a JPEG is decoded at about this size
            return _rgb(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotMedia(f"the picture does not decode: {error}") from error


def _rgb(picture: Image) -> Image:
    return picture.convert("RGB")
