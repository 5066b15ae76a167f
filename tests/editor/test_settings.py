"""The page Settings → Pika, and the dialog of a run that cannot use the settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from devtools.comfyui.pages import EXAMPLES, open_editor, open_workflow, press_run, wait_for_video
from simulator import Simulator
from support.browser import listening
from support.comfy import Comfy
from support.editor import assert_no_errors, open_settings
from support.routes import save_settings, settings_file

if TYPE_CHECKING:
    from playwright.sync_api import Page, Response, Route

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

#: A prompt that no other test on this ComfyUI has.
SET_PROMPT = """(prompt) => {
  const node = window.app.graph.nodes.find((node) => node.comfyClass === 'PikaGenerate')
  node.widgets.find((widget) => widget.name === 'prompt_text').value = prompt
}"""


def test_key_is_saved_tested_and_cleared_and_never_sent_to_the_page(
    keyless: Comfy, gateway: Simulator, editor: Page, page_errors: PageErrors
) -> None:
    """Enter saves a pasted key and empties its field. After a reload neither the page nor any
    answer of the server contains the key. "Test connection" accepts it; "Clear" removes it."""
    page = editor
    save_settings(keyless, base_url=gateway.url)
    answers: list[str] = []

    def record(response: Response) -> None:
        if "/pika/" in response.url or response.url.endswith("/settings"):
            answers.append(response.text())

    with listening(page, "response", record):
        dialog = open_settings(page)
        dialog.get_by_text("No key yet").wait_for()
        field = dialog.locator(".pika-field").get_by_label("API key")
        save = dialog.get_by_role("button", name="Save")
        assert save.is_disabled()
        field.fill(gateway.key)
        field.press("Enter")
        dialog.get_by_text(f"Set · ends in {gateway.key[-4:]}").wait_for()
        assert field.input_value() == ""
        assert json.loads(settings_file(keyless).read_text("utf-8"))["api_key"] == gateway.key
        dialog.get_by_role("button", name="Test connection").click()
        dialog.locator(".pika-note.good").filter(has_text="accepts the key").wait_for()
        open_editor(page, keyless.url)
        dialog = open_settings(page)
        dialog.get_by_text(f"Set · ends in {gateway.key[-4:]}").wait_for()
        assert gateway.key not in page.content()
    assert len(answers) >= 4
    assert not [answer for answer in answers if gateway.key in answer]
    # A verdict goes when something is typed; what is typed is tested, and nothing is saved by that.
    test = dialog.get_by_role("button", name="Test connection")
    verdict = page.locator('[id="Pika.Connection"] .pika-note')
    test.click()
    verdict.filter(has_text="accepts the key").wait_for()
    field = dialog.locator(".pika-field").get_by_label("API key")
    field.press_sequentially("wrong-key-of-nobody")
    verdict.filter(has_text="accepts").wait_for(state="detached")
    test.click()
    verdict.filter(has_text="does not accept the key").wait_for()
    field.fill("")
    assert json.loads(settings_file(keyless).read_text("utf-8"))["api_key"] == gateway.key
    dialog.get_by_role("button", name="Clear").click()
    dialog.get_by_text("No key yet").wait_for()
    assert "api_key" not in json.loads(settings_file(keyless).read_text("utf-8"))
    assert_no_errors(page_errors)


def test_changed_values_are_saved_and_bad_ones_refused(keyed: Comfy, editor: Page) -> None:
    """A number is saved when its field loses the focus. A bad number is refused with the server's
    message, and the stored one stays. An emptied field restores the default. A new address removes
    the key, and the page says so, and leads to the site of the new one."""
    dialog = open_settings(editor)
    number = dialog.locator(".pika-field").get_by_label("Concurrent requests")
    number.fill("3")
    number.press("Tab")
    number.locator("..").get_by_text("Saved").wait_for()
    stored = settings_file(keyed)
    assert json.loads(stored.read_text("utf-8"))["max_requests"] == 3
    number.fill("0")
    number.press("Enter")
    dialog.locator(".pika-note.bad").wait_for()
    assert number.get_attribute("aria-invalid") == "true"
    assert json.loads(stored.read_text("utf-8"))["max_requests"] == 3
    number.fill("")
    number.press("Enter")
    dialog.locator(".pika-note.bad").wait_for(state="detached")
    assert "max_requests" not in json.loads(stored.read_text("utf-8"))
    style = dialog.locator(".pika-field").get_by_label("Base64 style")
    style.select_option("data: URI")
    # Beside this field: the number's own "Saved" may still be there.
    style.locator("..").get_by_text("Saved").wait_for()
    assert json.loads(stored.read_text("utf-8"))["base64_style"] == "data-uri"
    address = dialog.locator(".pika-field").get_by_label("Base URL")
    address.fill("https://elsewhere.example")
    address.press("Enter")
    dialog.get_by_text("The stored API key was removed").wait_for()
    dialog.get_by_text("No key yet").wait_for()
    assert "api_key" not in json.loads(stored.read_text("utf-8"))
    # The address is above the key, and its own site has a link. A missing https:// is offered.
    link = dialog.get_by_role("link", name="Get a key at elsewhere.example")
    assert link.get_attribute("href") == "https://elsewhere.example/"
    assert link.get_attribute("target") == "_blank"
    assert "noopener" in (link.get_attribute("rel") or "")
    above, below = address.bounding_box(), link.bounding_box()
    assert above is not None
    assert below is not None
    assert above["y"] < below["y"]
    address.fill("other.example/v1")
    address.press("Enter")
    dialog.get_by_role("button", name="Use https://other.example/v1").click()
    dialog.get_by_role("link", name="Get a key at other.example").wait_for()
    assert json.loads(stored.read_text("utf-8"))["base_url"] == "https://other.example/v1"


def test_broken_setting_leads_to_the_settings_page(keyless: Comfy, editor: Page) -> None:
    """If a key is stored but another setting cannot be used, the dialog of a run asks for no key.
    It names the problem and opens the page where it can be corrected."""
    broken = {"api_key": "some-key-of-some-length", "max_requests": "many"}
    settings_file(keyless).write_text(json.dumps(broken), "utf-8")
    open_workflow(editor, EXAMPLES / "01 Text to video.json")
    press_run(editor)
    dialog = editor.get_by_role("dialog", name="The Pika settings cannot be used")
    dialog.wait_for()
    assert dialog.locator("input").count() == 0
    dialog.get_by_role("button", name="Pika settings").click()
    editor.locator(".pika-field").first.wait_for()
    assert editor.locator("dialog").count() == 0


def test_missing_key_is_asked_for_and_the_run_repeated(
    keyless: Comfy, gateway: Simulator, editor: Page, page_errors: PageErrors
) -> None:
    """A run without a key opens the pack's dialog instead of ComfyUI's error. A wrong key is
    refused and asked for again. With the right one, "Run again" ends in a video."""
    page = editor
    save_settings(keyless, base_url=gateway.url)
    charged = len(gateway.charged)
    open_workflow(page, EXAMPLES / "01 Text to video.json")
    page.evaluate(SET_PROMPT, "A video after the key was asked for")
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
    assert len(gateway.charged) == charged
    dialog.get_by_role("button", name="Run again").click()
    wait_for_video(page)
    assert len(gateway.charged) == charged + 1
    assert page.locator("dialog").count() == 0
    assert_no_errors(page_errors)


def test_diagnostics_are_copied_without_the_key(
    keyed: Comfy, gateway: Simulator, editor: Page
) -> None:
    """The button copies a text for a bug report, without the key. If the browser refuses the
    clipboard, the text is shown and selected."""
    page = editor
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    dialog = open_settings(page)
    copy = dialog.get_by_role("button", name="Copy diagnostics")
    copy.click()
    dialog.get_by_text("Copied. Paste it into your bug report.").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("ComfyUI-Pika ")
    for words in (": no problems found\n", "  ComfyUI 0.", "  good: ", "  api_key: set (file)"):
        assert words in copied, words
    assert gateway.key not in copied
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(Error('no')) }")
    copy.click()
    page.get_by_text("press Ctrl+C").wait_for()
    assert page.evaluate("String(getSelection())").startswith("ComfyUI-Pika ")
    page.evaluate("() => { delete navigator.clipboard.writeText }")


def test_values_from_the_environment_cannot_be_changed(editor: Page) -> None:
    """A value that an environment variable sets is disabled, and the page names the variable. The
    address is fixed as well while the key comes from the environment."""

    def from_environment(route: Route) -> None:
        answer = route.fetch()
        settings = answer.json()
        settings["api_key"] = {"set": True, "hint": "abcd", "source": "environment"}
        settings["base_url"]["locked"] = "key"
        settings["max_body_mb"]["source"] = "environment"
        route.fulfill(response=answer, json=settings)

    editor.route("**/pika/settings", from_environment)
    dialog = open_settings(editor)
    dialog.get_by_text("Set by the environment variable PIKA_API_KEY · ends in abcd").wait_for()
    dialog.get_by_text("Set by the environment variable PIKA_MAX_BODY_MB").wait_for()
    dialog.get_by_text("Locked: the API key comes from an environment variable").wait_for()
    for label in ("API key", "Base URL", "Maximum request size (MB)"):
        assert dialog.locator(".pika-field").get_by_label(label).is_disabled()
    assert dialog.get_by_role("button", name="Save").is_disabled()
    assert dialog.get_by_role("button", name="Clear").is_disabled()
    assert dialog.locator(".pika-field").get_by_label("Concurrent requests").is_enabled()
