"""A user's first day, from no key to a video that outlives a restart: in English and in Chinese."""

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
from support.editor import assert_quiet, card, open_tasks, set_up, wear

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

EXAMPLE = "pika_text_to_video"
#: The example's prompt, as much of it as is its own.
PROMPT = "A lighthouse on a cliff"
CANCEL = re.compile("Cancel current run|取消当前(任务|运行)")
#: No two runs are the same task: the first would be the second's.
NEW_SEED = """(seed) => {
  const node = window.app.graph.nodes.find((node) => node.comfyClass === 'PikaGenerate')
  node.widgets.find((widget) => widget.name === 'seed').value = seed
}"""
SHOWS_POSTER = """() => window.app.graph.nodes.some(
  (node) => node.comfyClass === 'PikaResult' && node.imgs?.[0]?.naturalWidth)"""


def word(language: str, key: str, **values: str) -> str:
    """A string of the editor's side in this language."""
    found = json.loads((ROOT / "locales" / language / "main.json").read_text("utf-8"))["pika"]
    for part in key.split("."):
        found = found[part]
    return str(found).format(**values)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_from_no_key_to_a_video_after_a_restart(
    comfy: Comfy, gateway: Simulator, page: Page, page_errors: PageErrors, language: str
) -> None:
    """The sidebar leads to the key, and on to an example; its run is watched and interrupted;
    the task is in the sidebar, outlives a restart of ComfyUI, is asked for without anybody waiting
    for it, and plays; and the workflow, run again, goes on with it. It is paid for once."""
    say = partial(word, language)
    set_up(comfy, base_url=gateway.url, api_key=None)
    wear(comfy, Locale=language)
    paid = len(gateway.charged)
    gateway.fault("task", seconds=15.0)
    try:
        open_editor(page, comfy.url)
        set_the_key(page, gateway, say)
        open_example(page, say)
        page.evaluate(NEW_SEED, ["en", "zh"].index(language))
        press_run(page)
        # Of the one task, whose id is on the node too.
        page.get_by_text(re.compile(r"^(pending|running|processing) .*%.* s · ")).wait_for()
        page.wait_for_function(SHOWS_POSTER)
        task = card(page, PROMPT).first
        task.get_by_text(say("tasks.state.running")).wait_for()
        assert task.get_by_role("progressbar").is_visible()
        page.get_by_role("button", name=CANCEL).click()
        comfy_is_idle(page)
        assert_quiet(page_errors)
        restart(comfy, page, say)
        take_up(page, say)
        assert len(gateway.charged) == paid + 1
    finally:
        wear(comfy, Locale="en")


def set_the_key(page: Page, gateway: Simulator, say: partial[str]) -> None:
    """From the sidebar's welcome, or its gear once there are tasks, to a key that is accepted."""
    shown = open_tasks(page)
    lead = shown.get_by_role("button", name=say("settings.set_key"))
    lead.or_(shown.get_by_role("button", name=say("settings.open"))).last.click()
    settings = page.locator("[role=dialog]").filter(has=page.locator(".pika-field"))
    field = settings.locator(".pika-field").get_by_label(say("settings.labels.api_key"))
    settings.get_by_text(say("settings.key.none")).wait_for()
    field.fill(gateway.key)
    field.press("Enter")
    settings.get_by_text(say("settings.key.set", hint=gateway.key[-4:])).wait_for()
    settings.get_by_role("button", name=say("settings.test.button")).click()
    settings.locator(".pika-note.good").filter(has_text="accepts the key").wait_for()
    page.keyboard.press("Escape")
    settings.wait_for(state="detached")


def open_example(page: Page, say: partial[str]) -> None:
    """The example, out of the editor's own browser of templates."""
    page.locator(".templates-tab-button, [data-testid=templates-tab-button]").first.click()
    browser = page.get_by_role("dialog")
    browser.get_by_text("ComfyUI-Pika", exact=True).click()
    browser.get_by_test_id(f"template-workflow-{EXAMPLE}").click()
    page.wait_for_function(
        "() => window.app.graph.nodes.some((node) => node.comfyClass === 'PikaGenerate')"
    )


def comfy_is_idle(page: Page) -> None:
    """The editor knows that nothing runs any more: there is nothing left to cancel."""
    page.get_by_role("button", name=CANCEL).and_(page.locator(":disabled")).wait_for()


def restart(comfy: Comfy, page: Page, say: partial[str]) -> None:
    """ComfyUI goes and comes back; the sidebar, open all the while, says so."""
    away = page.locator(".pika-banner").get_by_text(say("errors.unreachable"))
    comfy.stop()
    away.wait_for()
    comfy.restart()
    away.wait_for(state="detached")


def take_up(page: Page, say: partial[str]) -> None:
    """The task goes on in the sidebar by itself, plays there, and is what the next run gives."""
    task = card(page, PROMPT).first
    task.get_by_text(say("tasks.state.finished")).wait_for(timeout=60_000)
    task.get_by_role("button", name=say("tasks.do.open")).click()
    wait_for_video(page)
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    task.get_by_text(say("tasks.state.saved")).wait_for()
    press_run(page)
    wait_for_video(page)
