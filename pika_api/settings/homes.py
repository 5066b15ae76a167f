"""The private folders of the ComfyUIs of this user, so that the command line finds their journals.

ComfyUI can be started with ``--user-directory`` or ``--base-directory``, and there can be several
ComfyUIs. Only the pack inside ComfyUI knows its private folder, so it writes it down at each start:
one small file per folder, in the user's configuration folder. It is not in the pack's folder, which
may be read-only, shared by several users, or a checkout of Git. The files contain paths and no
settings.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .. import files
from ..log import log

#: More files are not read.
_MAX_FILES: Final = 100
#: A larger file is not one of the pack's. Bytes.
_MAX_SIZE: Final = 16 * 1024


@dataclass(frozen=True)
class KnownHome:
    """A private folder that the pack has used in ComfyUI.

    Attributes:
        home: The folder. It exists.
        pack: The pack's folder.
        has_own_journal: Whether the journal is in the folder; False if ``PIKA_JOURNAL_URL`` was
            set.
        seen: When ComfyUI was last started with it, in seconds since the epoch.
    """

    home: Path
    pack: Path
    has_own_journal: bool
    seen: float


def pack_folder() -> Path:
    """The folder of this pack, without symbolic links: it may be linked into several ComfyUIs."""
    return Path(__file__).parents[2].resolve()


def register_home(
    home: Path, environ: Mapping[str, str] = os.environ, pack: Path | None = None
) -> None:
    """Write down that the pack uses a private folder. Without effect where that is not possible.

    Args:
        pack: The folder of the pack; None for the one that contains this file.
    """
    home = home.absolute()
    entry = {
        "home": str(home),
        "pack": str((pack or pack_folder()).resolve()),
        "journal_url": bool(environ.get("PIKA_JOURNAL_URL", "").strip()),
    }
    try:
        folder = registry_folder(environ)
        files.make_private_folder(folder)
        name = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
        handle, part = tempfile.mkstemp(".part", ".home-", folder)
        try:
            with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - a handle, no path
                json.dump(entry, file)
            files.replace_file(Path(part), folder / f"{name}.json")
        except BaseException:
            with contextlib.suppress(OSError):
                Path(part).unlink()
            raise
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home folder
        log.debug(
            "settings: the private folder was not written down for the command line: %s", error
        )


def known_homes(environ: Mapping[str, str] = os.environ) -> Sequence[KnownHome]:
    """The private folders that exist, the one that was used last first. Never raises."""
    known = []
    try:
        paths = sorted(registry_folder(environ).glob("*.json"))[:_MAX_FILES]
    except (OSError, RuntimeError):
        return []
    for path in paths:
        with contextlib.suppress(OSError, ValueError, RecursionError):
            if home := _read(path):
                known.append(home)
    return sorted(known, key=lambda each: each.seen, reverse=True)


def registry_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the files. Raises `RuntimeError` if the user has no home folder."""
    base = environ.get("XDG_CONFIG_HOME", "").strip()
    if not base and os.name == "nt":
        base = environ.get("LOCALAPPDATA", "").strip()
    folder = Path(base)  # a relative path has no meaning (XDG Base Directory Specification 0.8)
    return (folder if folder.is_absolute() else Path.home() / ".config") / "comfyui-pika" / "homes"


def _read(path: Path) -> KnownHome | None:
    """One file; None if its folder does not exist any more, or if it is not valid."""
    stat = path.stat()
    if stat.st_size > _MAX_SIZE:
        return None
    entry = json.loads(path.read_text("utf-8"))
    if not isinstance(entry, dict):
        return None
    home, pack = entry.get("home"), entry.get("pack")
    if not isinstance(home, str) or not isinstance(pack, str):
        return None
    if not Path(home).is_absolute() or not Path(home).is_dir():
        return None
    return KnownHome(Path(home), Path(pack), entry.get("journal_url") is not True, stat.st_mtime)
