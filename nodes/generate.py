"""PikaGenerate: values → one paid task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import Input, io

from ..pika_api.errors import InvalidInput, PikaError
from ..pika_api.media import AS_IS, AUTO, FITS, FORMATS, Media
from ..pika_api.request import (
    PIKAFFECTS,
    GenerateRequest,
    Options,
    check_choice,
    check_url,
    parse_extra,
)
from . import host, outgoing, progress
from .sockets import CATEGORY, NONE, OptionsSocket, check_extra_json, choice, extra_json

if TYPE_CHECKING:
    import torch


class PikaGenerate(io.ComfyNode):
    """One paid task."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        return io.Schema(
            node_id="PikaGenerate",
            display_name="Pika Generate",
            category=CATEGORY,
            description="Sends one paid request and gives the task's id, for Pika Result to wait "
            "for. The same inputs with the same seed are the same task: they are never paid twice.",
            inputs=[
                io.String.Input(
                    "prompt_text",
                    multiline=True,
                    default="",
                    placeholder="What the video should show",
                    tooltip="What the video should show. Must not be blank.",
                ),
                io.Combo.Input(
                    "pikaffect",
                    options=[NONE, *PIKAFFECTS],
                    default=NONE,
                    tooltip="An effect that happens to the subject.",
                ),
                io.String.Input(
                    "model",
                    default="1.5",
                    tooltip="Model version. Blank leaves the choice to the gateway.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Which take this is; it is not sent. Same inputs and same seed: the "
                    "same task, today and after a restart, with no new charge. Another seed is "
                    "another task and another charge.",
                ),
                OptionsSocket.Input(
                    "options",
                    optional=True,
                    tooltip="From Pika Options. Unconnected: 16:9, 24 frames per second.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="A reference image: one, not a batch. Transparency is laid over white.",
                ),
                io.Video.Input(
                    "video",
                    optional=True,
                    tooltip="A reference video, or the video to extend (see Pika Options).",
                ),
                io.String.Input(
                    "image_url",
                    optional=True,
                    default="",
                    tooltip="The reference image's http(s) address, instead of image.",
                ),
                io.String.Input(
                    "video_url",
                    optional=True,
                    default="",
                    tooltip="The video's http(s) address, instead of video.",
                ),
                extra_json("the request body"),
                io.Combo.Input(
                    "image_format",
                    options=list(FORMATS),
                    default=AUTO,
                    optional=True,
                    tooltip="How the image is sent. «auto»: exactly, as PNG, while that is small; "
                    "else as the best JPEG that fits into the request.",
                ),
                io.Combo.Input(
                    "fit",
                    options=list(FITS),
                    default=AS_IS,
                    optional=True,
                    tooltip="Where the image's shape is not that of aspect_ratio: send it «as is», "
                    "«crop» it about its middle, or «pad» it with black.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "task_id",
                    display_name="task_id",
                    tooltip="The task's id, for Pika Result or Pika Status.",
                )
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
            # So that this node alone is a workflow; the task can be collected another day.
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, prompt_text: str | None, extra_json: str | None = None) -> bool | str:
        """Tell a blank prompt or a broken extra_json before the queue starts.

        A linked one is not known yet (None).
        """
        if prompt_text is None or prompt_text.strip():
            return check_extra_json(extra_json)
        return "the prompt is blank. Say what the video should show."

    @classmethod
    def fingerprint_inputs(cls, prompt_text: str | None = None, **_others: Any) -> Any:
        """Changes when a task of this prompt has failed or was forgotten, and with the account.

        ComfyUI keeps a node's result as long as its inputs stay. Without this it would give the id
        of a failed task again and again, instead of letting the node make it anew.
        """
        try:
            service = host.service()
            count_released = service.journal.count_released(prompt_text)
            return f"{count_released} {service.settings.base_url} {service.settings.key_id}"
        except PikaError:
            return float("nan")  # run the node: it tells the error where it can be read

    @classmethod
    async def execute(
        cls,
        prompt_text: str,
        pikaffect: str,
        model: str,
        seed: int,
        options: Options | None = None,
        image: torch.Tensor | None = None,
        video: Input.Video | None = None,
        image_url: str = "",
        video_url: str = "",
        extra_json: str = "",
        image_format: str = AUTO,
        fit: str = AS_IS,
    ) -> io.NodeOutput:
        """Submit, or take up the task that these inputs already are."""
        linked = _linked_inputs(cls.hidden)
        options = options or Options()

        def compose(max_body: int) -> tuple[GenerateRequest, str, list[dict[str, str]]]:
            """The request, a note on what was done to its image, and that image if it changed."""
            check_choice("image_format", image_format, FORMATS)
            check_choice("fit", fit, FITS)
            effect = choice("pikaffect", pikaffect, PIKAFFECTS)
            extra = parse_extra(extra_json)
            still: Media | str | None = _one("image", image, image_url, linked)
            moving: Media | str | None = _one("video", video, video_url, linked)
            note, shown = "", []
            if image is not None:
                made = outgoing.from_image(image, options, image_format, fit, max_body)
                still, note = made.media, made.note
                if made.fitted is not None:
                    shown.append(outgoing.preview(made.fitted))
            if video is not None:
                moving = outgoing.from_video(video)
            request = GenerateRequest(prompt_text, effect, model, options, still, moving, extra)
            return request, note, shown

        node_id = cls.hidden.unique_id
        async with progress.display(node_id) as (display, service):
            service.settings.require_key()
            settings = service.settings
            request, note, shown = await service.prepare(
                compose, settings.max_body, observer=display.observer
            )
            submitted = await service.submit(
                request,
                take=seed,
                node_id=node_id,
                prompt_id=host.prompt_id(),
                observer=display.observer,
            )
            text = f"task {submitted.task_id}"
            if submitted.reused:
                text = f"took up {text} (no charge); another seed makes a new take"
            elif note:
                text = f"{text} · {note}"
            display.say(text)
        return io.NodeOutput(submitted.task_id, ui={"text": [text], "images": shown})


def _linked_inputs(hidden: Any) -> frozenset[str]:
    """The names of the inputs that come over a link."""
    inputs = hidden.dynprompt.get_node(hidden.unique_id)["inputs"]
    return frozenset(name for name, value in inputs.items() if isinstance(value, list))


def _one(name: str, given: object, url: str, linked: frozenset[str]) -> str | None:
    """The URL of an image or a video where that is how it is given; None otherwise.

    Raises:
        InvalidInput: Both are given, or the URL is none. An unused URL widget is empty; one that
            is connected, or holds only blanks, was meant to be something.
    """
    url_name = f"{name}_url"
    if not url and url_name not in linked:
        return None
    if given is not None:
        raise InvalidInput(
            url_name,
            f"{name} is connected as well, and the request takes one.",
            f"Empty {url_name}, or disconnect {name}.",
        )
    return check_url(url, url_name)
