"""Key, base URL and limits: where they come from, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pika_api.errors import SettingsError
from pika_api.settings import Settings, find_home, journal_url, load_settings
from pika_api.settings.store import FILE_NAME
from pika_api.settings.values import DEFAULT_BASE_URL, check_base_url
from support.api import KEY


def store(home: Path, value: object) -> None:
    """Write the pack's settings file."""
    (home / FILE_NAME).write_text(value if isinstance(value, str) else json.dumps(value))


def test_without_anything_it_is_the_seeds_gateway_and_no_key(tmp_path: Path) -> None:
    """A missing file and an empty environment are the defaults."""
    assert load_settings(tmp_path / "absent", {}) == Settings()
    assert Settings().base_url == DEFAULT_BASE_URL == "https://api.gpt.ge"


def test_the_file_is_read(tmp_path: Path) -> None:
    """What the editor's settings wrote."""
    store(tmp_path, {
        "api_key": KEY, "base_url": "https://a.example/", "base64_style": "data-uri",
        "max_requests": 3,
    })  # fmt: skip
    assert load_settings(tmp_path, {}) == Settings(KEY, "https://a.example", "data-uri", 3)


def test_the_environment_wins_value_by_value(tmp_path: Path) -> None:
    """A variable replaces its own value; a blank one is as good as none."""
    store(tmp_path, {"api_key": "from-file", "base_url": "https://file.example"})
    environ = {"PIKA_API_KEY": f" {KEY}\n", "PIKA_BASE_URL": "  ", "PIKA_MAX_REQUESTS": "2"}
    assert load_settings(tmp_path, environ) == Settings(KEY, "https://file.example", max_requests=2)


@pytest.mark.parametrize("text", ["{", "", "[]", "7", '{"api_key": 7}', '{"base_url": ["x"]}'])
def test_a_malformed_file_is_named(tmp_path: Path, text: str) -> None:
    """The error says which file, and how it should look."""
    store(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, {})
    assert str(tmp_path / FILE_NAME) in str(caught.value)
    assert "Mend or delete" in str(caught.value)


def test_a_malformed_file_does_not_leak_its_key(tmp_path: Path) -> None:
    """What stands in the broken file is not quoted."""
    store(tmp_path, f'{{"api_key": "{KEY}", oops')
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, {})
    assert KEY not in str(caught.value)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A folder in its place is not the same as no file."""
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(SettingsError):
        load_settings(tmp_path, {})


def test_no_key_is_two_lines_and_names_the_simulator() -> None:
    """What to set, and how to try without one."""
    with pytest.raises(SettingsError) as caught:
        Settings().require_key()
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert "Settings → Pika" in lines[0]
    assert "PIKA_API_KEY" in lines[0]
    assert "python -m simulator" in lines[1]
    Settings(KEY).require_key()


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
def test_https_anywhere_and_http_to_this_machine_are_taken(url: str) -> None:
    """Plain http may only mean this machine."""
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
def test_plain_http_to_elsewhere_is_refused(url: str) -> None:
    """The key would cross the network readable."""
    with pytest.raises(SettingsError, match="readable over the network"):
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
def test_user_info_query_and_fragment_are_refused_unquoted(url: str) -> None:
    """They would be journalled and shown with the address; the message does not repeat them."""
    with pytest.raises(SettingsError) as caught:
        Settings(KEY, url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "api.gpt.ge", "ftp://a.example", "https://", "https://a:port", "https://[::1", "//a"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """Each with the way to a good one."""
    with pytest.raises(SettingsError, match="PIKA_BASE_URL"):
        Settings(KEY, url)


@pytest.mark.parametrize(
    ("url", "one"),
    [
        ("https://API.GPT.GE/", "https://api.gpt.ge"),
        (" https://api.gpt.ge// ", "https://api.gpt.ge"),
        ("HTTPS://Api.Gpt.Ge/V1/", "https://api.gpt.ge/V1"),
        ("https://api.gpt.ge:8443", "https://api.gpt.ge:8443"),
    ],
)
def test_an_address_has_one_written_form(url: str, one: str) -> None:
    """It is part of the fingerprint: another spelling must not be another, paid, task."""
    assert Settings(KEY, url).base_url == one


@pytest.mark.parametrize(
    "key", ["a b", "a\nb", "a\tb", "schlüssel", "a\u200bb", "a\0b", "\u201ca", '"ab"', "'ab'"]
)
def test_a_key_that_cannot_be_a_header_is_refused_unquoted(key: str) -> None:
    """A copied line break or quote fails deep in the transport; the message keeps it secret."""
    with pytest.raises(SettingsError, match="Copy the key again") as caught:
        Settings(key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [{"base64_style": "url"}, {"max_requests": 0}, {"max_requests": 65}],
)
def test_other_values_are_checked(given: dict[str, object]) -> None:
    """Unknown style, too few or too many requests."""
    with pytest.raises(SettingsError, match="Use "):
        Settings(**given)  # type: ignore[arg-type]


def test_requests_are_a_number(tmp_path: Path) -> None:
    """A text in the variable is told by its name."""
    with pytest.raises(SettingsError, match="PIKA_MAX_REQUESTS: 'many'"):
        load_settings(tmp_path, {"PIKA_MAX_REQUESTS": "many"})


def test_the_key_is_in_no_text_of_the_settings() -> None:
    """Neither repr nor str, whole or in part."""
    for text in (repr(Settings(KEY)), str(Settings(KEY)), f"{Settings(KEY)}"):
        assert KEY not in text
        assert KEY[:8] not in text


def test_the_key_id_tells_keys_apart_and_tells_no_key() -> None:
    """16 hexadecimal digits, the same each time, another for each key, nothing of the key in it."""
    ids = {Settings(f"sk-{number}").key_id for number in range(1000)}
    assert len(ids) == 1000
    assert Settings(KEY).key_id == Settings(KEY, "https://a.example").key_id
    assert len(Settings(KEY).key_id) == 16
    int(Settings(KEY).key_id, 16)


def test_home_is_the_chosen_folder_else_comfyuis_else_the_users(tmp_path: Path) -> None:
    """PIKA_HOME; the ComfyUI around the pack; the user's own folder."""
    pack = tmp_path / "custom_nodes" / "pack"
    assert find_home({"PIKA_HOME": str(tmp_path / "h")}, pack) == tmp_path / "h"
    assert find_home({}, pack) == Path.home() / ".pika"
    (tmp_path / "user").mkdir()
    assert find_home({}, pack) == tmp_path / "user" / "__pika"


def test_journal_is_a_file_there_unless_another_is_given(tmp_path: Path) -> None:
    """PIKA_JOURNAL_URL wins."""
    assert journal_url(tmp_path, {}) == f"sqlite:///{tmp_path.as_posix()}/journal.sqlite3"
    assert journal_url(tmp_path, {"PIKA_JOURNAL_URL": "sqlite://"}) == "sqlite://"
