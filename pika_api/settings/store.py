"""Reading the settings from the environment and the settings file, and writing the file."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Final

from .. import files
from ..errors import SettingLocked, SettingsError
from ..message import Message
from .values import DEFAULTS, NAMES, Settings, check_setting, url_origin

FILE_NAME: Final = "settings.json"
#: Field of the file beside the stored key: the origin that the key was entered for. A file that was
#: written by hand does not have it.
_KEY_ORIGIN: Final = "api_key_origin"
_TEXTS: Final = ("api_key", "base_url", "base64_style")

#: One reader or writer of the file at a time in this process: Windows does not replace a file that
#: is open for reading.
_lock: Final = threading.RLock()


class Source(str, Enum):
    """Where a setting comes from. The values are part of the routes' JSON."""

    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


class Lock(str, Enum):
    """Why a setting cannot be changed in the editor. The values are part of the routes' JSON.

    Attributes:
        ENVIRONMENT: A variable sets it.
        KEY: It is the base URL, and a variable sets the key: no page may choose where such a key
            is sent to.
    """

    ENVIRONMENT = "environment"
    KEY = "key"


@dataclass(frozen=True)
class RawSetting:
    """A setting as it was read, not checked yet.

    Attributes:
        value: The value.
        source: Where it comes from.
    """

    value: Any
    source: Source


class _SettingsNotReadable(SettingsError):
    """The settings file exists and could not be opened. It may be valid, so it is not replaced."""


def variable_name(name: str) -> str:
    """The environment variable of a setting."""
    return f"PIKA_{name.upper()}"


def resolve_settings(
    stored: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> Mapping[str, RawSetting]:
    """Every setting by name: from the environment, else from the file, else the default.

    Args:
        stored: The result of `read_settings_file`.
    """
    resolved = {}
    for name in NAMES:
        if value := environ.get(variable_name(name), "").strip():
            resolved[name] = RawSetting(value, Source.ENVIRONMENT)
        elif stored.get(name) not in (None, ""):
            resolved[name] = RawSetting(stored[name], Source.FILE)
        else:
            resolved[name] = RawSetting(DEFAULTS[name], Source.DEFAULT)
    return resolved


def load_settings(home: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings from the environment and from ``home/settings.json``.

    Args:
        home: The pack's private folder. In ComfyUI it is in the system user directory.

    Raises:
        SettingsError: The file cannot be read, or a value is invalid.
    """
    return _settings_of(read_settings_file(home), environ)


def preview_settings(
    home: Path, changes: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> Settings:
    """The settings as they would be after `save_settings` with these changes. Nothing is saved.

    The stored key is not used for another origin than the one it was entered for.

    Raises:
        SettingLocked, SettingsError: As `save_settings` and `load_settings`.
    """
    stored = _stored_or_empty(home)[0]
    new = _changed(stored, changes, environ)
    key_removed = _bind_key(new, changes, stored, environ)
    settings = _settings_of(new, environ)
    if not key_removed:
        return settings
    key_origin = stored.get(_KEY_ORIGIN) or _origin_or_empty(stored, environ)
    return replace(settings, withheld_key_origin=key_origin)


def _settings_of(stored: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    resolved = resolve_settings(stored, environ)
    settings = Settings(**{name: each.value for name, each in resolved.items()})
    key_origin = stored.get(_KEY_ORIGIN, "")
    key_is_stored = resolved["api_key"].source is Source.FILE
    if not key_is_stored or key_origin in ("", url_origin(settings.base_url)):
        return settings
    values = {name: getattr(settings, name) for name in NAMES}
    return Settings(**{**values, "api_key": ""}, withheld_key_origin=key_origin)


def read_settings_file(home: Path) -> Mapping[str, Any]:
    """The content of the settings file; empty if there is no file.

    Raises:
        SettingsError: The file cannot be opened, or is not a JSON object of the expected form.
    """
    path = home / FILE_NAME
    hint = Message(
        "Enter the settings again in ComfyUI's Settings → Pika; the old file is kept "
        'beside the new one. Or repair or delete the file. It looks like {{"api_key": '
        '"…", "base_url": "…"}}.'
    )
    hint_on_page = Message(
        "Enter the settings again here; the old file is kept beside the new one. Or repair or "
        "delete the file."
    )
    try:
        with _lock:
            # Notepad on Windows writes a byte order mark.
            value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise _SettingsNotReadable(
            Message("The settings in {path} cannot be read: {error}.", path=path, error=error),
            hint=Message(
                "Close the program that has the file open, or make the file readable for the "
                "user that runs ComfyUI."
            ),
        ) from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(
            Message("The settings in {path} cannot be read: {error}.", path=path, error=error),
            hint=hint,
            hint_on_page=hint_on_page,
        ) from error
    if not isinstance(value, dict) or not all(
        isinstance(value.get(name, ""), str) for name in (*_TEXTS, _KEY_ORIGIN)
    ):
        raise SettingsError(
            Message("The settings in {path} are not a JSON object of texts.", path=path),
            hint=hint,
            hint_on_page=hint_on_page,
        )
    return value


def lock_reason(name: str, resolved: Mapping[str, RawSetting]) -> Lock | None:
    """Why a setting cannot be changed in the editor; None if it can.

    Args:
        resolved: The result of `resolve_settings`.
    """
    if resolved[name].source is Source.ENVIRONMENT:
        return Lock.ENVIRONMENT
    key_is_fixed = resolved["api_key"].source is Source.ENVIRONMENT
    return Lock.KEY if name == "base_url" and key_is_fixed else None


def save_settings(
    home: Path, changes: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> bool:
    """Change settings in the file: all of them, or none if one is invalid.

    A stored key is bound to the origin that it was entered for. If the base URL changes to another
    origin and no new key comes with it, the key is removed.

    Args:
        changes: New values by name; None removes a setting from the file.

    Returns:
        Whether the stored key was removed.

    Raises:
        SettingLocked: The environment sets it.
        SettingsError: A value is invalid, or the file cannot be opened or written.
    """
    with _lock:
        stored, broken = _stored_or_empty(home)
        new = _changed(stored, changes, environ)
        key_removed = _bind_key(new, changes, stored, environ)
        if new != stored:
            _write(home / FILE_NAME, new, broken)
        return key_removed


def _stored_or_empty(home: Path) -> tuple[Mapping[str, Any], bool]:
    """The content of the settings file, and whether it is broken: then it counts as empty."""
    try:
        return read_settings_file(home), False
    except _SettingsNotReadable:
        raise
    except SettingsError:
        return {}, True


def _changed(
    stored: Mapping[str, Any], changes: Mapping[str, Any], environ: Mapping[str, str]
) -> dict[str, Any]:
    """The stored values with changes; `_bind_key` is not applied yet."""
    resolved = resolve_settings(stored, environ)
    new = dict(stored)
    for name, value in changes.items():
        _refuse_locked(name, value, resolved)
        if value is None:
            new.pop(name, None)
        else:
            new[name] = _checked(name, value)
    return new


def _refuse_locked(name: str, value: Any, resolved: Mapping[str, RawSetting]) -> None:
    if name not in NAMES:
        hint = Message("The settings are {known}.", known=", ".join(NAMES))
        raise SettingsError(
            Message("there is no setting «{name}».", name=name[:60]), name=name[:60], hint=hint
        )
    lock = lock_reason(name, resolved)
    if lock is Lock.ENVIRONMENT:
        raise SettingLocked(
            Message("the environment that ComfyUI was started in sets it, and has priority."),
            name=name,
            hint=Message("Change or remove the variable there, and restart ComfyUI."),
        )
    # Removing the base URL is allowed: the default is not an address that a page chose.
    if lock is Lock.KEY and value is not None:
        raise SettingLocked(
            Message("the key comes from the environment, so its address must be set there, too."),
            name=name,
            hint=Message(
                "Set {name} beside PIKA_API_KEY, and restart ComfyUI.", name=variable_name(name)
            ),
        )


def _checked(name: str, value: Any) -> Any:
    checked = check_setting(name, value)
    if name == "api_key" and checked == "":
        raise SettingsError(
            Message("the key is blank."), name=name, hint=Message("To remove it, clear it.")
        )
    return checked


def _bind_key(
    new: dict[str, Any],
    changes: Mapping[str, Any],
    stored: Mapping[str, Any],
    environ: Mapping[str, str],
) -> bool:
    """Store the origin of a new key, or remove a key of another origin. Whether it was removed."""
    if "api_key" in changes:
        new.pop(_KEY_ORIGIN, None)
        if "api_key" in new:
            new[_KEY_ORIGIN] = _origin(new, environ)
        return False
    if "base_url" not in changes or not new.get("api_key"):
        return False
    # A key that was written into the file by hand belongs to the address that was there with it.
    key_origin = stored.get(_KEY_ORIGIN) or _origin_or_empty(stored, environ)
    if key_origin == _origin(new, environ):
        new[_KEY_ORIGIN] = key_origin
        return False
    del new["api_key"]
    new.pop(_KEY_ORIGIN, None)
    return True


def _origin(stored: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    base_url = resolve_settings(stored, environ)["base_url"].value
    return url_origin(check_setting("base_url", base_url))


def _origin_or_empty(stored: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    try:
        return _origin(stored, environ)
    except SettingsError:
        return ""


def _write(path: Path, values: Mapping[str, Any], broken: bool) -> None:
    """Replace the file in one step. No other user can read it at any moment.

    Args:
        broken: Whether the present file is not valid. It may contain a key, so it is kept under
            another name.
    """
    try:
        files.make_private_folder(path.parent)
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
            Message(
                "The settings cannot be saved to {path}: {strerror}.",
                path=path,
                strerror=error.strerror or error,
            ),
            hint=Message("Free some space there, or make the folder writable."),
        ) from error
