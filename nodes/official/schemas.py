"""Inputs and texts that ComfyUI's former Pika nodes share."""

from __future__ import annotations

from typing import Final

from comfy_api.latest import io

from ...pika_api.request import MAX_ASPECT_RATIO, MIN_ASPECT_RATIO
from ..sockets import CATEGORY

_MAX_SEED: Final = 0xFFFFFFFF
_ORIGIN: Final = (
    "For workflows with the Pika node of this name that ComfyUI had until December 2025."
)
_REPLACEMENT: Final = "For new workflows, use Pika Generate and Pika Result."


def schema(node_id: str, name: str, description: str, inputs: list[io.Input]) -> io.Schema:
    return io.Schema(
        node_id=node_id,
        display_name=name,
        category=CATEGORY,
        description=f"{_ORIGIN} {description} {_REPLACEMENT}",
        inputs=inputs,
        outputs=[
            io.Video.Output(
                "output", display_name="VIDEO", tooltip="The video, read from the saved file."
            )
        ],
        hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.extra_pnginfo],
        is_deprecated=True,
        # Not an output node, as it was: one that is connected to nothing must not be charged.
    )


def texts_and_seed(*, optional: bool = False) -> list[io.Input]:
    return [
        io.String.Input(
            "prompt_text",
            multiline=True,
            optional=optional,
            tooltip="Describes what the video should show. Required.",
        ),
        io.String.Input(
            "negative_prompt",
            multiline=True,
            optional=optional,
            tooltip="What to keep out of the video.",
        ),
        io.Int.Input(
            "seed",
            min=0,
            max=_MAX_SEED,
            control_after_generate=True,
            optional=optional,
            tooltip="Chooses which take of this request you get; it is not sent to the gateway. "
            "The same inputs with the same seed reuse the existing task, with no new charge.",
        ),
    ]


def base_inputs() -> list[io.Input]:
    not_sent = "Not sent: the gateway chooses the {} of the video."
    return [
        *texts_and_seed(),
        io.Combo.Input(
            "resolution",
            options=["1080p", "720p"],
            default="1080p",
            tooltip=not_sent.format("resolution"),
        ),
        io.Combo.Input("duration", options=[5, 10], default=5, tooltip=not_sent.format("duration")),
    ]


def ratio_input() -> io.Input:
    return io.Float.Input(
        "aspect_ratio",
        step=0.001,
        min=MIN_ASPECT_RATIO,
        max=MAX_ASPECT_RATIO,
        default=16 / 9,
        tooltip="Aspect ratio (width / height)",
    )
