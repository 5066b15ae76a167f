"""Fixtures: a simulated gateway, a real ComfyUI, a real browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from devtools import ROOT
from devtools.comfyui import install_pack
from devtools.setup.processes import unwind_on_termination
from support.comfy import Comfy
from support.graphs import PROBES
from support.sizes import sized

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from simulator import Simulator
    from support.browser import PageErrors


def install_probes(base_dir: Path) -> None:
    """Put the tests' own nodes into a ComfyUI that is about to start."""
    place = base_dir / "custom_nodes" / PROBES.name
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        install_pack(PROBES, place)


pytest_plugins = ["support.fixtures", "support.schedule"]

ComfyFactory = Callable[..., Comfy]


def pytest_configure() -> None:
    """Let a termination reach the fixtures' clean-up, as Ctrl-C does."""
    unwind_on_termination()


def _register_profiles() -> None:
    """Speed is no matter of these tests: a machine under load is slow at everything."""
    ours = hypothesis.settings(
        deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.register_profile("ours", parent=ours)
    # On a further Python the point is that the code works there, not to look for rare values.
    hypothesis.settings.register_profile("quick", parent=ours, max_examples=10)
    # A mutant that lived must not be caught by chance the next time, nor by a machine under load.
    hypothesis.settings.register_profile(
        "steady", parent=ours, max_examples=50, derandomize=True, database=None
    )
    hypothesis.settings.register_profile("long", parent=ours, max_examples=1000)
    hypothesis.settings.load_profile(sized("ours", "long"))


_register_profiles()  # before hypothesis' own plugin takes the one that was asked for


@pytest.fixture(autouse=True, scope="session")
def _no_proxy() -> Iterator[None]:
    """No test's traffic to this machine takes a way round through the user's proxy."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.lower().endswith("_proxy"):
                patch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def _no_own_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test spends the developer's credits."""
    monkeypatch.delenv("PIKA_API_KEY", raising=False)
    monkeypatch.delenv("PIKA_BASE_URL", raising=False)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A gateway of the test's own, on quick tasks."""
    from simulator import Simulator

    with Simulator() as running:
        yield running


@pytest.fixture(scope="session")
def gateway() -> Iterator[Simulator]:
    """The gateway behind `comfy`. A test that scripts it undoes that, or uses its own."""
    from simulator import Simulator

    # A key that no file has by chance: a test looks for it everywhere.
    with Simulator(key="gateway-key-b81f6d0c", height=64, clip_seconds=0.5) as running:
        yield running


@pytest.fixture(scope="session")
def comfy(gateway: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """The ComfyUI with the pack that most tests share."""
    env = {"PIKA_API_KEY": gateway.key, "PIKA_BASE_URL": gateway.url}
    base_dir = tmp_path_factory.mktemp("comfy")
    install_probes(base_dir)
    with Comfy.start(base_dir, env=env, pack=ROOT) as running:
        yield running


@pytest.fixture
def comfy_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyFactory]:
    """Starts ComfyUIs of the test's own: `comfy_factory(base_dir=None, **Comfy.start's)`."""
    started: list[Comfy] = []

    def start(base_dir: Path | None = None, **given: Any) -> Comfy:
        base_dir = base_dir or tmp_path_factory.mktemp("comfy")
        install_probes(base_dir)
        running = Comfy.start(base_dir, **given)
        started.append(running)
        return running

    try:
        yield start
    finally:
        for running in started:
            running.stop()


# Not for the whole session: while Playwright's sync API is on, its event loop counts as running in
# this thread, and `asyncio.run` in any other test would refuse to work.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A Chromium for the tests of one file."""
    from support.browser import browser

    with browser() as running:
        yield running


@pytest.fixture
def page_errors() -> PageErrors:
    """What went wrong on `page` so far."""
    from support.browser import PageErrors

    return PageErrors()


@pytest.fixture
def page(chromium: Browser, page_errors: PageErrors) -> Iterator[Page]:
    """A page with nothing in its cookies and storage; open `comfy.url` in it."""
    from support.browser import VIEWPORT_HEIGHT, VIEWPORT_WIDTH

    size = {"width": VIEWPORT_WIDTH, "height": VIEWPORT_HEIGHT}
    context = chromium.new_context(viewport=size, locale="en-US", service_workers="block")
    opened = context.new_page()
    page_errors.observer(opened)
    try:
        yield opened
    finally:
        context.close()
