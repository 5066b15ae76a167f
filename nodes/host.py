"""Access to ComfyUI's internals, and the pack's one journal and service."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence, Set
from contextlib import asynccontextmanager, contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import comfy.model_management as model_management
import folder_paths
from comfy_execution.graph_utils import ExecutionBlocker
from comfy_execution.utils import get_executing_context

from ..pika_api.settings import FOLDER, Settings, load_settings, register_home

if TYPE_CHECKING:
    from ..pika_api.journal import Journal
    from ..pika_api.tasks import CurrentService, Service

#: Folder of finished files, below ComfyUI's output folder.
SUBFOLDER = "pika"
#: Folder of the sidebar's thumbnails, below the private folder. Its name is that of version 0.1.0.
THUMBNAILS = "posters"

#: Maximum size of ComfyUI's own settings file, in bytes.
_MAX_COMFYUI_SETTINGS = 4 * 1024 * 1024

_lock = threading.Lock()
_journal: Journal | None = None
_services: CurrentService | None = None


def home() -> Path:
    """The pack's private folder: ComfyUI's system user directory, which no route serves."""
    # ComfyUI 0.3.64 has no function for it; the path is the same.
    return Path(folder_paths.get_user_directory()) / FOLDER


def register() -> None:
    """Write down the private folder, so that the command line uses the same journal."""
    register_home(home())


def registered_nodes() -> Set[str]:
    """The ids of the nodes that ComfyUI has so far: its own, and those of packs loaded earlier.

    ComfyUI loads its own nodes, including `comfy_api_nodes`, before the packs (0.3.64 to 0.33.0).
    Loaded after them, its nodes would replace those of a pack with the same ids.
    """
    import nodes

    return nodes.NODE_CLASS_MAPPINGS.keys()


def output_folder() -> Path:
    """The folder for finished files."""
    return Path(folder_paths.get_output_directory()) / SUBFOLDER


def temp_file(suffix: str) -> Path:
    """An unused path in ComfyUI's temp folder, which ComfyUI empties when it starts and ends."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    # Not named by the time: the clock of Windows advances in steps of 15 ms.
    return folder / f"pika_{uuid.uuid4().hex}{suffix}"


def saved_result(path: Path) -> tuple[str, str]:
    """File name and subfolder of a finished file, as the editor asks for them."""
    subfolder = path.parent.relative_to(folder_paths.get_output_directory())
    return path.name, subfolder.as_posix()


def is_output(path: Path) -> bool:
    """Whether a file is below ComfyUI's output folder."""
    return path.is_relative_to(folder_paths.get_output_directory())


def stored_language() -> str:
    """The language that the user has chosen in ComfyUI's settings; empty if there is none.

    With ``--multi-user`` it is empty, too: an execution does not know its user.
    """
    from comfy.cli_args import args

    if args.multi_user:
        return ""
    file = Path(folder_paths.get_user_directory()) / "default" / "comfy.settings.json"
    try:
        changed = file.stat()
        return _language_in(file, changed.st_mtime_ns, changed.st_size)
    except OSError:
        return ""


@functools.lru_cache(maxsize=1)
def _language_in(file: Path, _changed: int, size: int) -> str:
    """The language in a file of settings, which is read only after it has changed."""
    if size > _MAX_COMFYUI_SETTINGS:
        return ""
    try:
        settings = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        return ""
    language = settings.get("Comfy.Locale") if isinstance(settings, dict) else None
    return language if isinstance(language, str) else ""


def output_root() -> Path:
    """ComfyUI's output folder, below which a user can choose where a file is saved."""
    return Path(folder_paths.get_output_directory())


def writes_metadata() -> bool:
    """Whether the workflow may be written to files: the option ``--disable-metadata``."""
    from comfy.cli_args import args

    return not args.disable_metadata


def is_output_linked(index: int) -> bool:
    """Whether an output of the node that is being executed is connected to another node.

    Also in `fingerprint_inputs`, which has no hidden inputs. True where it is not known: in a node
    that another one has created, and outside of ComfyUI's queue.
    """
    from server import PromptServer

    context = get_executing_context()
    if context is None:
        return True
    try:
        running = list(PromptServer.instance.prompt_queue.currently_running.values())
        prompt = next((item[2] for item in running if item[1] == context.prompt_id), {})
        if context.node_id not in prompt:
            return True
        return any(
            [context.node_id, index] == value
            for node in prompt.values()
            for value in node["inputs"].values()
        )
    except (AttributeError, KeyError, TypeError, RuntimeError):
        return True


def listen_addresses() -> Sequence[str]:
    """The addresses and names given to ComfyUI's option ``--listen``."""
    from comfy.cli_args import args

    return [address.strip() for address in args.listen.split(",")]


def versions() -> dict[str, str]:
    """The versions of ComfyUI and its editor, for a bug report."""
    from comfyui_version import __version__

    try:
        frontend = metadata.version("comfyui-frontend-package")
    except metadata.PackageNotFoundError:
        frontend = "unknown (--front-end-root)"
    return {"ComfyUI": __version__, "ComfyUI's editor": frontend}


def journal() -> Journal:
    """The one journal. It needs no settings and is never closed."""
    # Imported at the first use: SQLAlchemy would slow down ComfyUI's start.
    from ..pika_api.journal import Journal

    global _journal
    with _lock:
        if _journal is None:
            _journal = Journal.at(home())
            _, file = _journal.location
            # Before it is used, which creates it.
            if file is not None and not file.exists():
                _journal.report_loss(output_folder())
        return _journal


def _create_service(settings: Settings) -> Service:
    from ..pika_api.tasks import Service

    return Service(settings, journal(), output_folder(), thumbnails=home() / THUMBNAILS)


def _load() -> tuple[CurrentService, Settings]:
    """Read the settings file. Blocks."""
    # Imported at the first use: requests and SQLAlchemy would slow down ComfyUI's start.
    from ..pika_api.tasks import CurrentService

    global _services
    settings = load_settings(home())
    with _lock:
        if _services is None:
            _services = CurrentService(_create_service)
        return _services, settings


@contextmanager
def use_service() -> Iterator[Service]:
    """The service for the current settings, open until the block ends. Reads the settings file."""
    services, settings = _load()
    with services.use(settings) as service:
        yield service


@asynccontextmanager
async def open_service() -> AsyncIterator[Service]:
    """As `use_service`; the settings file is read off the event loop."""
    services, settings = await asyncio.to_thread(_load)
    with services.use(settings) as service:
        yield service


def check_interrupt() -> None:
    """Raise ComfyUI's interrupt if the user has requested it.

    This only reads the flag. ComfyUI's own check also clears it, so of many waiting nodes only one
    would notice.
    """
    if model_management.processing_interrupted():
        raise model_management.InterruptProcessingException


def is_interrupt(error: BaseException) -> bool:
    """Whether an error means that the execution was stopped: by the user, or, as a cancellation,
    by the failure of another node.
    """
    return isinstance(
        error, (asyncio.CancelledError, model_management.InterruptProcessingException)
    )


def free_memory() -> int:
    """Bytes of main memory that are free."""
    import torch

    return int(model_management.get_free_memory(torch.device("cpu")))


def prompt_id() -> str:
    """ComfyUI's id of the prompt that is being executed; empty outside of an execution."""
    context = get_executing_context()
    return context.prompt_id if context else ""


def executing_item() -> tuple[str, int | None]:
    """The id of the prompt that is being executed, and the place of the item in its list.

    The place is None where the node is not mapped over a list.
    """
    context = get_executing_context()
    return (context.prompt_id, context.list_index) if context else ("", None)


def extra_data_of(prompt_id: str) -> object:
    """What the editor sent along with a prompt that has ended, as long as ComfyUI remembers it.

    None if it does not. Its form is the editor's.
    """
    from server import PromptServer

    try:
        history = PromptServer.instance.prompt_queue.get_history(prompt_id=prompt_id)
        return history[prompt_id]["prompt"][3]
    except (AttributeError, KeyError, IndexError, TypeError):
        return None


def blocked(message: str) -> ExecutionBlocker:
    """An output value that stops only the nodes connected to it, with a message."""
    return ExecutionBlocker(message)
