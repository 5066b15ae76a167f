"""Moves a finished file to its final path. Windows refuses that while a program has it open."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

#: Seconds between the attempts to replace a file. A virus scanner or an indexer opens a new file
#: for a moment.
REPLACE_DELAYS: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
#: Maximum length of a path on Windows, unless long paths are enabled. Characters.
_MAX_WINDOWS_PATH: Final = 259
#: Rights of a private folder.
_PRIVATE: Final = 0o700


def make_private_folder(folder: Path) -> None:
    """Create a folder that no other user may read, or make an existing one so.

    Missing folders above it are created with the usual rights. On Windows, the rights of the
    user's own folder apply.

    Raises:
        OSError: It cannot be created.
    """
    folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    if os.name == "posix" and stat.S_IMODE(folder.stat().st_mode) & ~_PRIVATE:
        with contextlib.suppress(PermissionError):  # it belongs to another user, who decides
            folder.chmod(_PRIVATE)


def make_private_file(path: Path) -> None:
    """Create an empty file that no other user may read, unless there is one. Raises `OSError`."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def sync_folder(folder: Path) -> None:
    """Make the name of a new file durable, where folders can be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_file(source: Path, target: Path, delays: Sequence[float] = REPLACE_DELAYS) -> None:
    """Move a file to its final path in one step, and replace a file that is there.

    Args:
        delays: Seconds to wait after each attempt that failed because a file is open.

    Raises:
        OSError: The file cannot be moved. `PermissionError` if one of the two files stays open.
    """
    for delay in delays:
        try:
            source.replace(target)
        except PermissionError:
            time.sleep(delay)
        else:
            return
    source.replace(target)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no hard links.

    Raises:
        FileExistsError: There is a file with this name. It was not changed.
        OSError: It cannot be written.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        target.open("xb").close()  # reserves the name
        part = target.with_name(f"{target.name}.part")
        try:
            shutil.copyfile(source, part)
            replace_file(part, target)
        except BaseException:
            part.unlink(missing_ok=True)
            target.unlink(missing_ok=True)
            raise


def write_hint(error: OSError, target: Path, *, windows: bool = os.name == "nt") -> str:
    """What the user can do about a file that could not be written to its path."""
    if windows and len(str(target)) > _MAX_WINDOWS_PATH:
        return (
            f"Its path has {len(str(target))} characters, and Windows allows {_MAX_WINDOWS_PATH}: "
            "move ComfyUI to a folder with a shorter path, or enable long paths, and queue again."
        )
    if isinstance(error, PermissionError) and target.exists():
        return f"Close the program that has {target.name} open (a video player?) and queue again."
    return "Free some space there, or make the folder writable, and queue again."
