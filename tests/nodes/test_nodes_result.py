"""PikaResult in a real ComfyUI: waiting, showing, saving, and everything that goes wrong."""

from __future__ import annotations

import io
import time
from pathlib import Path

import av
import pytest
from PIL import Image

from simulator import Simulator
from support.comfy import Comfy
from support.graphs import generate, image, node, options, seen, text_to_video, told
from support.waiting import until

pytestmark = pytest.mark.comfy


def test_the_main_job(comfy: Comfy, gateway: Simulator) -> None:
    """A prompt becomes an MP4 in the output folder, with the asked ratio and frame rate; the
    node shows it, and gives a file-backed VIDEO, its first frame and its address."""
    graph = {
        "0": options(aspect_ratio="1:1", frame_rate=12),
        "1": generate("A pear", options=["0", 0]),
        "2": node("PikaResult", task_id=["1", 0]),
        "3": node("ProbeSink", video=["2", 0], image=["2", 1], text=["2", 2]),
    }
    run = comfy.run(graph)
    assert run.error is None
    task_id = gateway.charged[-1]
    shown = run.outputs["2"]["images"][0]
    assert shown == {"filename": f"pika_{task_id}.mp4", "subfolder": "pika", "type": "output"}
    assert run.outputs["2"]["animated"] == [True]
    path = comfy.file(shown)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.width == stream.height
        assert stream.average_rate == 12
    saw = seen(run, "3")[0]
    assert Path(saw["video"]["source"]) == path
    assert saw["image"]["shape"] == [1, stream.height, stream.width, 3]
    assert saw["image"]["type"] == "torch.float32"
    assert 0.0 <= saw["image"]["low"] < saw["image"]["high"] <= 1.0
    assert saw["text"].startswith(gateway.cdn_url)
    assert not list(path.parent.glob("*.part"))


def test_an_image_becomes_a_video(comfy: Comfy, gateway: Simulator) -> None:
    """The connected image is what the gateway animates."""
    graph = {"1": image(), "2": generate(image=["1", 0]), "3": node("PikaResult", task_id=["2", 0])}
    run = comfy.run(graph)
    assert run.error is None
    assert gateway.requests(method="POST")[-1].body["image"]["kind"] == "image"
    assert run.outputs["3"]["images"][0]["filename"].endswith(".mp4")


def test_a_still_image(comfy: Comfy, gateway: Simulator) -> None:
    """«none (still image)» leaves aspectRatio out; the picture comes as IMAGE, and what hangs on
    the video output is blocked with a message while the rest runs."""
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
    shown = run.outputs["2"]["images"][0]
    assert shown["filename"].endswith(".png")
    with Image.open(comfy.file(shown)) as picture:
        size = [1, picture.height, picture.width, 3]
    assert seen(run, "3")[0]["image"]["shape"] == size
    assert "4" not in run.outputs
    assert blocked.data["node_id"] == "4"
    assert "still image" in blocked.data["exception_message"]


def test_progress_is_shown(comfy: Comfy, gateway: Simulator) -> None:
    """While a task runs, the node shows its state, the time and the task's id; the bar moves; a
    poster comes as a preview; in the end the text says what the file is."""
    gateway.fault(on="task", seconds=2.5)
    with comfy.listen("progress") as events:
        prompt_id = comfy.queue(text_to_video("A slow pear"), client_id="progress")
        assert comfy.wait(prompt_id).error is None
        events.wait_for(lambda event: "fps" in str(event.data.get("text")))
        texts = events.texts("2")
        task_id = gateway.charged[-1]
        assert any(task_id in text and " s · " in text and "pending" in text for text in texts)
        assert "fps" in texts[-1]
        assert task_id in events.texts("1")[-1]
        states = [
            e.data["nodes"]["2"] for e in events.of_type("progress_state") if "2" in e.data["nodes"]
        ]
        values = [state["value"] for state in states if state["max"] == 100]
        assert len(set(values)) > 2
        pictures = [event.image for event in events.of_type("preview") if event.image]
        assert pictures
        with Image.open(io.BytesIO(pictures[-1])) as poster:
            assert poster.mode == "RGB"


def test_interrupt_stops_the_waiting_only(comfy: Comfy, gateway: Simulator) -> None:
    """An interrupt ends the prompt within half a second; the task is kept, and the same workflow
    goes on with it, without another charge, in a ComfyUI that still works."""
    gateway.fault(on="task", seconds=4.0)
    graph = text_to_video("Interrupted pear")
    before = len(gateway.charged)
    prompt_id = comfy.queue(graph)
    until(lambda: len(gateway.requests(method="GET")) and len(gateway.charged) > before)
    until(lambda: gateway.requests(path=f"/pika/feed/{gateway.charged[-1]}"))
    started = time.monotonic()
    comfy.interrupt()
    run = comfy.wait(prompt_id)
    assert run.interrupted
    assert time.monotonic() - started < 0.75  # half a second, and two round trips of this test
    again = comfy.run(graph)
    assert again.error is None
    assert len(gateway.charged) == before + 1
    assert again.outputs["2"]["images"]


def test_siblings_are_not_blocked(comfy: Comfy, gateway: Simulator) -> None:
    """While a task is sent, polled and downloaded, an async sibling never stalls for long."""
    gateway.fault(on="submit", delay=0.5)
    gateway.fault(on="feed", delay=0.5)
    graph = {**text_to_video("Beside a sibling"), "3": node("ProbeSibling", seconds=2.0, mode="")}
    run = comfy.run(graph)
    assert run.error is None
    assert run.outputs["3"]["longest"][0] < 0.4


def test_a_siblings_failure_loses_nothing(comfy: Comfy, gateway: Simulator) -> None:
    """When another node fails meanwhile, ComfyUI throws this one's work away; the task is kept,
    and the next queueing takes it up."""
    gateway.fault(on="task", seconds=2.0)
    graph = text_to_video("Beside a failing sibling")
    before = len(gateway.charged)
    failing = {**graph, "3": node("ProbeSibling", seconds=1.0, mode="fail")}
    run = comfy.run(failing)
    assert run.error is not None
    assert "sibling" in run.error.message
    assert comfy.run(graph).error is None
    assert len(gateway.charged) == before + 1


def test_64_tasks_of_a_list(comfy: Comfy, gateway: Simulator) -> None:
    """64 list-mapped tasks run beside each other, each is charged once and few connections are
    open: they all take less than a quarter of what they would one after another."""
    prompts = "\n".join(f"Clip {number}" for number in range(64))
    gateway.fault(on="task", seconds=3.0, times=64)
    graph = {
        "0": node("ProbeList", lines=prompts),
        "1": generate(["0", 0]),
        "2": node("PikaResult", task_id=["1", 0]),
    }
    before = len(gateway.charged)
    started = time.monotonic()
    prompt_id = comfy.queue(graph)
    most = 0
    while (run := comfy.result(prompt_id)) is None:
        most = max(most, gateway.connections)
        time.sleep(0.05)
    took = time.monotonic() - started
    assert run.error is None
    assert len({item["filename"] for item in run.outputs["2"]["images"]}) == 64
    assert len(gateway.charged) == before + 64
    assert took < 64 * 3.0 / 4
    assert most <= 24  # 8 threads, each with a kept connection and one of its own at most


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
def test_gateway_errors_reach_the_node(comfy: Comfy, gateway: Simulator, status: str) -> None:
    """Status, the gateway's own words in whichever shape, the money and the next step are on
    the node."""
    fault, words = REFUSALS[status]
    gateway.fault(on="submit", status=int(status), **fault)
    message = told(comfy, {"1": generate("Refused pear")})
    for word in [status, *words]:
        assert word in message
    if status not in ("200", "500"):
        assert "nothing was charged" in message


def test_a_failed_task_says_why(comfy: Comfy, gateway: Simulator) -> None:
    """The gateway's words on a failed task are on the node; queued again it is made anew, though
    ComfyUI still remembers the failed one's id."""
    gateway.fault(on="task", error="blocked by moderation: knife")
    graph = text_to_video("A pear and a knife")
    message = told(comfy, graph)
    assert "blocked by moderation: knife" in message
    assert gateway.charged[-1] in message
    before = len(gateway.charged)
    assert comfy.run(graph).error is None
    assert len(gateway.charged) == before + 1


@pytest.mark.parametrize(
    "fault", [{"body": "<html>Login</html>", "content_type": "video/mp4"}, {"cut": 900}]
)
def test_what_is_no_media_is_told(
    comfy: Comfy, gateway: Simulator, fault: dict[str, object]
) -> None:
    """A web page or a file that stays cut is an error that names the task; nothing is left in
    the output folder; and when the host has recovered, the same workflow gets the video."""
    gateway.fault(on="media", times=None, **fault)
    graph = text_to_video("A page instead of a pear")
    try:
        message = told(comfy, graph)
    finally:
        gateway.clear_faults()
    task_id = gateway.charged[-1]
    assert task_id in message
    assert not list((comfy.base_dir / "output" / "pika").glob(f"*{task_id}*.mp4"))
    before = len(gateway.charged)
    assert comfy.run(graph).error is None
    assert len(gateway.charged) == before


def test_the_key_is_nowhere(comfy: Comfy, gateway: Simulator) -> None:
    """The key is in no history, log, journal or file that a run leaves behind."""
    assert comfy.run(text_to_video("A secret pear")).error is None
    key = gateway.key.encode()
    assert key not in str(comfy.get("/history")).encode()
    assert key not in comfy.log_text().encode()
    left = [path for path in comfy.base_dir.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in left if key in path.read_bytes()] == []


def test_a_file_that_was_deleted_is_fetched_again(comfy: Comfy, gateway: Simulator) -> None:
    """Though ComfyUI remembers the node's result, a video whose file is gone comes again, at no
    charge."""
    graph = text_to_video("A deleted pear")
    first = comfy.run(graph)
    path = comfy.file(first.outputs["2"]["images"][0])
    path.unlink()
    before = len(gateway.charged)
    assert comfy.run(graph).error is None
    assert path.is_file()
    assert len(gateway.charged) == before
