"""The command line: results on stdout, everything else on stderr, exit codes for scripts."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest
from PIL import Image

from devtools import ROOT
from pika_api.cli import main
from pika_api.journal import Journal
from pika_api.settings import register_home, sqlite_url
from simulator import Simulator
from support.api import KEY, PROMPT, intent, write_video
from support.gateway import result_name


@pytest.fixture
def gateway() -> Iterator[Simulator]:
    """A gateway with a key that can be searched for."""
    with Simulator(key=KEY, task_seconds=0.0, clip_seconds=0.2, height=64) as running:
        yield running


class Shell:
    """Runs the command from the checkout: in this process, or in one of its own."""

    def __init__(self, gateway: Simulator, home: Path) -> None:
        self.home = home
        self.output = home.with_name("output")
        self.env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PIKA_", "PYTHON"))
        } | {"PIKA_API_KEY": gateway.key, "PIKA_BASE_URL": gateway.url, "PIKA_HOME": str(home)}

    def __call__(
        self, *arguments: str, code: int | None = 0, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """The exit code must be `code`, unless that is None.

        In this process: a new one takes a second of CPU time before it does anything."""
        before, out, err = Path.cwd(), io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.env | env, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            os.chdir(ROOT)
            try:
                returned = main(arguments)
            except SystemExit as end:  # argparse's own
                returned = int(end.code or 0)
            finally:
                os.chdir(before)
        done = subprocess.CompletedProcess(arguments, returned, out.getvalue(), err.getvalue())
        return self._checked(done, code)

    def process(
        self, *arguments: str, code: int = 0, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """In a process of its own, without PYTHONPATH, as a user does."""
        done = subprocess.run(
            [sys.executable, "-W", "error::ResourceWarning", "-m", "pika_api", *arguments],
            cwd=ROOT, env=self.env | env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return self._checked(done, code)

    @staticmethod
    def _checked(
        done: subprocess.CompletedProcess[str], code: int | None
    ) -> subprocess.CompletedProcess[str]:
        assert code in {None, done.returncode}, done.stderr
        assert KEY not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def inside(
        self, *arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> tuple[int, str, str]:
        """The same in this process, which is quicker: the exit code, stdout and stderr."""
        monkeypatch.chdir(ROOT)
        for name, value in self.env.items():
            monkeypatch.setenv(name, value)
        try:
            code = main(arguments)
        except SystemExit as end:  # argparse's own
            code = int(end.code or 0)
        done = capsys.readouterr()
        assert KEY not in done.out + done.err
        return code, done.out, done.err


@pytest.fixture
def shell(gateway: Simulator, tmp_path: Path) -> Shell:
    return Shell(gateway, tmp_path / "home")


def test_generate_with_wait_prints_id_and_path_and_costs_once(
    gateway: Simulator, shell: Shell
) -> None:
    """The same command again reuses the task and prints the same two lines."""
    arguments = ("generate", PROMPT, "--pikaffect", "Melt", "--zoom", "in", "--wait",
                 "--output", str(shell.output))  # fmt: skip
    first = shell.process(*arguments)
    (task_id,) = gateway.charged
    path = shell.output / result_name(gateway, task_id)
    assert first.stdout.splitlines() == [task_id, str(path)]
    assert path.is_file()
    assert gateway.log[0].body["options"]["camera"] == {"zoom": "in"}
    again = shell(*arguments)
    assert again.stdout == first.stdout
    assert "no new charge" in again.stderr
    assert gateway.charged == [task_id]


def test_one_task_through_status_result_tasks_and_forget(gateway: Simulator, shell: Shell) -> None:
    """Each command finds the task that `generate` created."""
    task_id = shell("generate", PROMPT).stdout.strip()
    assert json.loads(shell("status", task_id).stdout)["id"] == task_id
    path = shell("result", task_id, "--output", str(shell.output)).stdout.strip()
    assert Path(path).is_file()
    row = shell("tasks").stdout
    assert task_id in row
    assert "saved" in row
    assert PROMPT in row
    (entry,) = map(json.loads, shell("tasks", "--json").stdout.splitlines())
    assert (entry["task_id"], entry["state"], entry["file_path"]) == (task_id, "saved", path)
    assert "charged" in shell("forget", f"#{entry['number']}").stdout
    assert shell("tasks").stdout == ""
    assert task_id in shell("tasks", "--all").stdout
    assert shell("generate", PROMPT).stdout.strip() != task_id
    assert len(gateway.charged) == 2


def test_request_that_is_being_sent_is_not_forgotten(shell: Shell) -> None:
    """Another process sends it at this moment: its task would be lost from the journal."""
    with closing(Journal(sqlite_url(shell.home))) as journal:
        entry = journal.claim(intent(), "another process").entry
        assert journal.mark_sent(entry.id, "another process")
        assert "is being sent" in shell("forget", f"#{entry.id}", code=1).stderr
        assert journal.get(entry.id).forgotten_at is None


def test_every_seed_is_a_take_of_its_own(
    gateway: Simulator,
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """0 to 2**64 - 1 are exact: neighbours are different tasks, and each is reused."""
    seeds = (0, 2**53, 2**53 + 1, 2**63, 2**64 - 2, 2**64 - 1)
    for _ in range(2):
        for seed in seeds:
            arguments = ("generate", PROMPT, "--seed", str(seed))
            assert shell.inside(*arguments, monkeypatch=monkeypatch, capsys=capsys)[0] == 0
    assert len(gateway.charged) == len(seeds)
    with closing(Journal(sqlite_url(shell.home))) as journal:
        assert sorted(entry.take for entry in journal.entries(limit=99)) == list(seeds)


def test_empty_journal_beside_another_one_with_tasks_pays_nothing(
    gateway: Simulator, shell: Shell, tmp_path: Path
) -> None:
    """`generate` lists the folders and asks for one, before anything is sent or created. The other
    commands say which folder they use; doctor reports it as a problem. With --home or PIKA_HOME
    nothing is asked."""
    shell("generate", PROMPT)  # PIKA_HOME is set, and new
    env = {"PIKA_HOME": "", "HOME": str(tmp_path), "USERPROFILE": str(tmp_path),
           "XDG_CONFIG_HOME": str(tmp_path / "config")}  # fmt: skip
    register_home(shell.home, env, tmp_path / "other-pack")
    done = shell("generate", PROMPT, code=1, **env)
    assert done.stdout == ""
    assert "Nothing was sent" in done.stderr
    assert f"{shell.home} (tasks: 1)" in done.stderr
    assert not (tmp_path / ".pika").exists()
    listed = shell("tasks", **env)
    assert listed.stdout == ""
    assert str(shell.home) in listed.stderr
    report = shell("doctor", code=1, **env).stdout
    assert "It is not clear which folder is meant" in report
    assert "known folder: " in report
    assert len(gateway.charged) == 1
    again = shell("--home", str(shell.home), "generate", PROMPT, **env)
    assert "no new charge" in again.stderr
    assert shell("--home", str(tmp_path / "new"), "generate", PROMPT, **env).stdout.strip()
    assert len(gateway.charged) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("HTTPS_PROXY", "socks5://user:proxy-password@127.0.0.1:1080"),
     ("ALL_PROXY", "http//user:proxy-password@127.0.0.1"), ("REQUESTS_CA_BUNDLE", "absent.pem")],
)  # fmt: skip
def test_unusable_environment_ends_each_command_at_once(
    gateway: Simulator, shell: Shell, name: str, value: str
) -> None:
    """generate, result and doctor name the variable, without the password in it. They do not try
    for 20 s."""
    env = {name: value, "PIKA_BASE_URL": "https://localhost:9"}
    started = time.monotonic()
    for command in (("generate", PROMPT), ("result", "some-task"), ("doctor",)):
        done = shell(*command, code=1, **env)
        text = done.stdout + done.stderr
        assert f"{name} is " in text
        assert "proxy-password" not in text
    assert time.monotonic() - started < 18.0
    assert gateway.log == []


def test_invalid_seed_names_the_option_and_the_range(shell: Shell) -> None:
    """The error is short, and says which option is wrong and what it takes."""
    for seed in ("-1", "9" * 5000, "7.5"):
        last = shell("generate", PROMPT, "--seed", seed, code=2).stderr.splitlines()[-1]
        assert "--seed" in last
        assert str(2**64 - 1) in last
        assert len(last) < 300


def test_image_and_video_files_are_sent(gateway: Simulator, shell: Shell, tmp_path: Path) -> None:
    """A JPEG is sent as PNG with its own aspect ratio, an MP4 as it is."""
    Image.new("RGB", (64, 64)).save(tmp_path / "p.jpg")
    video = write_video(tmp_path / "v.mp4")
    shell("generate", PROMPT, "--image", str(tmp_path / "p.jpg"), "--video", str(video),
          "--aspect-ratio", "from image", "--extend")  # fmt: skip
    body = gateway.log[0].body
    assert (body["image"]["width"], body["image"]["height"]) == (64, 64)
    assert body["video"]["bytes"] == video.stat().st_size
    assert body["options"]["aspectRatio"] == 1.0
    assert body["options"]["extend"] is True


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        (("generate",), 2),
        (("generate", PROMPT, "--pikaffect", "Nope"), 2),
        *(
            (("generate", PROMPT, "--seed", seed), 2)
            for seed in ("-1", str(2**64), "9" * 5000, "7.0", "1e3", "True", "", "seven", "nan")
        ),
        (("generate", " "), 1),
        (("generate", PROMPT, "--aspect-ratio", "wide"), 1),
        (("generate", PROMPT, "--image", "absent.png"), 1),
        (("generate", PROMPT, "--video", "pyproject.toml"), 1),
        (("generate", PROMPT, "--extra-json", "{"), 1),
        (("forget", "nothing"), 1),
        (("forget", "#7"), 1),
        (("forget", "9" * 30), 1),
        (("forget", "²"), 1),
    ],
)
def test_invalid_arguments_are_rejected_before_anything_is_sent(
    gateway: Simulator,
    shell: Shell,
    arguments: tuple[str, ...],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line for the user, no traceback, nothing on stdout, no request."""
    found, out, err = shell.inside(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert (found, out) == (code, "")
    assert err
    assert gateway.log == []


def test_exit_codes(
    gateway: Simulator,
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rejected 1, unknown 3 (also when repeated), not finished 4, failed 5."""

    def generate(*arguments: str) -> tuple[int, str, str]:
        return shell.inside("generate", PROMPT, *arguments, monkeypatch=monkeypatch, capsys=capsys)

    gateway.fault("submit", status=402, body={"message": "No credit"})
    code, _, err = generate()
    assert code == 1
    assert "No credit" in err
    gateway.fault("submit", status=500)
    for _ in range(2):
        code, _, err = generate()
        assert code == 3
        assert "may have been accepted" in err
    gateway.fault("task", stuck=True)
    code, out, _ = generate("--seed", "1", "--wait", "--timeout-minutes", "0.01")
    assert (code, out.strip()) == (4, gateway.charged[0])
    gateway.fault("task", error="NSFW")
    code, _, err = generate("--seed", "2", "--wait")
    assert code == 5
    assert "NSFW" in err


def test_settled_request_is_reused(gateway: Simulator, shell: Shell) -> None:
    """The error of the unknown request names the command. Nothing is sent again."""
    gateway.fault("submit", reset=True, accept=True)
    error = shell("generate", PROMPT, code=3).stderr
    assert "settle 1 TASK_ID" in error
    (task_id,) = gateway.charged
    done = shell("settle", "1", task_id)
    assert task_id in done.stdout
    assert "no new charge" in done.stdout
    assert shell("generate", PROMPT).stdout.strip() == task_id
    assert gateway.charged == [task_id]


def test_settle_changes_nothing_if_it_fails(
    gateway: Simulator,
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A row that does not exist, one that has its task, an id that the gateway does not know, and a
    text that is no id: the exit code is 1, and the request stays unknown."""

    def run(*arguments: str) -> tuple[int, str, str]:
        return shell.inside(*arguments, monkeypatch=monkeypatch, capsys=capsys)

    gateway.fault("submit", reset=True, accept=True)
    assert run("generate", PROMPT)[0] == 3
    (task_id,) = gateway.charged
    assert run("generate", PROMPT, "--seed", "1")[0] == 0
    before = run("tasks", "--json")[1]
    for row, given, words in (
        ("9", task_id, "is not in the journal"),
        ("nothing", task_id, "is not in the journal"),
        ("2", task_id, "does not wait for a task id"),
        ("1", gateway.charged[1], "another request, #2"),
        ("1", "mistyped", "does not know task mistyped"),
        ("1", "<b>", "is not a task id"),
    ):
        code, out, err = run("settle", row, given)
        assert (code, out) == (1, ""), given
        assert words in err
    assert run("tasks", "--json")[1] == before
    assert run("settle", "#1")[0] == 2
    assert run("generate", PROMPT)[0] == 3
    assert len(gateway.charged) == 2


def test_settled_task_that_failed_is_not_promised(
    gateway: Simulator,
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The gateway ended it with an error, so the same request creates a new task."""
    gateway.fault("task", error="NSFW")
    gateway.fault("submit", reset=True, accept=True)
    shell.inside("generate", PROMPT, monkeypatch=monkeypatch, capsys=capsys)
    code, out, _ = shell.inside(
        "settle", "#1", gateway.charged[0], monkeypatch=monkeypatch, capsys=capsys
    )
    assert code == 0
    assert "NSFW" in out
    assert "may be charged" in out


def test_missing_key_error_explains_how_to_set_it(shell: Shell) -> None:
    """The error also says how to try the pack without a key."""
    assert "python -m simulator" in shell("generate", PROMPT, code=1, PIKA_API_KEY="").stderr


def test_broken_journal_is_an_error(gateway: Simulator, shell: Shell, tmp_path: Path) -> None:
    """Nothing is sent."""
    (tmp_path / "file").write_text("in the way")
    url = f"sqlite:///{(tmp_path / 'file' / 'journal').as_posix()}"
    assert "Nothing is sent" in shell("generate", PROMPT, code=1, PIKA_JOURNAL_URL=url).stderr
    assert "does not work" in shell("tasks", code=1, PIKA_JOURNAL_URL=url).stderr
    assert gateway.log == []


@pytest.mark.parametrize("arguments", [["tasks"], ["tasks", "--json"]], ids=["list", "json"])
def test_terminal_commands_of_a_prompt_are_not_printed(shell: Shell, arguments: list[str]) -> None:
    """A prompt may come from somebody else's workflow, and an error from any gateway."""
    hostile = "pear \x1b[2J\x1b]0;title\x07 \u202e end"
    with closing(Journal(sqlite_url(shell.home))) as journal:
        entry = journal.claim(intent(prompt=hostile), "me").entry
        journal.record_error(entry.id, hostile)
    output = shell(*arguments).stdout
    assert "pear" in output
    assert not {"\x1b", "\x07", "\u202e"} & set(output)


def test_terminal_commands_of_an_error_are_not_printed(shell: Shell) -> None:
    """An argument is quoted in the error."""
    done = shell("forget", "\x1b[2J\u202e", code=1)
    assert not {"\x1b", "\u202e"} & set(done.stderr)


def test_backup_copies_the_journal_and_never_overwrites(
    gateway: Simulator, shell: Shell, tmp_path: Path
) -> None:
    """The copy works as a journal: the same request costs nothing."""
    copy = tmp_path / "copy"
    assert "no journal" in shell("backup", str(copy), code=1).stderr
    task_id = shell("generate", PROMPT).stdout.strip()
    assert "Requests in the copy: 1" in shell("backup", str(copy)).stdout
    assert "exists already" in shell("backup", str(copy), code=1).stderr
    restored = shell("generate", PROMPT, PIKA_JOURNAL_URL=f"sqlite:///{copy.as_posix()}")
    assert restored.stdout.strip() == task_id
    assert gateway.charged == [task_id]


def test_generate_warns_before_it_pays_without_the_earlier_journal(
    gateway: Simulator, shell: Shell
) -> None:
    """Once: the journal was deleted, and the files of earlier tasks are still there."""
    arguments = ("generate", PROMPT, "--wait", "--output", str(shell.output))
    shell(*arguments)
    for path in shell.home.glob("journal.sqlite3*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = shell(*arguments)
    before, after = done.stderr.split("Sending the request", 1)
    assert "is empty, but" in before
    assert "charged" in before
    assert "is empty, but" not in after
    assert "is empty, but" not in shell(*arguments).stderr


def test_relative_journal_url_is_refused(gateway: Simulator, shell: Shell) -> None:
    """The error has the whole path. Nothing is sent."""
    done = shell("generate", PROMPT, code=1, PIKA_JOURNAL_URL="sqlite:///tasks.db")
    assert f"sqlite:///{ROOT.as_posix()}/tasks.db" in done.stderr
    assert gateway.log == []
