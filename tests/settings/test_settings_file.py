"""Saving settings: completely, privately, and with a key that is bound to its origin."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pika_api.errors import SettingLocked, SettingsError
from pika_api.settings import load_settings, preview_settings, save_settings, store
from pika_api.settings.store import FILE_NAME
from pika_api.settings.values import DEFAULT_BASE_URL
from support.api import KEY

OTHER = "https://other.example"
posix_only = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")


def write_settings_file(home: Path, value: object) -> bytes:
    """Write the settings file, and return its bytes."""
    home.mkdir(exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value)
    (home / FILE_NAME).write_text(text)
    return (home / FILE_NAME).read_bytes()


def stored(home: Path) -> Mapping[str, Any]:
    """The content of the file."""
    return dict(json.loads((home / FILE_NAME).read_text()))


def test_saved_settings_are_loaded(tmp_path: Path) -> None:
    """In their normal form, also when they are saved one after the other."""
    save_settings(tmp_path, {"api_key": f" {KEY}\n", "base_url": "HTTPS://A.example/"}, {})
    save_settings(tmp_path, {"max_requests": 3.0, "max_body_mb": 2, "base64_style": "data-uri"}, {})
    settings = load_settings(tmp_path, {})
    assert (settings.api_key, settings.base_url) == (KEY, "https://a.example")
    assert (settings.max_requests, settings.max_body_mb, settings.base64_style) == (
        3,
        2.0,
        "data-uri",
    )
    assert stored(tmp_path)["max_requests"] == 3


def test_none_removes_a_setting(tmp_path: Path) -> None:
    """The setting has its default again; the others stay."""
    save_settings(tmp_path, {"api_key": KEY, "max_requests": 3}, {})
    assert not save_settings(tmp_path, {"api_key": None}, {})
    assert (load_settings(tmp_path, {}).api_key, load_settings(tmp_path, {}).max_requests) == (
        "",
        3,
    )
    assert KEY not in (tmp_path / FILE_NAME).read_text()


def test_unknown_fields_are_kept(tmp_path: Path) -> None:
    """A field that this version does not know stays in the file."""
    write_settings_file(tmp_path, {"future": {"a": [1, None]}, "max_requests": 2})
    save_settings(tmp_path, {"max_requests": 4}, {})
    assert stored(tmp_path) == {"future": {"a": [1, None]}, "max_requests": 4}


@posix_only
def test_file_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mode 0600 for the file at each moment and 0700 for a new folder, whatever the umask of the
    process. A file that others could read becomes private.
    """
    modes = set()
    fsync = os.fsync

    def look(handle: int) -> None:
        modes.add(stat.S_IMODE(os.fstat(handle).st_mode))
        fsync(handle)

    monkeypatch.setattr(store.os, "fsync", look)
    mask = os.umask(0)
    try:
        home = tmp_path / "user" / "__pika"
        save_settings(home, {"api_key": KEY}, {})
        (home / FILE_NAME).chmod(0o644)
        save_settings(home, {"max_requests": 3}, {})
    finally:
        os.umask(mask)
    assert modes == {0o600}
    assert stat.S_IMODE((home / FILE_NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full in the middle of a write: an error, the old settings, and no other file."""
    before = write_settings_file(tmp_path, {"api_key": KEY})

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(SettingsError, match="No space left") as caught:
        save_settings(tmp_path, {"max_requests": 3}, {})
    assert KEY not in str(caught.value)
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    """A file is in its place, or in the place of a parent."""
    (tmp_path / "file").write_text("in the way")
    for home in (tmp_path / "file", tmp_path / "file" / "home"):
        with pytest.raises(SettingsError, match="cannot be saved"):
            save_settings(home, {"max_requests": 3}, {})


BAD: list[tuple[str, Any]] = [
    ("api_key", "a b"),
    ("api_key", ""),
    ("api_key", 7),
    ("api_key", ["x"]),
    ("base_url", "http://example.com"),
    ("base_url", ""),
    ("base_url", 7),
    ("base64_style", "url"),
    ("base64_style", ["bare"]),
    ("max_requests", 0),
    ("max_requests", 1.5),
    ("max_requests", True),
    ("max_requests", "many"),
    ("max_requests", 10**400),
    ("max_body_mb", float("nan")),
    ("max_body_mb", float("inf")),
    ("max_body_mb", {}),
    ("nonsense", 1),
    ("api_key_origin", OTHER),
    ("withheld_key_origin", OTHER),
]


@pytest.mark.parametrize(("name", "value"), BAD, ids=[f"{n}-{v!r:.12}" for n, v in BAD])
def test_one_invalid_value_changes_nothing(tmp_path: Path, name: str, value: Any) -> None:
    """The error names the setting; a valid value that came with it is not saved either."""
    before = write_settings_file(tmp_path, {"api_key": KEY})
    with pytest.raises(SettingsError) as caught:
        save_settings(tmp_path, {"max_body_mb": 3.0, name: value}, {})
    assert caught.value.name == name
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_invalid_values_can_be_repaired_one_by_one(tmp_path: Path) -> None:
    """A stored value that is invalid does not prevent the change of another."""
    write_settings_file(tmp_path, {"max_requests": 99, "base64_style": "url", "api_key": KEY})
    save_settings(tmp_path, {"max_requests": 9}, {})
    save_settings(tmp_path, {"base64_style": "bare"}, {})
    assert load_settings(tmp_path, {}).max_requests == 9
    assert load_settings(tmp_path, {}).api_key == KEY


@pytest.mark.parametrize("name", ["api_key", "base_url", "base64_style", "max_requests"])
@pytest.mark.parametrize("value", ["bare", None])
def test_setting_from_the_environment_cannot_be_saved(
    tmp_path: Path, name: str, value: str | None
) -> None:
    """It can be neither changed nor removed, and nothing is written."""
    environ = {f"PIKA_{name.upper()}": {"max_requests": "3", "base_url": OTHER}.get(name, "bare")}
    with pytest.raises(SettingLocked, match=f"PIKA_{name.upper()}") as caught:
        save_settings(tmp_path, {name: value}, environ)
    assert caught.value.name == name
    assert not (tmp_path / FILE_NAME).exists()


def test_key_from_the_environment_locks_the_base_url(tmp_path: Path) -> None:
    """The base URL can only be reset to its default."""
    write_settings_file(tmp_path, {"base_url": OTHER})
    environ = {"PIKA_API_KEY": KEY}
    with pytest.raises(SettingLocked, match="PIKA_BASE_URL"):
        save_settings(tmp_path, {"base_url": "https://thief.example"}, environ)
    save_settings(tmp_path, {"base_url": None}, environ)
    assert load_settings(tmp_path, environ).base_url == DEFAULT_BASE_URL


@pytest.mark.parametrize("by_hand", [False, True], ids=["saved", "by hand"])
@pytest.mark.parametrize("new", [OTHER, "https://a.example:444", "http://localhost:1", None])
def test_key_is_removed_with_its_origin(tmp_path: Path, by_hand: bool, new: str | None) -> None:
    """Another scheme, host or port, or the default: the key is not sent there."""
    values = {"api_key": KEY, "base_url": "https://a.example/v1"}
    if by_hand:
        write_settings_file(tmp_path, values)
    else:
        save_settings(tmp_path, values, {})
    assert save_settings(tmp_path, {"base_url": new}, {})
    assert load_settings(tmp_path, {}).api_key == ""
    assert KEY not in (tmp_path / FILE_NAME).read_text()


def test_key_is_kept_at_the_same_origin(tmp_path: Path) -> None:
    """Another path at the same origin, or another spelling."""
    save_settings(tmp_path, {"api_key": KEY, "base_url": "https://a.example/v1"}, {})
    for url in ("https://a.example/v2", "https://A.example:443", "https://a.example"):
        assert not save_settings(tmp_path, {"base_url": url}, {})
        assert load_settings(tmp_path, {}).api_key == KEY


def test_new_key_can_be_saved_with_a_new_base_url(tmp_path: Path) -> None:
    """Both in one change: no key is removed, and the new one is stored."""
    save_settings(tmp_path, {"api_key": "an-old-key"}, {})
    assert not save_settings(tmp_path, {"api_key": KEY, "base_url": OTHER}, {})
    assert (load_settings(tmp_path, {}).api_key, load_settings(tmp_path, {}).base_url) == (
        KEY,
        OTHER,
    )


def test_key_is_withheld_from_another_origin(tmp_path: Path) -> None:
    """The environment names another address later: the key is not sent there, and the error says
    why and what to do. At its own origin it is available again.
    """
    environ = {"PIKA_BASE_URL": OTHER}
    save_settings(tmp_path, {"api_key": KEY}, environ)
    assert load_settings(tmp_path, environ).api_key == KEY
    elsewhere = load_settings(tmp_path, {})
    assert elsewhere.api_key == ""
    with pytest.raises(SettingsError, match="Settings → Pika") as caught:
        elsewhere.require_key()
    for word in (OTHER, DEFAULT_BASE_URL, "not sent"):
        assert word in str(caught.value)
    assert KEY not in str(caught.value)
    save_settings(tmp_path, {"base_url": OTHER}, {})
    assert load_settings(tmp_path, {}).api_key == KEY


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ({}, {"base_url": OTHER, "api_key": KEY}),
        ({"api_key": KEY, "base_url": OTHER}, {"max_requests": 3}),
        ({"api_key": KEY, "base_url": OTHER}, {"base_url": f"{OTHER}/v1/"}),
        ({"api_key": KEY, "base_url": OTHER}, {"api_key": "another"}),
        ({"api_key": KEY, "base_url": OTHER}, {"base_url": "https://a.example"}),
        ({"api_key": KEY}, {"base_url": "https://a.example", "api_key": "another"}),
        ({"api_key": KEY, "base_url": "no address"}, {"base_url": "https://a.example"}),
        ({"api_key": KEY, "api_key_origin": "https://b.example"}, {"base_url": OTHER}),
        ({"api_key": KEY, "api_key_origin": OTHER}, {"base_url": OTHER}),
        ({"api_key": KEY, "base_url": OTHER}, {"base_url": None}),
    ],
)
def test_preview_is_what_would_be_saved(
    tmp_path: Path, file: Mapping[str, Any], changes: Mapping[str, Any]
) -> None:
    """The same key for the same address as after saving, whatever the file has; nothing is
    written. A key that would be removed is named by its origin."""
    content = write_settings_file(tmp_path, file)
    preview = preview_settings(tmp_path, changes, {})
    assert (tmp_path / FILE_NAME).read_bytes() == content
    removed = save_settings(tmp_path, changes, {})
    saved = load_settings(tmp_path, {})
    assert (preview.api_key, preview.base_url) == (saved.api_key, saved.base_url)
    assert removed == (not preview.api_key)
    assert bool(preview.withheld_key_origin) == (removed and file.get("base_url") != "no address")


@pytest.mark.parametrize("text", ["{", "[]", '{"api_key": 7}', "\x00", f'{{"api_key": "{KEY}'])
def test_invalid_file_is_replaced_and_kept(tmp_path: Path, text: str) -> None:
    """The next change writes a new file. The old one may contain a key, so it is kept unchanged
    under another name.
    """
    before = write_settings_file(tmp_path, text)
    save_settings(tmp_path, {"max_requests": 3}, {})
    assert stored(tmp_path) == {"max_requests": 3}
    old_files = [path for path in tmp_path.iterdir() if path.name != FILE_NAME]
    assert [path.read_bytes() for path in old_files] == [before]


def test_file_that_cannot_be_opened_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be valid and contain a key: on Windows, another program may have it open."""

    def held(*_: object, **__: object) -> str:
        raise PermissionError(13, "in use")

    save_settings(tmp_path, {"api_key": KEY, "max_requests": 2}, {})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", held)
        with pytest.raises(SettingsError, match="open"):
            save_settings(tmp_path, {"max_requests": 3}, {})
    assert load_settings(tmp_path, {}).api_key == KEY
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_invalid_file_is_unchanged_if_nothing_is_saved(tmp_path: Path) -> None:
    """It is only moved when a new file is written."""
    before = write_settings_file(tmp_path, "{")
    for changes in ({"max_requests": 0}, {"max_requests": None}, {}):
        if changes.get("max_requests") == 0:
            with pytest.raises(SettingsError):
                save_settings(tmp_path, changes, {})
        else:
            save_settings(tmp_path, changes, {})
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_concurrent_changes_are_all_saved(tmp_path: Path) -> None:
    """Sixteen threads save the same or different settings: no change is lost, and no reader sees
    half a file.
    """
    changes: list[dict[str, Any]] = [
        {"api_key": KEY}, {"max_requests": 5}, {"max_body_mb": 7}, {"base64_style": "data-uri"}
    ]  # fmt: skip

    def work(number: int) -> None:
        save_settings(tmp_path, changes[number % 4], {})
        load_settings(tmp_path, {})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(64)))
    settings = load_settings(tmp_path, {})
    assert (settings.api_key, settings.max_requests) == (KEY, 5)
    assert (settings.max_body_mb, settings.base64_style) == (7.0, "data-uri")
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
