"""One gateway has one identity, however its address is written."""

from __future__ import annotations

import pytest

from pika_api.settings import Settings, gateway_of

_SAME = {
    "https://api.gpt.ge": [
        "https://API.GPT.ge",
        "https://api.gpt.ge.",
        "https://api.gpt.ge:443",
        "https://api.gpt.ge/",
        "https://api.gpt.ge//",
        "https://api.gpt.ge/./v1/..",
        " https://api.gpt.ge ",
    ],
    "https://api.gpt.ge/a%20b/~me": [
        "https://api.gpt.ge//a%20b/%7Eme/",
        "https://api.gpt.ge/a%20b/%7eme",
    ],
    "https://xn--bcher-kva.example": ["https://bücher.example", "https://BÜCHER.example."],
    "http://[::1]:8080": ["http://[0:0:0:0:0:0:0:1]:8080/"],
}
_DIFFERENT = [
    "https://api.gpt.ge",
    "http://127.0.0.1",
    "https://api.gpt.ge/v1",
    "https://api.gpt.ge/V1",
    "https://api.gpt.ge/a%2Fb",
    "https://api.gpt.ge/a/b",
    "https://api.gpt.ge:8443",
    "https://gpt.ge",
]


@pytest.mark.parametrize("normal", _SAME)
def test_spellings_of_an_address_are_one_gateway(normal: str) -> None:
    """Each spelling has the identity of the normal form, which is its own identity."""
    assert {gateway_of(each) for each in [normal, *_SAME[normal]]} == {normal}


def test_other_places_are_other_gateways() -> None:
    """Another scheme, host, port or path is another gateway."""
    assert len({gateway_of(each) for each in _DIFFERENT}) == len(_DIFFERENT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not an address",
        "https://[::1",
        "https://a:99999",
        "file:///x",
        f"https://{'ü' * 64}.example",
    ],
)
def test_a_text_that_is_no_address_is_its_own_identity(text: str) -> None:
    """An old journal may contain anything; nothing is raised."""
    assert gateway_of(text) == text


def test_settings_tell_their_gateway() -> None:
    """The address that is used stays as the user wrote it; its identity is normal."""
    settings = Settings(base_url="https://API.gpt.ge./")
    assert settings.base_url == "https://api.gpt.ge."
    assert settings.gateway == "https://api.gpt.ge"
