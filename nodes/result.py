"""PikaStatus, PikaResult: task id → video."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from comfy_api.latest import InputImpl, io

from ..pika_api.errors import InvalidInput, JournalError, PikaError
from ..pika_api.media import NotMedia, first_frame, last_frame
from ..pika_api.message import Message
from ..pika_api.text import is_task_id, sanitize, short_id
from . import host, progress
from .language import explain, say
from .lists import STOP, Done, Ending, Outcome, may_skip, skip_message
from .metadata import texts_of
from .notices import announce_end
from .sockets import check_on_failure, on_failure_input, schema

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from ..pika_api.tasks import Collected, Delivery, Service
    from .progress import NodeDisplay

    Frame = npt.NDArray[np.float32]

#: The number of the output last_image.
LAST_IMAGE = 3

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
        return schema(
            node_id="PikaStatus",
            display_name="Pika Status",
            search_aliases=["task status", "progress", "check task"],
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
            ui=progress.text_output(text, task_id),
        )


class PikaResult(io.ComfyNode):
    """The finished file of a task."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return schema(
            node_id="PikaResult",
            display_name="Pika Result",
            search_aliases=["download video", "wait for video", "save video", "fetch result"],
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
                io.String.Input(
                    "filename_prefix",
                    optional=True,
                    default="",
                    tooltip="Where the file is saved below ComfyUI's output folder, with the words "
                    "of Save Video: %date:yyyy-MM-dd%, %width%, %height%, and %Node title.widget% "
                    "for a value of another node. A number follows. If empty: pika/pika_ and the "
                    "task id.",
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
                io.Image.Output(
                    "last_image",
                    display_name="last_image",
                    tooltip="The last frame of the video, to go on from there with another Pika "
                    "Generate, or the still image.",
                ),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None = None) -> bool | str:
        """Report a prefix that leads out of the output folder before the node runs.

        A linked input has no value yet (None).
        """
        from ..pika_api.tasks import check_prefix

        try:
            if filename_prefix and filename_prefix.strip():
                check_prefix(filename_prefix)
        except InvalidInput as error:
            return explain(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, **_inputs: object) -> Any:
        """Changes when a saved file was deleted, so that the node runs again, and when last_image
        is connected, which is not decoded before.

        Otherwise ComfyUI would return its cached outputs.
        """
        try:
            with host.use_service() as service:
                return f"{saved_state(service)} {host.is_output_linked(LAST_IMAGE)}"
        except PikaError:
            return float("nan")  # run the node, which then reports the error

    @classmethod
    async def execute(
        cls,
        task_id: str,
        timeout_minutes: float = 20.0,
        on_failure: str = STOP,
        filename_prefix: str = "",
    ) -> io.NodeOutput:
        """Wait, download, show."""
        node_id = cls.hidden.unique_id
        async with progress.display(node_id, done=Done.SAVED) as (display, service):
            task_id = _check_task_id(task_id)
            check_on_failure(on_failure)
            delivery = delivery_for(cls.hidden, filename_prefix)
            try:
                collected = await collect(task_id, timeout_minutes, delivery, service, display)
            except PikaError as error:
                display.name = await service.prepare(_prompt_of, task_id, service)
                if on_failure == STOP or not may_skip(error):
                    raise
                display.skip(error)
                return _skipped(say(skip_message(error, display.name, display.index)), task_id)
            frame = await service.prepare(first_frame, collected.path, observer=display.observer)
            last: Frame | str | None = None
            if host.is_output_linked(LAST_IMAGE):
                last = await service.prepare(_last_frame, collected.path, observer=display.observer)
            outcome = Outcome(Ending.DONE, describe(collected), collected.note)
            display.finish(outcome)
        return _output(collected, frame, last, say(outcome.text))


def saved_state(service: Service) -> int:
    """For ``fingerprint_inputs``: changes when a saved file was deleted."""
    return service.journal.count_missing_files(service.output)


async def collect(
    task_id: str,
    timeout_minutes: float,
    delivery: Delivery,
    service: Service,
    display: NodeDisplay,
) -> Collected:
    """Wait for the file of a task, save it, and announce its end. Raises as `Service.collect`.

    Args:
        timeout_minutes: 0 means no limit.
    """
    collecting = service.collect(
        task_id,
        timeout=timeout_minutes * 60.0 or None,
        delivery=delivery,
        observer=display.observer,
    )
    return await announce_end(service, task_id, collecting)


def delivery_for(hidden: Any, prefix: str = "") -> Delivery:
    """What is written to the file, and where it is saved. Raises `InvalidInput`."""
    from ..pika_api.tasks import Delivery, Place, expand_words

    extra = hidden.extra_pnginfo if isinstance(hidden.extra_pnginfo, dict) else {}
    texts = texts_of(hidden.prompt, extra) if host.writes_metadata() else {}
    place = None
    if prefix.strip():
        workflow = extra.get("workflow")
        named = expand_words(
            prefix,
            time.localtime(),
            hidden.prompt,
            workflow if isinstance(workflow, dict) else None,
        )
        place = Place.of(host.output_root(), named)
    return Delivery(texts, place)


def _last_frame(path: Path) -> Frame | str:
    """The last frame of a file, or why there is none."""
    try:
        return last_frame(path)
    except (NotMedia, OSError) as error:
        return Message(
            "The last frame of {name} cannot be decoded: {error}.", name=path.name, error=error
        )


def _prompt_of(task_id: str, service: Service) -> str:
    """The prompt of a task; empty if the journal does not know it. Blocks."""
    try:
        entry = service.journal.find_by_task_id(task_id, service.settings.gateway)
    except JournalError:
        return ""
    return entry.prompt if entry is not None else ""


def _skipped(message: str, task_id: str) -> io.NodeOutput:
    """Blocked outputs for a list item whose task has failed."""
    blocked = host.blocked(message)
    return io.NodeOutput(
        blocked, blocked, blocked, blocked, ui=_display([], False, message, task_id)
    )


def _display(
    images: list[dict[str, str]], is_video: bool, text: str, task_id: str
) -> dict[str, Any]:
    """What the editor shows of one item."""
    # The same keys for every item of a list: ComfyUI merges them by the keys of the first.
    return {
        "images": images,
        "animated": (is_video,),
        **progress.text_output(text, task_id),
    }


def _output(
    collected: Collected, frame: Frame, last: Frame | str | None, text: str
) -> io.NodeOutput:
    """The node's outputs.

    Args:
        last: The last frame, why there is none, or None if nobody wants it.
        text: What the node says about the file.
    """
    import torch

    is_video = collected.probe.kind == "video"
    last_image: Any = last
    if last is not None:
        last_image = host.blocked(say(last)) if isinstance(last, str) else torch.from_numpy(last)
    name, subfolder = host.saved_result(collected.path)
    return io.NodeOutput(
        video_of(collected),
        torch.from_numpy(frame),
        collected.result_url,
        last_image,
        ui=_display(
            [{"filename": name, "subfolder": subfolder, "type": "output"}],
            is_video,
            text,
            collected.task_id,
        ),
    )


def video_of(collected: Collected) -> Any:
    """The output ``video``: it blocks the nodes behind it if there is only a still image."""
    if collected.probe.kind == "video":
        return InputImpl.VideoFromFile(str(collected.path))
    return host.blocked(
        say(
            Message(
                "This task produced a still image, not a video. Use the image output of Pika "
                "Result."
            )
        )
    )


def describe(collected: Collected) -> Message:
    """What the node displays about a saved file."""
    return Message.joined(" · ", *facts(collected), short_id(collected.task_id), collected.note)


def facts(collected: Collected) -> list[str]:
    """Duration, size and frame rate of a saved file."""
    seen = collected.probe
    size = f"{seen.width}x{seen.height}"
    if seen.kind != "video":
        return [size]
    return [f"{seen.duration:.1f} s", size, f"{seen.frame_rate:g} fps"]
