"""Fixtures: a simulated gateway, and real ComfyUIs that many tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

from devtools import ROOT
from devtools.setup.processes import unwind_on_termination
from support.comfy import Comfy, install
from support.graphs import PROBES
from support.sizes import sized

if TYPE_CHECKING:
    from simulator import Simulator


pytest_plugins = ["support.fixtures", "support.postgres", "support.schedule"]


#: With --few: how many cases of a parametrised test run.
FEW = 8


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the further Python versions."""
    parser.addoption(
        "--few",
        action="store_true",
        help=f"run at most {FEW} cases of each parametrised test, evenly chosen",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose the cases of `--few`: the first, the last, and others between them."""
    if not config.getoption("--few"):
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    kept = {
        group[round(index * (len(group) - 1) / max(min(FEW, len(group)) - 1, 1))]
        for group in cases.values()
        for index in range(min(FEW, len(group)))
    }
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


def pytest_configure() -> None:
    """Let SIGTERM run the fixtures' clean-up, as Ctrl-C does."""
    unwind_on_termination()


def _register_profiles() -> None:
    """Without deadlines: no test measures speed, and a busy machine is slow."""
    common = hypothesis.settings(
        deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.register_profile("common", parent=common)
    # For further Python versions: the code works there; rare values are found on the main one.
    hypothesis.settings.register_profile("quick", parent=common, max_examples=10)
    # For mutants: the same result each time, whatever the load.
    hypothesis.settings.register_profile(
        "steady", parent=common, max_examples=50, derandomize=True, database=None
    )
    hypothesis.settings.register_profile("long", parent=common, max_examples=1000)
    hypothesis.settings.load_profile(sized("common", "long"))


_register_profiles()  # before Hypothesis' own plugin selects the profile of the command line


@pytest.fixture(autouse=True, scope="session")
def _no_proxy() -> Iterator[None]:
    """Requests to this machine do not go through the user's proxy."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.lower().endswith("_proxy"):
                patch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def _no_own_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not use the developer's key, and spend none of its credits."""
    monkeypatch.delenv("PIKA_API_KEY", raising=False)
    monkeypatch.delenv("PIKA_BASE_URL", raising=False)


@pytest.fixture(autouse=True, scope="session")
def _no_known_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The command line does not know the ComfyUIs of the developer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A gateway for one test, with quick tasks."""
    from simulator import Simulator

    with Simulator() as running:
        yield running


@pytest.fixture(scope="session")
def shared_gateway() -> Iterator[Simulator]:
    """The gateway of the ComfyUIs below. Tests use it as `gateway`."""
    from simulator import Simulator

    # No file contains this key, or its last four characters, by chance: tests search for both.
    key = "gateway-key-5d1f07a4e2-QW7Z"
    with Simulator(key=key, height=64, clip_seconds=0.5) as running:
        yield running


@pytest.fixture
def gateway(shared_gateway: Simulator) -> Iterator[Simulator]:
    """The gateway of `comfy` and `keyed`. Faults that a test leaves are removed."""
    yield shared_gateway
    shared_gateway.clear_faults()


# Starting ComfyUI takes seconds of CPU time, so all tests share two: one with a key in its
# environment, and one without a key. A test that needs its own says why. The tests on one ComfyUI
# share no task: `support.graphs.generate` makes each request a different one.


@pytest.fixture(scope="session")
def comfy(shared_gateway: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A ComfyUI with key and address in its environment. It listens on all addresses.

    It has no API nodes of its own, as since December 2025: the pack has those of the same ids.

    The pack's folder has a name that a user may give it. With a space in it, ComfyUI serves no
    files of the pack, so there is no editor for it; the nodes work all the same.
    """
    env = {"PIKA_API_KEY": shared_gateway.key, "PIKA_BASE_URL": shared_gateway.url}
    base_dir = tmp_path_factory.mktemp("comfy")
    install(base_dir, (ROOT, "pika video 1-0"), (PROBES, PROBES.name))
    options = ("--listen", "0.0.0.0", "--disable-api-nodes")
    with Comfy.start(base_dir, env=env, extra_args=options) as running:
        yield running


@pytest.fixture(scope="session")
def unconfigured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A ComfyUI as it is after the pack's installation. Tests use it as `keyless` or `keyed`.

    The developer who starts it has a key.
    """
    base_dir = tmp_path_factory.mktemp("keyless")
    install(base_dir, (PROBES, PROBES.name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIKA_API_KEY", "the-developers-own-key")
        running = Comfy.start(base_dir, env={"PIKA_X": "set"}, pack=ROOT)
    with running:
        yield running


@pytest.fixture
def keyless(unconfigured: Comfy) -> Comfy:
    """A ComfyUI whose pack has no settings. Its journal may have tasks of other tests."""
    from support.routes import settings_file

    settings_file(unconfigured).unlink(missing_ok=True)
    return unconfigured


@pytest.fixture
def keyed(keyless: Comfy, gateway: Simulator) -> Comfy:
    """The same ComfyUI, with key and address as the editor saves them."""
    from support.routes import save_settings

    save_settings(keyless, base_url=gateway.url, api_key=gateway.key)
    return keyless
