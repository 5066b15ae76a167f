"""Where settings come from, the environment first, then the pack's own file; and that file."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .. import files
from ..errors import SettingLocked, SettingsError
from .values import DEFAULTS, NAMES, Settings, check_setting, url_origin

FILE_NAME: Final = "settings.json"
ENVIRONMENT: Final = "environment"
FILE: Final = "file"
DEFAULT: Final = "default"
#: Beside the stored key: the address it was entered for. A file that was written by hand has none.
_KEY_ORIGIN: Final = "api_key_origin"
_TEXTS: Final = ("api_key", "base_url", "base64_style")

#: One change at a time in this process, and on Windows no file is replaced while it is read.
_lock: Final = threading.RLock()


@dataclass(frozen=True)
class RawSetting:
    """A setting as it stands somewhere, unchecked.

    Attributes:
        source: `ENVIRONMENT`, `FILE` or `DEFAULT`.
    """

    value: Any
    source: str


def variable_name(name: str) -> str:
    """The environment's name of a setting."""
    return f"PIKA_{name.upper()}"


def resolve_settings(
    stored: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> Mapping[str, RawSetting]:
    """Every setting, from the first place that has it.

    Args:
        stored: What `read_settings_file` gave.
    """
    found = {}
    for name in NAMES:
        if given := environ.get(variable_name(name), "").strip():
            found[name] = RawSetting(given, ENVIRONMENT)
        elif stored.get(name) not in (None, ""):
            found[name] = RawSetting(stored[name], FILE)
        else:
            found[name] = RawSetting(DEFAULTS[name], DEFAULT)
    return found


class _NotOpened(SettingsError):
    """The file is there, and may be whole: nothing may take its place."""


def load_settings(home: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment; what it does not say, from ``home/settings.json``.

    Args:
        home: The pack's private folder: in ComfyUI, its system user directory.

    Raises:
        SettingsError: The file cannot be read, or a value cannot be used.
    """
    stored = read_settings_file(home)
    found = resolve_settings(stored, environ)
    settings = Settings(**{name: each.value for name, each in found.items()})
    key_origin = stored.get(_KEY_ORIGIN, "")
    if found["api_key"].source != FILE or key_origin in ("", url_origin(settings.base_url)):
        return settings
    values = {name: getattr(settings, name) for name in NAMES}
    return Settings(**{**values, "api_key": ""}, withheld=key_origin)


def read_settings_file(home: Path) -> Mapping[str, Any]:
    """What the file holds; nothing where there is none. Raises `SettingsError`."""
    path = home / FILE_NAME
    anew = (
        "Enter the settings anew in ComfyUI's Settings → Pika (the old file is kept beside the "
        'new one). Or: Mend or delete the file. It looks like {"api_key": "…", "base_url": "…"}.'
    )
    try:
        with _lock:
            # Notepad puts a mark before the text.
            value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise _NotOpened(
            f"The settings in {path} cannot be read: {error}.",
            hint="Close what has the file open, or make it readable for who runs ComfyUI.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(
            f"The settings in {path} cannot be read: {error}.", hint=anew
        ) from error
    if not isinstance(value, dict) or not all(
        isinstance(value.get(name, ""), str) for name in (*_TEXTS, _KEY_ORIGIN)
    ):
        raise SettingsError(f"The settings in {path} are not a JSON object of texts.", hint=anew)
    return value


def lock_reason(name: str, found: Mapping[str, RawSetting]) -> str:
    """Why a setting cannot be changed here: `ENVIRONMENT` where its variable wins; ``"key"`` for
    the base URL of a key from the environment, which no page may send to an address of its own
    choice; else empty.
    """
    if found[name].source == ENVIRONMENT:
        return ENVIRONMENT
    return "key" if name == "base_url" and found["api_key"].source == ENVIRONMENT else ""


def save_settings(
    home: Path, changes: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> bool:
    """Change settings in the file: all of these or, where one cannot be used, none.

    A stored key belongs to the address it was entered for. If that changes and no new key comes
    along, the key is dropped.

    Args:
        changes: New values by name; None takes one out.

    Returns:
        Whether the stored key was dropped.

    Raises:
        SettingLocked: The environment has set it.
        SettingsError: A value cannot be used, or the file cannot be opened or written.
    """
    with _lock:
        try:
            stored, broken = read_settings_file(home), False
        except _NotOpened:
            raise
        except SettingsError:
            stored, broken = {}, True
        before = resolve_settings(stored, environ)
        new = dict(stored)
        for name, value in changes.items():
            _refuse_locked(name, value, before)
            if value is None:
                new.pop(name, None)
            else:
                new[name] = _checked(name, value)
        dropped = _bind_key(new, changes, stored, environ)
        if new != stored:
            _write(home / FILE_NAME, new, broken)
        return dropped


def _refuse_locked(name: str, value: Any, before: Mapping[str, RawSetting]) -> None:
    if name not in NAMES:
        hint = f"There are {', '.join(NAMES)}."
        raise SettingsError(f"«{name[:60]}» is no setting.", name=name[:60], hint=hint)
    lock = lock_reason(name, before)
    if lock == ENVIRONMENT:
        raise SettingLocked(
            "the environment that ComfyUI was started from has set it, and that wins.",
            name=name,
            hint="Change it there, or take it out there, and restart ComfyUI.",
        )
    # Back to the default is no address of anybody's choice.
    if lock and value is not None:
        raise SettingLocked(
            "the key is from the environment, so its address is set there too.",
            name=name,
            hint=f"Set {variable_name(name)} beside PIKA_API_KEY, and restart ComfyUI.",
        )


def _checked(name: str, value: Any) -> Any:
    checked = check_setting(name, value)
    if checked == "":
        raise SettingsError("the key is blank.", name=name, hint="Clear it to take it out.")
    return checked


def _bind_key(
    new: dict[str, Any],
    changes: Mapping[str, Any],
    stored: Mapping[str, Any],
    environ: Mapping[str, str],
) -> bool:
    """Note what address the key is for; drop one that was for another. Whether it was dropped."""
    if "api_key" in changes:
        new.pop(_KEY_ORIGIN, None)
        if "api_key" in new:
            new[_KEY_ORIGIN] = _origin(new, environ)
        return False
    if "base_url" not in changes or not new.get("api_key"):
        return False
    # A key that was written into the file by hand is for the address that was there with it.
    try:
        was = stored.get(_KEY_ORIGIN) or _origin(stored, environ)
    except SettingsError:
        was = ""
    if was == _origin(new, environ):
        new[_KEY_ORIGIN] = was
        return False
    del new["api_key"]
    new.pop(_KEY_ORIGIN, None)
    return True


def _origin(stored: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    return url_origin(
        check_setting("base_url", resolve_settings(stored, environ)["base_url"].value)
    )


def _write(path: Path, values: Mapping[str, Any], broken: bool) -> None:
    """Replace the file in one step; nobody else may read it, at no moment.

    Args:
        broken: Whether what is there cannot be read. It may hold a key: it is kept aside.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(".part", ".settings-", path.parent)
        try:
            with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - a handle, no path
                json.dump(values, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            if broken:
                files.replace_file(path, path.with_name(f"settings.broken-{time.time_ns()}.json"))
            files.replace_file(Path(name), path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise SettingsError(
            f"The settings cannot be kept in {path}: {error.strerror or error}.",
            hint="Make room there, or make its folder writable.",
        ) from error
