"""Key, base URL and limits: allowed values, sources, and the settings file."""

from .addresses import gateway_of, is_loopback
from .homes import KnownHome, known_homes, pack_folder, register_home
from .paths import FOLDER, JOURNAL_FILE, find_home, journal_url, sqlite_url
from .store import (
    Lock,
    RawSetting,
    Source,
    load_settings,
    lock_reason,
    preview_settings,
    read_settings_file,
    resolve_settings,
    save_settings,
)
from .values import BASE64_STYLES, DEFAULTS, RANGES, Settings, check_setting

__all__ = [
    "BASE64_STYLES",
    "DEFAULTS",
    "FOLDER",
    "JOURNAL_FILE",
    "RANGES",
    "KnownHome",
    "Lock",
    "RawSetting",
    "Settings",
    "Source",
    "check_setting",
    "find_home",
    "gateway_of",
    "is_loopback",
    "journal_url",
    "known_homes",
    "load_settings",
    "lock_reason",
    "pack_folder",
    "preview_settings",
    "read_settings_file",
    "register_home",
    "resolve_settings",
    "save_settings",
    "sqlite_url",
]
