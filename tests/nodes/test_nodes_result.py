"""PikaResult in a real ComfyUI: it waits, shows progress, saves the file, and reports errors."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from pika_api.progress import CHECK_EVERY
from simulator import Simulator
from support.comfy import Comfy, Event, Run
from support.gateway import HELD, HeldTasks, advance, held_tasks, result_name, unanswered
from support.graphs import error_of, generate, image, node, options, sink_inputs, text_to_video
from support.waiting import until

pytestmark = pytest.mark.comfy


def test_prompt_becomes_a_video_file(comfy: Comfy, gateway: Simulator) -> None:
    """The output folder gets an MP4 with the requested ratio and frame rate. The node shows it, and
    returns a VIDEO of that file, its first frame and its URL."""
    graph = {
        "0": options(aspect_ratio="1:1", frame_rate=12),
        "1": generate("A pear", options=["0", 0]),
        "2": node("PikaResult", task_id=["1", 0]),
        "3": node("ProbeSink", video=["2", 0], image=["2", 1], text=["2", 2]),
    }
    run = comfy.run(graph)
    assert run.error is None
    task_id = gateway.charged[-1]
    video = run.outputs["2"]["images"][0]
    name = result_name(gateway, task_id)
    assert video == {"filename": name, "subfolder": "pika", "type": "output"}
    assert run.outputs["2"]["animated"] == [True]
    path = comfy.file(video)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.width == stream.height
        assert stream.average_rate == 12
    inputs = sink_inputs(run, "3")[0]
    assert Path(inputs["video"]["source"]) == path
    assert inputs["image"]["shape"] == [1, stream.height, stream.width, 3]
    assert inputs["image"]["type"] == "torch.float32"
    assert 0.0 <= inputs["image"]["low"] < inputs["image"]["high"] <= 1.0
    assert inputs["text"].startswith(gateway.cdn_url)
    assert not list(path.parent.glob("*.part"))


def test_image_becomes_a_video(comfy: Comfy, gateway: Simulator) -> None:
    """The gateway gets the connected image, and its video is saved."""
    graph = {"1": image(), "2": generate(image=["1", 0]), "3": node("PikaResult", task_id=["2", 0])}
    run = comfy.run(graph)
    assert run.error is None
    assert gateway.requests(method="POST")[-1].body["image"]["kind"] == "image"
    assert run.outputs["3"]["images"][0]["filename"].endswith(".mp4")


def test_still_image_blocks_only_the_video_output(comfy: Comfy, gateway: Simulator) -> None:
    """«none (still image)» sends no aspectRatio, and the picture is returned as IMAGE. Nodes at the
    video output are blocked with a message; the others run."""
    graph = {
        "0": options(aspect_ratio="none (still image)"),
        "1": generate("A still pear", options=["0", 0]),
        "2": node("PikaResult", task_id=["1", 0]),
        "3": node("ProbeSink", image=["2", 1]),
        "4": node("ProbeSink", video=["2", 0]),
    }
    with comfy.listen("still") as events:
        run = comfy.wait(comfy.queue(graph, client_id="still"))
        blocked = events.wait_for(lambda event: event.type == "execution_error")
    assert "aspectRatio" not in gateway.requests(method="POST")[-1].body["options"]
    saved = run.outputs["2"]["images"][0]
    assert saved["filename"].endswith(".png")
    with Image.open(comfy.file(saved)) as picture:
        size = [1, picture.height, picture.width, 3]
    assert sink_inputs(run, "3")[0]["image"]["shape"] == size
    assert "4" not in run.outputs
    assert blocked.data["node_id"] == "4"
    assert "still image" in blocked.data["exception_message"]


def test_progress_is_shown_on_the_nodes(comfy: Comfy, gateway: Simulator) -> None:
    """While a task runs, the node shows its state, the elapsed time and the start of the task's id,
    the bar moves, and a thumbnail comes as a preview. At the end the text describes the file. The
    outputs have the whole id and the last texts."""
    with comfy.listen("progress") as events:
        with held_tasks(gateway) as tasks:
            prompt_id = comfy.queue(text_to_video("A slow pear"), client_id="progress")
            (task_id,) = tasks.running()
            for per_cent in (50, 70):
                advance(gateway, task_id, per_cent / 100)
                events.wait_for(lambda event, wanted=per_cent: bar_value(event) >= wanted)
            events.wait_for(lambda event: "Running" in str(event.data.get("text")))
            preview = events.wait_for(lambda event: event.type == "preview" and event.image != b"")
        run = comfy.wait(prompt_id)
        assert run.error is None
        events.wait_for(lambda event: "fps" in str(event.data.get("text")))
        texts = events.texts("2")
        start = task_id[:8]
        assert any(f" s · {start}" in text and "Running" in text for text in texts)
        assert "fps" in texts[-1]
        assert events.texts("1")[-1] == f"task {start}"
        for number in ("1", "2"):
            assert run.outputs[number]["pika_tasks"] == [task_id]
            assert run.outputs[number]["text"] == [events.texts(number)[-1]]
        assert len({value for event in events.events if (value := bar_value(event)) >= 0}) > 2
        with Image.open(io.BytesIO(preview.image)) as thumbnail:
            assert thumbnail.mode == "RGB"


def bar_value(event: Event) -> int:
    """The per cent of PikaResult's bar in an event; -1 in other events."""
    state = event.data.get("nodes", {}).get("2") if event.type == "progress_state" else None
    return int(state["value"]) if state and state["max"] == 100 else -1


def test_interrupt_stops_the_waiting_and_keeps_the_task(comfy: Comfy, gateway: Simulator) -> None:
    """An interrupt between two requests to the feed ends the prompt before the next one. The same
    workflow then continues with the task, without another charge."""
    graph = text_to_video("Interrupted pear")
    with held_tasks(gateway) as tasks:
        prompt_id = comfy.queue(graph)
        (task_id,) = tasks.running()
        feed = f"/pika/feed/{task_id}"
        until(lambda: gateway.requests(path=feed), what="a request to the feed")
        asked = len(gateway.requests(path=feed))
        comfy.interrupt()
        assert comfy.wait(prompt_id).interrupted
        assert len(gateway.requests(path=feed)) <= asked + 1  # one may have been on its way
    again = comfy.run(graph)
    assert again.error is None
    assert again.outputs["2"]["images"]
    assert tasks.ids == [task_id]


def test_interrupt_does_not_wait_for_an_answer(comfy: Comfy, gateway: Simulator) -> None:
    """While a request to the feed has no answer, an interrupt still ends the prompt: the node looks
    for it at least every half second."""
    assert CHECK_EVERY <= 0.5
    gateway.fault(on="feed", delay=HELD)
    with held_tasks(gateway) as tasks:
        prompt_id = comfy.queue(text_to_video("A pear without an answer"))
        feed = f"/pika/feed/{tasks.running()[0]}"
        until(lambda: unanswered(gateway, feed), what="a request without an answer")
        comfy.interrupt()
        assert comfy.wait(prompt_id).interrupted
        assert unanswered(gateway, feed)


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        ({"on": "submit", "accept": True}, "/pika/generate"),
        ({"on": "feed"}, "/pika/feed/"),
        ({"on": "media", "times": None}, "/video.mp4"),
    ],
)
def test_other_nodes_run_while_a_request_has_no_answer(
    comfy: Comfy, gateway: Simulator, tmp_path: Path, fault: dict[str, Any], path: str
) -> None:
    """An async node beside PikaGenerate and PikaResult runs to its end while the gateway does not
    answer a submit, a request to the feed, or a download."""
    file = tmp_path / "the request has no answer"
    graph = {
        **text_to_video("Beside another node"),
        "3": node("ProbeMode", mode="done", file=str(file)),
    }
    gateway.fault(delay=HELD, **fault)
    before = len(gateway.log)
    with comfy.listen("beside") as events:
        prompt_id = comfy.queue(graph, client_id="beside")
        until(lambda: unanswered(gateway, path, before), what="a request without an answer")
        file.touch()
        events.wait_for(lambda event: event.type == "executed" and event.data["node"] == "3")
        assert unanswered(gateway, path, before)
        comfy.interrupt()
        assert comfy.wait(prompt_id).interrupted


def test_failure_of_another_node_keeps_the_task(
    comfy: Comfy, gateway: Simulator, tmp_path: Path
) -> None:
    """If another node fails meanwhile, ComfyUI cancels this one. The task is kept, and the next
    queueing continues with it."""
    graph = text_to_video("Beside a failing node")
    file = tmp_path / "the task is charged"
    with held_tasks(gateway) as tasks:
        failing = {**graph, "3": node("ProbeMode", mode="fail", file=str(file))}
        prompt_id = comfy.queue(failing)
        tasks.running()
        file.touch()
        run = comfy.wait(prompt_id)
        assert run.error is not None
        assert "ProbeMode" in run.error.message
    assert comfy.run(graph).error is None
    assert len(tasks.ids) == 1


def test_64_tasks_of_a_list_run_at_once(comfy: Comfy, gateway: Simulator) -> None:
    """64 list-mapped tasks are all sent before the first is finished, each is charged once, and few
    connections are open."""
    graph = {
        "0": node("ProbeList", lines="\n".join(f"Clip {number}" for number in range(64))),
        "1": generate(["0", 0]),
        "2": node("PikaResult", task_id=["1", 0]),
    }
    connections = [0]

    def charged(tasks: HeldTasks) -> bool:
        connections.append(gateway.connections)
        return len(tasks.ids) == 64

    with held_tasks(gateway, 64) as tasks:
        prompt_id = comfy.queue(graph)
        until(lambda: charged(tasks), what="the charge of all tasks")

    def run() -> Run | None:
        connections.append(gateway.connections)
        return comfy.result(prompt_id)

    over = until(run, what="the end of the prompt")
    assert over is not None
    assert over.error is None
    assert len({item["filename"] for item in over.outputs["2"]["images"]}) == 64
    assert len(tasks.ids) == 64
    assert max(connections) <= 24  # 8 threads, each with one kept and one other connection


HTML = "<html><head><title>413</title></head><body>Too large</body></html>"
UNCLEAR = "may have been accepted and charged"
REFUSALS = {
    "400": ({"body": {"error": {"message": "motion is odd"}}}, ["motion is odd", "queue again"]),
    "402": ({"body": {"message": "no credit left"}}, ["no credit left", "top it up"]),
    "403": ({"body": {"code": 7, "message": "key is for images"}}, ["key is for images"]),
    "413": ({"body": HTML, "content_type": "text/html"}, ["Too large", "kB", "prompt"]),
    "422": ({"body": {"detail": [{"msg": "promptText: too long"}]}}, ["too long"]),
    "500": ({"body": "upstream broke", "accept": True}, ["upstream broke", UNCLEAR, "seed"]),
    "200": ({"body": {"code": 1, "message": "try again"}}, ["task id", "try again", UNCLEAR]),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_gateways_error_is_shown_on_the_node(comfy: Comfy, gateway: Simulator, status: str) -> None:
    """The message has the status, the gateway's own words in any format, the effect on the money
    and the next step."""
    fault, words = REFUSALS[status]
    gateway.fault(on="submit", status=int(status), **fault)
    message = error_of(comfy, {"1": generate("Refused pear")})
    for word in [status, *words]:
        assert word in message
    if status not in ("200", "500"):
        assert "nothing was charged" in message


def test_failed_task_is_created_again_when_queued_again(comfy: Comfy, gateway: Simulator) -> None:
    """The node shows the gateway's words about a failed task. The workflow, queued again, creates a
    new task, although ComfyUI caches the failed one's id."""
    gateway.fault(on="task", error="blocked by moderation: knife")
    graph = text_to_video("A pear and a knife")
    message = error_of(comfy, graph)
    assert "blocked by moderation: knife" in message
    assert gateway.charged[-1] in message
    before = len(gateway.charged)
    assert comfy.run(graph).error is None
    assert len(gateway.charged) == before + 1


@pytest.mark.parametrize(
    "fault", [{"body": "<html>Login</html>", "content_type": "video/mp4"}, {"cut": 900}]
)
def test_invalid_file_is_an_error_and_downloaded_again_later(
    comfy: Comfy, gateway: Simulator, fault: dict[str, object]
) -> None:
    """A web page, or a file that is always cut off, is an error that names the task. The output
    folder keeps no part of it. When the host works again, the same workflow gets the video."""
    gateway.fault(on="media", times=None, **fault)
    graph = text_to_video("A page instead of a pear")
    message = error_of(comfy, graph)
    gateway.clear_faults()
    task_id = gateway.charged[-1]
    assert task_id in message
    assert not list((comfy.base_dir / "output" / "pika").glob(f"*{task_id}*.mp4"))
    before = len(gateway.charged)
    assert comfy.run(graph).error is None
    assert len(gateway.charged) == before


def test_run_stores_the_key_nowhere(comfy: Comfy, gateway: Simulator) -> None:
    """No history, log, journal or other file of ComfyUI contains the key after a run."""
    assert comfy.run(text_to_video("A secret pear")).error is None
    key = gateway.key.encode()
    assert key not in str(comfy.get("/history")).encode()
    assert key not in comfy.log_text().encode()
    files = [path for path in comfy.base_dir.rglob("*") if path.is_file()]
    assert [path for path in files if not path.is_symlink() and key in path.read_bytes()] == []


def test_deleted_file_is_downloaded_again(comfy: Comfy, gateway: Simulator) -> None:
    """Although ComfyUI caches the node's output, a deleted file is downloaded again, without a
    charge."""
    graph = text_to_video("A deleted pear")
    first = comfy.run(graph)
    path = comfy.file(first.outputs["2"]["images"][0])
    path.unlink()
    before = len(gateway.charged)
    assert comfy.run(graph).error is None
    assert path.is_file()
    assert len(gateway.charged) == before


def test_damaged_file_is_shown_with_a_note(comfy: Comfy, gateway: Simulator) -> None:
    """The node says what is odd and where the file is, and returns VIDEO and IMAGE of it."""
    graph = text_to_video("A damaged pear")
    path = comfy.file(comfy.run(graph).outputs["2"]["images"][0])
    with av.open(str(path)) as container:
        frames = container.streams.video[0].frames
    damaged = path.with_name(f"{path.stem}.as-received.mp4")
    source = path.with_name("indexed.mp4")
    with (
        av.open(str(path)) as old,
        av.open(str(source), "w", options={"movflags": "faststart"}) as new,
    ):
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    damaged.write_bytes(source.read_bytes()[:-50])
    source.unlink()
    path.unlink()
    graph["3"] = node("ProbeSink", video=["2", 0], image=["2", 1])
    before = len(gateway.charged)
    with comfy.listen("damaged") as events:
        run = comfy.wait(comfy.queue(graph, client_id="damaged"))
        events.wait_for(lambda event: "damaged" in str(event.data.get("text")))
        text = events.texts("2")[-1]
    assert run.error is None
    assert run.outputs["2"]["images"][0]["filename"] == damaged.name
    assert f"of {frames} frames" in text
    assert f"pika/{damaged.name}" in text
    inputs = sink_inputs(run, "3")[0]
    assert Path(inputs["video"]["source"]) == damaged
    assert inputs["image"]["shape"][0] == 1
    assert len(gateway.charged) == before
