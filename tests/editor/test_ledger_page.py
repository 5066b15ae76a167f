"""Sums, filters and export in the sidebar, and the limits in the settings, in the real editor."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simulator import Simulator
from support.api import intent
from support.comfy import Comfy
from support.editor import (
    assert_no_errors,
    card,
    editor_with,
    open_settings,
    open_tasks,
    set_look,
    worst_contrast,
)
from support.graphs import text_to_video
from support.routes import empty_journal, get, journal_of, save_settings
from support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

#: Whether the sidebar is this wide, and nothing at its top is cut off.
FITS = """(width) => {
  const sidebar = document.querySelector('.pika-sidebar')
  sidebar.style.width = `${width}px`
  const parts = [...sidebar.querySelectorAll('.pika-totals *, .pika-filters *:not(option)')]
    .filter((part) => part.getClientRects().length)
  const { width: actual, right } = sidebar.getBoundingClientRect()
  return actual === width && parts.length > 8 && parts.every((part) =>
    part.getBoundingClientRect().right <= right - 9 &&
    (getComputedStyle(part).display === 'inline' || part.scrollWidth <= part.clientWidth))
}"""


@pytest.fixture
def ledger(keyless: Comfy) -> Iterator[Simulator]:
    """A gateway with account endpoints, which `keyless` uses, and four tasks of it: one of 40 days
    ago, a failed one, one without a price, and one with a hostile prompt."""
    empty_journal(keyless)
    with Simulator(account="v1", height=64, clip_seconds=0.5, task_seconds=0.1) as sim:
        save_settings(keyless, base_url=sim.url, api_key=sim.key, currency="CNY")
        now = time.time()
        ages = {"An old quince": 40 * 86400.0, "A failed fig": 3.0, "=A cheap date": 1.0}
        for name, age in {**ages, "A free pear": 0.0}.items():
            price = None if "free" in name else 0.25
            request = {"promptText": name, "model": "1.5"}
            fields = {"prompt": name, "request": request, "base_url": sim.url, "price": price}
            clock = At(now - age)
            with closing(journal_of(keyless, clock)) as journal:
                number = journal.claim(intent(f"{name} {now}", **fields), "me").entry.id
                journal.mark_sent(number, "me")
                journal.record_task(journal.get(number), f"{name[:6].strip('=')}-{number}")
                if "failed" in name:
                    journal.mark_failed(number, "moderation")
                else:
                    journal.mark_finished(number, f"{sim.url}/gone.mp4")
        yield sim


class At:
    """The clocks of a machine at a fixed time."""

    def __init__(self, now: float) -> None:
        self.now = now

    def wall(self) -> float:
        return self.now

    def boot(self) -> None:
        return None


@pytest.mark.parametrize("language", ["en", "zh"])
def test_sums_and_filters_fit_and_are_readable(
    keyless: Comfy, ledger: Simulator, page: Page, page_errors: PageErrors, language: str
) -> None:
    """In both languages and palettes, also in a sidebar of 300 px: the sums of today and of this
    month, and how many tasks have no known price."""
    with editor_with(page, keyless, {"Locale": language, "ColorPalette": "dark"}):
        sidebar = open_tasks(page)
        today = sidebar.locator(".total").first
        texts = {"en": ("3 tasks · 0.50 CNY", "1 not in the sum"),
                 "zh": ("3 个任务 · 0.50 CNY", "1 个未计入金额")}[language]  # fmt: skip
        for text in texts:
            today.get_by_text(text, exact=True).wait_for()
        shoot(page, f"ledger-{language}")
        sidebar.locator("select").nth(1).select_option("custom")
        for palette in ("dark", "light"):
            set_look(page, palette)
            for width in (300, 420):
                assert page.evaluate(FITS, width), width
                shoot(page, f"ledger-{language}-{palette}-{width}")
            ratio, text = worst_contrast(page, ".pika-sidebar")
            assert ratio >= 4.5, text
        assert_no_errors(page_errors)


def shoot(page: Page, name: str) -> None:
    """Take a screenshot, if somebody wants to look at it."""
    if folder := os.environ.get("PIKA_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_filters_and_export_follow_the_journal(
    keyless: Comfy, ledger: Simulator, editor: Page, page_errors: PageErrors
) -> None:
    """The server filters by state and day. A task that comes to match appears without a reload, and
    the sums grow. The export is the file of the server, with the same filters."""
    page = editor
    page.reload()
    sidebar = open_tasks(page)
    card(page, "An old quince").wait_for()
    state, period = (sidebar.get_by_label(f"Filter by {name}") for name in ("state", "time"))
    state.select_option("failed")
    until(lambda: page.locator(".pika-card").count() == 1, what="the failed task alone")
    assert sidebar.locator(".pika-count").inner_text() == "1 of 4"
    period.select_option("custom")
    to = sidebar.get_by_label("To this day, inclusive")
    to.fill(time.strftime("%Y-%m-%d", time.localtime(time.time() - 30 * 86400)))
    sidebar.get_by_text("No matching tasks").wait_for()
    state.select_option("all")
    card(page, "An old quince").wait_for()
    assert page.locator(".pika-card").count() == 1
    shoot(page, "ledger-custom")
    period.select_option("today")
    state.select_option("done")
    until(lambda: page.locator(".pika-card").count() == 2, what="the finished tasks of today")
    assert keyless.run(text_to_video("A new medlar")).error is None
    card(page, "A new medlar").wait_for()
    sidebar.locator(".total").first.get_by_text("4 tasks").wait_for()
    with page.expect_download() as download:
        sidebar.get_by_role("button", name="Export the paid tasks").click()
    assert download.value.suggested_filename.startswith("pika-tasks-")
    text = Path(download.value.path()).read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["prompt"] for row in rows] == ["A new medlar", "A free pear", "'=A cheap date"]
    assert_no_errors(page_errors)


def test_first_visit_offers_limits_and_they_hold(
    keyless: Comfy, ledger: Simulator, page: Page, page_errors: PageErrors
) -> None:
    """A line above the limits says at the first visit that they are off. Closed, it does not come
    back. Limits of money are saved, and the next run over one of them says why nothing was sent."""
    keyless.request("POST", "/settings", json={"Pika.LimitsOffered": False}).raise_for_status()
    offer = page.locator(".pika-offer")
    with editor_with(page, keyless, {"ColorPalette": "dark"}):
        dialog = open_settings(page)
        offer.get_by_text("All limits are off").wait_for()
        ratio, text = worst_contrast(page, ".pika-offer")
        assert ratio >= 4.5, text
        offer.scroll_into_view_if_needed()
        shoot(page, "limits-offer")
        offer.get_by_role("button", name="Do not show again").click()
        assert offer.count() == 0
        for label, value in (("Money per day", "0.6"), ("Minimum balance", "5")):
            field = dialog.locator(".pika-field").get_by_label(label)
            field.fill(value)
            field.press("Tab")
            field.locator("..").get_by_text("Saved").wait_for()
        shoot(page, "limits")
        until(
            lambda: keyless.request("GET", "/settings").json().get("Pika.LimitsOffered") is True,
            what="the choice in ComfyUI's settings",
        )
    settings = get(keyless, "settings")
    assert (settings["daily_cost_limit"]["value"], settings["min_balance"]["value"]) == (0.6, 5.0)
    error = keyless.run(text_to_video("Over the limit")).error
    assert error is not None
    assert "price of this task is not known" in str(error)
    save_settings(keyless, price=0.25)
    error = keyless.run(text_to_video("Over the limit")).error
    assert "0.60 CNY per day would be exceeded" in str(error)
    assert ledger.requests("POST") == []
    save_settings(keyless, daily_cost_limit=None)
    assert keyless.run(text_to_video("Within the limit")).error is None
    with editor_with(page, keyless, {"ColorPalette": "light"}):
        save_settings(keyless, min_balance=None)
        open_settings(page)
        assert offer.locator("visible=true").count() == 0
        assert_no_errors(page_errors)
