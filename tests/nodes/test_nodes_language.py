"""Messages in the user's language in a real ComfyUI: on the nodes, in errors, in the settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simulator import Simulator
from support.comfy import Comfy
from support.graphs import error_of, generate, node, text_to_video
from support.routes import HEADER, post_ok, save_settings

pytestmark = pytest.mark.comfy

MODERATION = {"error": {"message": "blocked by moderation: knife"}}


def settings_of_comfyui(comfy: Comfy) -> Path:
    """ComfyUI's own settings of its only user."""
    return comfy.base_dir / "user" / "default" / "comfy.settings.json"


@contextmanager
def stored(comfy: Comfy, content: str) -> Iterator[None]:
    """ComfyUI's settings file has this content for a while."""
    file = settings_of_comfyui(comfy)
    before = file.read_bytes() if file.exists() else None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, "utf-8")
    try:
        yield
    finally:
        file.unlink()
        if before is not None:
            file.write_bytes(before)


@contextmanager
def opened_in(comfy: Comfy, language: object) -> Iterator[None]:
    """An editor in this language was opened last, and the user has stored none."""
    with stored(comfy, "{}"):
        post_ok(comfy, "language", {"language": language})
        try:
            yield
        finally:
            post_ok(comfy, "language", {"language": "en"})


def locale(tag: object) -> str:
    """The content of ComfyUI's settings file with this language."""
    return json.dumps({"Comfy.Locale": tag, "Comfy.ColorPalette": "dark"})


def test_error_of_a_node_is_chinese_with_the_gateways_own_words(
    keyed: Comfy, gateway: Simulator
) -> None:
    """The words of the gateway, its status and the address stay as they are; what it means for the
    money and the next step are in the user's language."""
    gateway.fault(on="submit", status=400, body=MODERATION)
    with stored(keyed, locale("zh")):
        message = error_of(keyed, {"1": generate("A Chinese knife")})
    assert "返回 HTTP 400：blocked by moderation: knife" in message
    assert "没有创建任务，因此没有扣费。" in message
    assert "请修改消息中指出的输入，然后再次运行。" in message
    assert "charged" not in message


def test_texts_on_the_nodes_are_chinese(keyed: Comfy, gateway: Simulator) -> None:
    """While a node runs, when a task is reused, when it fails, and in the summary of a list."""
    gateway.fault(on="submit", status=400, body=MODERATION, prompt="zh knife")
    graph = {
        "0": node("ProbeList", lines="zh pear\nzh knife\nzh forbidden plum"),
        "1": generate(["0", 0], on_failure="skip"),
        "2": node("PikaResult", task_id=["1", 0], on_failure="skip"),
    }
    with stored(keyed, locale("zh")), keyed.listen("zh") as events:
        run = keyed.wait(keyed.queue(graph, client_id="zh"))
        assert run.error is None
        events.wait_for(lambda event: "已保存" in str(event.data.get("text")))
        texts = events.texts()
    assert any("正在发送请求" in text for text in texts)
    summary = "已提交 2/3。被拒绝，已跳过：2: «zh knife»: "
    assert any(text.startswith(summary) for text in texts)
    assert any("已保存 1/2。" in text and "网关以错误终止了任务" in text for text in texts)
    ours = " ".join(texts)
    for english in ("Sending", "submitted", "saved", "Refused", "skipped", "charge"):
        assert english not in ours
    again = text_to_video("zh again")
    with stored(keyed, locale("zh-TW")):
        assert "任务 " in keyed.run(again).outputs["1"]["text"][0]
        again["1"]["inputs"]["fit"] = "crop"
        assert "已复用任务" in keyed.run(again).outputs["1"]["text"][0]


def test_missing_key_is_said_in_chinese_and_still_asks_for_the_key(keyless: Comfy) -> None:
    """The editor asks for the key because of the error's type, whatever the language."""
    with stored(keyless, locale("zh")):
        run = keyless.run({"1": generate("A Chinese pear without a key")})
    assert run.error is not None
    assert run.error.type == "pika.SettingsError"
    assert "没有 API 密钥" in run.error.message
    assert "python -m simulator" in run.error.message


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        ({"1": generate(" ")}, "提示词为空。请描述视频要呈现的内容。"),
        ({"1": generate("A pear", extra_json="{")}, "不是有效的 JSON"),
        ({"1": node("PikaPrompts", prompts=" \n"), "2": generate(["1", 0])}, "文本中没有提示词。"),
        ({"1": node("PikaResult", task_id=" ")}, "任务 ID 为空。"),
        ({"1": generate("A pear", image_url="ftp://x")}, "不是 http 或 https 地址。"),
    ],
    ids=["blank", "json", "prompts", "id", "url"],
)
def test_mistakes_in_the_workflow_are_explained_in_chinese(
    keyed: Comfy, graph: dict[str, object], words: str
) -> None:
    """Before the queue starts, and in the nodes."""
    with stored(keyed, locale("zh")):
        message = error_of(keyed, graph)
    assert words in message


@pytest.mark.parametrize("tag", ["zh", "zh-TW", "zh-CN,zh;q=0.9,en;q=0.8"])
def test_language_of_the_editor_counts_while_none_is_stored(keyed: Comfy, tag: str) -> None:
    """ComfyUI stores the language only when the user changes it, so the editor tells it."""
    with opened_in(keyed, tag):
        assert "提示词为空" in error_of(keyed, {"1": generate(" ")})
        with stored(keyed, locale("en")):
            assert "the prompt is blank" in error_of(keyed, {"1": generate(" ")})
    assert "the prompt is blank" in error_of(keyed, {"1": generate(" ")})


@pytest.mark.parametrize(
    "tag",
    ["../../zh", "zh/../zh", "", "x", "zh" * 5000, "中文", None, 7, ["zh"], {"a": "zh"}, "fr"],
)
def test_language_that_is_not_there_means_english(keyed: Comfy, tag: object) -> None:
    """Also one that is no language: it names no file."""
    with opened_in(keyed, tag):
        assert "the prompt is blank" in error_of(keyed, {"1": generate(" ")})
    with stored(keyed, locale(tag)):
        assert "the prompt is blank" in error_of(keyed, {"1": generate(" ")})


@pytest.mark.parametrize("content", ["", "[]", "{", '"zh"', "[" * 100_000, "\ud7ff\x00"])
def test_broken_settings_of_comfyui_mean_english(keyed: Comfy, content: str) -> None:
    """They are ComfyUI's own, and no reason for an error of the pack."""
    with stored(keyed, content):
        assert "the prompt is blank" in error_of(keyed, {"1": generate(" ")})


def test_settings_answer_in_the_language_of_the_request(keyed: Comfy, gateway: Simulator) -> None:
    """The verdict of a test and the error of a field, for several editors at the same time. Without
    a language in the request, the answer has that of the nodes."""

    def verdict(language: str) -> str:
        headers = HEADER | ({"Accept-Language": language} if language else {})
        answer = keyed.request("POST", "/pika/connection", json={}, headers=headers)
        return str(answer.json()["message"])

    english, chinese = "responds and accepts the key", "可以连接，并接受此密钥"
    assert english in verdict("")
    assert chinese in verdict("zh")
    assert chinese in verdict("zh-TW")
    assert english in verdict("en-US")
    assert english in verdict("fr")
    with stored(keyed, locale("zh")):
        assert chinese in verdict("")
        assert english in verdict("en")
    save_settings(keyed, base_url=gateway.url, api_key="wrong-key-0123456789")
    assert "网关不接受此密钥" in verdict("zh")
