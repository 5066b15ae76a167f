"""The client for programs: create videos without ComfyUI and without handling journal or threads.

>>> from pika_api import Pika
>>> with Pika() as pika:
...     video = pika.generate("A red fox runs through snow", seed=1)
...     print(video.path)

The key and all other settings come from the environment (``PIKA_API_KEY``, …) or from the private
folder, as for the command line. The same request with the same seed reuses its task, in every
program with the same journal: it is charged once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from .errors import InvalidInput
from .gateway import Task
from .inputs import REQUEST_INPUTS, SEED, build_request, parse_seed
from .journal import Journal
from .message import Message
from .progress import NO_OBSERVER, ProgressObserver
from .request import GenerateRequest
from .settings import load_settings
from .support import choose_home
from .tasks import Collected, Service, ServicePolicy, Submitted

_T = TypeVar("_T")


class AsyncPika:
    """Coroutines to create videos. They may run at the same time, in any event loop.

    Args:
        output: The folder for finished files; created with the first file.
        home: The private folder with journal and settings; by default that of the command line.
        environ: Where the settings are looked up before the private folder.
        policy: Waiting times and attempt limits.

    Attributes:
        service: What the client consists of, for everything that it has no method for.

    Raises:
        InvalidInput: It is not clear which private folder has the journal.
        SettingsError: A setting is not valid.
        JournalError: The address of the journal is not valid.
    """

    def __init__(
        self,
        output: Path | str = "pika",
        *,
        home: Path | None = None,
        environ: Mapping[str, str] = os.environ,
        policy: ServicePolicy | None = None,
    ) -> None:
        choice = choose_home(home, environ)
        if choice.conflict:
            raise InvalidInput(
                "home",
                Message("{conflict}.", conflict=choice.conflict),
                Message(
                    "Name the folder with `home` or PIKA_HOME: {folders}.",
                    folders="; ".join(choice.folders),
                ),
            )
        settings = load_settings(choice.home, environ)
        self._journal = Journal.at(choice.home, environ)
        self.service = Service(settings, self._journal, Path(output), policy=policy)

    def close(self) -> None:
        """Wait for the requests in progress, then release threads, sockets and the journal."""
        self.service.close()
        self._journal.close()

    async def __aenter__(self) -> AsyncPika:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)

    async def submit(
        self,
        prompt: str | GenerateRequest,
        *,
        observer: ProgressObserver = NO_OBSERVER,
        **inputs: Any,
    ) -> Submitted:
        """Create a task, or reuse the task that the same request has.

        Args:
            prompt: What the video should show, or a whole request.
            observer: Receives the progress, and may stop the waiting.
            inputs: The other inputs of the nodes by name, such as ``seed``, ``image`` (a path or a
                URL), ``pikaffect`` or ``aspect_ratio``. With a whole request only ``seed``.

        Raises:
            InvalidInput, SettingsError, LimitReached, JournalError: Nothing was sent.
            NotAccepted: It was sent and provably not accepted.
            SubmitUnknown: It was sent, now or earlier, and the outcome is unknown.
        """
        take = parse_seed(inputs.pop(SEED, None))
        request = prompt
        if isinstance(request, str):
            values = inputs | {"prompt_text": request}
            request = await self.service.prepare(_build, values, observer=observer)
        elif inputs:
            raise TypeError(f"A whole request has no further inputs: {', '.join(inputs)}.")
        return await self.service.submit(request, take=take, observer=observer)

    async def result(
        self,
        task_id: str,
        *,
        timeout: float | None = None,
        observer: ProgressObserver = NO_OBSERVER,
    ) -> Collected:
        """Wait for a task and save its file, unless it is there already.

        Args:
            timeout: Seconds to wait from now; None for no limit.

        Raises:
            TaskFailed, TaskTimeout, TaskNotFound, OtherGateway, FeedRefused, DownloadFailed: The
                task is kept; waiting again costs nothing.
        """
        return await self.service.collect(task_id, timeout=timeout, observer=observer)

    async def generate(
        self,
        prompt: str | GenerateRequest,
        *,
        timeout: float | None = None,
        observer: ProgressObserver = NO_OBSERVER,
        **inputs: Any,
    ) -> Collected:
        """Create a task, wait for it and save its file. See `submit` and `result`."""
        submitted = await self.submit(prompt, observer=observer, **inputs)
        return await self.result(submitted.task_id, timeout=timeout, observer=observer)

    async def status(self, task_id: str) -> Task:
        """What the gateway says of a task now.

        Raises:
            TaskNotFound, OtherGateway, FeedRefused, FeedError: As `Service.status`.
        """
        return await self.service.status(task_id)


class Pika:
    """The same with ordinary functions. Safe in threads.

    Args:
        As `AsyncPika`.
    """

    def __init__(self, output: Path | str = "pika", **options: Any) -> None:
        self._client = AsyncPika(output, **options)
        self.service = self._client.service

    def close(self) -> None:
        """See `AsyncPika.close`."""
        self._client.close()

    def __enter__(self) -> Pika:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, prompt: str | GenerateRequest, **options: Any) -> Submitted:
        """See `AsyncPika.submit`."""
        return _run(self._client.submit(prompt, **options))

    def result(self, task_id: str, **options: Any) -> Collected:
        """See `AsyncPika.result`."""
        return _run(self._client.result(task_id, **options))

    def generate(self, prompt: str | GenerateRequest, **options: Any) -> Collected:
        """See `AsyncPika.generate`."""
        return _run(self._client.generate(prompt, **options))

    def status(self, task_id: str) -> Task:
        """See `AsyncPika.status`."""
        return _run(self._client.status(task_id))


def _build(values: Mapping[str, Any]) -> GenerateRequest:
    unknown = values.keys() - {*REQUEST_INPUTS}
    if unknown:
        raise TypeError(f"There is no such input: {', '.join(sorted(unknown))}.")
    return build_request(values)


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end. A program with an event loop of its own uses `AsyncPika`."""
    return asyncio.run(work)
