"""Notices of tasks that end while the user looks elsewhere, in a real Chromium with two tabs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from devtools.comfyui.pages import open_editor, wait_for_video
from simulator import Simulator
from support.browser import leave, open_empty_editor
from support.comfy import Comfy
from support.editor import assert_no_errors, open_settings
from support.gateway import held_tasks
from support.graphs import generate, node, text_to_video
from support.routes import forget_all_tasks
from support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

HOSTILE = "<img src=x onerror=window.hacked=1> A quince [[Click|https://evil.example]]"
_CLIENT = "async () => (await import('/scripts/api.js')).api.clientId"
#: Sets the minute after which a task counts as long, in seconds.
_LONG = """async (seconds) => {
  const { notices } = await import('/extensions/ComfyUI-Pika/js/notices.js')
  notices.minimumSeconds = seconds
}"""
#: Records the notifications that the browser shows.
_RECORD = """() => {
  window.notifications = []
  window.Notification = class extends Notification {
    constructor(title, options) {
      super(title, options)
      window.notifications.push(this)
    }
  }
}"""
_NOTIFICATIONS = "() => window.notifications.map(({ title, body, tag }) => [title, body, tag])"
_PERMISSION = "() => Notification.permission"


@pytest.fixture(autouse=True)
def _no_tasks(keyless: Comfy) -> None:
    """Each test sees its own tasks only."""
    forget_all_tasks(keyless)


@pytest.fixture(scope="module")
def opened(unconfigured: Comfy, tab: Page) -> Iterator[tuple[Page, Page]]:
    """Two tabs with the editor, the first one as it is for a new user, loaded once."""
    leave(tab)
    open_editor(tab, unconfigured.url)
    other = tab.context.new_page()
    open_editor(other, unconfigured.url)
    yield tab, other
    other.close()
    leave(tab)


@pytest.fixture
def editors(opened: tuple[Page, Page], keyed: Comfy) -> tuple[Page, Page]:
    """The same without what the test before has left. Every task counts as long."""
    for each in opened:
        open_empty_editor(each, keyed.url)
        each.evaluate(_LONG, 0)
    return opened


@contextmanager
def looking_elsewhere(page: Page) -> Iterator[None]:
    """The tab has no focus during the block. Otherwise Playwright gives it to every tab."""
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setFocusEmulationEnabled", {"enabled": False})
    elsewhere = page.context.new_page()
    elsewhere.bring_to_front()
    until(lambda: not page.evaluate("() => document.hasFocus()"), what="the tab without focus")
    try:
        yield
    finally:
        elsewhere.close()
        page.bring_to_front()
        session.send("Emulation.setFocusEmulationEnabled", {"enabled": True})
        session.detach()


def run(comfy: Comfy, page: Page, graph: Any) -> None:
    """Run a graph as this tab's."""
    comfy.wait(comfy.queue(graph, page.evaluate(_CLIENT)))


def toasts(page: Page) -> Locator:
    """The editor's toasts: in older editors and in newer ones."""
    return page.locator(".p-toast-message, [data-toast-kind]")


def test_one_notice_in_the_tab_that_waited_and_a_click_plays_the_video(
    keyed: Comfy, gateway: Simulator, editors: tuple[Page, Page], page_errors: PageErrors
) -> None:
    """While the tab is in front, and for a task shorter than the minute, it is quiet. Otherwise the
    tab that queued the prompt shows one toast with the prompt as text, and the other tab none. A
    click opens the video."""
    page, other = editors
    run(keyed, page, text_to_video("A quince in front"))
    with looking_elsewhere(page):
        page.evaluate(_LONG, 60)
        run(keyed, page, text_to_video("A short quince"))
        page.evaluate(_LONG, 0.2)
        with held_tasks(gateway) as tasks:
            prompt_id = keyed.queue(text_to_video(HOSTILE), page.evaluate(_CLIENT))
            tasks.running()
            page.wait_for_timeout(300)
        keyed.wait(prompt_id)
        toasts(page).first.wait_for()
    (toast,) = toasts(page).all()
    assert HOSTILE in toast.inner_text()
    assert "Pika: the result is ready" in toast.inner_text()
    assert toast.locator("img, a").count() == 0
    assert page.evaluate("() => window.hacked") is None
    assert toasts(other).count() == 0
    toast.get_by_text("Open it").click()
    assert tasks.ids[0] in wait_for_video(page)
    toast.wait_for(state="detached")
    assert page.locator("dialog").get_attribute("aria-label") == HOSTILE
    assert_no_errors(page_errors)


def test_failed_task_leads_to_the_list_and_many_share_a_notice(
    keyed: Comfy, gateway: Simulator, editors: tuple[Page, Page]
) -> None:
    """A failed task's notice has the gateway's words as text and opens the sidebar. Four tasks and
    more have one notice together."""
    page, _ = editors
    gateway.fault("task", error="Moderation: <b>no pears</b>")
    with looking_elsewhere(page):
        run(keyed, page, text_to_video("A pear"))
        toasts(page).first.wait_for()
    toast = toasts(page).filter(has_text="Pika: the task failed")
    assert "Moderation: <b>no pears</b>" in toast.inner_text()
    toast.get_by_text("Show the tasks").click()
    page.locator(".pika-card").filter(has_text="A pear").wait_for()
    lines = "\n".join(f"Fig {number}" for number in range(6))
    with looking_elsewhere(page):
        graph = {
            "1": node("PikaPrompts", prompts=lines),
            "2": generate(["1", 0]),
            "3": node("PikaResult", task_id=["2", 0]),
        }
        run(keyed, page, graph)
        toasts(page).filter(has_text="Pika: 6 tasks ended").wait_for()
        until(lambda: toasts(page).filter(has_text="Fig").count() == 0, what="one toast")


def test_notifications_are_off_until_the_user_switches_them_on(
    keyed: Comfy, editors: tuple[Page, Page]
) -> None:
    """Without the user's click there is neither a notification nor a question. Switched on in
    Settings → Pika, the browser shows one for a task, with the prompt as text; a click opens the
    video, and the setting is kept after a reload."""
    page, other = editors
    page.context.grant_permissions(["notifications"], origin=keyed.url)
    for each in (page, other):
        each.evaluate(_RECORD)
    with looking_elsewhere(page):
        run(keyed, page, text_to_video("A quiet quince"))
        toasts(page).first.wait_for()
    assert page.evaluate(_NOTIFICATIONS) == []
    dialog = open_settings(page)
    switch = dialog.get_by_label("Notify me when a long task ends")
    assert not switch.is_checked()
    switch.check()
    dialog.get_by_text("On in this browser").wait_for()
    page.keyboard.press("Escape")
    with looking_elsewhere(page):
        run(keyed, page, text_to_video(HOSTILE))
        until(lambda: page.evaluate(_NOTIFICATIONS), what="the notification")
    ((title, body, tag),) = page.evaluate(_NOTIFICATIONS)
    assert (title, body) == ("Pika: the result is ready", HOSTILE)
    assert tag.startswith("pika ")
    assert other.evaluate(_NOTIFICATIONS) == []
    page.evaluate("() => window.notifications[0].onclick()")
    wait_for_video(page)
    open_editor(page, keyed.url)
    assert open_settings(page).get_by_label("Notify me when a long task ends").is_checked()


def test_blocked_notifications_are_explained(keyed: Comfy, page: Page) -> None:
    """Where the browser blocks them, the switch stays off and says what to do."""
    open_editor(page, keyed.url)
    dialog = open_settings(page)
    dialog.get_by_label("Notify me when a long task ends").click()
    until(lambda: page.evaluate(_PERMISSION) != "default", what="the answer")
    dialog.get_by_text("Blocked by the browser").wait_for()
    assert not dialog.get_by_label("Notify me when a long task ends").is_checked()
