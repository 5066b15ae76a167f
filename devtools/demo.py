"""The demo: create a video from a bundled image, in a real ComfyUI with a simulated gateway."""

from __future__ import annotations

import shutil
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import av

from devtools import ROOT
from devtools.comfyui import LOG_NAME, Comfy, ComfyDied, Event, Listener, Rejected, Run
from devtools.comfyui.services import comfyui, simulator
from devtools.setup.environment import cache_folder
from devtools.setup.processes import InUseError, lock, unwind_on_termination
from devtools.setup.steps import StepError, say, timed

#: The image of the example workflows.
PICTURE = ROOT / "web" / "example" / "pika_example.jpg"
PROMPT = "The apple turns slowly on the table; morning light moves over it"
RESULT = "6"
#: Printed when these nodes start. The other nodes only pass values on.
STEPS = {"1": "loading the picture", "5": "sending the request", RESULT: "waiting for the video"}
#: Seconds.
TIMEOUT = 300.0
#: Default options of the simulator.
QUICK = ["--task-seconds", "5", "--clip-seconds", "3"]
FAILED, INTERRUPTED = 1, 130
ENDED = frozenset({"execution_success", "execution_error", "execution_interrupted"})


class DemoError(Exception):
    """The workflow failed. The message is that of the node."""


def graph(picture: str) -> dict[str, dict[str, Any]]:
    """Image to video, in API format."""
    return {
        "1": _node("LoadImage", image=picture),
        "2": _node("PikaParameters", guidance_scale=12, motion=2, negative_prompt="blurry"),
        "3": _node("PikaCamera", zoom="in", pan="none", tilt="none", rotate="none"),
        "4": _node(
            "PikaOptions",
            aspect_ratio="16:9",
            custom_aspect_ratio=1.0,
            frame_rate=24,
            extend=False,
            parameters=["2", 0],
            camera=["3", 0],
        ),
        "5": _node(
            "PikaGenerate",
            prompt_text=PROMPT,
            pikaffect="none",
            model="1.5",
            seed=0,
            options=["4", 0],
            image=["1", 0],
        ),
        RESULT: _node("PikaResult", task_id=["5", 0], timeout_minutes=5.0),
    }


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def make_video(comfy: Comfy) -> Path:
    """Run the workflow and print its progress. Returns the file; raises DemoError or Rejected."""
    client = uuid.uuid4().hex
    with comfy.listen(client) as events:
        prompt_id = comfy.queue(graph(comfy.upload_image(PICTURE)), client_id=client)
        print_progress(events, prompt_id)
    run = comfy.wait(prompt_id)
    if run.error is not None:
        raise DemoError(f"{run.error.node_type} failed: {run.error.message}")
    if not run.succeeded:
        raise DemoError("the run was interrupted")
    return produced(comfy, run)


def print_progress(events: Listener, prompt_id: str) -> None:
    """Print the prompt's progress until it ends. Raises TimeoutError or ConnectionError."""
    started = time.monotonic()
    last = ""
    for event in events.follow(TIMEOUT):
        if event.type in ENDED and event.data.get("prompt_id") == prompt_id:
            return
        if (line := describe(event)) and line != last:
            say(f"  {event.at - started:5.1f} s  {line}")
            last = line


def describe(event: Event) -> str:
    """One line about an event, or "" if it is not worth printing."""
    data = event.data
    if event.type == "progress_text":
        return " · ".join(data["text"].splitlines())
    if event.type == "progress":
        return f"{100 * data['value'] / data['max']:3.0f} %"
    if event.type == "executing" and data.get("node"):
        return STEPS.get(data["node"], "")
    return ""


def produced(comfy: Comfy, run: Run) -> Path:
    """The video that PikaResult shows on its node."""
    (entry,) = run.outputs[RESULT]["images"]
    return comfy.file(entry)


def describe_video(path: Path) -> list[str]:
    """Decode the file. Returns lines with its path, duration, size and frame rate."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        rate = float(stream.average_rate or 0)
        return [
            f"video       {path}",
            f"duration    {frames / rate:.2f} s ({frames} frames)",
            f"size        {stream.width}x{stream.height}",
            f"frame rate  {rate:g} per second",
        ]


def run_demo(folder: Path, gateway_options: list[str]) -> list[str]:
    """Start the servers in an empty folder, create a video, and end the servers.

    Returns lines about the video. Raises DemoError, Rejected, StepError, ComfyDied, TimeoutError
    or ConnectionError.
    """
    base_dir = folder / "comfyui"
    if base_dir.exists():
        shutil.rmtree(base_dir)
    with (
        simulator(folder / "simulator.log", *gateway_options) as account,
        comfyui(base_dir, account) as comfy,
        timed("Creating a video from an image"),
    ):
        return describe_video(make_video(comfy))


def main(arguments: list[str]) -> int:
    """Exit code 0 with lines about the video on stdout, or 1 with the reason on stderr."""
    unwind_on_termination()
    folder = cache_folder() / "demo"
    try:
        with lock(folder / "lock"):
            print("\n".join(run_demo(folder, arguments or QUICK)))
    except InUseError:
        say("Another demo is running.")
        return FAILED
    except (DemoError, Rejected, StepError, ComfyDied, TimeoutError, ConnectionError) as error:
        say(f"\n{error}\n\nComfyUI's log: {folder / 'comfyui' / LOG_NAME}")
        return FAILED
    except KeyboardInterrupt:
        say("\nStopped.")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
