"""A client of the simulator, and small media, for its tests."""

from __future__ import annotations

import base64
import copy
import functools
import io
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import requests
from PIL import Image

from simulator import Simulator

# The example request of the API specification, unchanged.
EXAMPLE_BODY: dict[str, Any] = {
    "pikaffect": "Dissolve",
    "promptText": "Apple evaporates",
    "model": "1.5",
    "options": {
        "aspectRatio": 1.7777777777777777,
        "frameRate": 24,
        "camera": {},
        "parameters": {"guidanceScale": 12, "motion": 1, "negativePrompt": ""},
        "extend": False,
    },
}
OMIT = object()


def body(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The example body with other values at dotted paths; OMIT removes a field."""
    changed = copy.deepcopy(EXAMPLE_BODY)
    for path, value in (changes or {}).items():
        *parents, name = path.split(".")
        part = changed
        for parent in parents:
            part = part[parent]
        if value is OMIT:
            del part[name]
        else:
            part[name] = value
    return changed


def post(sim: Simulator, sent: Any = None, **options: Any) -> requests.Response:
    """Submits a body, by default the example."""
    options.setdefault("headers", {"Authorization": f"Bearer {sim.key}"})
    if "data" not in options:
        options["json"] = body() if sent is None else sent
    return requests.post(f"{sim.url}/pika/generate", timeout=10, **options)


def submit(sim: Simulator, changes: dict[str, Any] | None = None) -> str:
    """Submits the example body with changes; returns the task id."""
    answer = post(sim, body(changes))
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def feed(sim: Simulator, task_id: str) -> requests.Response:
    """Requests the feed once."""
    headers = {"Authorization": f"Bearer {sim.key}"}
    return requests.get(f"{sim.url}/pika/feed/{task_id}", headers=headers, timeout=10)


def entry(sim: Simulator, task_id: str) -> dict[str, Any]:
    """The feed's only entry."""
    (video,) = feed(sim, task_id).json()["videos"]
    return video


def wait_until_done(sim: Simulator, task_id: str) -> dict[str, Any]:
    """The feed's entry once the task is finished or failed."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        video = entry(sim, task_id)
        if video["status"] in ("finished", "error"):
            return video
        time.sleep(0.02)
    raise AssertionError(f"task {task_id} is still {video}")


def download_result(sim: Simulator, changes: dict[str, Any] | None = None) -> bytes:
    """Submits, waits and downloads the result."""
    video = wait_until_done(sim, submit(sim, changes))
    assert video["status"] == "finished", video
    return requests.get(video["resultUrl"], timeout=10).content


def frames(mp4: bytes) -> list[np.ndarray]:
    """All frames of a video, each uint8 [H, W, 3]."""
    with av.open(io.BytesIO(mp4)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def picture(fmt: str = "PNG", size: tuple[int, int] = (64, 48), colour: str = "red") -> bytes:
    """The bytes of a plain picture."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, fmt)
    return file.getvalue()


@functools.cache
def video(count: int = 12, size: tuple[int, int] = (96, 64), rate: int = 12) -> bytes:
    """The bytes of an MP4 that fades from black to white, with its index first."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "video.mp4")
        with av.open(str(file), "w", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=rate)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            for number in range(count):
                grey = np.full((size[1], size[0], 3), 255 * number // max(1, count - 1), np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            container.mux(stream.encode(None))
        return file.read_bytes()


def b64(data: bytes) -> str:
    """Bare Base64, as in the API specification."""
    return base64.b64encode(data).decode()
