"""PikaStatus, PikaResult: task id → video."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from comfy_api.latest import InputImpl, io

from ..pika_api.errors import InvalidInput, JournalError, PikaError
from ..pika_api.media import first_frame
from ..pika_api.message import Message
from ..pika_api.text import is_task_id, sanitize
from . import host, progress
from .language import say
from .lists import STOP, Done, Ending, Outcome, may_skip, skip_message
from .sockets import CATEGORY, check_on_failure, on_failure_input

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..pika_api.tasks import Collected, Service

_TASK_ID_TOOLTIP = "Task id from Pika Generate or Pika History, or typed in."


def _check_task_id(task_id: str) -> str:
    task_id = task_id.strip()
    if not task_id:
        raise InvalidInput(
            "task_id",
            Message("the task id is empty."),
            Message("Connect the task_id output of Pika Generate, or type in an id."),
        )
    if not is_task_id(task_id):
        raise InvalidInput(
            "task_id",
            Message('"{task_id}" is not a task id.', task_id=sanitize(task_id[:40])),
            Message(
                "Connect the task_id output of Pika Generate or Pika History, or type in an id."
            ),
        )
    return task_id


class PikaStatus(io.ComfyNode):
    """The current status of a task, without waiting."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return io.Schema(
            node_id="PikaStatus",
            display_name="Pika Status",
            category=CATEGORY,
            description="Asks the gateway for the status of a task, once per run, and does not "
            "wait. Costs nothing.",
            inputs=[io.String.Input("task_id", default="", tooltip=_TASK_ID_TOOLTIP)],
            outputs=[
                io.String.Output(
                    "status",
                    display_name="status",
                    tooltip="queued, pending, finished, error, or another word from the gateway.",
                ),
                io.Int.Output("progress", display_name="progress", tooltip="Percentage, 0 to 100."),
                io.String.Output(
                    "result_url",
                    display_name="result_url",
                    tooltip="URL of the file. Empty until the task is finished. The URL expires.",
                ),
                io.String.Output(
                    "response",
                    display_name="response",
                    tooltip="The complete response of the gateway, as JSON.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **_inputs: object) -> float:
        """Always different, so that every run asks again."""
        return float("nan")

    @classmethod
    async def execute(cls, task_id: str) -> io.NodeOutput:
        """Ask once."""
        task_id = _check_task_id(task_id)
        async with progress.display(cls.hidden.unique_id) as (display, service):
            task = await service.status(task_id, observer=display.observer)
            text = " · ".join((task.raw_status, f"{task.progress} %", task.error)).rstrip(" ·")
            display.finish(Outcome(Ending.DONE, text))
        return io.NodeOutput(
            task.raw_status,
            task.progress,
            task.result_url,
            json.dumps(task.response),
            ui={"text": [text]},
        )


class PikaResult(io.ComfyNode):
    """The finished file of a task."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return io.Schema(
            node_id="PikaResult",
            display_name="Pika Result",
            category=CATEGORY,
            description="Waits for a task, saves its video in the output folder and shows it. "
            "Waiting costs nothing. If the run is stopped or times out, run the same workflow "
            "again: it continues with the same task.",
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
                    tooltip="Maximum waiting time in minutes; 0 means no limit. After a timeout "
                    "the task is not lost: run again to continue waiting.",
                ),
                on_failure_input(
                    "What to do if the gateway ends the task with an error, for example "
                    'after moderation. "stop" ends the run. "skip" skips only the nodes that '
                    "depend on this task; the other tasks of a list continue."
                ),
            ],
            outputs=[
                io.Video.Output(
                    "video", display_name="video", tooltip="The video, read from the saved file."
                ),
                io.Image.Output(
                    "image",
                    display_name="image",
                    tooltip="The first frame of the video, or the still image.",
                ),
                io.String.Output(
                    "result_url",
                    display_name="result_url",
                    tooltip="URL the file was downloaded from. The URL expires; the saved file "
                    "stays.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **_inputs: object) -> int | float:
        """Changes when a saved file was deleted, so that the node runs again.

        Otherwise ComfyUI would return its cached output, which names a missing file.
        """
        try:
            with host.use_service() as service:
                return service.journal.count_missing_files(service.output)
        except PikaError:
            return float("nan")  # run the node, which then reports the error

    @classmethod
    async def execute(
        cls, task_id: str, timeout_minutes: float = 20.0, on_failure: str = STOP
    ) -> io.NodeOutput:
        """Wait, download, show."""
        node_id = cls.hidden.unique_id
        async with progress.display(node_id, done=Done.SAVED) as (display, service):
            task_id = _check_task_id(task_id)
            check_on_failure(on_failure)
            try:
                collected = await service.collect(
                    task_id, timeout=timeout_minutes * 60.0 or None, observer=display.observer
                )
            except PikaError as error:
                display.name = await service.prepare(_prompt_of, task_id, service)
                if on_failure == STOP or not may_skip(error):
                    raise
                display.skip(error)
                return _skipped(say(skip_message(error, display.name, display.index)))
            frame = await service.prepare(first_frame, collected.path, observer=display.observer)
            display.finish(Outcome(Ending.DONE, _describe(collected), collected.note))
        return _output(collected, frame)


def _prompt_of(task_id: str, service: Service) -> str:
    """The prompt of a task; empty if the journal does not know it. Blocks."""
    try:
        entry = service.journal.find_by_task_id(task_id, service.settings.gateway)
    except JournalError:
        return ""
    return entry.prompt if entry is not None else ""


def _skipped(message: str) -> io.NodeOutput:
    """Blocked outputs for a list item whose task has failed."""
    blocked = host.blocked(message)
    return io.NodeOutput(blocked, blocked, blocked, ui={"images": [], "animated": (False,)})


def _output(collected: Collected, frame: npt.NDArray[np.float32]) -> io.NodeOutput:
    import torch

    is_video = collected.probe.kind == "video"
    name, subfolder = host.saved_result(collected.path)
    return io.NodeOutput(
        InputImpl.VideoFromFile(str(collected.path))
        if is_video
        else host.blocked(
            say(
                Message(
                    "This task produced a still image, not a video. Use the image output of Pika "
                    "Result."
                )
            )
        ),
        torch.from_numpy(frame),
        collected.result_url,
        # The same keys for every item of a list: ComfyUI merges them by the keys of the first.
        ui={
            "images": [{"filename": name, "subfolder": subfolder, "type": "output"}],
            "animated": (is_video,),
        },
    )


def _describe(collected: Collected) -> str:
    seen = collected.probe
    size = f"{seen.width}x{seen.height}"
    parts = [size, collected.task_id]
    if seen.kind == "video":
        parts = [f"{seen.duration:.1f} s", size, f"{seen.frame_rate:g} fps", collected.task_id]
    return Message.joined(" · ", *parts, collected.note)
