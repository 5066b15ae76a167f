"""ComfyUI is killed with SIGKILL and started again, and the same workflows are queued again.

One kill is enough: five workflows run in one prompt, and the kill finds each at another moment.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devtools import ROOT
from simulator import Simulator
from support.comfy import Comfy, ComfyDied, Graph, Run, install
from support.gateway import HELD, advance, held_tasks, unanswered
from support.graphs import PROBES, generate, node
from support.routes import home, journal_of
from support.waiting import until

pytestmark = pytest.mark.comfy

NOT_ACCEPTED, NO_ANSWER = "not accepted", "no answer"
ID_STORED, POLLING, DOWNLOADING = "id stored", "polling", "downloading"

_node_ids = itertools.count(1)


@dataclass(frozen=True)
class Workflow:
    """PikaGenerate and PikaResult behind a gate, which the test opens."""

    name: str
    gate: Path
    result: str = field(default_factory=lambda: str(next(_node_ids)))

    @property
    def prompt(self) -> str:
        """The prompt, by which its requests and tasks are known."""
        return f"Killed: {self.name}"

    @property
    def graph(self) -> Graph:
        """gate → PikaGenerate → PikaResult."""
        gate, request = f"gate {self.result}", f"request {self.result}"
        return {
            gate: node("ProbeGate", text=self.prompt, file=str(self.gate)),
            request: generate([gate, 0], seed=0),
            self.result: node("PikaResult", task_id=[request, 0]),
        }


@dataclass(frozen=True)
class Killed:
    """A ComfyUI after a kill and a restart, its gateway, and the workflows by their names."""

    comfy: Comfy
    gateway: Simulator
    workflows: dict[str, Workflow]

    def run(self, name: str) -> Run:
        """Queue a workflow again."""
        return self.comfy.run(self.workflows[name].graph)

    def submits(self, name: str) -> int:
        """How many times its request was sent."""
        sent = self.gateway.requests(method="POST", path="/pika/generate")
        prompt = self.workflows[name].prompt
        return sum((request.body or {}).get("promptText") == prompt for request in sent)

    def charged(self, name: str) -> list[str]:
        """The ids of its tasks."""
        tasks = self.gateway.tasks.values()
        prompt = self.workflows[name].prompt
        return [task.id for task in tasks if task.body["promptText"] == prompt]

    def start(self, name: str) -> str:
        """Open its gate, and wait for its task; the id."""
        self.workflows[name].gate.touch()
        return until(lambda: self.charged(name), what=f"the charge of «{name}»")[0]

    def has_entry(self, column: str, value: str) -> bool:
        """Whether the journal has an entry with this value."""
        with closing(journal_of(self.comfy)) as journal:
            return any(getattr(entry, column) == value for entry in journal.entries())

    def command_line(self, *arguments: str) -> str:
        """The output of `python -m pika_api` for the journal of this ComfyUI."""
        command = [sys.executable, "-m", "pika_api", "--home", str(home(self.comfy)), *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    """The ComfyUI, which needs to be its own. Its prompt is lost; its address is the same again."""
    base_dir, gates = tmp_path_factory.mktemp("killed"), tmp_path_factory.mktemp("gates")
    install(base_dir, (PROBES, PROBES.name))
    names = (ID_STORED, POLLING, DOWNLOADING, NO_ANSWER, NOT_ACCEPTED)
    workflows = {name: Workflow(name, gates / name) for name in names}
    with Simulator(key="key-of-a-killed-comfyui-77aa") as gateway:
        env = {"PIKA_API_KEY": gateway.key, "PIKA_BASE_URL": gateway.url}
        with Comfy.start(base_dir, env=env, pack=ROOT) as comfy:
            state = Killed(comfy, gateway, workflows)
            everything = {k: v for each in workflows.values() for k, v in each.graph.items()}
            with held_tasks(gateway, 4):
                prompt_id = comfy.queue(everything)
                reach_the_moments(state)
                comfy.kill()
            with pytest.raises(ComfyDied, match="whole log"):
                comfy.wait(prompt_id)
            gateway.clear_faults()
            url = comfy.url
            comfy.restart()
            assert comfy.url == url
            yield state


def reach_the_moments(state: Killed) -> None:
    """Bring the workflows, one after the other, to the moments of their names."""
    gateway = state.gateway

    gateway.fault(on="feed", delay=HELD)
    task_id = state.start(ID_STORED)
    until(lambda: unanswered(gateway, task_id), what="a request to the feed without an answer")
    until(lambda: state.has_entry("task_id", task_id), what="the id in the journal")

    feed = f"/pika/feed/{state.start(POLLING)}"
    until(lambda: len(gateway.requests(path=feed)) > 2, what="three requests to the feed")

    task_id = state.start(DOWNLOADING)
    gateway.fault(on="media", task_id=task_id, delay=HELD, times=None)
    advance(gateway, task_id, 1.0)
    until(lambda: unanswered(gateway, f"{task_id}/video.mp4"), what="a download without an answer")

    gateway.fault(on="submit", accept=True, delay=HELD)
    state.start(NO_ANSWER)

    # The last one: it slows down all requests with this key.
    gateway.fault(on="submit", status=429, headers={"Retry-After": "90"}, times=None)
    state.workflows[NOT_ACCEPTED].gate.touch()
    until(lambda: state.submits(NOT_ACCEPTED), what="the submit")
    until(lambda: state.has_entry("state", "intended"), what="the entry after the 429")


def test_kill_before_acceptance_sends_the_request_once_more(killed: Killed) -> None:
    """Killed while the gateway answers 429: the journal has the entry, but nothing was accepted.
    The next queueing sends the request, once."""
    submits = killed.submits(NOT_ACCEPTED)
    run = killed.run(NOT_ACCEPTED)
    assert run.error is None
    assert run.outputs[killed.workflows[NOT_ACCEPTED].result]["images"]
    assert killed.submits(NOT_ACCEPTED) == submits + 1
    assert len(killed.charged(NOT_ACCEPTED)) == 1


def test_kill_between_charge_and_answer_does_not_resend(killed: Killed) -> None:
    """Killed after the gateway accepted the request and before its answer: the state is unknown, so
    it is not sent again, and the error says so. The user can continue with the task's id, or forget
    the entry and pay again."""
    for _ in range(2):
        run = killed.run(NO_ANSWER)
        assert run.error is not None
        assert "may have been accepted and charged" in run.error.message
        assert "another" in run.error.message or "seed" in run.error.message
    assert killed.submits(NO_ANSWER) == 1
    (task_id,) = killed.charged(NO_ANSWER)
    assert killed.comfy.run({"1": node("PikaResult", task_id=task_id)}).error is None
    lines = killed.command_line("tasks").splitlines()
    number = next(line.split()[0] for line in lines if "unknown" in line)
    killed.command_line("forget", number)
    assert killed.run(NO_ANSWER).error is None
    assert len(killed.charged(NO_ANSWER)) == 2


@pytest.mark.parametrize("moment", [ID_STORED, POLLING, DOWNLOADING])
def test_kill_after_acceptance_reuses_the_task(killed: Killed, moment: str) -> None:
    """Killed when the journal has the id and no answer of the feed has come, between two requests
    to the feed, or in the middle of a download: no second submit, and the video is saved
    completely."""
    run = killed.run(moment)
    assert run.error is None
    (task_id,) = killed.charged(moment)
    (video,) = run.outputs[killed.workflows[moment].result]["images"]
    assert task_id in video["filename"]
    assert killed.comfy.file(video).stat().st_size
    assert killed.submits(moment) == 1
    assert not list((killed.comfy.base_dir / "output" / "pika").glob(f"*{task_id}*.part"))


def test_missing_journal_is_reported_once(killed: Killed) -> None:
    """It was deleted while ComfyUI was off. The log says before the request that it is charged."""
    killed.comfy.kill()
    for path in home(killed.comfy).glob("journal.sqlite3*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = len(killed.comfy.log_text())
    killed.comfy.restart()
    for name in (NOT_ACCEPTED, POLLING):
        assert killed.run(name).error is None
    log = killed.comfy.log_text()[before:]
    assert log.count("is empty, but") == 1
    warned, submitted = log.index("is empty, but"), log.index("submitted (request #1)")
    assert warned < submitted
