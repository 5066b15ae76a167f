"""For tests in the editor: a gateway, and a ComfyUI that has no key yet, for each file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devtools import ROOT
from simulator import Simulator
from support.comfy import Comfy
from support.editor import set_up

#: No file has it by chance, and its last four characters neither.
KEY = "editor-key-5d1f07a4e2-QW7Z"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Simulator]:
    """The gateway behind `comfy`."""
    with Simulator(key=KEY, height=64, clip_seconds=0.5) as running:
        yield running


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A ComfyUI as it is after the pack's installation: without a key."""
    with Comfy.start(tmp_path_factory.mktemp("editor"), pack=ROOT, up_within=150) as running:
        yield running


@pytest.fixture(scope="module")
def ready(comfy: Comfy, gateway: Simulator) -> Comfy:
    """The ComfyUI with address and key in its settings."""
    set_up(comfy, base_url=gateway.url, api_key=gateway.key)
    return comfy
