"""Key, base URL and limits: their sources, and which values are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pika_api.errors import SettingsError
from pika_api.settings import Settings, find_home, is_loopback, journal_url, load_settings
from pika_api.settings.store import FILE_NAME
from pika_api.settings.values import DEFAULT_BASE_URL, DEFAULTS, check_base_url, check_setting
from support.api import KEY


def store(home: Path, value: object) -> None:
    """Write the pack's settings file."""
    (home / FILE_NAME).write_text(value if isinstance(value, str) else json.dumps(value))


def test_defaults_are_the_specified_gateway_and_no_key(tmp_path: Path) -> None:
    """Without a file and with an empty environment."""
    assert load_settings(tmp_path / "absent", {}) == Settings()
    assert Settings().base_url == DEFAULT_BASE_URL == "https://api.gpt.ge"


def test_settings_file_is_read(tmp_path: Path) -> None:
    """As the editor writes it."""
    store(tmp_path, {
        "api_key": KEY, "base_url": "https://a.example/", "base64_style": "data-uri",
        "max_requests": 3,
    })  # fmt: skip
    assert load_settings(tmp_path, {}) == Settings(KEY, "https://a.example", "data-uri", 3)


def test_environment_overrides_single_values(tmp_path: Path) -> None:
    """A variable replaces its own value only; a blank variable counts as unset."""
    store(tmp_path, {"api_key": "from-file", "base_url": "https://file.example"})
    environ = {"PIKA_API_KEY": f" {KEY}\n", "PIKA_BASE_URL": "  ", "PIKA_MAX_REQUESTS": "2"}
    assert load_settings(tmp_path, environ) == Settings(KEY, "https://file.example", max_requests=2)


@pytest.mark.parametrize("text", ["{", "", "[]", "7", '{"api_key": 7}', '{"base_url": ["x"]}'])
def test_invalid_file_is_an_error(tmp_path: Path, text: str) -> None:
    """The error names the file, and says what it should look like."""
    store(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, {})
    assert str(tmp_path / FILE_NAME) in str(caught.value)
    assert "repair or delete" in str(caught.value)


def test_error_about_an_invalid_file_does_not_contain_the_key(tmp_path: Path) -> None:
    """The content of the file is not quoted."""
    store(tmp_path, f'{{"api_key": "{KEY}", oops')
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, {})
    assert KEY not in str(caught.value)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A folder in its place is not the same as no file."""
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(SettingsError):
        load_settings(tmp_path, {})


def test_missing_key_names_settings_and_simulator() -> None:
    """Two lines: what to set, and how to try without a key."""
    with pytest.raises(SettingsError) as caught:
        Settings().require_key()
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert "Settings → Pika" in lines[0]
    assert "PIKA_API_KEY" in lines[0]
    assert "python -m simulator" in lines[1]
    Settings(KEY).require_key()


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True),
        ("0.0.0.0", False), ("192.168.0.1", False), ("example.com", False), ("", False),
        ("localhost.example.com", False), ("127.0.0.1.example.com", False),
    ],
)  # fmt: skip
def test_loopback_hosts(host: str, loopback: bool) -> None:
    """Loopback addresses and the name localhost; no other name, whatever it resolves to."""
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000",
        "http://127.8.9.1",
        "http://[::1]:8000",
        "http://localhost:1",
        "http://LOCALHOST",
        "https://example.com",
        "https://192.168.0.1:8443/api",
    ],
)
def test_https_anywhere_and_http_to_this_machine_are_accepted(url: str) -> None:
    """Plain http may only go to this machine."""
    assert check_base_url(url) == url.lower()


@pytest.mark.parametrize(
    "url",
    [
        "http://192.168.1.2:8000",
        "http://10.0.0.1",
        "http://0.0.0.0:1",
        "http://example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://[fe80::1]",
        "HTTP://api.gpt.ge",
    ],
)
def test_plain_http_to_another_machine_is_refused(url: str) -> None:
    """The key would cross the network unencrypted."""
    with pytest.raises(SettingsError, match="send the key unencrypted"):
        Settings(KEY, url)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:secret@example.com",
        "https://user@example.com",
        "https://example.com?key=secret",
        "https://example.com/#secret",
        "http://localhost\\@example.com/",
    ],
)
def test_user_name_query_and_fragment_are_refused(url: str) -> None:
    """They would be stored and shown with the address. The message does not repeat them."""
    with pytest.raises(SettingsError) as caught:
        Settings(KEY, url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "api.gpt.ge", "ftp://a.example", "https://", "https://a:port", "https://[::1", "//a"],
)
def test_invalid_address_is_refused(url: str) -> None:
    """The error names the setting."""
    with pytest.raises(SettingsError, match="PIKA_BASE_URL"):
        Settings(KEY, url)


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://API.GPT.GE/", "https://api.gpt.ge"),
        (" https://api.gpt.ge// ", "https://api.gpt.ge"),
        ("HTTPS://Api.Gpt.Ge/V1/", "https://api.gpt.ge/V1"),
        ("https://api.gpt.ge:8443", "https://api.gpt.ge:8443"),
    ],
)
def test_base_url_has_one_normal_form(url: str, normal: str) -> None:
    """It is part of the fingerprint: another spelling must not be another, paid, task."""
    assert Settings(KEY, url).base_url == normal


@pytest.mark.parametrize(
    "key", ["a b", "a\nb", "a\tb", "schlüssel", "a\u200bb", "a\0b", "\u201ca", '"ab"', "'ab'"]
)
def test_key_that_cannot_be_a_header_is_refused(key: str) -> None:
    """A copied line break or quotation mark would fail deep in the transport. The message does not
    contain the key.
    """
    with pytest.raises(SettingsError, match="Copy the key again") as caught:
        Settings(key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [{"base64_style": "url"}, {"max_requests": 0}, {"max_requests": 65}],
)
def test_invalid_style_and_count_are_refused(values: dict[str, object]) -> None:
    """The error says which values are allowed."""
    with pytest.raises(SettingsError, match="Use "):
        Settings(**values)  # type: ignore[arg-type]


def test_text_in_a_numeric_variable_is_refused(tmp_path: Path) -> None:
    """The error names the variable."""
    with pytest.raises(SettingsError, match="PIKA_MAX_REQUESTS: 'many'"):
        load_settings(tmp_path, {"PIKA_MAX_REQUESTS": "many"})


def test_key_is_not_in_repr_or_str() -> None:
    """Neither complete nor in part."""
    for text in (repr(Settings(KEY)), str(Settings(KEY)), f"{Settings(KEY)}"):
        assert KEY not in text
        assert KEY[:8] not in text


def test_key_id_identifies_a_key_without_revealing_it() -> None:
    """16 hexadecimal digits, always the same for a key, and different for each key."""
    ids = {Settings(f"sk-{number}").key_id for number in range(1000)}
    assert len(ids) == 1000
    assert Settings(KEY).key_id == Settings(KEY, "https://a.example").key_id
    assert len(Settings(KEY).key_id) == 16
    int(Settings(KEY).key_id, 16)


def test_home_is_chosen_in_order(tmp_path: Path) -> None:
    """PIKA_HOME; the ComfyUI around the pack; the home folder of the user."""
    pack = tmp_path / "custom_nodes" / "pack"
    assert find_home({"PIKA_HOME": str(tmp_path / "h")}, pack) == tmp_path / "h"
    assert find_home({}, pack) == Path.home() / ".pika"
    (tmp_path / "user").mkdir()
    assert find_home({}, pack) == tmp_path / "user" / "__pika"


def test_journal_url_is_a_file_in_home_by_default(tmp_path: Path) -> None:
    """PIKA_JOURNAL_URL replaces it."""
    url = journal_url(tmp_path, {})
    assert url == sa.make_url(f"sqlite:///{tmp_path.as_posix()}/journal.sqlite3")
    assert journal_url(tmp_path, {"PIKA_JOURNAL_URL": "sqlite://"}) == "sqlite://"


@pytest.mark.parametrize(
    "url",
    ["https://api\ud800.example", "https://api\x00.example", "https://api.example/\x1b[2J",
     "https://api.example/a b", "https://api.example/\udfff"],
)  # fmt: skip
def test_address_that_cannot_be_sent_or_stored_is_refused(url: str) -> None:
    """Surrogates, control characters and blanks, in the host and in the path."""
    with pytest.raises(SettingsError, match=r"cannot be sent|not a valid address"):
        Settings(KEY, url)


@pytest.mark.parametrize("name", [name for name, value in DEFAULTS.items() if type(value) is int])
def test_counts_are_whole_numbers(name: str) -> None:
    """Also from the environment, where every value is a text: a message says 3 and not 3.0."""
    value = check_setting(name, "3")
    assert (value, type(value)) == (3, int)
    with pytest.raises(SettingsError, match="not a whole number"):
        check_setting(name, "2.5")


@pytest.mark.parametrize("value", ["", 0, 0.25, "0.25", 1_000_000])
def test_price_is_a_number_or_not_set(value: Any) -> None:
    """Nothing in the environment or the file means that it is learned."""
    environ = {} if value == "" else {"PIKA_PRICE": str(value)}
    assert load_settings(Path("nowhere"), environ).price == (None if value == "" else float(value))


@pytest.mark.parametrize("value", [-1, 1_000_001, float("nan"), True, "free", {}])
def test_bad_price_is_refused(value: Any) -> None:
    """The message names the setting."""
    with pytest.raises(SettingsError, match="PIKA_PRICE"):
        check_setting("price", value)


@pytest.mark.parametrize("value", [5, None, "x" * 13, "a\nb", "<b>", "a&b"])
def test_bad_currency_is_refused(value: Any) -> None:
    """Only a short text without markup; it is displayed on nodes and in the sidebar."""
    with pytest.raises(SettingsError, match="PIKA_CURRENCY"):
        check_setting("currency", value)
    assert check_setting("currency", " CN¥ ") == "CN¥"
