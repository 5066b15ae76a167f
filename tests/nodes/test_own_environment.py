"""A ComfyUI with another user directory and with variables that cannot work.

It needs its own start: both are read when ComfyUI starts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from devtools import ROOT
from pika_api.journal import Journal
from pika_api.settings import known_homes, sqlite_url
from simulator import Simulator
from support.comfy import Comfy
from support.graphs import error_of, generate
from support.routes import post_ok, save_settings

pytestmark = pytest.mark.comfy

PROXY = "socks5://user:proxy-password@127.0.0.1:1080"


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user directory."""
    return tmp_path_factory.mktemp("another user's place")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, users: Path) -> Iterator[Comfy]:
    """The ComfyUI. Its gateway is the one of the settings."""
    base_dir = tmp_path_factory.mktemp("elsewhere")
    options = ("--user-directory", str(users))
    with Comfy.start(base_dir, env={"ALL_PROXY": PROXY}, pack=ROOT, extra_args=options) as running:
        yield running


def command(comfy: Comfy, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line of the same user, who names no folder."""
    environ = {**comfy.setup.environment(), "HOME": str(comfy.base_dir), "PYTHONPATH": ""}
    environ.pop("ALL_PROXY")
    return subprocess.run(
        [sys.executable, "-m", "pika_api", *arguments],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_command_line_uses_the_journal_of_comfyui(
    elsewhere: Comfy, users: Path, gateway: Simulator
) -> None:
    """With --user-directory, the command line finds the private folder: it has the settings, and
    the same request costs nothing again. The pack's folder is not changed."""
    save_settings(elsewhere, base_url=gateway.url, api_key=gateway.key)
    run = elsewhere.run({"1": generate("A journal elsewhere", seed=7)})
    assert run.error is None
    before = len(gateway.charged)
    done = command(elsewhere, "generate", "A journal elsewhere", "--seed", "7")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == gateway.charged[-1]
    assert "no new charge" in done.stderr
    assert len(gateway.charged) == before
    config = {"XDG_CONFIG_HOME": str(elsewhere.base_dir / "config")}
    assert [each.home for each in known_homes(config)] == [users / "__pika"]
    with closing(Journal(sqlite_url(users / "__pika"))) as journal:
        assert [entry.prompt for entry in journal.entries()] == ["A journal elsewhere"]
    report = command(elsewhere, "doctor").stdout
    assert "known folder: " in report


@pytest.mark.skipif(os.name == "nt", reason="names of variables are those of POSIX here")
def test_unusable_variable_is_named_on_the_node_and_in_the_settings(
    elsewhere: Comfy, gateway: Simulator
) -> None:
    """At once, without its password. The key's dialog does not open: the settings are valid."""
    save_settings(elsewhere, base_url="https://gateway.example", api_key=gateway.key)
    started = time.monotonic()
    run = elsewhere.run({"1": generate("Never sent")})
    assert run.error is not None
    assert time.monotonic() - started < 10.0
    assert run.error.type != "pika.SettingsError"
    tested = post_ok(elsewhere, "connection")
    for text in (run.error.message, tested["message"]):
        assert "ALL_PROXY is socks5://127.0.0.1:1080" in text
        assert "PySocks" in text
        assert "proxy-password" not in text
    assert "proxy-password" not in elsewhere.log_text()
    assert "Never sent" not in str(gateway.log)
    assert "ALL_PROXY" in error_of(elsewhere, {"1": generate("Never sent either")})
