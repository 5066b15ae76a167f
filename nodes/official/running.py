"""ComfyUI's former Pika nodes for which the gateway has a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from comfy_api.latest import io

from ...pika_api.errors import InvalidInput, PikaError
from ...pika_api.message import Message
from ...pika_api.request import (
    DEFAULT_MODEL,
    FROM_IMAGE,
    PIKAFFECTS,
    AspectRatio,
    Options,
    Parameters,
    check_choice,
    check_ratio,
    parse_aspect_ratio,
)
from .. import generate, host, progress, result
from ..language import say
from ..lists import Done, Ending, Outcome
from ..sockets import NONE
from .schemas import base_inputs, ratio_input, schema, texts_and_seed

if TYPE_CHECKING:
    import torch

#: As Pika Result.
_TIMEOUT_MINUTES: Final = 20.0
_INGREDIENTS: Final = tuple(f"image_ingredient_{number}" for number in range(1, 6))
_SENDS: Final = "Sends one paid request to your gateway and waits for the video."


class _Running(io.ComfyNode):
    """What the nodes share that send a request. Not registered: a schema is inherited."""

    @classmethod
    def validate_inputs(cls, prompt_text: str | None = None) -> bool | str:
        """Report a blank prompt before the queue starts."""
        return generate.check_prompt(prompt_text)

    @classmethod
    def fingerprint_inputs(cls, prompt_text: str | None = None, **_others: Any) -> Any:
        """Changes where Pika Generate or Pika Result would run again."""
        try:
            with host.use_service() as service:
                request = generate.request_state(service, prompt_text)
                return f"{request} {result.saved_state(service)}"
        except PikaError:
            return float("nan")  # run the node, which then reports the error


class PikaTextToVideo(_Running):
    """ComfyUI's former text to video."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return schema(
            "PikaTextToVideoNode2_2",
            "Pika Text to Video",
            f"{_SENDS} The gateway chooses resolution and duration.",
            [*base_inputs(), ratio_input()],
        )

    @classmethod
    async def execute(
        cls,
        prompt_text: str,
        negative_prompt: str,
        seed: int,
        resolution: str,
        duration: int,
        aspect_ratio: float,
    ) -> io.NodeOutput:
        """Submit the request, or reuse its task, and wait for the video."""

        def inputs() -> generate.Inputs:
            return _inputs(prompt_text, negative_prompt, _ratio(aspect_ratio))

        return await _run(cls.hidden, inputs, seed, _chosen())


class PikaImageToVideo(_Running):
    """ComfyUI's former image to video."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        image = io.Image.Input("image", tooltip="The image to convert to video")
        return schema(
            "PikaImageToVideoNode2_2",
            "Pika Image to Video",
            f"{_SENDS} The video has the aspect ratio of the image. The gateway chooses resolution "
            "and duration.",
            [image, *base_inputs()],
        )

    @classmethod
    async def execute(
        cls,
        image: torch.Tensor,
        prompt_text: str,
        negative_prompt: str,
        seed: int,
        resolution: str,
        duration: int,
    ) -> io.NodeOutput:
        """Submit the request, or reuse its task, and wait for the video."""

        def inputs() -> generate.Inputs:
            return _inputs(prompt_text, negative_prompt, FROM_IMAGE, image)

        return await _run(cls.hidden, inputs, seed, _chosen())


class Pikaffects(_Running):
    """ComfyUI's former effects."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return schema(
            "Pikaffects",
            "Pikaffects (Video Effects)",
            f"{_SENDS} The video has the aspect ratio of the image.",
            [
                io.Image.Input("image", tooltip="The reference image to apply the Pikaffect to."),
                io.Combo.Input(
                    "pikaffect",
                    options=sorted(PIKAFFECTS),
                    default="Cake-ify",
                    tooltip="The special effect for the subject.",
                ),
                *texts_and_seed(),
            ],
        )

    @classmethod
    async def execute(
        cls,
        image: torch.Tensor,
        pikaffect: str,
        prompt_text: str,
        negative_prompt: str,
        seed: int,
    ) -> io.NodeOutput:
        """Submit the request, or reuse its task, and wait for the video."""

        def inputs() -> generate.Inputs:
            check_choice("pikaffect", pikaffect, PIKAFFECTS)
            return _inputs(prompt_text, negative_prompt, FROM_IMAGE, image, pikaffect)

        return await _run(cls.hidden, inputs, seed)


class PikaScenes(_Running):
    """ComfyUI's former composition of images, with one image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return schema(
            "PikaScenesV2_2",
            "Pika Scenes (Video Image Composition)",
            f"{_SENDS} The gateway takes one image: with several, the node stops before anything "
            "is sent. The gateway chooses resolution, duration, and how it uses the image.",
            [
                *base_inputs(),
                io.Combo.Input(
                    "ingredients_mode",
                    options=["creative", "precise"],
                    default="creative",
                    tooltip="Not sent: the gateway chooses how it uses the image.",
                ),
                ratio_input(),
                *(
                    io.Image.Input(
                        name,
                        optional=True,
                        tooltip="Image that will be used as ingredient to create a video.",
                    )
                    for name in _INGREDIENTS
                ),
            ],
        )

    @classmethod
    async def execute(
        cls,
        prompt_text: str,
        negative_prompt: str,
        seed: int,
        resolution: str,
        duration: int,
        ingredients_mode: str,
        aspect_ratio: float,
        **ingredients: torch.Tensor | None,
    ) -> io.NodeOutput:
        """Submit the request, or reuse its task, and wait for the video."""

        def inputs() -> generate.Inputs:
            image = _only_image(ingredients)
            return _inputs(prompt_text, negative_prompt, _ratio(aspect_ratio), image)

        return await _run(
            cls.hidden,
            inputs,
            seed,
            Message("the gateway chooses resolution, duration, and how it uses the image"),
        )


def _chosen() -> Message:
    return Message("the gateway chooses resolution and duration")


def _ratio(value: object) -> AspectRatio:
    """The aspect ratio, which may be of any type over a link."""
    ratio = parse_aspect_ratio(str(value), "aspect_ratio", {}, numbers=True)
    if isinstance(ratio, float):
        check_ratio(ratio, "aspect_ratio")
    return ratio


def _only_image(ingredients: dict[str, torch.Tensor | None]) -> torch.Tensor:
    connected = {name: image for name, image in ingredients.items() if image is not None}
    if len(connected) == 1:
        return next(iter(connected.values()))
    raise InvalidInput(
        _INGREDIENTS[min(len(connected), 1)],
        Message("{count} images are connected, and the gateway takes one.", count=len(connected)),
        Message("Connect one image: combine several into one before, for example side by side."),
    )


def _inputs(
    prompt_text: str,
    negative_prompt: str,
    ratio: AspectRatio,
    image: torch.Tensor | None = None,
    pikaffect: str = NONE,
) -> generate.Inputs:
    options = Options(ratio, parameters=Parameters(negative_prompt=negative_prompt))
    return generate.Inputs(prompt_text, pikaffect, DEFAULT_MODEL, options, image)


async def _run(
    hidden: Any, inputs: Callable[[], generate.Inputs], seed: int, limits: str = ""
) -> io.NodeOutput:
    """Submit the request, or reuse its task, and wait for the video.

    Args:
        inputs: Builds the inputs of the request.
        limits: What the node has inputs for and the gateway has not. Displayed with a new task.
    """
    node_id = hidden.unique_id
    async with progress.display(node_id, done=Done.SAVED) as (display, service):
        request = inputs()
        delivery = result.delivery_for(hidden)
        display.name = request.prompt_text
        composed = await generate.compose(request, service, display)
        submitted = await generate.submit(composed, seed, node_id, service, display)
        sent = generate.describe(submitted, composed, seed, service)
        collected = await result.collect(
            submitted.task_id, _TIMEOUT_MINUTES, delivery, service, display
        )
        note = collected.note if submitted.reused else Message.joined(" · ", collected.note, limits)
        text = Message.joined(" · ", sent.text, *result.facts(collected), note)
        outcome = Outcome(Ending.DONE, text, Message.joined(" · ", sent.words, note), sent.name)
        display.finish(outcome)
    ui = progress.text_output(say(text), submitted.task_id)
    return io.NodeOutput(result.video_of(collected), ui=ui)
