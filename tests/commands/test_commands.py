"""Every command of dev.py in its shortest form, each as a process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from PIL import Image

import dev
from devtools import ROOT
from devtools.commands import COMMANDS, INTERRUPTED, using
from devtools.demo import describe_video
from devtools.editor import has_browser, own_port
from devtools.editors import VERSIONS
from devtools.mutation import LISTED, listed
from devtools.setup.environment import cache_folder, host
from devtools.setup.pythons import OLDEST, find_python
from support.waiting import until

pytestmark = pytest.mark.comfy

Environment = Mapping[str, str]


@pytest.fixture(scope="module")
def shared() -> Environment:
    """The variables of the gate, for commands that use its cache folder."""
    # Coverage of the pack is measured elsewhere, and slows a process down.
    variables = {k: v for k, v in using(host()).items() if not k.startswith("COVERAGE_")}
    return {"PYTHONPYCACHEPREFIX": str(cache_folder() / "bytecode"), **variables}


@pytest.fixture
def apart(shared: Environment, tmp_path: Path) -> Environment:
    """The same with an empty cache folder, so that a command that runs already is not disturbed."""
    return {**shared, "PIKA_DEV_CACHE": str(tmp_path / "cache")}


def run(environment: Environment, *arguments: str | Path, python: Path | None = None) -> str:
    """Run dev.py and return its output. Fails unless the exit code is 0."""
    command = [python or sys.executable, "dev.py", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_help_names_every_command(shared: Environment) -> None:
    """`dev.py --help` describes each command."""
    text = run(shared, "--help")
    assert text.strip() == str(dev.__doc__).strip()
    assert [name for name in COMMANDS if f"python dev.py {name} " not in text] == []


def test_demo_creates_a_video(apart: Environment) -> None:
    """The demo prints the path and the properties of a video that can be decoded."""
    text = run(apart, "demo", "--task-seconds", "0.1", "--clip-seconds", "0.5", "--size", "64")
    path = Path(text.splitlines()[0].removeprefix("video").strip())
    assert path.is_relative_to(apart["PIKA_DEV_CACHE"])
    assert text.splitlines() == describe_video(path)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere SIGTERM ends a process at once")
def test_editor_answers_and_ends(apart: Environment, tmp_path: Path) -> None:
    """The editor prints its address, opens it in the browser, answers there with the pack's nodes,
    and ends on SIGTERM. Its port is the one that the next start will use."""
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{opened}.part" && mv "{opened}.part" "{opened}"\n')
    browser.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "dev.py", "editor"],
        cwd=ROOT,
        env={**apart, "BROWSER": str(browser)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("The editor is at http://127.0.0.1:")
        url = line.split()[4]
        assert "PikaGenerate" in requests.get(f"{url}/object_info/PikaGenerate").json()
        assert "ComfyUI" in requests.get(url).text
        until(opened.exists, what="the browser")
        assert opened.read_text("utf-8").strip() == url
    finally:
        # Like Ctrl-C, which a process in the background may ignore.
        process.terminate()
        _, errors = process.communicate()
    assert "Stopped." in errors
    assert process.returncode == INTERRUPTED
    with pytest.raises(requests.ConnectionError):
        requests.get(url)
    assert own_port(Path(apart["PIKA_DEV_CACHE"]) / "editor") == urlsplit(url).port


def test_the_editor_keeps_its_port(tmp_path: Path) -> None:
    """The port is the same each time. While another program has it, it is another one."""
    port = own_port(tmp_path)
    assert own_port(tmp_path) == port
    with socket.create_server(("127.0.0.1", port)):
        assert own_port(tmp_path) not in (0, port)
    assert own_port(tmp_path) == port
    (tmp_path / "port").write_text("damaged")
    assert own_port(tmp_path) == own_port(tmp_path)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="there is always a browser")
def test_no_browser_is_opened_in_a_terminal() -> None:
    """Without a display there is none, unless the user names one."""
    assert not has_browser({"TERM": "xterm", "DISPLAY": ""})
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        assert has_browser({name: ":0"})


@pytest.mark.browser
def test_pictures_are_taken(apart: Environment, tmp_path: Path) -> None:
    """An example, the sidebar and the settings, into another folder than the checkout."""
    names = ("01 Text to video", "sidebar", "settings")
    run(apart, "pictures", *names, "--into", tmp_path)
    for path in ("example_workflows/01 Text to video", "docs/sidebar", "docs/settings"):
        with Image.open(tmp_path / f"{path}.jpg") as picture:
            assert min(picture.size) > 200


@pytest.mark.browser
def test_editors_runs_tests_with_another_editor(shared: Environment) -> None:
    """The newest version that is listed opens, with the pack's nodes."""
    test = "tests/editor/test_opening.py::test_editor_opens_without_a_dialog"
    assert "1 passed" in run(shared, "editors", list(VERSIONS)[-1], "--tests", test)


def test_every_benchmark_runs(shared: Environment) -> None:
    """The table has rows of every benchmark."""
    rows = [line.split("|")[1].strip() for line in run(shared, "bench", "--smoke").splitlines()]
    for start in (
        "encode 256²: PNG / PNG",
        "encode 256²: auto",
        "peak memory",
        "other nodes wait",
        "3 tasks",
        "noticed, tasks under 1 min",
        "noticed, tasks of 1 to 20 min",
        "requests for a task of 10 min",
        "5 MB video, growth",
        "5 MB video, sent",
        "3 live tasks of 0.2 s against a bare aiohttp loop: wall",
        "3 live tasks of 0.2 s against a bare aiohttp loop: processor",
        "import of the pack",
    ):
        assert any(row.startswith(start) for row in rows), start


def test_operations_on_a_large_journal_are_measured(shared: Environment) -> None:
    """`bench --rows` has a row for each operation."""
    rows = run(shared, "bench", "--rows", "200", "--smoke").splitlines()[2:]
    assert len(rows) > 15
    assert all(row.rstrip(" |").endswith("ms") for row in rows)


def test_limits_of_the_machine_are_measured(shared: Environment) -> None:
    """`bench --limits` measures each step."""
    rows = run(shared, "bench", "--limits", "--smoke").splitlines()[2:]
    assert [row for row in rows if float(row.split("|")[2]) < 0] == []
    assert len(rows) == 12


def test_pack_creates_the_archive(shared: Environment) -> None:
    """`pack` prints the path of the archive."""
    assert Path(run(shared, "pack").splitlines()[-1]).stat().st_size > 0


@pytest.mark.skipif(sys.platform == "win32", reason="mutmut works on Linux and macOS")
def test_mutants_of_one_function(shared: Environment) -> None:
    """Of a function with a listed mutant, all other mutants are noticed: nothing is printed."""
    entry = next(entry for entry in listed(LISTED.read_text("utf-8")) if entry.module == "retry")
    assert run(shared, "mutants", entry.module, "--only", entry.function) == ""


def test_free_runs_a_test(shared: Environment) -> None:
    """`free` runs tests on the Python that runs dev.py."""
    # The gate has an environment for the oldest Python.
    python = find_python(OLDEST)
    text = run(shared, "free", "tests/test_layout.py", "-n", "0", python=python)
    assert " passed in " in text
    assert python is None or f"Python {OLDEST}." in text
