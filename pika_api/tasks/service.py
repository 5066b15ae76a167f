"""Submit once, wait, collect: what the nodes and the command line call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..gateway import Client, Task
from ..journal import Entry, Journal
from ..progress import NO_OBSERVER, ProgressObserver
from ..request import GenerateRequest
from ..settings import Settings
from .collect import Collected, Collector
from .poll import Poller
from .submit import Submitted, Submitter
from .thumbnails import Thumbnails
from .workers import Workers

_T = TypeVar("_T")


class Service:
    """One gateway, one journal.

    The methods are coroutines that may run in any event loop, one after another or several at
    once: nothing here is bound to a loop. Whatever blocks runs in the service's own threads, and
    what must not be lost is written down there, in the same call that learned it, so that a
    cancelled coroutine loses nothing.

    Args:
        settings: Key, base URL and limits.
        journal: Where every task is kept.
        output: The folder that finished files are saved to; made when the first one comes.
        posters: The folder for small pictures of tasks; None where nobody looks at them.
    """

    def __init__(
        self, settings: Settings, journal: Journal, output: Path, *, posters: Path | None = None
    ) -> None:
        self.settings = settings
        self.journal = journal
        self.output = output.absolute()  # its files are found again from any other folder
        self._client = Client(settings)
        self._workers = Workers(journal, settings.max_requests)
        self._submitter = Submitter(settings, self._client, journal, self._workers)
        self._poller = Poller(settings, self._client, journal, self._workers)
        self._collector = Collector(
            settings, self.output, self._client, journal, self._poller, self._workers
        )

        self._posters = (
            Thumbnails(posters, self._client, settings.base_url) if posters is not None else None
        )

    def close(self) -> None:
        """Wait for what is under way, then give threads, sockets and files back."""
        self._workers.close()
        self._client.close()
        self.journal.close()

    async def submit(
        self,
        request: GenerateRequest,
        *,
        take: int = 0,
        node_id: str = "",
        prompt_id: str = "",
        observer: ProgressObserver = NO_OBSERVER,
    ) -> Submitted:
        """Make the request a task, or take up the task that it already is.

        Args:
            take: Which take this is; another take is another task and another charge.
            node_id, prompt_id: ComfyUI's, for the journal.

        Raises:
            SettingsError, JournalError: Nothing was sent.
            NotAccepted: It was sent and provably not accepted.
            SubmitUnknown: It was sent, now or earlier, and nobody can say what became of it.
        """
        self.settings.require_key()
        return await self._submitter.submit(request, take, node_id, prompt_id, observer)

    async def status(self, task_id: str, *, observer: ProgressObserver = NO_OBSERVER) -> Task:
        """Ask once how a task is.

        Raises:
            TaskNotFound, FeedRefused, FeedError: As they say.
        """
        self.settings.require_key()
        return await self._poller.ask(task_id, observer)

    async def wait(
        self,
        task_id: str,
        *,
        timeout: float | None = None,
        observer: ProgressObserver = NO_OBSERVER,
    ) -> Task:
        """Wait until a task is finished.

        Args:
            timeout: Seconds to wait from now; None for as long as it takes.

        Raises:
            TaskFailed: The gateway ended it with an error.
            TaskTimeout: It is not finished yet.
            TaskNotFound: The gateway does not know it. A new task may be unknown for a minute.
            FeedRefused: Key or address are not good.
        """
        self.settings.require_key()
        return await self._poller.wait(task_id, timeout, observer)

    async def collect(
        self,
        task_id: str,
        *,
        timeout: float | None = None,
        observer: ProgressObserver = NO_OBSERVER,
    ) -> Collected:
        """Wait for a task and bring its file to the output folder; one that is there is enough.

        Raises:
            DownloadFailed: The file cannot be had or kept, or is not media; and as `wait`.
        """
        self.settings.require_key()
        return await self._collector.collect(task_id, timeout, observer)

    async def prepare(
        self, call: Callable[..., _T], *args: object, observer: ProgressObserver = NO_OBSERVER
    ) -> _T:
        """Run a blocking piece of work, such as encoding, off the event loop."""
        return await self._workers.disk(observer, call, *args)

    async def fetch_poster(
        self, url: str, task_id: str, *, observer: ProgressObserver = NO_OBSERVER
    ) -> bytes:
        """Fetch a task's poster, for show; a small copy is kept for `poster`.

        Raises:
            requests.RequestException: It did not come.
            NotMedia, OSError: It is no picture, or cannot be kept.
        """
        data = await self._workers.media(observer, self._client.fetch_image, url)
        if self._posters is not None:
            await self._workers.show(self._posters.keep, task_id, data)
        return data

    async def thumbnail(self, entry: Entry) -> Path | None:
        """A small JPEG of a task; None where there is none. Raises nothing: it is for show."""
        if self._posters is None:
            return None
        may_ask = bool(self.settings.api_key) and self._workers.backoff.wait() <= 0
        return await self._workers.show(self._posters.of, entry, may_ask)
