"""The settings' routes in a real ComfyUI that has no key and listens on loopback.

What is saved takes effect at once, cannot be read back, and is changed by the editor only.
"""

from __future__ import annotations

import json
import os
import stat

import pytest

from simulator import Simulator
from support.comfy import Comfy
from support.graphs import error_of, text_to_video
from support.routes import (
    HEADER,
    foreign_requests,
    get,
    post,
    post_error,
    post_ok,
    save_settings,
    settings_file,
)

pytestmark = pytest.mark.comfy


def test_settings_have_value_source_and_limits(keyless: Comfy) -> None:
    """Without stored settings all values are defaults."""
    assert get(keyless, "settings") == {
        "api_key": {"set": False, "hint": "", "source": "none"},
        "base_url": {
            "value": "https://api.gpt.ge", "default": "https://api.gpt.ge", "source": "default",
            "locked": "",
        },
        "base64_style": {
            "value": "bare", "default": "bare", "source": "default",
            "choices": ["bare", "data-uri"],
        },
        "max_requests": {"value": 8, "default": 8, "source": "default", "min": 1, "max": 64},
        "max_body_mb": {"value": 10, "default": 10, "source": "default", "min": 0.2, "max": 1000},
        "price": {"value": None, "default": None, "source": "default", "min": 0, "max": 1_000_000},
        "currency": {"value": "", "default": "", "source": "default"},
        "daily_limit": {"value": 0, "default": 0, "source": "default", "min": 0, "max": 1_000_000},
        "run_limit": {"value": 0, "default": 0, "source": "default", "min": 0, "max": 1_000_000},
        "daily_cost_limit": {"value": 0, "default": 0, "source": "default", "min": 0, "max": 10**9},
        "min_balance": {"value": 0, "default": 0, "source": "default", "min": 0, "max": 10**9},
        "problem": "",
    }  # fmt: skip


def test_saved_key_takes_effect_without_a_restart(keyless: Comfy, gateway: Simulator) -> None:
    """Without a key a node's error says where to enter one. When it is saved, the next run ends in
    a video. When it is cleared, the error is back."""
    assert "Settings → Pika" in error_of(keyless, text_to_video())
    saved = save_settings(keyless, api_key=gateway.key, base_url=gateway.url)
    assert saved["api_key"] == {"set": True, "hint": gateway.key[-4:], "source": "file"}
    assert saved["key_cleared"] is False
    assert keyless.run(text_to_video("Set in the editor")).error is None
    assert save_settings(keyless, api_key=None)["api_key"]["set"] is False
    assert "Settings → Pika" in error_of(keyless, text_to_video())


def test_error_without_a_key_has_its_own_type(keyless: Comfy) -> None:
    """The editor opens the dialog for the key by this type."""
    with keyless.listen("keyless") as events:
        keyless.wait(keyless.queue(text_to_video(), client_id="keyless"))
        error = events.wait_for(lambda event: event.type == "execution_error")
    assert error.data["exception_type"] == "pika.SettingsError"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_other_users_cannot_read_the_settings_file(keyed: Comfy) -> None:
    """Its mode is 0600."""
    assert stat.S_IMODE(settings_file(keyed).stat().st_mode) == 0o600


def test_no_route_returns_the_key(keyed: Comfy, gateway: Simulator) -> None:
    """Neither a route of the pack nor one of ComfyUI's that lists or serves files, whatever the
    spelling of the path. The log does not contain the key either."""
    assert keyed.run(text_to_video("A secret pear")).error is None
    post_ok(keyed, "connection")
    number = get(keyed, "tasks")["tasks"][0]["number"]
    file = "__pika/settings.json"
    escapes = [f"..%2F{file}", f"..%2F..%2Fuser%2F{file}", file.replace("/", "%2F")]
    paths = [
        "/pika/settings", "/pika/diagnostics", "/pika/diagnostics?connection=1",
        "/pika/tasks", "/pika/tasks?since=0", "/pika/ledger.csv",
        "/pika/totals", f"/pika/tasks/{number}/request",
        f"/pika/tasks/{number}/poster", "/settings", "/settings/Pika", "/users", "/history",
        "/queue", "/prompt", "/object_info", "/system_stats", "/extensions", "/i18n",
        "/internal/logs", "/internal/logs/raw", "/internal/folder_paths",
        "/userdata?dir=", "/userdata?dir=.&recurse=true&full_info=true", "/v2/userdata?path=",
        *(f"/userdata/{escape}" for escape in escapes),
        *(f"/internal/files/{escape}" for escape in escapes),
        *(f"/extensions/{escape}" for escape in escapes),
        *(
            f"/view?filename=settings.json&type={kind}&subfolder=..%2Fuser%2F__pika"
            for kind in ("input", "output", "temp")
        ),
    ]  # fmt: skip
    answered = 0
    for path in (*paths, *(f"/api{path}" for path in paths)):
        answer = keyed.request("GET", path, headers=HEADER)
        answered += answer.ok
        assert gateway.key.encode() not in answer.content, path
        assert gateway.key not in str(answer.headers), path
    assert answered >= 30  # these routes exist
    assert gateway.key not in keyed.log_text()


def test_diagnostics_have_versions_and_state(keyed: Comfy, gateway: Simulator) -> None:
    """The text for a bug report has the versions and the state of the pack. The gateway is asked
    only on request. If the settings cannot be read, the text says so."""
    asked = len(gateway.log)
    text = get(keyed, "diagnostics")["text"]
    assert ": no problems found\n" in text
    version = keyed.get("/system_stats")["system"]["comfyui_version"]
    assert f"\n  ComfyUI {version}\n  ComfyUI's editor 1." in text
    assert len(gateway.log) == asked
    assert "\n  good: " in get(keyed, "diagnostics?connection=1")["text"]
    settings_file(keyed).write_text("{", encoding="utf-8")
    assert "cannot be read" in get(keyed, "diagnostics")["text"].splitlines()[1]


def test_short_key_has_no_hint(keyless: Comfy) -> None:
    """The last four characters of a short key would reveal much of it."""
    for key, hint in (("short-key", ""), ("twelve-chars", "hars")):
        assert save_settings(keyless, api_key=key)["api_key"]["hint"] == hint


def test_foreign_requests_are_refused(keyed: Comfy) -> None:
    """No foreign page or host name can read or change anything."""
    before = settings_file(keyed).read_bytes()
    for origin, headers in foreign_requests(keyed).items():
        for path in ("settings", "diagnostics", "tasks", "tasks/1/request"):
            answer = keyed.request("GET", f"/pika/{path}", headers=headers)
            assert answer.status_code == 403, (origin, path)
        for path in ("settings", "connection", "tasks/1/forget", "tasks/1/refresh"):
            answer = keyed.request(
                "POST", f"/pika/{path}", json={"api_key": "of-a-stranger"}, headers=headers
            )
            assert answer.status_code == 403, (origin, path)
    assert settings_file(keyed).read_bytes() == before


@pytest.mark.parametrize("host", ["192.168.1.7:8188", "192.168.1.7"])
def test_own_address_is_accepted_only_beyond_loopback(
    comfy: Comfy, keyed: Comfy, host: str
) -> None:
    """A ComfyUI that listens on all addresses can be opened by any of them, one on loopback by
    loopback only."""
    headers = {**HEADER, "Host": host, "Origin": f"http://{host}"}
    for listens_on, status in ((comfy, 200), (keyed, 403)):
        answer = listens_on.request("POST", "/pika/settings", json={}, headers=headers)
        assert answer.status_code == status
        answer = listens_on.request("GET", "/pika/tasks", headers=headers)
        assert answer.status_code == status


def test_preflight_allows_nothing(keyed: Comfy) -> None:
    """A foreign page that asks whether it may send our header gets no permission."""
    answer = keyed.request("OPTIONS", "/pika/settings", headers={
        "Origin": "https://evil.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-pika-editor,content-type",
    })  # fmt: skip
    assert not any(name.lower().startswith("access-control-allow") for name in answer.headers)


@pytest.mark.parametrize(
    ("request_data", "status"),
    [
        ({"data": '{"api_key": "x"}', "headers": {"Content-Type": "text/plain"}}, 415),
        ({"data": {"api_key": "x"}}, 415),
        ({"files": {"api_key": "x"}}, 415),
        ({"data": b"", "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": b"\xff{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": b"[" * 60_000, "headers": {"Content-Type": "application/json"}}, 400),
        ({"json": [["api_key", "x"]]}, 400),
        ({"json": {"api_key": "x" * 100_000}}, 413),
    ],
)
def test_body_other_than_a_small_json_object_is_refused(
    keyed: Comfy, request_data: dict[str, object], status: int
) -> None:
    """Also a form, which a page could send without a preflight."""
    before = settings_file(keyed).read_bytes()
    headers = {**HEADER, **request_data.pop("headers", {})}  # type: ignore[dict-item]
    answer = keyed.request("POST", "/pika/settings", headers=headers, **request_data)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert settings_file(keyed).read_bytes() == before


def test_get_changes_nothing(keyed: Comfy) -> None:
    """A query is ignored, and the routes that change something have no GET."""
    before = settings_file(keyed).read_bytes()
    keyed.request("GET", "/pika/settings?api_key=x&max_requests=1", headers=HEADER)
    for path in ("connection", "tasks/1/forget", "tasks/1/refresh", "tasks/1/collect"):
        assert keyed.request("GET", f"/pika/{path}", headers=HEADER).status_code in (404, 405)
    assert settings_file(keyed).read_bytes() == before


def test_bad_value_is_named_and_nothing_is_saved(keyed: Comfy) -> None:
    """A good value in the same request is not saved either."""
    before = settings_file(keyed).read_bytes()
    status, code, answer = post_error(keyed, "settings", {"max_body_mb": 5, "max_requests": 65})
    assert (status, code, answer["name"]) == (400, "invalid", "max_requests")
    assert "Use 1 to 64" in answer["error"]
    status, code, answer = post_error(keyed, "settings", {"api_key": "a secret key"})
    assert (status, code, answer["name"]) == (400, "invalid", "api_key")
    assert "secret" not in answer["error"]
    assert settings_file(keyed).read_bytes() == before


def test_new_address_removes_the_key(keyed: Comfy, gateway: Simulator) -> None:
    """The answer says so, and the new address never gets the key."""
    with Simulator(key="another-gateways") as other:
        answer = save_settings(keyed, base_url=other.url)
        assert (answer["key_cleared"], answer["api_key"]["set"]) == (True, False)
        assert gateway.key not in settings_file(keyed).read_text()
        assert post_ok(keyed, "connection")["verdict"] == "no_key"
        assert other.log == []


def test_connection_test_uses_the_saved_settings(keyed: Comfy, gateway: Simulator) -> None:
    """It reports a good key, a bad key and a bad address. It sends no paid request."""
    paid = len(gateway.charged)
    assert post_ok(keyed, "connection")["verdict"] == "good"
    save_settings(keyed, api_key="a-wrong-one")
    result = post_ok(keyed, "connection")
    assert result["verdict"] == "bad_key"
    assert "Invalid token" in result["message"]
    save_settings(keyed, api_key="x", base_url="http://127.0.0.1:9")
    assert post_ok(keyed, "connection")["verdict"] == "bad_address"
    assert len(gateway.charged) == paid


def test_connection_test_uses_what_is_typed_and_saves_nothing(
    keyed: Comfy, gateway: Simulator
) -> None:
    """A typed key or address is tested in place of the saved one. The saved key is not sent to a
    typed address of another gateway; a typed key is."""
    before = settings_file(keyed).read_bytes()
    assert post_ok(keyed, "connection", {"api_key": "a-wrong-one"})["verdict"] == "bad_key"
    spelled = {"base_url": f"{gateway.url}/"}
    assert post_ok(keyed, "connection", spelled)["verdict"] == "good"
    with Simulator(key="another-gateways") as other:
        result = post_ok(keyed, "connection", {"base_url": other.url})
        assert result["verdict"] == "no_key"
        assert gateway.url in result["message"]
        assert other.url in result["message"]
        assert other.log == []
        both = {"base_url": other.url, "api_key": other.key}
        assert post_ok(keyed, "connection", both)["verdict"] == "good"
        assert not [each for each in other.log if gateway.key in str(each)]
    for typed, verdict in (
        ({"base_url": "api.gpt.ge"}, "bad_address"),
        ({"base_url": 7}, "bad_address"),
        ({"api_key": "a key"}, "bad_key"),
        ({"api_key": ["x"]}, "bad_key"),
    ):
        assert post_ok(keyed, "connection", typed)["verdict"] == verdict
    assert settings_file(keyed).read_bytes() == before


def test_typed_address_does_not_get_the_key_of_the_environment(
    comfy: Comfy, gateway: Simulator
) -> None:
    """Where the key comes from the environment, its address does, too."""
    with Simulator(key=gateway.key) as other:
        result = post_ok(comfy, "connection", {"base_url": other.url})
        assert result["verdict"] == "trouble"
        assert other.log == []


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"api_key": "a-wrong-one"}, "网关不接受此密钥"),
        ({"base_url": "http://127.0.0.1:9", "api_key": "x"}, "无法连接"),
        ({"base_url": "https://other.example"}, "不会发送到"),
        ({"base_url": "nothing"}, "不是 http 或 https 地址"),
        ({"api_key": "a key"}, "密钥中有引号"),
        ({}, "接受此密钥"),
    ],
)
def test_verdict_is_in_the_language_of_the_editor(
    keyed: Comfy, typed: dict[str, str], words: str
) -> None:
    """In Chinese, whatever the verdict. It does not send the user to the page where they are."""
    headers = {**HEADER, "Accept-Language": "zh"}
    answer = keyed.request("POST", "/pika/connection", json=typed, headers=headers).json()
    assert words in answer["message"]
    assert "Pika”" not in answer["message"]


def test_page_does_not_send_the_user_to_itself(keyless: Comfy) -> None:
    """Neither without a key, nor with a key of another address, nor with a broken file."""
    folder = settings_file(keyless)
    texts = []
    for content in (
        "{}",
        '{"api_key": "x", "api_key_origin": "https://a.example", "base_url": "https://b.example"}',
        "{",
    ):
        folder.write_text(content)
        texts += [get(keyless, "settings")["problem"], post_ok(keyless, "connection")["message"]]
    assert [text for text in texts if "Settings" in text] == []
    assert sum(bool(text) for text in texts) == 5


@pytest.mark.parametrize("text", ["{", '{"base_url": "api.gpt.ge", "max_requests": NaN}'])
def test_unusable_settings_are_reported_and_can_be_corrected(keyed: Comfy, text: str) -> None:
    """The page still opens and names the problem, and so does a node. The list of tasks still
    works. A change on the page corrects the settings."""
    settings_file(keyed).write_text(text)
    settings = get(keyed, "settings")
    assert settings["problem"]
    assert settings["problem"].splitlines()[0] in error_of(keyed, text_to_video())
    get(keyed, "tasks")
    assert post_ok(keyed, "connection")["verdict"] in ("trouble", "bad_address")
    for change in ({"max_requests": None}, {"base_url": "https://api.gpt.ge"}):
        settings = post_ok(keyed, "settings", change)
    assert settings["problem"] == ""
    assert json.loads(settings_file(keyed).read_text())["base_url"] == "https://api.gpt.ge"


def test_password_in_a_stored_address_is_not_returned(keyed: Comfy) -> None:
    """An unusable address is reported, but not repeated."""
    settings_file(keyed).write_text('{"base_url": "https://me:se-cret@a.example"}')
    answer = keyed.request("GET", "/pika/settings", headers=HEADER)
    assert answer.json()["base_url"]["value"] == ""
    assert "PIKA_BASE_URL" in answer.json()["problem"]
    assert "se-cret" not in answer.text


def test_settings_that_cannot_be_written_are_an_error(keyed: Comfy) -> None:
    """If the folder is missing and cannot be created, the answer has the next step; it is not a
    500."""
    folder = settings_file(keyed).parent
    moved = folder.with_name("moved")
    folder.rename(moved)
    folder.write_text("a file with the folder's name")
    try:
        status, code, answer = post_error(keyed, "settings", {"max_requests": 3})
    finally:
        folder.unlink()
        moved.rename(folder)
    assert (status, code) == (409, "settings")
    assert "cannot be saved" in answer["error"]


def test_browsers_revalidate_the_packs_modules(keyless: Comfy) -> None:
    """After an update no browser runs old modules together with new ones."""
    for name in ("js/pika.js", "js/i18n.mjs"):
        answer = keyless.request("GET", f"/extensions/ComfyUI-Pika/{name}")
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] in ("no-cache", "no-store")


def test_answers_are_not_cached_and_same_origin_only(keyed: Comfy) -> None:
    """No cache stores an answer, and no other origin can read it."""
    headers = post(keyed, "settings", {}).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
