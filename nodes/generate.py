"""PikaGenerate: sends one request and returns the id of its paid task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from comfy_api.latest import Input, io

from ..pika_api.errors import InvalidInput, PikaError
from ..pika_api.media import AS_IS, AUTO, FITS, FORMATS, Media
from ..pika_api.message import Message
from ..pika_api.request import (
    DEFAULT_MODEL,
    MAX_TAKE,
    PIKAFFECTS,
    GenerateRequest,
    Options,
    check_choice,
    check_url,
    parse_extra,
)
from ..pika_api.text import short_id
from . import host, outgoing, progress
from .language import say
from .lists import STOP, Done, Ending, Outcome, may_skip, skip_message
from .sockets import (
    NONE,
    OptionsSocket,
    check_on_failure,
    choice,
    extra_json,
    on_failure_input,
    schema,
)

if TYPE_CHECKING:
    import torch

    from ..pika_api.tasks import Service, Submitted
    from .progress import NodeDisplay


#: The largest integer up to which JavaScript, and so the editor, is exact (ECMA-262, section 21.1).
_MAX_EXACT: Final = 2**53 - 1


class PikaGenerate(io.ComfyNode):
    """One request, which becomes one paid task."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return schema(
            node_id="PikaGenerate",
            display_name="Pika Generate",
            search_aliases=[
                *("text to video", "image to video", "video to video", "extend video"),
                *("pikaffect", "video generation", "ai video"),
            ],
            advanced=("image_url", "video_url", "image_format", "fit"),
            description="Sends one paid request and returns the task id. Connect it to Pika "
            "Result, which waits for the video. The same inputs with the same seed reuse the "
            "existing task, with no new charge.",
            inputs=[
                io.String.Input(
                    "prompt_text",
                    multiline=True,
                    default="",
                    placeholder="Describe the video",
                    tooltip="Describes what the video should show. Required.",
                ),
                io.Combo.Input(
                    "pikaffect",
                    options=[NONE, *PIKAFFECTS],
                    default=NONE,
                    tooltip="Optional special effect for the subject, such as Melt or Inflate.",
                ),
                io.String.Input(
                    "model",
                    default=DEFAULT_MODEL,
                    tooltip="Model version. If empty, the gateway chooses.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=MAX_TAKE,
                    control_after_generate=True,
                    tooltip="Chooses which take of this request you get; it is not sent to the "
                    "gateway. The same inputs with the same seed reuse the existing task, with no "
                    "new charge, even after a restart. Another seed creates a new take: a new task "
                    f"with a new charge. The editor is exact up to {_MAX_EXACT}.",
                ),
                OptionsSocket.Input(
                    "options",
                    optional=True,
                    tooltip="From Pika Options. If not connected: 16:9, 24 frames per second.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="Reference image: one image, not a batch. Transparent areas become "
                    "white.",
                ),
                io.Video.Input(
                    "video",
                    optional=True,
                    tooltip="Reference video, or the video to extend (see Pika Options).",
                ),
                io.String.Input(
                    "image_url",
                    optional=True,
                    default="",
                    tooltip="URL (http or https) of the reference image, instead of the image "
                    "input.",
                ),
                io.String.Input(
                    "video_url",
                    optional=True,
                    default="",
                    tooltip="URL (http or https) of the video, instead of the video input.",
                ),
                extra_json("the request body"),
                io.Combo.Input(
                    "image_format",
                    options=list(FORMATS),
                    default=AUTO,
                    optional=True,
                    tooltip='File format in which the image is sent. "auto" uses lossless PNG if '
                    "the file is small, otherwise the best JPEG that fits into the request.",
                ),
                io.Combo.Input(
                    "fit",
                    options=list(FITS),
                    default=AS_IS,
                    optional=True,
                    tooltip="What to do if the image does not have the aspect_ratio of the video: "
                    '"as is" sends it unchanged, "crop" cuts off the edges, "pad" adds black bars.',
                ),
                on_failure_input(
                    "What to do if the gateway refuses this request, for example after moderation. "
                    '"stop" ends the run. "skip" skips only the nodes that depend on this request; '
                    "the other prompts of a list continue. Errors that are not about this request, "
                    "such as a missing key or no credit, always end the run."
                ),
            ],
            outputs=[
                io.String.Output(
                    "task_id",
                    display_name="task_id",
                    tooltip="Task id, for Pika Result or Pika Status.",
                )
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
            # This node alone is a valid workflow: the task can be collected later.
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, prompt_text: str | None) -> bool | str:
        """Report a blank prompt before the queue starts.

        A linked input has no value yet (None). No other input is named here: ComfyUI reports an
        error for each of them, whichever of them is wrong. A broken extra_json is an error of
        `execute`, before anything is sent.
        """
        return check_prompt(prompt_text)

    @classmethod
    def fingerprint_inputs(
        cls, prompt_text: str | None = None, on_failure: str | None = STOP, **_others: Any
    ) -> Any:
        """Changes when a task of this prompt fails or is forgotten, or the gateway or key changes.

        ComfyUI caches a node's output while its inputs stay the same. Without this method it would
        keep returning the id of a failed task, and the node could not create a new one.

        An output for which a request with an unknown outcome was skipped must not be cached: every
        run reports it again.
        """
        try:
            with host.use_service() as service:
                unknown = 0 if on_failure == STOP else progress.count_unknown_skipped()
                return hash((request_state(service, prompt_text), unknown))
        except PikaError:
            return float("nan")  # run the node, which then reports the error

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
        on_failure: str = STOP,
    ) -> io.NodeOutput:
        """Submit the request, or reuse its task."""
        inputs = Inputs(
            prompt_text,
            pikaffect,
            model,
            options or Options(),
            image,
            video,
            image_url,
            video_url,
            extra_json,
            image_format,
            fit,
            _linked_inputs(cls.hidden),
        )
        node_id = cls.hidden.unique_id
        async with progress.display(node_id, done=Done.SUBMITTED, name=prompt_text) as (
            display,
            service,
        ):
            check_on_failure(on_failure)
            composed = await compose(inputs, service, display)
            try:
                submitted = await submit(composed, seed, node_id, service, display)
            except PikaError as error:
                if on_failure == STOP or not may_skip(error):
                    raise
                outcome = display.skip(error)
                blocked = host.blocked(say(skip_message(error, prompt_text, display.index)))
                return _output(blocked, outcome, composed)
            outcome = describe(submitted, composed, seed, service)
            display.finish(outcome)
        return _output(submitted.task_id, outcome, composed)


def check_prompt(prompt_text: str | None) -> bool | str:
    """For ``validate_inputs``: True, or why the prompt cannot be sent.

    A linked input has no value yet (None).
    """
    if prompt_text is None or prompt_text.strip():
        return True
    return say(Message("the prompt is blank. Say what the video should show."))


def request_state(service: Service, prompt_text: str | None) -> int:
    """For ``fingerprint_inputs``: changes when a task of this prompt fails or is forgotten, or the
    gateway or key changes.
    """
    released = service.journal.count_released(prompt_text)
    account = f"{service.settings.gateway} {service.settings.key_id}"
    # ComfyUI adds this value to the prompt, which its savers write to their files: only a number of
    # this process.
    return hash(f"{released} {account}")


async def compose(inputs: Inputs, service: Service, display: NodeDisplay) -> Composed:
    """Build the request. Raises `PikaError`: the key is missing, or an input cannot be sent."""
    service.settings.require_key()
    return await service.prepare(
        inputs.compose,
        service.settings.max_body,
        partial(service.journal.has_earlier_requests, service.settings.gateway),
        observer=display.observer,
    )


async def submit(
    composed: Composed, seed: int, node_id: str, service: Service, display: NodeDisplay
) -> Submitted:
    """Send the request, or reuse its task. Raises as `Service.submit`."""
    return await service.submit(
        composed.request,
        take=seed,
        node_id=node_id,
        prompt_id=host.prompt_id(),
        observer=display.observer,
    )


def _output(task_id: object, outcome: Outcome, composed: Composed) -> io.NodeOutput:
    # The same keys for every item of a list: ComfyUI merges them by the keys of the first.
    task_ids = [task_id] if isinstance(task_id, str) else []
    ui = progress.text_output(say(outcome.text), *task_ids) | {"images": list(composed.previews)}
    return io.NodeOutput(task_id, ui=ui)


def describe(submitted: Submitted, composed: Composed, seed: int, service: Service) -> Outcome:
    """What the node displays about a submitted request: its task, its cost, and the notes."""
    if submitted.reused:
        return Outcome(
            Ending.REUSED,
            Message(
                "Reused task {task_id}, no new charge. Another seed creates a new take.",
                task_id=short_id(submitted.task_id),
            ),
        )
    cost = service.account.describe_cost(submitted.estimate)
    note = Message.joined(" · ", _rounded_seed(seed), _replacement(submitted), composed.note)
    task = Message("task {task_id}", task_id=short_id(submitted.task_id))
    text = Message.joined(" · ", task, cost, note)
    return Outcome(Ending.DONE, text, note, composed.request.prompt_text)


def _rounded_seed(seed: int) -> str:
    """The seed, if the editor may have changed it; else empty.

    The editor's numbers come from JavaScript, so a saved or typed seed over `_MAX_EXACT` can arrive
    as another one, which is another take.
    """
    if seed <= _MAX_EXACT:
        return ""
    return Message("seed {seed}, which the editor may have rounded", seed=seed)


def _replacement(submitted: Submitted) -> str:
    """Why a new task was created although the request had one; empty if it had none."""
    if not submitted.replaced:
        return ""
    return Message(
        "a new task: the gateway does not know the earlier one ({replaced}) with the current key",
        replaced=short_id(submitted.replaced),
    )


@dataclass(frozen=True)
class Composed:
    """A request, and what the node displays about it.

    Attributes:
        note: How the image was changed or encoded; empty if it is sent exactly.
        previews: The image as it is sent, where it was cropped or padded.
    """

    request: GenerateRequest
    note: str
    previews: Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Inputs:
    """The node's inputs in one execution.

    Attributes:
        linked: The names of the inputs that are connected to another node.
    """

    prompt_text: str
    pikaffect: str
    model: str
    options: Options
    image: torch.Tensor | None = None
    video: Input.Video | None = None
    image_url: str = ""
    video_url: str = ""
    extra_json: str = ""
    image_format: str = AUTO
    fit: str = AS_IS
    linked: frozenset[str] = frozenset()

    def compose(self, max_body: int, has_earlier: Callable[[], bool]) -> Composed:
        """Encode the media and build the request. Blocks.

        Args:
            max_body: Maximum size of the request, in bytes.
            has_earlier: Whether the journal may contain this request as version 0.1.0 sent it. To
                recognize that, a video may have to be decoded once more.

        Raises:
            InvalidInput: An input cannot be sent.
        """
        check_choice("image_format", self.image_format, FORMATS)
        check_choice("fit", self.fit, FITS)
        effect = choice("pikaffect", self.pikaffect, PIKAFFECTS)
        extra = parse_extra(self.extra_json)
        image: Media | str | None = _url("image", self.image, self.image_url, self.linked)
        video: Media | str | None = _url("video", self.video, self.video_url, self.linked)
        note = ""
        previews = []
        if self.image is not None:
            prepared = outgoing.from_image(
                self.image, self.options, self.image_format, self.fit, max_body
            )
            image, note = prepared.media, prepared.note
            if prepared.fitted is not None:
                previews.append(outgoing.preview(prepared.fitted))
        if self.video is not None:
            video = outgoing.from_video(self.video, earlier=has_earlier())
        request = GenerateRequest(
            self.prompt_text, effect, self.model, self.options, image, video, extra
        )
        return Composed(request, note, previews)


def _linked_inputs(hidden: Any) -> frozenset[str]:
    """The names of the inputs that are connected to another node."""
    inputs = hidden.dynprompt.get_node(hidden.unique_id)["inputs"]
    return frozenset(name for name, value in inputs.items() if isinstance(value, list))


def _url(name: str, connected: object, url: str, linked: frozenset[str]) -> str | None:
    """The URL of an image or a video; None if it is not given by URL.

    Raises:
        InvalidInput: Media is connected as well, or the URL is not valid. An unused URL widget is
            empty; one that is connected, or contains only blanks, is meant to be used.
    """
    url_name = f"{name}_url"
    if not url and url_name not in linked:
        return None
    if connected is not None:
        raise InvalidInput(
            url_name,
            Message(
                "{name} is connected as well, and a request takes only one of the two.", name=name
            ),
            Message("Clear {url_name}, or disconnect {name}.", url_name=url_name, name=name),
        )
    return check_url(url, url_name)
