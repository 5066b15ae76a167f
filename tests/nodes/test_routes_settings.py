"""The settings' routes in a real ComfyUI that listens to all addresses and has no key of its own.

What is saved takes effect at once, can be read back by nobody, and is changed by the editor alone.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools import ROOT
from simulator import Simulator
from support.comfy import Comfy
from support.graphs import text_to_video, told
from support.routes import HEADER, ask, done, refused, send, strangers

pytestmark = pytest.mark.comfy


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A ComfyUI without a key that listens beyond this machine; it is reached by 127.0.0.1."""
    base_dir = tmp_path_factory.mktemp("wide")
    with Comfy.start(base_dir, pack=ROOT, extra_args=("--listen", "0.0.0.0")) as running:
        yield running


@pytest.fixture
def fresh(wide: Comfy) -> Comfy:
    """It, with nothing set."""
    file_of(wide).unlink(missing_ok=True)
    return wide


@pytest.fixture
def keyed(fresh: Comfy, gateway: Simulator) -> Comfy:
    """It, with the gateway's key and address, as the editor sets them."""
    done(fresh, "settings", {"api_key": gateway.key, "base_url": gateway.url})
    return fresh


def file_of(comfy: Comfy) -> Path:
    """Where the settings are kept."""
    return comfy.base_dir / "user" / "__pika" / "settings.json"


def test_nothing_set_is_told(fresh: Comfy) -> None:
    """Each setting with its value, where it is from, and what it may be."""
    assert ask(fresh, "settings") == {
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
        "problem": "",
    }  # fmt: skip


def test_a_key_takes_effect_at_once(fresh: Comfy, gateway: Simulator) -> None:
    """Without one a node says where to enter it; once it is saved the next queue makes a video;
    once it is cleared there is none again. No restart in between."""
    assert "Settings → Pika" in told(fresh, text_to_video())
    saved = done(fresh, "settings", {"api_key": gateway.key, "base_url": gateway.url})
    assert saved["api_key"] == {"set": True, "hint": gateway.key[-4:], "source": "file"}
    assert saved["key_cleared"] is False
    assert fresh.run(text_to_video("Set in the editor")).error is None
    assert done(fresh, "settings", {"api_key": None})["api_key"]["set"] is False
    assert "Settings → Pika" in told(fresh, text_to_video())


def test_the_error_without_a_key_is_known_by_its_type(fresh: Comfy) -> None:
    """The editor leads to the settings by it."""
    with fresh.listen("keyless") as events:
        fresh.wait(fresh.queue(text_to_video(), client_id="keyless"))
        error = events.wait_for(lambda event: event.type == "execution_error")
    assert error.data["exception_type"] == "pika.SettingsError"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_nobody_else_on_the_machine_may_read_the_file(keyed: Comfy) -> None:
    """0600."""
    assert stat.S_IMODE(file_of(keyed).stat().st_mode) == 0o600


def test_the_key_can_be_read_back_by_no_route(keyed: Comfy, gateway: Simulator) -> None:
    """Neither by ours nor by any of ComfyUI's that tell what it holds, however one asks for the
    file; and the log has no word of it."""
    assert keyed.run(text_to_video("A secret pear")).error is None
    done(keyed, "connection")
    number = ask(keyed, "tasks")["tasks"][0]["number"]
    file = "__pika/settings.json"
    escapes = [f"..%2F{file}", f"..%2F..%2Fuser%2F{file}", file.replace("/", "%2F")]
    paths = [
        "/pika/settings", "/pika/diagnostics", "/pika/diagnostics?connection=1",
        "/pika/tasks", "/pika/tasks?since=0", f"/pika/tasks/{number}/request",
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
    assert answered >= 30  # they were there to be looked at
    assert gateway.key not in keyed.log_text()


def test_diagnostics_are_told(keyed: Comfy, gateway: Simulator) -> None:
    """For a bug report: what all runs in, and whether all is well; the gateway is asked on request
    alone; with settings that cannot be read it says so."""
    asked = len(gateway.log)
    text = ask(keyed, "diagnostics")["text"]
    assert ": no problems found\n" in text
    version = keyed.get("/system_stats")["system"]["comfyui_version"]
    assert f"\n  ComfyUI {version}\n  ComfyUI's editor 1." in text
    assert len(gateway.log) == asked
    assert "\n  good: " in ask(keyed, "diagnostics?connection=1")["text"]
    file_of(keyed).write_text("{", encoding="utf-8")
    assert "cannot be read" in ask(keyed, "diagnostics")["text"].splitlines()[1]


def test_a_hint_is_of_a_long_key_only(fresh: Comfy) -> None:
    """Four characters of a short key would be much of it."""
    for key, hint in (("short-key", ""), ("twelve-chars", "hars")):
        assert done(fresh, "settings", {"api_key": key})["api_key"]["hint"] == hint


def test_only_the_editor_is_answered(keyed: Comfy) -> None:
    """Nobody else reads or changes anything, by whatever name or page they come."""
    before = file_of(keyed).read_bytes()
    for who, headers in strangers(keyed).items():
        for path in ("settings", "diagnostics", "tasks", "tasks/1/request"):
            answer = keyed.request("GET", f"/pika/{path}", headers=headers)
            assert answer.status_code == 403, (who, path)
        for path in ("settings", "connection", "tasks/1/forget", "tasks/1/refresh"):
            answer = keyed.request(
                "POST", f"/pika/{path}", json={"api_key": "stranger"}, headers=headers
            )
            assert answer.status_code == 403, (who, path)
    assert file_of(keyed).read_bytes() == before


def test_the_machines_own_address_is_known(keyed: Comfy) -> None:
    """Listening to all, it may be opened by any of its addresses."""
    headers = {**HEADER, "Host": "192.168.1.7:8188", "Origin": "http://192.168.1.7:8188"}
    answer = keyed.request("POST", "/pika/settings", json={"max_requests": 7}, headers=headers)
    assert answer.json()["max_requests"]["value"] == 7


def test_a_preflight_grants_nothing(keyed: Comfy) -> None:
    """A foreign page asks whether it may send our header: it is not told that it may."""
    answer = keyed.request("OPTIONS", "/pika/settings", headers={
        "Origin": "https://evil.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-pika-editor,content-type",
    })  # fmt: skip
    assert not any(name.lower().startswith("access-control-allow") for name in answer.headers)


@pytest.mark.parametrize(
    ("given", "status"),
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
def test_what_is_no_change_is_refused(keyed: Comfy, given: dict[str, object], status: int) -> None:
    """A form that a page could send unasked, and what is no small JSON object."""
    before = file_of(keyed).read_bytes()
    headers = {**HEADER, **given.pop("headers", {})}  # type: ignore[dict-item]
    answer = keyed.request("POST", "/pika/settings", headers=headers, **given)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert file_of(keyed).read_bytes() == before


def test_a_get_changes_nothing(keyed: Comfy) -> None:
    """Whatever its query says; and what changes has no GET."""
    before = file_of(keyed).read_bytes()
    keyed.request("GET", "/pika/settings?api_key=x&max_requests=1", headers=HEADER)
    for path in ("connection", "tasks/1/forget", "tasks/1/refresh", "tasks/1/collect"):
        assert keyed.request("GET", f"/pika/{path}", headers=HEADER).status_code in (404, 405)
    assert file_of(keyed).read_bytes() == before


def test_a_bad_value_is_named_and_nothing_changes(keyed: Comfy) -> None:
    """The good one beside it is not saved either."""
    before = file_of(keyed).read_bytes()
    status, code, said = refused(keyed, "settings", {"max_body_mb": 5, "max_requests": 65})
    assert (status, code, said["name"]) == (400, "invalid", "max_requests")
    assert "Use 1 to 64" in said["error"]
    status, code, said = refused(keyed, "settings", {"api_key": "a secret key"})
    assert (status, code, said["name"]) == (400, "invalid", "api_key")
    assert "secret" not in said["error"]
    assert file_of(keyed).read_bytes() == before


def test_a_key_does_not_follow_to_another_address(keyed: Comfy, gateway: Simulator) -> None:
    """It is dropped, the answer says so, and the other address never sees it."""
    with Simulator(key="another-gateways") as other:
        answer = done(keyed, "settings", {"base_url": other.url})
        assert (answer["key_cleared"], answer["api_key"]["set"]) == (True, False)
        assert gateway.key not in file_of(keyed).read_text()
        assert done(keyed, "connection")["verdict"] == "no_key"
        assert other.log == []


def test_the_connection_is_tested_with_what_is_saved(keyed: Comfy, gateway: Simulator) -> None:
    """Good, a bad key, a bad address; no paid request, and no change."""
    paid = len(gateway.charged)
    assert done(keyed, "connection")["verdict"] == "good"
    done(keyed, "settings", {"api_key": "a-wrong-one"})
    found = done(keyed, "connection")
    assert found["verdict"] == "bad_key"
    assert "Invalid token" in found["message"]
    done(keyed, "settings", {"api_key": "x", "base_url": "http://127.0.0.1:9"})
    assert done(keyed, "connection")["verdict"] == "bad_address"
    assert len(gateway.charged) == paid


@pytest.mark.parametrize("text", ["{", '{"base_url": "api.gpt.ge", "max_requests": NaN}'])
def test_what_cannot_be_used_is_told_and_mended(keyed: Comfy, text: str) -> None:
    """The page opens all the same, and says what is wrong; so does a node; the list of tasks is
    there; and the page is where it is mended."""
    file_of(keyed).write_text(text)
    found = ask(keyed, "settings")
    assert found["problem"]
    assert found["problem"].splitlines()[0] in told(keyed, text_to_video())
    ask(keyed, "tasks")
    assert done(keyed, "connection")["verdict"] in ("trouble", "bad_address")
    for change in ({"max_requests": None}, {"base_url": "https://api.gpt.ge"}):
        mended = done(keyed, "settings", change)
    assert mended["problem"] == ""
    assert json.loads(file_of(keyed).read_text())["base_url"] == "https://api.gpt.ge"


def test_a_password_in_a_stored_address_is_not_shown(keyed: Comfy) -> None:
    """An address that cannot be used is told of, not repeated."""
    file_of(keyed).write_text('{"base_url": "https://me:se-cret@a.example"}')
    answer = keyed.request("GET", "/pika/settings", headers=HEADER)
    assert answer.json()["base_url"]["value"] == ""
    assert "PIKA_BASE_URL" in answer.json()["problem"]
    assert "se-cret" not in answer.text


def test_a_file_that_cannot_be_written_is_told(keyed: Comfy) -> None:
    """A folder that is gone and cannot be made: an error with the way out, no 500."""
    home = file_of(keyed).parent
    aside = home.with_name("aside")
    home.rename(aside)
    home.write_text("in the way")
    try:
        status, code, said = refused(keyed, "settings", {"max_requests": 3})
    finally:
        home.unlink()
        aside.rename(home)
    assert (status, code) == (409, "settings")
    assert "cannot be saved" in said["error"]


def test_modules_are_asked_for_again(wide: Comfy) -> None:
    """After an update no browser runs old modules beside new ones."""
    for name in ("js/pika.js", "js/i18n.mjs"):
        answer = wide.request("GET", f"/extensions/ComfyUI-Pika/{name}")
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] in ("no-cache", "no-store")


def test_answers_stay_where_they_are_asked_for(keyed: Comfy) -> None:
    """Answers are kept by no cache, and read by no other origin."""
    headers = send(keyed, "settings", {}).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
