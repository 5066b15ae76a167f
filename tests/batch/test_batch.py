"""A table of requests: each row is charged once, however often the batch is stopped and started."""

from __future__ import annotations

import asyncio
import csv
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cli.test_cli import Shell
from devtools import ROOT
from pika_api.batch import Batch, BatchStopped, ServiceWorker, Summary, read_rows, write_rows
from pika_api.errors import InvalidInput
from pika_api.tasks import Service
from simulator import Simulator
from support.api import KEY, ServiceHarness, run
from support.waiting import until


def table(folder: Path, *rows: dict[str, Any], name: str = "in.csv") -> Path:
    """A table with these rows."""
    path = folder / name
    write_rows(path, dict.fromkeys(name for row in rows for name in row), rows)
    return path


def prompts(count: int) -> list[dict[str, Any]]:
    """Rows of different requests."""
    return [{"prompt_text": f"Clip {number}", "seed": number} for number in range(count)]


def batch_of(service: Service, source: Path, target: Path | None = None, **options: Any) -> Batch:
    """A batch in this process; its result is out.jsonl beside the table."""
    worker = ServiceWorker(service, source.parent)
    return Batch(worker, source, target or source.with_name("out.jsonl"), **options)


def run_batch(harness: ServiceHarness, source: Path, **options: Any) -> Summary:
    """Run a batch; its result is out.jsonl beside the table."""
    return run(batch_of(harness.service, source, **options).run())


def result(source: Path) -> list[dict[str, Any]]:
    """The rows of the result."""
    return list(read_rows(source.with_name("out.jsonl")))


def states(source: Path) -> list[str | None]:
    """The state of each row in the result."""
    return [row["state"] for row in result(source)]


def test_each_row_is_a_task(harness: ServiceHarness, tmp_path: Path) -> None:
    """The result has the rows in their order, with their own columns, and the file of each."""
    rows = [row | {"customer": f"c{n}"} for n, row in enumerate(prompts(6))]
    source = table(tmp_path, *rows)
    summary = run_batch(harness, source, window=3)
    assert (summary.rows, summary.states) == (6, {"saved": 6})
    found = result(source)
    assert [row["customer"] for row in found] == [row["customer"] for row in rows]
    assert {row["id"] for row in found} == set(harness.gateway.charged)
    assert all(Path(row["file"]).is_file() for row in found)
    by_id = {task.id: task.body["promptText"] for task in harness.gateway.tasks.values()}
    assert [by_id[row["id"]] for row in found] == [row["prompt_text"] for row in rows]


def test_all_inputs_of_the_nodes_are_columns(harness: ServiceHarness, tmp_path: Path) -> None:
    """Texts of a CSV file become numbers and booleans; paths start from the folder of the table."""
    folder = tmp_path / "tables"
    folder.mkdir()
    Image.new("RGB", (64, 32)).save(folder / "p.jpg")
    source = table(
        folder,
        {"prompt_text": "A", "pikaffect": "Melt", "model": "2.0", "seed": "7", "image": "p.jpg",
         "aspect_ratio": "from image", "frame_rate": "16", "extend": "false", "zoom": "in",
         "guidance_scale": "20", "motion": "3", "negative_prompt": "blur",
         "extra_json": '{"note": 1}', "pan": "", "tilt": "none"},
    )  # fmt: skip
    run_batch(harness, source)
    (post,) = harness.gateway.requests("POST")
    body = post.body
    assert (body["promptText"], body["pikaffect"], body["model"]) == ("A", "Melt", "2.0")
    assert body["note"] == 1
    assert body["options"] == {
        "aspectRatio": 2.0, "frameRate": 16, "extend": False, "camera": {"zoom": "in"},
        "parameters": {"guidanceScale": 20, "motion": 3, "negativePrompt": "blur"},
    }  # fmt: skip
    (entry,) = harness.journal.entries()
    assert entry.take == 7


def test_second_start_pays_nothing(harness: ServiceHarness, tmp_path: Path) -> None:
    """Finished rows are not even asked for, and one whose file is gone is downloaded again."""
    source = table(tmp_path, *prompts(4))
    run_batch(harness, source)
    before = len(harness.gateway.log)
    run_batch(harness, source)
    assert len(harness.gateway.log) == before
    Path(result(source)[1]["file"]).unlink()
    assert run_batch(harness, source).states == {"saved": 4}
    assert Path(result(source)[1]["file"]).is_file()
    assert len(harness.gateway.charged) == 4


def test_changed_row_is_a_new_request(harness: ServiceHarness, tmp_path: Path) -> None:
    """A result belongs to the content of its row, not only to its number."""
    rows = prompts(3)
    run_batch(harness, table(tmp_path, *rows))
    rows[1]["prompt_text"] = "Another clip"
    run_batch(harness, table(tmp_path, *rows))
    assert len(harness.gateway.charged) == 4


def test_window_bounds_the_live_tasks(harness: ServiceHarness, tmp_path: Path) -> None:
    """Never more at once; the others wait."""
    seen: list[int] = []
    source = table(tmp_path, *prompts(9))
    run_batch(harness, source, window=2, report=lambda progress: seen.append(progress.live))
    assert max(seen) == 2
    assert states(source) == ["saved"] * 9


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt_text": " "}, "prompt_text"),
        ({"prompt_text": "a", "seed": "1.5"}, "seed"),
        ({"prompt_text": "a", "seed": "-1"}, "seed"),
        ({"prompt_text": "a", "image": "absent.png"}, "image"),
        ({"prompt_text": "a", "extend": "perhaps"}, "extend"),
        ({"prompt_text": "a", "frame_rate": "200"}, "frame_rate"),
        ({"prompt_text": "a", "pikaffect": "Nope"}, "pikaffect"),
        ({"prompt_text": "a", "extra_json": "{"}, "extra_json"),
    ],
)
def test_faulty_row_stops_the_batch_before_anything_is_sent(
    harness: ServiceHarness, tmp_path: Path, row: dict[str, Any], words: str
) -> None:
    """The error names the row and the column."""
    source = table(tmp_path, *prompts(2), row)
    with pytest.raises(InvalidInput, match="Nothing was sent") as caught:
        run_batch(harness, source)
    assert "Row 3: " in str(caught.value)
    assert words in str(caught.value)
    assert harness.gateway.log == []


def test_result_never_replaces_the_table(harness: ServiceHarness, tmp_path: Path) -> None:
    """Also under another name of the same file."""
    source = table(tmp_path, *prompts(1))
    (tmp_path / "link.csv").symlink_to(source)
    with pytest.raises(InvalidInput, match="replace the table"):
        batch_of(harness.service, source, tmp_path / "link.csv")


def test_own_columns_of_the_table_are_kept(harness: ServiceHarness, tmp_path: Path) -> None:
    """A table often has a column `id`: ours gets another name."""
    source = table(tmp_path, {"id": "mine", "prompt_text": "A"})
    run_batch(harness, source)
    (row,) = result(source)
    assert (row["id"], row["pika_id"]) == ("mine", harness.gateway.charged[0])


def test_unknown_and_failed_rows_are_listed_and_not_paid_again(
    harness: ServiceHarness, tmp_path: Path
) -> None:
    """A second start sends neither. `retry_failed` creates the failed one again, only that."""
    source = table(tmp_path, *prompts(3))
    harness.gateway.fault("submit", status=500, accept=True, prompt="Clip 0")
    harness.gateway.fault("task", error="moderation", prompt="Clip 1")
    for _ in range(2):
        summary = run_batch(harness, source, window=1)
        assert summary.unfinished == {"unknown": [1], "failed": [2]}
        assert states(source) == ["unknown", "failed", "saved"]
        assert len(harness.gateway.charged) == 3
    summary = run_batch(harness, source, retry_failed=True)
    assert summary.unfinished == {"unknown": [1]}
    assert len(harness.gateway.charged) == 4


def test_limit_of_the_user_stops_the_batch(harness: ServiceHarness, tmp_path: Path) -> None:
    """What was sent until then is finished. The next day the batch goes on."""
    source = table(tmp_path, *prompts(6))
    limited = harness.another(daily_limit=3)
    with pytest.raises(BatchStopped, match="limit of 3 paid tasks"):
        run(batch_of(limited, source, window=2).run())
    assert sorted(map(str, states(source))) == ["None"] * 3 + ["saved"] * 3
    run(batch_of(harness.another(), source).run())
    assert states(source) == ["saved"] * 6
    assert len(harness.gateway.charged) == 6


def test_refusals_in_a_row_stop_the_batch(harness: ServiceHarness, tmp_path: Path) -> None:
    """Without credit, ten thousand rows are not sent in vain."""
    source = table(tmp_path, *prompts(30))
    harness.gateway.fault("submit", status=402, body={"message": "No credit"}, times=None)
    with pytest.raises(BatchStopped, match="No credit"):
        run_batch(harness, source, window=2)
    assert harness.posts < 10
    harness.gateway.clear_faults()
    run_batch(harness, source)
    assert states(source) == ["saved"] * 30


def test_stopped_batch_goes_on(harness: ServiceHarness, tmp_path: Path) -> None:
    """Cancelled in the middle: everything that was submitted is reused."""
    source = table(tmp_path, *prompts(8))
    harness.gateway.fault("feed", delay=5.0, times=None)

    async def stopped() -> None:
        job = asyncio.create_task(batch_of(harness.service, source, window=4).run())
        while len(harness.gateway.charged) < 4:  # noqa: ASYNC110 - in another thread
            await asyncio.sleep(0.01)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job

    run(stopped())
    harness.gateway.clear_faults()
    run_batch(harness, source)
    assert states(source) == ["saved"] * 8
    assert len(harness.gateway.charged) == 8


@pytest.mark.parametrize("damage", [b'{"row": 1, "dig', b"\x00\x00\x00", b"[]"])
def test_log_that_ends_in_the_middle_of_a_line_is_used(
    harness: ServiceHarness, tmp_path: Path, damage: bytes
) -> None:
    """After a crash. A file that is something else is an error, and is not overwritten."""
    source = table(tmp_path, *prompts(2))
    run_batch(harness, source)
    log = tmp_path / "out.jsonl.log"
    log.write_bytes(log.read_bytes() + damage)
    run_batch(harness, source)
    assert len(harness.gateway.charged) == 2
    log.write_bytes(b"my notes\nof today\n")
    with pytest.raises(InvalidInput, match="not the log of a batch"):
        run_batch(harness, source)
    assert log.read_bytes() == b"my notes\nof today\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL and no such SIGINT")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_process_that_ends_pays_nothing_twice(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C or SIGKILL in the middle of the command, and the same command again."""
    with Simulator(key=KEY, task_seconds=0.3, clip_seconds=0.2, height=64) as gateway:
        shell = Shell(gateway, tmp_path / "home")
        source, target = table(tmp_path, *prompts(12)), tmp_path / "out.csv"
        arguments = ["batch", str(source), str(target), "--window", "4"]
        arguments += ["--output", str(shell.output)]
        process = subprocess.Popen(
            [sys.executable, "-m", "pika_api", *arguments],
            cwd=ROOT,
            env=shell.env,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: len(gateway.charged) >= 6, what="half of the tasks")
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert "Traceback" not in errors
        assert process.returncode == (130 if number == signal.SIGINT else -number)
        done = shell(*arguments, code=None)
        if done.returncode == 4:  # a download was disturbed, on a busy machine
            done = shell(*arguments, code=None)
        with target.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        unknown = [row for row in rows if row["state"] == "unknown"]
        assert done.returncode == (3 if unknown else 0)
        assert len(unknown) <= 4  # those that were being sent
        assert len(gateway.charged) <= 12
        assert {row["state"] for row in rows} <= {"saved", "unknown"}, rows


def test_command_says_what_has_become_of_the_rows(tmp_path: Path) -> None:
    """On stderr; the exit codes are those of `generate`."""
    with Simulator(key=KEY, task_seconds=0.0, clip_seconds=0.2, height=64) as gateway:
        shell = Shell(gateway, tmp_path / "home")
        source, target = table(tmp_path, *prompts(3)), tmp_path / "out.jsonl"
        arguments = ("batch", str(source), str(target), "--output", str(shell.output))
        assert "Rows: 3 (saved: 3)" in shell(*arguments).stderr
        assert "too small" in shell(*arguments, "--window", "0", code=1).stderr
        gateway.fault("submit", status=500, accept=True)
        source = table(tmp_path, {"prompt_text": "Lost"})
        assert "Rows unknown: 1. They may have been charged" in shell(*arguments, code=3).stderr
        assert "`settle`" in shell(*arguments, code=3).stderr
        assert len(gateway.charged) == 4
        assert [json.loads(line)["state"] for line in target.read_text("utf-8").splitlines()] == [
            "unknown"
        ]


def test_table_without_rows_is_an_error(harness: ServiceHarness, tmp_path: Path) -> None:
    """Only the names of the columns: nothing is sent, and no result is written."""
    path = tmp_path / "in.csv"
    path.write_text("prompt_text,seed\n", "utf-8")
    with pytest.raises(InvalidInput, match="no rows"):
        run_batch(harness, path)
    assert not (tmp_path / "out.jsonl").exists()


def test_error_lists_the_first_of_many_faulty_rows(harness: ServiceHarness, tmp_path: Path) -> None:
    """Ten thousand faulty rows are not ten thousand lines."""
    source = table(tmp_path, *({"prompt_text": "a", "seed": "x"} for _ in range(25)))
    with pytest.raises(InvalidInput, match="and 5 more") as caught:
        run_batch(harness, source)
    assert str(caught.value).count("Row ") == 20


def test_file_that_is_no_picture_refuses_its_row(harness: ServiceHarness, tmp_path: Path) -> None:
    """It is read only when its row is sent. The other rows go on, also one with a URL."""
    (tmp_path / "p.png").write_bytes(b"no picture")
    rows = [{"prompt_text": "A", "image": "p.png"},
            {"prompt_text": "B", "image": "https://a.example/p.png"}]  # fmt: skip
    source = table(tmp_path, *rows)
    assert run_batch(harness, source).states == {"refused": 1, "saved": 1}
    assert "p.png" in str(result(source)[0]["error"])


@pytest.mark.parametrize("error", [RuntimeError("a fault"), OSError("no space left")])
def test_unexpected_error_stops_the_batch(
    harness: ServiceHarness, tmp_path: Path, error: Exception
) -> None:
    """A row never vanishes without a word."""

    class Broken(ServiceWorker):
        async def run(self, row: dict[str, Any]) -> Any:
            raise error

    source = table(tmp_path, *prompts(2))
    worker = Broken(harness.service, tmp_path)
    with pytest.raises(BatchStopped, match=str(error)):
        run(Batch(worker, source, tmp_path / "out.jsonl").run())
