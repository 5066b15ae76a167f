"""`python -m pika_api doctor`: finds problems and publishes nothing private."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from devtools import ROOT
from pika_api.cli import main
from pika_api.errors import FeedError, NotAccepted
from pika_api.journal import Journal
from pika_api.journal.schema import SCHEMA_VERSION
from pika_api.request import Options, Parameters
from pika_api.settings import sqlite_url
from pika_api.settings.store import FILE_NAME
from pika_api.support import diagnostics, run_diagnostics
from pika_api.support.diagnostics import Diagnostics
from pika_api.support.redaction import Redactor, redact_user_text
from support.api import KEY, ServiceHarness, ask, free_port, intent, run

PROMPT = "A secret lighthouse at dusk, seen by a gull"


def look(harness: ServiceHarness, *, connect: bool = False, **environ: str) -> Diagnostics:
    """The diagnostics of `harness`, with its key in the environment."""
    given = {"PIKA_API_KEY": harness.gateway.key, "PIKA_BASE_URL": harness.gateway.url, **environ}
    return run_diagnostics(harness.home, harness.output, connect=connect, environ=given)


def test_no_problems(harness: ServiceHarness) -> None:
    """Versions, settings, the journal's counts, free space and the gateway's verdict, without a
    problem."""
    task_id = harness.submit()
    run(harness.service.collect(task_id))
    found = look(harness, connect=True)
    assert found.problems == []
    assert found.text.startswith(f"ComfyUI-Pika {diagnostics.version()}: no problems found\n")
    for words in (
        "\n  Python 3.", "\n  requests ", "\n  api_key: set (environment)", "\n  max_requests: 8 (",
        "\n  base_url: 127.0.0.1 (environment)", "\n  sqlite (",
        f"schema {SCHEMA_VERSION}", "\n  tasks: 1 saved",
        " free\n", "\n  good: ", "\n  set: PIKA_API_KEY, PIKA_BASE_URL",
    ):  # fmt: skip
        assert words in found.text, words


def test_version_is_that_of_pyproject() -> None:
    """The same version as the registry has."""
    tomllib = pytest.importorskip("tomllib")  # of Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert diagnostics.version() == project["version"]


def test_host_versions_are_listed(harness: ServiceHarness) -> None:
    """ComfyUI's version, which only the nodes know, is in the report."""
    around = {"ComfyUI": "0.3.75"}
    found = run_diagnostics(
        harness.home, harness.output, connect=False, host_versions=around, environ={}
    )
    assert "\n  ComfyUI 0.3.75\n" in found.text


def test_gateway_is_asked_only_on_request(harness: ServiceHarness) -> None:
    """No request without the connection check, and no paid one with it."""
    assert "Connection" not in look(harness).text
    assert harness.gateway.log == []
    look(harness, connect=True)
    assert {seen.method for seen in harness.gateway.log} == {"GET"}


# What must not be in it.


def test_report_has_no_secret(
    harness: ServiceHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither key, prompt (in whole or in part), task id, user folder nor a link's signature,
    whatever the gateway's error contains."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    negative = "no seagulls anywhere"
    request = ask(PROMPT, options=Options(parameters=Parameters(negative_prompt=negative)))
    said = f"«{PROMPT}» and {PROMPT[:20]}… and {negative}: see {tmp_path}/x and https://c/v?sig=S3C"
    harness.gateway.fault("submit", status=402, body={"message": said})
    with pytest.raises(NotAccepted):
        run(harness.service.submit(request))
    task_id = harness.submit(request)
    row = harness.journal.find_by_task_id(task_id)
    assert row is not None
    harness.journal.record_error(row.id, f"Task {task_id}: {said}")
    found = look(harness, connect=True)
    assert "402" in found.text
    assert f"{task_id[:8]}…" in found.text
    for secret in (
        harness.gateway.key, PROMPT, PROMPT[:20], "lighthouse", negative, "seagulls", task_id,
        str(tmp_path), "S3C",
    ):  # fmt: skip
        assert secret not in found.text, secret


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+nodriver://bob:pa-ss@db.internal/pika",
        "postgresql://bob:pa-ss@db.internal:port/pika",
        "bob:pa-ss@db.internal",
    ],
)
def test_report_has_no_database_account(harness: ServiceHarness, url: str) -> None:
    """A database that does not work is reported without user name and password."""
    found = look(harness, PIKA_JOURNAL_URL=url, HTTPS_PROXY="http://bob:pa-ss@proxy.internal")
    assert len(found.problems) == 1
    assert "PIKA_JOURNAL_URL" in found.text
    assert "HTTPS_PROXY" in found.text
    for secret in ("pa-ss", "bob", ".internal"):
        assert secret not in found.text


def test_report_lists_the_newest_five_errors(harness: ServiceHarness) -> None:
    """One line each, newest first."""
    for number in range(7):
        entry = harness.journal.claim(intent(f"{number:064}"), "me").entry
        harness.journal.mark_rejected(entry.id, "me", f"reason\nnumber {number}")
    told = [line for line in look(harness).text.splitlines() if "reason number" in line]
    assert [line.split()[-1] for line in told] == ["6", "5", "4", "3", "2"]
    assert told[0].strip() == "refused #7: reason number 6"


# What is wrong.


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"PIKA_API_KEY": ""}, "No API key"),
        ({"PIKA_API_KEY": "two words"}, "PIKA_API_KEY: the key contains a quotation mark"),
        ({"PIKA_BASE_URL": "ftp://me:se-cret@x"}, "PIKA_BASE_URL: not an http"),
        ({"PIKA_MAX_REQUESTS": "many"}, "PIKA_MAX_REQUESTS: 'many' is not"),
    ],
)
def test_unusable_settings_are_reported_first(
    harness: ServiceHarness, environ: Mapping[str, str], words: str
) -> None:
    """Once and first; the other checks still run."""
    found = look(harness, connect=True, **environ)
    assert len(found.problems) == 1
    assert found.problems[0].startswith(words)
    assert found.text.splitlines()[1] == f"! {found.problems[0]}"
    assert "tasks: none" in found.text
    assert "se-cret" not in found.text
    assert "two words" not in found.text


def test_broken_settings_file_is_reported_without_its_content(harness: ServiceHarness) -> None:
    """The report names the file and quotes nothing from it."""
    harness.home.mkdir()
    (harness.home / FILE_NAME).write_text(f'{{"api_key": "{KEY}"', encoding="utf-8")
    found = run_diagnostics(harness.home, harness.output, connect=True, environ={})
    assert len(found.problems) == 1
    assert "cannot be read" in found.problems[0]
    assert KEY not in found.text
    assert "not tested" in found.text


def test_broken_journal_is_reported(harness: ServiceHarness) -> None:
    """The report also says that nothing is sent without the journal."""
    harness.home.mkdir()
    (harness.home / "journal.sqlite3").write_bytes(b"no database " * 1000)
    found = look(harness)
    assert len(found.problems) == 1
    assert "Nothing is sent without the journal" in found.problems[0]
    assert "not working" in found.text


@pytest.mark.parametrize("status", [401, 500])
def test_gateway_error_is_reported_with_its_words(harness: ServiceHarness, status: int) -> None:
    """The gateway's own words are in the report."""
    harness.gateway.fault("feed", status=status, body={"message": "worn out"}, times=None)
    (problem,) = look(harness, connect=True).problems
    assert "worn out" in problem


def test_unreachable_gateway_is_reported(harness: ServiceHarness) -> None:
    """Nothing listens at the address."""
    url = f"http://127.0.0.1:{free_port()}"
    (problem,) = look(harness, connect=True, PIKA_BASE_URL=url).problems
    assert problem.startswith("No connection to 127.0.0.1")


def test_unusable_environment_is_reported_without_the_password(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A variable that cannot work is one problem, also without a connection; the gateway is not
    asked. SSL_CERT_FILE has no effect, which is a line and no problem."""
    url = "https://gateway.example"
    monkeypatch.setenv("HTTPS_PROXY", "socks5://user:proxy-password@127.0.0.1:1080")
    for connect in (False, True):
        given = look(harness, connect=connect, PIKA_BASE_URL=url, SSL_CERT_FILE="/absent.pem")
        (problem,) = given.problems
        assert "HTTPS_PROXY is socks5://127.0.0.1:1080" in problem
        assert "PySocks" in problem
        assert "proxy-password" not in given.text
        assert "SSL_CERT_FILE: no effect" in given.text
    monkeypatch.delenv("HTTPS_PROXY")
    given = look(harness, PIKA_BASE_URL=url, NO_PROXY="localhost,https://gateway.example")
    (problem,) = given.problems
    assert "NO_PROXY" in problem
    assert "https://gateway.example" in problem


def test_unwritable_output_is_reported(harness: ServiceHarness, tmp_path: Path) -> None:
    """The check creates no folder; a file in its place and a full disk are reported."""
    assert look(harness).problems == []
    assert not harness.output.exists()
    full = shutil.disk_usage(tmp_path)._replace(free=5_000_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnostics.shutil, "disk_usage", lambda _path: full)
        assert look(harness).problems == ["Only 5.0 MB free for videos."]

    def refuse(**_given: Any) -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnostics.tempfile, "TemporaryFile", refuse)
        (problem,) = look(harness).problems
    assert problem.startswith("Nothing can be written to")
    assert "Permission denied" in problem


def test_missing_required_package_is_reported(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch is not required: only the nodes need it."""
    version = metadata.version

    def look_up(name: str) -> str:
        if name in ("av", "torch"):
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(diagnostics.metadata, "version", look_up)
    found = look(harness)
    assert found.problems == ["av is not installed in this Python."]
    assert "\n  torch -\n" in found.text


# The command.

#: Runs it as `python -m pika_api` does, in a Python that lacks a module.
WITHOUT = """
import runpy, sys
sys.modules[sys.argv.pop(1)] = None
runpy.run_module("pika_api", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("sqlalchemy", "SQLAlchemy"),
        ("requests", "requests"),
        ("av", "av"),
        ("PIL", "Pillow"),
        ("numpy", "numpy"),
    ],
)
def test_command_names_the_missing_package(
    harness: ServiceHarness, tmp_path: Path, module: str, package: str
) -> None:
    """In another Python than ComfyUI's: before anything is sent, and without a traceback."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, module, "--home", str(tmp_path), "generate", "A pear"],
        cwd=ROOT,
        env={
            **os.environ,
            "PIKA_API_KEY": harness.gateway.key,
            "PIKA_BASE_URL": harness.gateway.url,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"{package} is not installed in this Python" in done.stderr
    assert f"pip install {package}" in done.stderr
    assert "Traceback" not in done.stderr
    assert harness.posts == 0


def test_exit_code_is_1_with_a_problem(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 without one; the text is on stdout, where it can be copied."""
    monkeypatch.setenv("PIKA_BASE_URL", harness.gateway.url)
    arguments = ["--home", str(harness.home), "doctor", "--output", str(harness.output)]
    assert main(arguments) == 1
    assert "! No API key" in capsys.readouterr().out
    monkeypatch.setenv("PIKA_API_KEY", harness.gateway.key)
    assert main(arguments) == 0
    done = capsys.readouterr()
    assert ": no problems found\n" in done.out
    assert "good: " in done.out
    assert harness.gateway.key not in done.out
    assert done.err == ""
    assert main([*arguments, "--no-connection"]) == 0
    assert "good: " not in capsys.readouterr().out


# Taking out.


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (r"in C:\Users\Jo Doe\ComfyUI\x.json.", r"in ~\ComfyUI\x.json."),
        (r"'D:\\Users\\jo\\x'", r"'~\\x'"),
        ("/home/jo/ComfyUI and /Users/jo/x", "~/ComfyUI and ~/x"),
        ("(sqlite:////home/jo/j.sqlite3)", "(sqlite:///~/j.sqlite3)"),
        ("C:/Users/jo/x", "~/x"),
        ("/mnt/me/x and /mnt/mean", "~/x and /mnt/mean"),
        ("postgresql://jo:p@h:1/d?x=1 off", "postgresql://[account]/d off"),
        ("https://cdn.x/v.mp4?Sig=a&b=c, then", "https://cdn.x/v.mp4 then"),
        ("Is it so? Yes", "Is it so? Yes"),
        ("task 01234567-89ab-cdef-0123-456789abcdef!", "task 01234567…!"),
        (f"a {KEY}\nb", "a [key] b"),
        ("D:/ComfyUI/output", "D:/ComfyUI/output"),
    ],
)
def test_personal_data_is_redacted(text: str, clean: str) -> None:
    """In the forms of every system, and nothing else is removed."""
    assert Redactor(KEY, Path("/mnt/me"))(text) == clean


def test_user_texts_are_redacted(tmp_path: Path) -> None:
    """In whole and in part, in any language; similar texts stay."""
    journal = Journal(sqlite_url(tmp_path))
    written = "一只海鸥在黄昏的灯塔上飞翔"
    request = {"promptText": written, "image": {"url": "https://x.example/me.png"}}
    entry = journal.claim(intent(prompt=written, request=request), "me").entry
    journal.close()
    assert redact_user_text(f"«{written}» is not allowed", entry) == "«[…]» is not allowed"
    assert redact_user_text(f"«{written[:9]}…» no", entry) == "«[…]…» no"
    assert redact_user_text("cannot fetch https://x.example/me.png", entry) == "cannot fetch […]"
    assert redact_user_text("HTTP 500 from x: worn out", entry) == "HTTP 500 from x: worn out"
    listed = replace(entry, request={"tags": [["a secret street"], 7]})
    assert redact_user_text("no «a secret street»", listed) == "no «[…]»"


def test_feed_errors_are_not_in_the_report(harness: ServiceHarness) -> None:
    """A feed that cannot be read leaves nothing in the journal that the report would quote."""
    task_id = harness.submit()
    harness.gateway.fault("feed", status=502, body={"message": PROMPT})
    with pytest.raises(FeedError):
        run(harness.service.status(task_id))
    assert PROMPT not in look(harness).text


def test_long_prompt_is_redacted_in_linear_time(tmp_path: Path) -> None:
    """Half a megabyte of prompt, an error that quotes a piece of it, and words that only look
    similar. With a general comparison of texts, this takes hours."""
    prompt = " ".join(f"word{number}" for number in range(60_000))
    with closing(Journal(sqlite_url(tmp_path))) as journal:
        request = {"promptText": prompt, "image": "x" * 200_000}
        entry = journal.claim(intent(prompt=prompt, request=request), "me").entry
    error = f"HTTP 400: <{prompt[300_000:300_400]}> is not allowed; word one, word two"
    assert redact_user_text(error, entry) == "HTTP 400: <[…]> is not allowed; word one, word two"


def test_missing_journal_is_a_problem(harness: ServiceHarness) -> None:
    """There are files of earlier tasks, and no journal of them: also at the second look, which
    finds the file that the first one has created."""
    harness.output.mkdir(parents=True)
    (harness.output / "pika_x.mp4").touch()
    for _ in range(2):
        (problem,) = look(harness).problems
        assert "is empty, but" in problem
        assert "charged" in problem


def test_journal_that_an_earlier_version_put_elsewhere_is_a_problem(tmp_path: Path) -> None:
    """Beside the right one."""
    url = sa.URL.create("sqlite", database=str(tmp_path / "a b" / "journal.sqlite3"))
    for each in (sqlite_url(tmp_path / "a%20b"), url):
        with closing(Journal(each)) as journal:
            journal.claim(intent(), "me")
    found = run_diagnostics(tmp_path / "a%20b", tmp_path / "out", connect=False, environ={})
    (problem,) = [text for text in found.problems if "another journal" in text]
    assert str(tmp_path / "a b") in problem
