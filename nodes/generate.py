"""PikaGenerate: values → one paid task."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from comfy_api.latest import Input, io

from ..pika_api.errors import InvalidInput, PikaError
from ..pika_api.media import Media
from ..pika_api.request import PIKAFFECTS, GenerateRequest, Options, check_url, parse_extra
from . import host, outgoing
from .sockets import CATEGORY, NONE, OptionsSocket, choice, extra_json

if TYPE_CHECKING:
    import torch

_T = TypeVar("_T")


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
    def validate_inputs(cls, prompt_text: str | None) -> bool | str:
        """Tell a blank prompt before the queue starts. A linked one is not known yet (None)."""
        if prompt_text is None or prompt_text.strip():
            return True
        return "the prompt is blank. Say what the video should show."

    @classmethod
    def fingerprint_inputs(cls, prompt_text: str | None = None, **_others: Any) -> Any:
        """Changes when a task of this prompt has failed or was forgotten.

        ComfyUI keeps a node's result as long as its inputs stay. Without this it would give the id
        of a failed task again and again, instead of letting the node make it anew.
        """
        try:
            return host.service().journal.given_up(prompt_text)
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
    ) -> io.NodeOutput:
        """Submit, or take up the task that these inputs already are."""
        linked = _linked_inputs(cls.hidden)

        def compose() -> GenerateRequest:
            return GenerateRequest(
                prompt_text,
                pikaffect=choice("pikaffect", pikaffect, PIKAFFECTS),
                model=model,
                options=options or Options(),
                image=_one("image", image, image_url, outgoing.from_image, linked),
                video=_one("video", video, video_url, outgoing.from_video, linked),
                extra=parse_extra(extra_json),
            )

        node_id = cls.hidden.unique_id
        async with host.display(node_id) as (display, service):
            service.settings.require_key()
            request = await service.prepare(compose, watch=display.watch)
            submitted = await service.submit(
                request,
                take=seed,
                node_id=node_id,
                prompt_id=host.prompt_id(),
                watch=display.watch,
            )
            text = f"task {submitted.task_id}"
            if submitted.taken_up:
                text = f"took up {text} (no charge); another seed makes a new take"
            display.say(text)
        return io.NodeOutput(submitted.task_id, ui={"text": [text]})


def _linked_inputs(hidden: Any) -> frozenset[str]:
    """The names of the inputs that come over a link."""
    inputs = hidden.dynprompt.get_node(hidden.unique_id)["inputs"]
    return frozenset(name for name, value in inputs.items() if isinstance(value, list))


def _one(
    name: str,
    given: _T | None,
    url: str,
    encode: Callable[[_T], Media],
    linked: frozenset[str],
) -> Media | str | None:
    """The image or the video of a request: encoded, as a URL, or none.

    Raises:
        InvalidInput: Both are given, or the URL is none. An unused URL widget is empty; one that
            is connected, or holds only blanks, was meant to be something.
    """
    url_name = f"{name}_url"
    has_url = bool(url) or url_name in linked
    if given is None:
        return check_url(url, url_name) if has_url else None
    if has_url:
        raise InvalidInput(
            url_name,
            f"{name} is connected as well, and the request takes one.",
            f"Empty {url_name}, or disconnect {name}.",
        )
    return encode(given)
