"""ComfyUI is killed with SIGKILL, started again, and the same workflow is queued again.

Each test needs its own kill, since each is about another moment.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from devtools import ROOT
from simulator import Simulator
from support.comfy import Comfy, ComfyDied, Graph
from support.gateway import HELD, HeldTasks, advance, held_tasks, unanswered
from support.graphs import text_to_video
from support.waiting import until

pytestmark = pytest.mark.comfy


@pytest.fixture(scope="module")
def gateway() -> Iterator[Simulator]:
    """A gateway of this file: faults are open while ComfyUI restarts."""
    with Simulator(key="key-of-a-killed-comfyui-77aa", task_seconds=1.0) as running:
        yield running


@pytest.fixture(scope="module")
def comfy(gateway: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A ComfyUI that only these tests use, since they kill it."""
    env = {"PIKA_API_KEY": gateway.key, "PIKA_BASE_URL": gateway.url}
    with Comfy.start(tmp_path_factory.mktemp("killed"), env=env, pack=ROOT) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_faults_left(gateway: Simulator) -> Iterator[None]:
    yield
    gateway.clear_faults()


def kill_when(comfy: Comfy, prompt_id: str, reached: Callable[[], object]) -> None:
    """Kill ComfyUI when a state is reached, and start it again.

    A caller that waits for the prompt gets an error with ComfyUI's log; the address stays the same.
    """
    until(reached)
    url = comfy.url
    comfy.kill()
    with pytest.raises(ComfyDied, match="whole log"):
        comfy.wait(prompt_id)
    comfy.restart()
    assert comfy.url == url


def submits(gateway: Simulator) -> int:
    """How many submits the gateway has received."""
    return len(gateway.requests(method="POST", path="/pika/generate"))


def feed_requests(gateway: Simulator, task_id: str) -> int:
    """How many times a task's feed was requested."""
    return len(gateway.requests(path=f"/pika/feed/{task_id}"))


def command_line(comfy: Comfy, *arguments: str) -> str:
    """The output of `python -m pika_api` for the journal of this ComfyUI."""
    command = [sys.executable, "-m", "pika_api", "--home", str(comfy.base_dir / "user" / "__pika")]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_reused(comfy: Comfy, graph: Graph, tasks: HeldTasks) -> None:
    """The graph, queued again, ends with the video of its one task."""
    run = comfy.run(graph)
    assert run.error is None
    (task_id,) = tasks.ids
    assert task_id in run.outputs["2"]["images"][0]["filename"]


def test_kill_before_acceptance_sends_the_request_once_more(
    comfy: Comfy, gateway: Simulator
) -> None:
    """Killed while the gateway answers 429: the journal has the entry, but nothing was accepted.
    The next queueing sends the request, once."""
    gateway.fault(on="submit", status=429, headers={"Retry-After": "90"}, times=None)
    graph = text_to_video("Killed before")
    charged, sent = len(gateway.charged), submits(gateway)
    prompt_id = comfy.queue(graph)
    kill_when(
        comfy,
        prompt_id,
        lambda: submits(gateway) > sent and "intended" in command_line(comfy, "tasks"),
    )
    gateway.clear_faults()
    run = comfy.run(graph)
    assert run.error is None
    assert run.outputs["2"]["images"]
    assert len(gateway.charged) == charged + 1


def test_kill_between_charge_and_answer_does_not_resend(comfy: Comfy, gateway: Simulator) -> None:
    """Killed after the gateway accepted the request and before its answer: the state is unknown, so
    it is not sent again, and the error says so. The user can continue with the task's id, or forget
    the entry and pay again."""
    gateway.fault(on="submit", accept=True, delay=HELD)
    graph = text_to_video("Killed between")
    charged, sent = len(gateway.charged), submits(gateway)
    prompt_id = comfy.queue(graph)
    kill_when(comfy, prompt_id, lambda: len(gateway.charged) > charged)
    for _ in range(2):
        run = comfy.run(graph)
        assert run.error is not None
        assert "may have been accepted and charged" in run.error.message
        assert "another" in run.error.message or "seed" in run.error.message
    assert submits(gateway) == sent + 1
    by_id = {"2": {**graph["2"], "inputs": {"task_id": gateway.charged[-1]}}}
    assert comfy.run(by_id).error is None
    lines = command_line(comfy, "tasks").splitlines()
    number = next(line.split()[0] for line in lines if "unknown" in line)
    command_line(comfy, "forget", number)
    assert comfy.run(graph).error is None
    assert len(gateway.charged) == charged + 2


def test_kill_with_the_id_in_the_journal_reuses_the_task(comfy: Comfy, gateway: Simulator) -> None:
    """Killed as soon as the journal has the id: no second request, and the video is saved."""
    gateway.fault(on="feed", delay=HELD)
    graph = text_to_video("Killed with the id on disk")
    with held_tasks(gateway) as tasks:
        prompt_id = comfy.queue(graph)
        kill_when(
            comfy,
            prompt_id,
            lambda: tasks.ids and tasks.ids[0] in command_line(comfy, "tasks"),
        )
    assert_reused(comfy, graph, tasks)


def test_kill_while_polling_reuses_the_task(comfy: Comfy, gateway: Simulator) -> None:
    """Killed after some requests to the feed: no second submit, and the video is saved."""
    graph = text_to_video("Killed while polling")
    with held_tasks(gateway) as tasks:
        prompt_id = comfy.queue(graph)
        (task_id,) = tasks.running()
        kill_when(comfy, prompt_id, lambda: feed_requests(gateway, task_id) > 2)
    assert_reused(comfy, graph, tasks)


def test_kill_while_downloading_reuses_the_task(comfy: Comfy, gateway: Simulator) -> None:
    """Killed in the middle of a download: no second submit, and the video is saved completely."""
    graph = text_to_video("Killed while downloading")
    gateway.fault(on="media", delay=HELD, times=None)
    with held_tasks(gateway) as tasks:
        prompt_id = comfy.queue(graph)
        (task_id,) = tasks.running()
        advance(gateway, task_id, 1.0)
        kill_when(comfy, prompt_id, lambda: unanswered(gateway, f"/{task_id}/video.mp4"))
    gateway.clear_faults()
    assert_reused(comfy, graph, tasks)
    assert not list((comfy.base_dir / "output" / "pika").glob("*.part"))
