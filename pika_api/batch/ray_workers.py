"""The rows of a batch on several processes and machines, as actors of Ray.

An actor is a process with a service of its own. It reads key, gateway and journal from the
environment of its machine: neither the key nor a setting is sent to it. Ray starts an actor again
that has ended, and repeats its rows: the journal, which all actors share, knows which of them have
a task.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ..errors import InvalidInput, JournalError, PikaError
from ..facade import AsyncPika
from ..inputs import is_empty
from ..message import Message
from ..support import choose_home
from .results import result_names
from .storage import OUTGOING, Storage, is_address
from .tables import Row
from .workers import Outcome, ServiceWorker, has_file

_OPTION: Final = "--ray"
#: Addresses of Ray itself: a new instance on this machine for this batch only.
LOCAL: Final = "local"
#: Identifies the machine outside of a cluster.
_HERE: Final = "here"
#: How often one actor is started again.
_MAX_RESTARTS: Final = 100
#: Seconds until all actors run. A cluster may have to start machines for them.
_STARTS_WITHIN: Final = 900.0
#: Seconds that an actor has to end its requests in progress.
_CLOSES_WITHIN: Final = 60.0
#: Bytes of memory of a local Ray for objects. Rows and results are small.
_OBJECT_STORE: Final = 100 << 20


@dataclass(frozen=True)
class Job:
    """What every actor receives. It has no secret.

    Attributes:
        output: The folder for files, which all machines share, or an address.
        folder: The folder of the table.
        timeout: Seconds to wait for each task; None for no limit.
        home: The private folder on the actor's machine; None for the one of its environment.
    """

    output: str
    folder: Path
    timeout: float | None = None
    home: Path | None = None


@dataclass(frozen=True)
class Site:
    """What all actors must have in common.

    Attributes:
        gateway: The identity of the gateway.
        journal: Identifies the database of the journal.
        node: The machine, if only that can use the journal; empty if others can.
        marker: The name of a file in the output folder; empty for an address.
    """

    gateway: str
    journal: str
    node: str
    marker: str


class RayWorkers:
    """Runs the rows in actors.

    Args:
        address: Of the cluster, as `ray.init` takes it: ``auto``, ``host:6379``,
            ``ray://host:10001``; or `LOCAL`.
        actors: How many; None for one on each machine.

    Raises:
        InvalidInput: Ray is not installed, or the output cannot be used.
    """

    def __init__(self, address: str, job: Job, *, actors: int | None = None) -> None:
        self._ray = _ray()
        self._address = address
        self._job = job
        self._count = actors
        self._storage = Storage(job.output) if is_address(job.output) else None
        self._actors: list[_Handle] = []
        self._site: Site | None = None
        self._is_own = False

    @property
    def processes(self) -> int:
        return len(self._actors)

    async def start(self) -> None:
        """Connect to the cluster and start all actors.

        Raises:
            InvalidInput: There is no such cluster, it has no room, or its machines differ.
            PikaError: An actor cannot send requests; as `ServiceWorker.start`.
        """
        if not self._ray.is_initialized():
            self._connect()
        count = self._count or len(_nodes(self._ray))
        actor = self._ray.remote(Actor).options(
            num_cpus=1,
            max_concurrency=1_000_000,  # the batch has a window
            max_restarts=_MAX_RESTARTS,
            max_task_retries=-1,
            scheduling_strategy="SPREAD",
        )
        self._actors = [_Handle(actor.remote(self._job)) for _ in range(count)]
        try:
            await asyncio.wait_for(self._introduce(), _STARTS_WITHIN)
        except (asyncio.TimeoutError, TimeoutError) as error:
            raise InvalidInput(
                _OPTION,
                Message("the cluster has no room for the actors: {count}.", count=count),
                Message("Each needs one CPU. Use fewer, with --ray-actors."),
            ) from error

    async def run(self, row: Row) -> Outcome:
        handle = min(self._actors, key=lambda each: each.live)
        handle.live += 1
        try:
            outcome: Outcome = await handle.actor.run.remote(row, self._site)
        except self._ray.exceptions.RayError as error:
            return Outcome(None, stop=_ended(error))
        finally:
            handle.live -= 1
        return outcome

    async def close(self) -> None:
        """End the actors. A request that is being sent is answered and recorded first."""
        # One that has ended is closed.
        closing = asyncio.gather(
            *(_closed(each.actor) for each in self._actors), return_exceptions=True
        )
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(closing, _CLOSES_WITHIN)
        for each in self._actors:
            self._ray.kill(each.actor)
        self._actors = []
        if self._is_own:
            self._is_own = False
            await asyncio.to_thread(self._ray.shutdown)

    def has_file(self, file: str) -> bool:
        return has_file(self._storage, file)

    def _connect(self) -> None:
        # Ray tells its makers about its use otherwise.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # The machines get the pack from here: all have the same version of it.
        package = Path(__file__).parent.parent
        options: dict[str, Any] = {"runtime_env": {"py_modules": [str(package)]}}
        if self._address == LOCAL:
            cpus = max(self._count or 1, os.cpu_count() or 1)
            options |= {"num_cpus": cpus, "object_store_memory": _OBJECT_STORE}
            options |= {"include_dashboard": False}
        try:
            self._ray.init(self._address, log_to_driver=False, configure_logging=False, **options)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            raise InvalidInput(
                _OPTION,
                Message("Ray cannot be used at {address}: {error}.",
                        address=self._address, error=str(error).strip().rstrip(".")),
                Message("Check the address. `ray status` shows the cluster."),
            ) from error  # fmt: skip
        self._is_own = True

    async def _introduce(self) -> None:
        """Start the first actor, and then the others with what they must have in common."""
        first, *others = self._actors
        self._site = site = await self._start(first, None)
        if site.node and len(_nodes(self._ray)) > 1:
            raise _own_journal()
        await asyncio.gather(*(self._start(each, site) for each in others))

    async def _start(self, handle: _Handle, site: Site | None) -> Site:
        try:
            answer: Site | PikaError = await handle.actor.start.remote(site)
        except self._ray.exceptions.RayError as error:
            raise _ended(error) from error
        if isinstance(answer, PikaError):
            raise answer
        return answer


@dataclass
class _Handle:
    """An actor, and how many rows it has."""

    actor: Any
    live: int = 0


class Actor:
    """A process of the cluster that runs rows. Its methods return errors, and raise none.

    Args:
        node: Identifies the machine in the cluster.
    """

    def __init__(self, job: Job, node: Callable[[], str] | None = None) -> None:
        self._job = job
        self._node = node or _node
        self._opening = asyncio.Lock()
        self._pika: AsyncPika | None = None
        self._worker: ServiceWorker | None = None
        self._site: Site | None = None
        self._running: set[asyncio.Task[Outcome]] = set()

    async def start(self, site: Site | None) -> Site | PikaError:
        """What this actor has in common with the others, or why it cannot run.

        Args:
            site: That of the first actor; None for the first.
        """
        try:
            _, own = await self._open(site)
        except PikaError as error:
            return error
        return own

    async def run(self, row: Row, site: Site) -> Outcome:
        """See `RowWorker.run`. An actor that was started again opens its service here."""
        try:
            worker, _ = await self._open(site)
        except PikaError as error:
            return Outcome(None, stop=error)
        task = asyncio.ensure_future(worker.run(row))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await task

    async def close(self) -> None:
        """Wait for no further task, and for the answers to requests in progress."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._pika is not None:
            await asyncio.to_thread(self._pika.close)
        if self._site is not None and self._site.marker:
            (Path(self._job.output) / self._site.marker).unlink(missing_ok=True)

    async def _open(self, site: Site | None) -> tuple[ServiceWorker, Site]:
        async with self._opening:
            if self._worker is None or self._site is None:
                job = self._job
                storage = Storage(job.output) if is_address(job.output) else None
                home = choose_home(job.home).home
                output = Path(job.output) if storage is None else home / OUTGOING
                self._pika = pika = self._pika or AsyncPika(output, home=job.home)
                worker = ServiceWorker(
                    pika.service, job.folder, timeout=job.timeout, storage=storage
                )
                await worker.start()
                self._site = await asyncio.to_thread(self._site_of, pika, storage, site)
                self._worker = worker
            return self._worker, self._site

    def _site_of(self, pika: AsyncPika, storage: Storage | None, site: Site | None) -> Site:
        """What an actor has in common with the first one.

        Raises:
            InvalidInput: It differs from the first one.
            JournalError: The journal cannot be opened, or other machines cannot use it.
        """
        journal, gateway = pika.service.journal, pika.service.settings.gateway
        journal.entries(limit=1)  # opens it
        node = "" if journal.is_remote else self._node()
        output = pika.service.output
        if site is None:
            marker = "" if storage else _new_marker(output)
            return Site(gateway, journal.identity, node, marker)
        if site.node != node:
            raise _own_journal()
        if (site.gateway, site.journal) != (gateway, journal.identity):
            raise InvalidInput(
                _OPTION,
                Message("the machines have different gateways or journals."),
                Message("Set the same PIKA_BASE_URL and PIKA_JOURNAL_URL on all of them."),
            )
        if site.marker and not (output / site.marker).exists():
            raise InvalidInput(
                "--output",
                Message("{folder} is not the same folder on all machines.", folder=output),
                Message("Name a shared folder, or an address such as s3://bucket/clips."),
            )
        return site


class ClipStage:
    """A stage of a Ray Data pipeline of your own: it creates a task for each row of a batch.

    It needs ``ray[data]``. Each process has a service of its own, as an actor.

    >>> clips = prompts.map_batches(
    ...     ClipStage, fn_constructor_args=["s3://bucket/clips"], batch_size=50, concurrency=4
    ... )

    The columns are those of ``python -m pika_api batch``; those of its result are added. A batch
    is as many live tasks. A row that was not sent ends the pipeline with the reason: run again, it
    reuses every task.

    Args:
        output: A folder that all machines share, or an address.
        folder: What relative paths of images and videos start from.
        timeout: Seconds to wait for each task; None for no limit.
    """

    def __init__(self, output: str, folder: str | Path = ".", timeout: float | None = None) -> None:
        self._job = Job(output, Path(folder).absolute(), timeout)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        rows = [dict(zip(batch, map(_plain, values), strict=True)) for values in zip(
            *batch.values(), strict=True)]  # fmt: skip
        outcomes = asyncio.run(self._outcomes(rows))
        results = []
        for outcome in outcomes:
            if outcome.result is None or outcome.stop is not None:
                raise outcome.stop or PikaError(Message("The row was not sent."))
            results.append(outcome.result)
        names = result_names(batch)
        return {
            **batch,
            **{new: [getattr(r, name) for r in results] for name, new in names.items()},
        }

    async def _outcomes(self, rows: Iterable[Row]) -> list[Outcome]:
        actor = Actor(self._job)
        try:
            site = await actor.start(None)
            if isinstance(site, PikaError):
                raise site
            if site.node not in ("", _HERE) and len(_nodes(_ray())) > 1:
                raise _own_journal()
            return await asyncio.gather(*(actor.run(row, site) for row in rows))
        finally:
            await actor.close()


def _plain(value: Any) -> Any:
    """A value of Python for one of NumPy."""
    plain = value.item() if hasattr(value, "item") else value
    return None if is_empty(plain) else plain


async def _closed(actor: Any) -> None:
    await actor.close.remote()


def _nodes(ray: ModuleType) -> list[Mapping[str, Any]]:
    """The machines of the cluster."""
    return [node for node in ray.nodes() if node["Alive"]]


def _node() -> str:
    """Identifies this machine in the cluster. Outside of a cluster there is only this one."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return _HERE
    return str(ray.get_runtime_context().get_node_id())


def _new_marker(output: Path) -> str:
    name = f".pika-{uuid.uuid4().hex}"
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / name).touch()
    except OSError as error:
        raise InvalidInput(
            "--output",
            Message("nothing can be written to {folder}: {error}.", folder=output, error=error),
            Message("Name another folder."),
        ) from error
    return name


def _own_journal() -> JournalError:
    return JournalError(
        Message("The journal is on one machine, and the cluster has several."),
        charge_note=Message("Nothing was sent: a task that is not in the journal is paid twice."),
        hint=Message(
            "Set PIKA_JOURNAL_URL on all machines to a database in PostgreSQL, by a name of its "
            "server that all of them know."
        ),
    )


def _ended(error: Exception) -> PikaError:
    """The error for an actor that cannot be started again, or has a fault."""
    lines = str(error).strip().splitlines() or [repr(error)]
    return PikaError(
        Message("An actor of Ray has ended: {error}.", error=lines[-1].strip().rstrip(".")),
        hint=Message("Its log is in the folder of Ray's session on its machine."),
    )


def _ray() -> ModuleType:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise InvalidInput(
            _OPTION,
            Message("Ray is not installed in this Python."),
            Message("Install it: python -m pip install ray. Or leave out --ray."),
        ) from error
    module: ModuleType = ray
    return module
