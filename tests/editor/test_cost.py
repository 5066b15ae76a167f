"""The balance in the sidebar's head and the price on a card, in the real editor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pika_api.journal import Kind
from pika_api.settings import gateway_of
from simulator import Simulator
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
from support.routes import forget_all_tasks, get, journal_of, save_settings
from support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import PageErrors

pytestmark = [pytest.mark.comfy, pytest.mark.browser]

#: Whether nothing in the head of the sidebar is cut off or covers something else.
HEAD_FITS = """() => {
  const head = document.querySelector('.pika-sidebar > header')
  const parts = [...head.children].filter((part) => !part.hidden)
  const boxes = parts.map((part) => part.getBoundingClientRect())
  const balance = head.querySelector('.pika-balance')
  return head.scrollWidth <= head.clientWidth && balance.scrollWidth <= balance.clientWidth
    && boxes.every((box, index) => !index || box.left >= boxes[index - 1].right - 1)
}"""


@pytest.fixture
def paid(keyless: Comfy) -> Iterator[Simulator]:
    """A gateway with account endpoints, which `keyless` uses, and an empty list of tasks."""
    forget_all_tasks(keyless)
    with Simulator(account="v1", height=64, clip_seconds=0.5, task_seconds=0.1) as sim:
        sim.spend(7.6)
        save_settings(keyless, base_url=sim.url, api_key=sim.key)
        yield sim


def learn_price(comfy: Comfy, prompt: str, price: float) -> None:
    """Have two observations agree on the price of a task in the list, and of a second one."""
    (number,) = [task["number"] for task in listed(comfy) if task["prompt"] == prompt]
    with closing(journal_of(comfy)) as journal:
        kind = Kind(gateway_of(journal.get(number).base_url), "1.5", "")
        assert not journal.prices.observe(10**6 + number, kind, "billing", price)
        assert journal.prices.observe(number, kind, "billing", price)


def listed(comfy: Comfy) -> list[dict[str, object]]:
    """The tasks in the list."""
    return list(get(comfy, "tasks?limit=500")["tasks"])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_head_has_the_balance_and_cards_their_price(
    keyless: Comfy, paid: Simulator, page: Page, page_errors: PageErrors, language: str
) -> None:
    """The head says what is left, with quota and usage in its tooltip. A card has the price of its
    task, or the estimate, marked as one. Everything is readable and nothing is cut off, in both
    palettes and renderings."""
    exact, guess = f"A fig, {language}", f"A date, {language}"
    assert keyless.run(text_to_video(exact)).error is None
    learn_price(keyless, exact, 0.25)
    assert keyless.run(text_to_video(guess)).error is None
    save_settings(keyless, currency="CNY")
    left = "剩余 11.90 CNY" if language == "zh" else "11.90 CNY left"
    look = {"Locale": language, "ColorPalette": "dark", "VueNodes.Enabled": False}
    with editor_with(page, keyless, look):
        sidebar = open_tasks(page)
        head = sidebar.locator(".pika-balance")
        head.get_by_text(left, exact=True).wait_for()
        title = head.get_attribute("title") or ""
        assert "20.00 CNY" in title
        assert "8.10 CNY" in title
        card(page, exact).locator(".details").get_by_text("0.25 CNY").wait_for()
        assert "≈" not in card(page, exact).locator(".details").inner_text()
        assert " · ≈ 0.25 CNY · " in card(page, guess).locator(".details").inner_text()
        for palette in ("dark", "light"):
            for nodes_2 in (False, True):
                set_look(page, palette, nodes_2=nodes_2)
                assert page.evaluate(HEAD_FITS)
                ratio, text = worst_contrast(page, ".pika-sidebar")
                assert ratio >= 4.5, text
                if folder := os.environ.get("PIKA_SCREENSHOTS"):  # for a look at them
                    name = f"cost-{language}-{palette}-{nodes_2}.png"
                    page.screenshot(path=Path(folder) / name)
        assert_no_errors(page_errors)


def test_balance_follows_a_submit_and_the_settings(
    keyless: Comfy, paid: Simulator, editor: Page
) -> None:
    """A run changes it some seconds later, without a reload. A gateway that reports none leaves the
    head without it; the settings page takes and clears price and currency."""
    sidebar = open_tasks(editor)
    head = sidebar.locator(".pika-balance")
    head.get_by_text("12.40 left", exact=True).wait_for()
    assert keyless.run(text_to_video("Paid while the sidebar is open")).error is None
    head.get_by_text("12.15 left", exact=True).wait_for()
    dialog = open_settings(editor)
    price = dialog.locator(".pika-field").get_by_label("Price of a task")
    assert price.get_attribute("placeholder") == "learned"
    price.fill("0.3")
    price.press("Tab")
    price.locator("..").get_by_text("Saved").wait_for()
    currency = dialog.locator(".pika-field").get_by_label("Currency")
    currency.fill("CNY")
    currency.press("Tab")
    currency.locator("..").get_by_text("Saved").wait_for()
    assert get(keyless, "settings")["price"]["value"] == 0.3
    editor.keyboard.press("Escape")
    head.get_by_text("12.15 CNY left", exact=True).wait_for()
    with Simulator(key=paid.key, dialect="wrapped") as other:
        save_settings(keyless, base_url=other.url, api_key=other.key)
        editor.reload()
        sidebar = open_tasks(editor)
        until(lambda: other.requests("GET", "/api/usage/token/"), what="the last spelling")
        assert sidebar.locator(".pika-balance").is_hidden()
