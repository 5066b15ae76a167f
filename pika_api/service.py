"""Submit once, wait, collect: what the nodes and the command line call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .client import Client
from .collecting import Collected, Collector
from .entries import Entry
from .journal import Journal
from .posters import Posters
from .request import GenerateRequest
from .settings import Settings
from .submitting import Submitted, Submitter
from .task import Task
from .waiting import Waiter
from .watch import UNWATCHED, Watch
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
        self._waiter = Waiter(settings, self._client, journal, self._workers)
        self._collector = Collector(
            settings, self.output, self._client, journal, self._waiter, self._workers
        )

        self._posters = (
            Posters(posters, self._client, settings.base_url) if posters is not None else None
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
        watch: Watch = UNWATCHED,
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
        return await self._submitter.submit(request, take, node_id, prompt_id, watch)

    async def status(self, task_id: str, *, watch: Watch = UNWATCHED) -> Task:
        """Ask once how a task is.

        Raises:
            TaskNotFound, FeedRefused, FeedError: As they say.
        """
        self.settings.require_key()
        return await self._waiter.ask(task_id, watch)

    async def wait(
        self, task_id: str, *, timeout: float | None = None, watch: Watch = UNWATCHED
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
        return await self._waiter.wait(task_id, timeout, watch)

    async def collect(
        self, task_id: str, *, timeout: float | None = None, watch: Watch = UNWATCHED
    ) -> Collected:
        """Wait for a task and bring its file to the output folder; one that is there is enough.

        Raises:
            DownloadFailed: The file cannot be had or kept, or is not media; and as `wait`.
        """
        self.settings.require_key()
        return await self._collector.collect(task_id, timeout, watch)

    async def prepare(self, call: Callable[..., _T], *args: object, watch: Watch = UNWATCHED) -> _T:
        """Run a blocking piece of work, such as encoding, off the event loop."""
        return await self._workers.disk(watch, call, *args)

    async def picture(self, url: str, task_id: str, *, watch: Watch = UNWATCHED) -> bytes:
        """Fetch a task's poster, for show; a small copy is kept for `poster`.

        Raises:
            requests.RequestException: It did not come.
            NotMedia, OSError: It is no picture, or cannot be kept.
        """
        data = await self._workers.media(watch, self._client.picture, url)
        if self._posters is not None:
            await self._workers.show(self._posters.keep, task_id, data)
        return data

    async def poster(self, entry: Entry) -> Path | None:
        """A small JPEG of a task; None where there is none. Raises nothing: it is for show."""
        if self._posters is None:
            return None
        may_ask = bool(self.settings.api_key) and self._workers.pace.wait() <= 0
        return await self._workers.show(self._posters.of, entry, may_ask)
