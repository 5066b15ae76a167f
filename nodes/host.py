"""The only door to ComfyUI's insides: folders, progress, interrupt, and the pack's one service."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import comfy.model_management as model_management
import folder_paths
from comfy_execution.graph_utils import ExecutionBlocker
from comfy_execution.utils import get_executing_context

from ..pika_api.settings import FOLDER, journal_url

if TYPE_CHECKING:
    from ..pika_api.journal import Journal
    from ..pika_api.tasks import Service

#: The folder of finished files, below ComfyUI's output folder.
SUBFOLDER = "pika"
#: The folder of small pictures for the list of tasks, in the private one.
POSTERS = "posters"

_lock = threading.Lock()
_service: Service | None = None
_journal: Journal | None = None


def home() -> Path:
    """The pack's private folder: ComfyUI's system user directory, which it serves to nobody."""
    # Older ComfyUI (0.3.64) has no function for it; the place is the same.
    return Path(folder_paths.get_user_directory()) / FOLDER


def output_folder() -> Path:
    """Where finished files go."""
    return Path(folder_paths.get_output_directory()) / SUBFOLDER


def temp_file(suffix: str) -> Path:
    """A name for a passing file; ComfyUI empties the folder at its start and end."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    # No time in it: the clock of Windows stands still for 15 ms.
    return folder / f"pika_{uuid.uuid4().hex}{suffix}"


def saved_result(path: Path) -> tuple[str, str]:
    """File name and subfolder of a finished file, as the editor asks for them."""
    subfolder = path.parent.relative_to(folder_paths.get_output_directory())
    return path.name, subfolder.as_posix()


def is_output(path: Path) -> bool:
    """Whether a file is below ComfyUI's output folder."""
    return path.is_relative_to(folder_paths.get_output_directory())


def addresses() -> Sequence[str]:
    """What ComfyUI listens to: the addresses and names given to ``--listen``."""
    from comfy.cli_args import args

    return [address.strip() for address in args.listen.split(",")]


def versions() -> dict[str, str]:
    """ComfyUI's and its editor's, for a bug report."""
    from comfyui_version import __version__

    try:
        frontend = metadata.version("comfyui-frontend-package")
    except metadata.PackageNotFoundError:
        frontend = "of its own"  # --front-end-root
    return {"ComfyUI": __version__, "ComfyUI's editor": frontend}


def journal() -> Journal:
    """The one journal, which needs no settings."""
    # Imported late: requests and SQLAlchemy would otherwise weigh on ComfyUI's start.
    from ..pika_api.journal import Journal

    global _journal
    with _lock:
        if _journal is None:
            _journal = Journal(journal_url(home()))
        return _journal


def service() -> Service:
    """The one service, made at its first use and again when the settings have changed."""
    from ..pika_api.settings import load_settings
    from ..pika_api.tasks import Service

    global _service
    settings, kept = load_settings(home()), journal()
    with _lock:
        if _service is None or _service.settings != settings:
            # An earlier one ends with the calls that still use it.
            _service = Service(settings, kept, output_folder(), posters=home() / POSTERS)
        return _service


def check_interrupt() -> None:
    """Raise ComfyUI's interrupt if the user has asked for it.

    Only looks: ComfyUI's own check clears the flag, and of many waiters one would see it.
    """
    if model_management.processing_interrupted():
        raise model_management.InterruptProcessingException


def prompt_id() -> str:
    """ComfyUI's id of the prompt that is running here; empty outside of one."""
    context = get_executing_context()
    return context.prompt_id if context else ""


def blocked(message: str) -> ExecutionBlocker:
    """An output's value that stops only what hangs on it, with a message."""
    return ExecutionBlocker(message)
