"""PikaStatus, PikaResult: task id → video."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from comfy_api.latest import InputImpl, io

from ..pika_api.errors import InvalidInput, PikaError, TaskFailed
from ..pika_api.media import first_frame
from ..pika_api.text import is_task_id, sanitize
from . import host, progress
from .sockets import CATEGORY

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..pika_api.tasks import Collected

STOP = "stop"
SKIP = "skip"

_TASK_ID_TOOLTIP = "A task's id, from Pika Generate, or typed in."


def _check_task_id(task_id: str) -> str:
    task_id = task_id.strip()
    if not task_id:
        raise InvalidInput(
            "task_id", "there is no task id.", "Connect Pika Generate's task_id, or type one in."
        )
    if not is_task_id(task_id):
        raise InvalidInput(
            "task_id",
            f"«{sanitize(task_id[:40])}» is no task id.",
            "Connect Pika Generate's task_id, or copy one from Pika History.",
        )
    return task_id


class PikaStatus(io.ComfyNode):
    """How a task is, without waiting for it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        return io.Schema(
            node_id="PikaStatus",
            display_name="Pika Status",
            category=CATEGORY,
            description="Asks the gateway once how a task is, each time it is queued, and does "
            "not wait. Costs nothing.",
            inputs=[io.String.Input("task_id", default="", tooltip=_TASK_ID_TOOLTIP)],
            outputs=[
                io.String.Output(
                    "status",
                    display_name="status",
                    tooltip="queued, pending, finished, error, or the gateway's own word.",
                ),
                io.Int.Output("progress", display_name="progress", tooltip="Per cent, 0 to 100."),
                io.String.Output(
                    "result_url",
                    display_name="result_url",
                    tooltip="The file's address; empty until finished. It expires.",
                ),
                io.String.Output(
                    "response", display_name="response", tooltip="The whole answer, as JSON."
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **_inputs: object) -> float:
        """Never the same: always ask again."""
        return float("nan")

    @classmethod
    async def execute(cls, task_id: str) -> io.NodeOutput:
        """Ask."""
        task_id = _check_task_id(task_id)
        async with progress.display(cls.hidden.unique_id) as (display, service):
            task = await service.status(task_id, observer=display.observer)
            text = " · ".join((task.raw_status, f"{task.progress} %", task.error)).rstrip(" ·")
            display.say(text)
        return io.NodeOutput(
            task.raw_status,
            task.progress,
            task.result_url,
            json.dumps(task.response),
            ui={"text": [text]},
        )


class PikaResult(io.ComfyNode):
    """A task's video."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        return io.Schema(
            node_id="PikaResult",
            display_name="Pika Result",
            category=CATEGORY,
            description="Waits for a task, saves its video in the output folder and shows it. "
            "Waiting costs nothing; stopped or timed out, the same workflow goes on with it.",
            inputs=[
                io.String.Input("task_id", default="", tooltip=_TASK_ID_TOOLTIP),
                io.Float.Input(
                    "timeout_minutes",
                    optional=True,
                    default=20.0,
                    min=0.0,
                    max=10080.0,
                    step=1.0,
                    round=0.01,
                    tooltip="How long to wait, in minutes; 0 waits for ever. "
                    "A task that is not waited for is not lost.",
                ),
                io.Combo.Input(
                    "on_failure",
                    options=[STOP, SKIP],
                    default=STOP,
                    optional=True,
                    tooltip="When the gateway ends the task with an error, such as moderation: "
                    "«stop» ends the run; «skip» leaves out what hangs on this one, so that the "
                    "rest of a list goes on.",
                ),
            ],
            outputs=[
                io.Video.Output(
                    "video", display_name="video", tooltip="The video, as the file on disk."
                ),
                io.Image.Output(
                    "image",
                    display_name="image",
                    tooltip="The video's first frame; of a still image, the picture.",
                ),
                io.String.Output(
                    "result_url",
                    display_name="result_url",
                    tooltip="The address it came from. It expires; the file stays.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **_inputs: object) -> int | float:
        """Changes when a file that was saved is gone: ComfyUI would go on giving it."""
        try:
            service = host.service()
            return service.journal.count_missing_files(service.output)
        except PikaError:
            return float("nan")  # run the node: it tells the error where it can be read

    @classmethod
    async def execute(
        cls, task_id: str, timeout_minutes: float = 20.0, on_failure: str = STOP
    ) -> io.NodeOutput:
        """Wait, download, show."""
        task_id = _check_task_id(task_id)
        if on_failure not in (STOP, SKIP):
            raise InvalidInput(
                "on_failure", f"«{on_failure}» is not known.", f"Choose {STOP} or {SKIP}."
            )
        async with progress.display(cls.hidden.unique_id) as (display, service):
            try:
                found = await service.collect(
                    task_id, timeout=timeout_minutes * 60.0 or None, observer=display.observer
                )
            except TaskFailed as error:
                if on_failure == STOP:
                    raise
                display.say(f"skipped: {error.what}")
                return _skipped(error)
            frame = await service.prepare(first_frame, found.path, observer=display.observer)
            display.say(_describe(found))
        return _output(found, frame)


def _skipped(error: TaskFailed) -> io.NodeOutput:
    """Nothing, for the one item of a list whose task has failed."""
    blocked = host.blocked(error.what)
    return io.NodeOutput(blocked, blocked, blocked, ui={"images": [], "animated": (False,)})


def _output(found: Collected, frame: npt.NDArray[np.float32]) -> io.NodeOutput:
    import torch

    is_video = found.probe.kind == "video"
    name, subfolder = host.saved_result(found.path)
    return io.NodeOutput(
        InputImpl.VideoFromFile(str(found.path))
        if is_video
        else host.blocked("Pika made a still image: use the image output."),
        torch.from_numpy(frame),
        found.result_url,
        # The same keys for every item of a list: ComfyUI joins them by the first one's.
        ui={
            "images": [{"filename": name, "subfolder": subfolder, "type": "output"}],
            "animated": (is_video,),
        },
    )


def _describe(found: Collected) -> str:
    seen = found.probe
    size = f"{seen.width}x{seen.height}"
    if seen.kind == "image":
        return f"{size} · {found.task_id}"
    return f"{seen.duration:.1f} s · {size} · {seen.frame_rate:g} fps · {found.task_id}"
