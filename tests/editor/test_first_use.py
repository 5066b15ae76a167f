"""The first use of the pack, from no key to a video that survives a restart of ComfyUI."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING

import pytest

from devtools import ROOT
from devtools.comfyui.pages import open_editor, press_run, wait_for_video
from simulator import Simulator
from support.comfy import Comfy
from support.editor import assert_no_errors, card, editor_with, open_tasks, settings_read
from support.gateway import HeldTasks, held_tasks
from support.routes import forget_all_tasks, save_settings

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

EXAMPLE = "01 Text to video"
#: The beginning of the example's prompt.
PROMPT = "A lighthouse on a cliff"
CANCEL = re.compile("Cancel current run|取消当前(任务|运行)")
SET_SEED = """(seed) => {
  const node = window.app.graph.nodes.find((node) => node.comfyClass === 'PikaGenerate')
  node.widgets.find((widget) => widget.name === 'seed').value = seed
}"""
HAS_THUMBNAIL = """() => window.app.graph.nodes.some(
  (node) => node.comfyClass === 'PikaResult' && node.imgs?.[0]?.naturalWidth)"""


@pytest.fixture(autouse=True)
def _no_tasks(keyless: Comfy) -> None:
    """The user has no tasks yet."""
    forget_all_tasks(keyless)


def translation(language: str, key: str, **values: str) -> str:
    """A text of the pack's scripts in this language."""
    texts = json.loads((ROOT / "locales" / language / "main.json").read_text("utf-8"))["pika"]
    for part in key.split("."):
        texts = texts[part]
    return str(texts).format(**values)


def test_from_no_key_to_a_video_after_a_restart(
    keyless: Comfy, gateway: Simulator, page: Page, page_errors: PageErrors
) -> None:
    """The sidebar leads to the key, and the editor to an example. Its run shows progress and is
    interrupted. The task stays in the sidebar, survives a restart of ComfyUI, finishes although no
    node waits for it, and plays. The workflow, run again, reuses it. It is charged once."""
    text = partial(translation, "en")
    save_settings(keyless, base_url=gateway.url)
    open_editor(page, keyless.url)
    enter_key(page, gateway, text)
    open_example(page)
    with held_tasks(gateway) as tasks:
        run_and_interrupt(page, tasks, 71, text)
        assert_no_errors(page_errors)
        restart(keyless, page, text)
    play_and_run_again(page, text)
    assert len(tasks.ids) == 1


def test_from_no_key_to_a_video_in_chinese(
    keyless: Comfy, gateway: Simulator, page: Page, page_errors: PageErrors
) -> None:
    """In an editor in Chinese, the same without the restart."""
    text = partial(translation, "zh")
    save_settings(keyless, base_url=gateway.url)
    with editor_with(page, keyless, {"Locale": "zh"}):
        enter_key(page, gateway, text)
        open_example(page)
        with held_tasks(gateway) as tasks:
            run_and_interrupt(page, tasks, 72, text)
        play_and_run_again(page, text)
        assert len(tasks.ids) == 1
        assert_no_errors(page_errors)


def enter_key(page: Page, gateway: Simulator, text: partial[str]) -> None:
    """From the sidebar's welcome to a key that the gateway accepts."""
    with settings_read(page):
        sidebar = open_tasks(page)
    with settings_read(page):
        sidebar.get_by_role("button", name=text("settings.set_key")).click()
    settings = page.locator("[role=dialog]").filter(has=page.locator(".pika-field"))
    field = settings.locator(".pika-field").get_by_label(text("settings.labels.api_key"))
    settings.get_by_text(text("settings.key.none")).wait_for()
    field.fill(gateway.key)
    field.press("Enter")
    settings.get_by_text(text("settings.key.set", hint=gateway.key[-4:])).wait_for()
    settings.get_by_role("button", name=text("settings.test.button")).click()
    settings.locator('[id="Pika.Connection"] .pika-note.good').wait_for()
    page.keyboard.press("Escape")
    settings.wait_for(state="detached")


def open_example(page: Page) -> None:
    """Open the example from the editor's own dialog of templates."""
    page.locator(".templates-tab-button, [data-testid=templates-tab-button]").first.click()
    browser = page.get_by_role("dialog")
    browser.get_by_text("ComfyUI-Pika", exact=True).click()
    browser.get_by_test_id(f"template-workflow-{EXAMPLE}").click()
    page.wait_for_function(
        "() => window.app.graph.nodes.some((node) => node.comfyClass === 'PikaGenerate')"
    )


def run_and_interrupt(page: Page, tasks: HeldTasks, seed: int, text: partial[str]) -> None:
    """Run the example, look at its progress on the node and in the sidebar, and cancel the run."""
    page.evaluate(SET_SEED, seed)
    press_run(page)
    tasks.running()
    # With the task's id, so that it is the node's own line.
    page.get_by_text(re.compile(rf"^{text('tasks.state.running')} ?[0-9].*%.* s · ")).wait_for()
    page.wait_for_function(HAS_THUMBNAIL)
    task = card(page, PROMPT)
    task.get_by_text(text("tasks.state.running")).wait_for()
    assert task.get_by_role("progressbar").is_visible()
    page.get_by_role("button", name=CANCEL).click()
    wait_until_idle(page)


def wait_until_idle(page: Page) -> None:
    """Wait until the editor shows that nothing runs: its Cancel button is disabled."""
    page.get_by_role("button", name=CANCEL).and_(page.locator(":disabled")).wait_for()


def restart(comfy: Comfy, page: Page, text: partial[str]) -> None:
    """Restart ComfyUI. The open sidebar shows that it is unreachable, and later that it is not."""
    unreachable = page.locator(".pika-banner").get_by_text(text("errors.unreachable"))
    comfy.stop()
    unreachable.wait_for()
    comfy.restart()
    unreachable.wait_for(state="detached")


def play_and_run_again(page: Page, text: partial[str]) -> None:
    """The sidebar finishes and plays the task, and the next run of the workflow has its video."""
    task = card(page, PROMPT)
    task.get_by_text(text("tasks.state.finished")).wait_for()
    task.get_by_role("button", name=text("tasks.do.open")).click()
    wait_for_video(page)
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    task.get_by_text(text("tasks.state.saved")).wait_for()
    press_run(page)
    wait_for_video(page)
