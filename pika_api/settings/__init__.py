"""Key, base URL and limits: their values, where they come from, and where they are stored."""

from .paths import FOLDER, find_home, journal_url, sqlite_url
from .store import (
    RawSetting,
    load_settings,
    lock_reason,
    read_settings_file,
    resolve_settings,
    save_settings,
)
from .values import BASE64_STYLES, DEFAULTS, RANGES, Settings, check_setting

__all__ = [
    "BASE64_STYLES",
    "DEFAULTS",
    "FOLDER",
    "RANGES",
    "RawSetting",
    "Settings",
    "check_setting",
    "find_home",
    "journal_url",
    "load_settings",
    "lock_reason",
    "read_settings_file",
    "resolve_settings",
    "save_settings",
    "sqlite_url",
]
