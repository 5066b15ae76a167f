"""The page Settings → Pika, where a key is set, tried and taken away, and cannot be read back; and
the way there from a run without one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from devtools.comfyui.pages import EXAMPLES, open_editor, open_workflow, press_run, wait_for_video
from simulator import Simulator
from support.comfy import Comfy
from support.editor import assert_quiet, open_settings, set_up, settings_file, wear, worst_contrast

if TYPE_CHECKING:
    from playwright.sync_api import Page, Response, Route

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]


def test_a_key_is_set_tried_and_cleared(
    comfy: Comfy, gateway: Simulator, page: Page, page_errors: PageErrors
) -> None:
    """A pasted key is saved at Enter, its field is empty then, and neither the page nor any answer
    of the server has it; the test of the connection says good; Clear takes it away."""
    set_up(comfy, base_url=gateway.url)
    answers: list[str] = []

    def keep(response: Response) -> None:
        if "/pika/" in response.url or response.url.endswith("/settings"):
            answers.append(response.text())

    page.on("response", keep)
    open_editor(page, comfy.url)
    shown = open_settings(page)
    shown.get_by_text("No key yet").wait_for()
    field = shown.locator(".pika-field").get_by_label("API key")
    save = shown.get_by_role("button", name="Save")
    assert save.is_disabled()
    field.fill(gateway.key)
    field.press("Enter")
    shown.get_by_text(f"Set · ends in {gateway.key[-4:]}").wait_for()
    assert field.input_value() == ""
    assert json.loads(settings_file(comfy).read_text("utf-8"))["api_key"] == gateway.key
    shown.get_by_role("button", name="Test connection").click()
    shown.locator(".pika-note.good").filter(has_text="accepts the key").wait_for()
    open_editor(page, comfy.url)
    shown = open_settings(page)
    shown.get_by_text(f"Set · ends in {gateway.key[-4:]}").wait_for()
    assert gateway.key not in page.content()
    assert len(answers) >= 4
    assert not [answer for answer in answers if gateway.key in answer]
    shown.get_by_role("button", name="Clear").click()
    shown.get_by_text("No key yet").wait_for()
    assert "api_key" not in json.loads(settings_file(comfy).read_text("utf-8"))
    assert_quiet(page_errors)


def test_other_settings_save_themselves(comfy: Comfy, gateway: Simulator, page: Page) -> None:
    """A number is saved once its field is left; a bad one is refused in the server's words beside
    it, and nothing changes; an emptied field is the default again; a new address drops the key,
    and says so."""
    set_up(comfy, base_url=gateway.url, api_key=gateway.key)
    open_editor(page, comfy.url)
    shown = open_settings(page)
    number = shown.locator(".pika-field").get_by_label("Concurrent requests")
    number.fill("3")
    number.press("Tab")
    number.locator("..").get_by_text("Saved").wait_for()
    stored = settings_file(comfy)
    assert json.loads(stored.read_text("utf-8"))["max_requests"] == 3
    number.fill("0")
    number.press("Enter")
    shown.locator(".pika-note.bad").wait_for()
    assert number.get_attribute("aria-invalid") == "true"
    assert json.loads(stored.read_text("utf-8"))["max_requests"] == 3
    number.fill("")
    number.press("Enter")
    shown.locator(".pika-note.bad").wait_for(state="detached")
    assert "max_requests" not in json.loads(stored.read_text("utf-8"))
    style = shown.locator(".pika-field").get_by_label("Base64 style")
    style.select_option("data: URI")
    # Beside this one: the number's is still there for a moment.
    style.locator("..").get_by_text("Saved").wait_for()
    assert json.loads(stored.read_text("utf-8"))["base64_style"] == "data-uri"
    address = shown.locator(".pika-field").get_by_label("Base URL")
    address.fill("https://elsewhere.example")
    address.press("Enter")
    shown.get_by_text("The stored API key was removed").wait_for()
    shown.get_by_text("No key yet").wait_for()
    assert "api_key" not in json.loads(stored.read_text("utf-8"))


def test_diagnostics_are_copied(comfy: Comfy, gateway: Simulator, page: Page) -> None:
    """A click puts a text for a bug report into the clipboard, without the key; where the browser
    refuses, the text is shown and selected."""
    set_up(comfy, base_url=gateway.url, api_key=gateway.key)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_editor(page, comfy.url)
    shown = open_settings(page)
    copy = shown.get_by_role("button", name="Copy diagnostics")
    copy.click()
    shown.get_by_text("Copied. Paste it into your bug report.").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("ComfyUI-Pika ")
    for words in (": no problems found\n", "  ComfyUI 0.", "  good: ", "  api_key: set (file)"):
        assert words in copied, words
    assert gateway.key not in copied
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(Error('no')) }")
    copy.click()
    page.get_by_text("press Ctrl+C").wait_for()
    assert page.evaluate("String(getSelection())").startswith("ComfyUI-Pika ")
    page.keyboard.press("Escape")
    set_up(comfy, api_key=None)


def test_the_environment_wins(comfy: Comfy, page: Page) -> None:
    """What a variable sets cannot be changed here, and the page names the variable; the address is
    fixed too while the key is the environment's."""

    def laid_over(route: Route) -> None:
        told = route.fetch()
        settings = told.json()
        settings["api_key"] = {"set": True, "hint": "abcd", "source": "environment"}
        settings["base_url"]["locked"] = "key"
        settings["max_body_mb"]["source"] = "environment"
        route.fulfill(response=told, json=settings)

    page.route("**/pika/settings", laid_over)
    open_editor(page, comfy.url)
    shown = open_settings(page)
    shown.get_by_text("Set by the environment variable PIKA_API_KEY · ends in abcd").wait_for()
    shown.get_by_text("Set by the environment variable PIKA_MAX_BODY_MB").wait_for()
    shown.get_by_text("Locked: the API key comes from an environment variable").wait_for()
    for label in ("API key", "Base URL", "Maximum request size (MB)"):
        assert shown.locator(".pika-field").get_by_label(label).is_disabled()
    assert shown.get_by_role("button", name="Save").is_disabled()
    assert shown.get_by_role("button", name="Clear").is_disabled()
    assert shown.locator(".pika-field").get_by_label("Concurrent requests").is_enabled()


def test_in_chinese_and_light(comfy: Comfy, page: Page) -> None:
    """In Chinese nothing of the page is English, and in the light theme every text of it can be
    read; what is stored and cannot be used is told, and the page can still mend it."""
    stored = settings_file(comfy)
    stored.write_text("{not JSON", "utf-8")
    wear(comfy, Locale="zh", ColorPalette="light")
    try:
        open_editor(page, comfy.url)
        shown = open_settings(page)
        shown.get_by_text("已保存的设置无法使用").wait_for()
        for text in ("网关", "请求", "接口地址", "测试连接", "并发请求数", "复制诊断信息"):
            assert shown.get_by_text(text, exact=True).count() >= 1, text
        for text in ("Gateway", "Requests", "Base URL", "API key", "Save"):
            assert shown.get_by_text(text, exact=True).count() == 0, text
        ratio, text = worst_contrast(page, ".pika-field")
        assert ratio >= 4.5, text
        shown.locator(".pika-field").get_by_label("API 密钥").fill("a-new-key-of-some-length")
        shown.get_by_role("button", name="保存").click()
        shown.get_by_text("已设置 · 末四位 ngth").wait_for()
    finally:
        wear(comfy, Locale="en", ColorPalette="dark")
        set_up(comfy, api_key=None, max_requests=None)


def test_from_no_key_to_a_video(
    comfy: Comfy, gateway: Simulator, page: Page, page_errors: PageErrors
) -> None:
    """The run that misses the key opens our dialog in place of ComfyUI's error; a wrong key is told
    so and asked for again; with the right one, one press runs again and the video plays."""
    set_up(comfy, base_url=gateway.url)
    open_editor(page, comfy.url)
    open_workflow(page, EXAMPLES / "pika_text_to_video.json")
    press_run(page)
    dialog = page.get_by_role("dialog", name="Pika needs an API key")
    dialog.wait_for()
    page.locator(".comfy-error-report").wait_for(state="detached")
    field = dialog.get_by_label("API key")
    assert field.evaluate("(input) => input === document.activeElement")
    field.fill("not-the-key-of-this-gateway")
    field.press("Enter")
    dialog.locator(".pika-note.bad").wait_for()
    assert dialog.get_by_role("button", name="Run again").is_hidden()
    field.fill(gateway.key)
    dialog.get_by_role("button", name="Save key").click()
    dialog.locator(".pika-note.good").wait_for()
    assert gateway.charged == []
    dialog.get_by_role("button", name="Run again").click()
    wait_for_video(page)
    assert len(gateway.charged) == 1
    assert page.locator("dialog").count() == 0
    assert_quiet(page_errors)


def test_a_broken_setting_leads_to_the_settings(comfy: Comfy, page: Page) -> None:
    """Where a key is there but the settings cannot be used, the dialog has no field for one; it
    says what is wrong and opens the page where it can be mended."""
    broken = {"api_key": "some-key-of-some-length", "max_requests": "many"}
    settings_file(comfy).write_text(json.dumps(broken), "utf-8")
    open_editor(page, comfy.url)
    open_workflow(page, EXAMPLES / "pika_text_to_video.json")
    press_run(page)
    dialog = page.get_by_role("dialog", name="The Pika settings cannot be used")
    dialog.wait_for()
    assert dialog.locator("input").count() == 0
    dialog.get_by_role("button", name="Pika settings").click()
    page.locator(".pika-field").first.wait_for()
    assert page.locator("dialog").count() == 0
