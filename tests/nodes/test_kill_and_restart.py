"""ComfyUI killed with SIGKILL at the worst moments, started again, and the same workflow queued."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from devtools import ROOT
from simulator import Simulator
from support.comfy import Comfy
from support.graphs import text_to_video
from support.waiting import until

pytestmark = pytest.mark.comfy


@pytest.fixture(scope="module")
def bank() -> Iterator[Simulator]:
    """The gateway of this file's ComfyUI."""
    with Simulator(key="mortal-key-77aa", task_seconds=1.0) as running:
        yield running


@pytest.fixture(scope="module")
def mortal(bank: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A ComfyUI that the tests kill; one after the other in the same folder."""
    env = {"PIKA_API_KEY": bank.key, "PIKA_BASE_URL": bank.url}
    with Comfy.start(tmp_path_factory.mktemp("mortal"), env=env, pack=ROOT) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_faults_left(bank: Simulator) -> Iterator[None]:
    yield
    bank.clear_faults()


def kill_when(comfy: Comfy, reached: Callable[[], object]) -> None:
    """SIGKILL once a moment is reached, and start again."""
    until(reached, timeout=20.0)
    comfy.kill()
    comfy.restart()


def submits(bank: Simulator) -> int:
    """How many submits have arrived."""
    return len(bank.requests(method="POST", path="/pika/generate"))


def asked(bank: Simulator, task_id: str) -> int:
    """How many times the feed of a task was read."""
    return len(bank.requests(path=f"/pika/feed/{task_id}"))


def tasks(comfy: Comfy, *arguments: str) -> str:
    """`python -m pika_api` on the journal of this ComfyUI."""
    command = [sys.executable, "-m", "pika_api", "--home", str(comfy.base_dir / "user" / "__pika")]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_before_it_was_accepted(mortal: Comfy, bank: Simulator) -> None:
    """Killed while the gateway asks to come later: the row was entered and nothing accepted, so
    the next queueing sends it, once."""
    bank.fault(on="submit", status=429, headers={"Retry-After": "90"}, times=None)
    graph = text_to_video("Killed before")
    charged, sent = len(bank.charged), submits(bank)
    mortal.queue(graph)
    kill_when(mortal, lambda: submits(bank) > sent and "intended" in tasks(mortal, "tasks"))
    bank.clear_faults()
    run = mortal.run(graph)
    assert run.error is None
    assert run.outputs["2"]["images"]
    assert len(bank.charged) == charged + 1


def test_between_the_charge_and_the_answer(mortal: Comfy, bank: Simulator) -> None:
    """Killed after the gateway took it and before its answer came: nobody can know, so it is not
    sent again; the error says so; and the user can go on deliberately, both ways."""
    bank.fault(on="submit", accept=True, delay=60.0)
    graph = text_to_video("Killed between")
    charged, sent = len(bank.charged), submits(bank)
    mortal.queue(graph)
    kill_when(mortal, lambda: len(bank.charged) > charged)
    for _ in range(2):
        run = mortal.run(graph)
        assert run.error is not None
        assert "may have been accepted and charged" in run.error.message
        assert "another" in run.error.message or "seed" in run.error.message
    assert submits(bank) == sent + 1
    found = mortal.run({"2": {**graph["2"], "inputs": {"task_id": bank.charged[-1]}}})
    assert found.error is None
    row = tasks(mortal, "tasks").splitlines()
    number = next(line.split()[0] for line in row if "unknown" in line)
    tasks(mortal, "forget", number)
    assert mortal.run(graph).error is None
    assert len(bank.charged) == charged + 2


def test_with_the_id_on_disk(mortal: Comfy, bank: Simulator) -> None:
    """Killed as soon as the id is in the journal: no second request, and the video arrives."""
    bank.fault(on="task", seconds=4.0)
    bank.fault(on="feed", delay=30.0)
    graph = text_to_video("Killed with the id on disk")
    charged = len(bank.charged)
    mortal.queue(graph)
    kill_when(
        mortal,
        lambda: len(bank.charged) > charged and bank.charged[-1] in tasks(mortal, "tasks"),
    )
    run = mortal.run(graph)
    assert run.error is None
    assert bank.charged[-1] in run.outputs["2"]["images"][0]["filename"]
    assert len(bank.charged) == charged + 1


def test_while_waiting(mortal: Comfy, bank: Simulator) -> None:
    """Killed while polling: no second request, and the video arrives."""
    bank.fault(on="task", seconds=6.0)
    graph = text_to_video("Killed while waiting")
    charged = len(bank.charged)
    mortal.queue(graph)
    kill_when(mortal, lambda: len(bank.charged) > charged and asked(bank, bank.charged[-1]) > 2)
    run = mortal.run(graph)
    assert run.error is None
    assert bank.charged[-1] in run.outputs["2"]["images"][0]["filename"]
    assert len(bank.charged) == charged + 1


def test_while_downloading(mortal: Comfy, bank: Simulator) -> None:
    """Killed in the middle of the download: no second request, and the video arrives whole."""
    graph = text_to_video("Killed while downloading")
    charged = len(bank.charged)
    bank.fault(on="media", delay=60.0)
    bank.fault(on="media", delay=60.0)
    mortal.queue(graph)
    kill_when(
        mortal,
        lambda: len(bank.charged) > charged
        and [r for r in bank.requests(server="cdn") if r.path.endswith("video.mp4")
             and bank.charged[-1] in r.path],
    )  # fmt: skip
    bank.clear_faults()
    run = mortal.run(graph)
    assert run.error is None
    assert bank.charged[-1] in run.outputs["2"]["images"][0]["filename"]
    assert len(bank.charged) == charged + 1
    assert not list((mortal.base_dir / "output" / "pika").glob("*.part"))
