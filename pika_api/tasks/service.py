"""The public API: submit a request, wait for its task, collect its file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..errors import InvalidInput
from ..gateway import Client, Task
from ..journal import Entry, Journal
from ..message import Message
from ..progress import NO_OBSERVER, Progress, ProgressObserver
from ..request import GenerateRequest, check_take
from ..settings import Settings
from ..text import is_task_id, sanitize
from .account import Account
from .collect import Collected, Collector
from .delivery import PLAIN, Delivery
from .policy import ServicePolicy
from .poll import Poller
from .submit import Submitted, Submitter
from .thumbnails import Thumbnails
from .workers import Workers

_T = TypeVar("_T")


class Service:
    """One gateway and one journal.

    The methods are coroutines. They may run in any event loop, one after another or several at
    once: nothing here is bound to a loop. Blocking work runs in the service's own threads. Facts
    that must not be lost are recorded in the same thread call that learned them, so a cancelled
    coroutine loses nothing.

    Attributes:
        account: The balance of the key, and the price of a task.

    Args:
        settings: Key, base URL and limits.
        journal: Where every task is recorded. The caller closes it, after the service.
        output: The folder for finished files; created with the first file.
        thumbnails: The folder for thumbnails of tasks; None if they are not needed.
        policy: Waiting times and attempt limits.
    """

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        output: Path,
        *,
        thumbnails: Path | None = None,
        policy: ServicePolicy | None = None,
    ) -> None:
        policy = policy or ServicePolicy()
        self.settings = settings
        self.journal = journal
        self.output = output.absolute()  # recorded paths must not depend on the working directory
        self._loss_checked = False
        self._client = Client(settings, timeouts=policy.timeouts, limits=policy.size_limits)
        self._workers = Workers(
            journal,
            settings.key_id,
            settings.max_requests,
            policy.rate_limit_pause,
            policy.exit_grace,
        )
        self.account = Account(settings, self._client, journal, self._workers.backoff, policy)
        self._poller = Poller(settings, self._client, journal, self._workers, policy)
        self._submitter = Submitter(
            settings, self._client, journal, self._poller, self._workers, self.account, policy
        )
        self._collector = Collector(
            settings, self.output, self._client, journal, self._poller, self._workers, policy
        )
        self._thumbnails = (
            Thumbnails(thumbnails, self._client, settings.base_url)
            if thumbnails is not None
            else None
        )

    def close(self) -> None:
        """Wait for the calls in progress, then release threads and sockets."""
        self._workers.close()
        self.account.close()
        self._client.close()

    async def submit(
        self,
        request: GenerateRequest,
        *,
        take: int = 0,
        node_id: str = "",
        prompt_id: str = "",
        observer: ProgressObserver = NO_OBSERVER,
    ) -> Submitted:
        """Create a task for the request, or reuse the task that it already has.

        Args:
            take: Which take of the request this is, 0 to `MAX_TAKE`. Another take is another task
                and another charge.
            node_id, prompt_id: ComfyUI's ids, for the journal.

        Raises:
            SettingsError, JournalError, LimitReached: Nothing was sent.
            InvalidInput: The take is not valid. Nothing was sent.
            NotAccepted: It was sent and provably not accepted.
            SubmitUnknown: It was sent, now or earlier, and the outcome is unknown.
        """
        self.settings.require_key()
        take = check_take("seed", take)
        if not self._loss_checked:
            self._loss_checked = True
            if loss := await self._workers.disk(observer, self.journal.report_loss, self.output):
                observer.report(Progress(loss))
        return await self._submitter.submit(request, take, node_id, prompt_id, observer)

    async def settle(
        self, entry_id: int, task_id: str, *, observer: ProgressObserver = NO_OBSERVER
    ) -> Entry:
        """Give a request whose outcome is unknown the id that the user found at the gateway.

        From then on the same request reuses this task.

        Raises:
            InvalidInput: The id cannot be one, the request is not unknown, or the task belongs to
                another request.
            OtherGateway: The request was sent to another gateway, which was not asked.
            TaskNotFound: The gateway does not know the task.
            FeedError: The feed could not be read.
        """
        self.settings.require_key()
        task_id = task_id.strip()
        if not is_task_id(task_id):
            raise InvalidInput(
                "task_id",
                Message('"{task_id}" is not a task id.', task_id=sanitize(task_id[:40])),
                Message("Copy the id from the gateway's own list."),
            )
        return await self._poller.settle(entry_id, task_id, observer)

    async def status(self, task_id: str, *, observer: ProgressObserver = NO_OBSERVER) -> Task:
        """Read a task's feed once.

        Raises:
            TaskNotFound: The gateway does not know the task.
            OtherGateway: The task belongs to another gateway, which was not asked.
            FeedRefused: The gateway does not accept key or address.
            FeedError: The feed could not be read this time.
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
            timeout: Seconds to wait from now; None for no limit.

        Raises:
            TaskFailed: The gateway ended it with an error.
            TaskTimeout: It is not finished yet.
            TaskNotFound: The gateway does not know it. A new task may be unknown for a minute.
            OtherGateway: The task belongs to another gateway, which was not asked.
            FeedRefused: The gateway does not accept key or address.
        """
        self.settings.require_key()
        return await self._poller.wait(task_id, timeout, observer)

    async def collect(
        self,
        task_id: str,
        *,
        timeout: float | None = None,
        gateway: str | None = None,
        delivery: Delivery = PLAIN,
        observer: ProgressObserver = NO_OBSERVER,
    ) -> Collected:
        """Wait for a task and save its file in the output folder, unless it is there already.

        A file that is there already gets a further name if `delivery` asks for another place. It
        keeps its earlier names.

        Args:
            timeout: Seconds to wait from now; None for no limit.
            delivery: Where the file is saved, and what is added to it.
            gateway: The identity of the gateway that the task belongs to; None for the current one,
                or for another one if only that has saved a task with this id.

        Raises:
            DownloadFailed: The file cannot be downloaded or saved, or is not media.
            TaskFailed, TaskTimeout, TaskNotFound, OtherGateway, FeedRefused: As `wait`.
        """
        self.settings.require_key()
        return await self._collector.collect(task_id, timeout, observer, gateway, delivery)

    async def prepare(
        self,
        call: Callable[..., _T],
        *args: object,
        observer: ProgressObserver = NO_OBSERVER,
    ) -> _T:
        """Run a blocking call, such as encoding, off the event loop."""
        return await self._workers.disk(observer, call, *args)

    async def fetch_poster(
        self, url: str, task_id: str, *, observer: ProgressObserver = NO_OBSERVER
    ) -> bytes:
        """Fetch the picture that the feed shows for a task; store a thumbnail of it.

        Raises:
            requests.RequestException: It could not be fetched.
            NotMedia, OSError: It is not a picture, or cannot be stored.
        """
        data = await self._workers.media(observer, self._client.fetch_image, url)
        if self._thumbnails is not None:
            await self._workers.display(self._thumbnails.store, task_id, data)
        return data

    async def thumbnail(self, entry: Entry) -> Path | None:
        """The JPEG thumbnail of a task, or None if there is none. Raises nothing."""
        if self._thumbnails is None:
            return None
        may_ask = bool(self.settings.api_key) and self._workers.backoff.wait() <= 0
        return await self._workers.display(self._thumbnails.find, entry, may_ask)
