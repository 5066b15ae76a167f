"""ComfyUI's former Pika nodes for which the gateway has no request: they open, and refuse."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...pika_api.errors import InvalidInput
from ...pika_api.message import Message
from ..language import explain, translated_errors
from .schemas import base_inputs, schema, texts_and_seed


class _Refused(io.ComfyNode):
    """What the nodes share that the gateway has no request for. Not registered.

    They refuse in `validate_inputs`, before another node of the workflow is charged, and in
    `execute`, which a prompt reaches that another node has expanded.
    """

    @classmethod
    def refusal(cls) -> InvalidInput:
        """The error, with a way to rebuild the workflow. It names an input that is required."""
        raise NotImplementedError

    @classmethod
    async def execute(cls, **_inputs: Any) -> io.NodeOutput:
        """Refuse."""
        with translated_errors():
            raise cls.refusal()


class PikaStartEndFrame(_Refused):
    """ComfyUI's former interpolation between two images."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return schema(
            "PikaStartEndFrameNode2_2",
            "Pika Start and End Frame to Video",
            _refuses("The Pika API of your gateway has no end frame."),
            [
                io.Image.Input("image_start", tooltip="The first image to combine."),
                io.Image.Input("image_end", tooltip="The last image to combine."),
                *base_inputs(),
            ],
        )

    @classmethod
    def validate_inputs(cls, image_end: object = None) -> bool | str:
        """Refuse before the queue starts."""
        return explain(cls.refusal())

    @classmethod
    def refusal(cls) -> InvalidInput:
        """The error, with a way to rebuild the workflow."""
        return InvalidInput(
            "image_end",
            Message("the Pika API of your gateway has no end frame. Nothing was sent."),
            Message(
                "Replace this node: connect the first image to Pika Generate, with aspect_ratio "
                '"from image" in Pika Options, describe the end in the prompt, and connect Pika '
                "Result."
            ),
        )


class Pikadditions(_Refused):
    """ComfyUI's former insertion of an image into a video."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return schema(
            "Pikadditions",
            "Pikadditions (Video Object Insertion)",
            _refuses("The Pika API of your gateway cannot insert an image into a video."),
            [
                io.Video.Input("video", tooltip="The video to add an image to."),
                io.Image.Input("image", tooltip="The image to add to the video."),
                *texts_and_seed(),
            ],
        )

    @classmethod
    def validate_inputs(cls, video: object = None) -> bool | str:
        """Refuse before the queue starts."""
        return explain(cls.refusal())

    @classmethod
    def refusal(cls) -> InvalidInput:
        """The error, with a way to rebuild the workflow."""
        return InvalidInput(
            "video",
            Message(
                "the Pika API of your gateway cannot insert an image into a video. Nothing was "
                "sent."
            ),
            _use_as_reference(),
        )


class Pikaswaps(_Refused):
    """ComfyUI's former replacement of a region of a video."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return schema(
            "Pikaswaps",
            "Pika Swaps (Video Object Replacement)",
            _refuses("The Pika API of your gateway cannot replace a part of a video."),
            [
                io.Video.Input("video", tooltip="The video to swap an object in."),
                io.Image.Input(
                    "image",
                    tooltip="The image used to replace the masked object in the video.",
                    optional=True,
                ),
                io.Mask.Input(
                    "mask",
                    tooltip="Use the mask to define areas in the video to replace.",
                    optional=True,
                ),
                *texts_and_seed(optional=True),
                io.String.Input(
                    "region_to_modify",
                    multiline=True,
                    optional=True,
                    tooltip="Plaintext description of the object / region to modify.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, video: object = None) -> bool | str:
        """Refuse before the queue starts."""
        return explain(cls.refusal())

    @classmethod
    def refusal(cls) -> InvalidInput:
        """The error, with a way to rebuild the workflow."""
        return InvalidInput(
            "video",
            Message(
                "the Pika API of your gateway cannot replace a part of a video. Nothing was sent."
            ),
            _use_as_reference(),
        )


def _refuses(reason: str) -> str:
    return f"{reason} The node stops the run before anything is sent, and says how to replace it."


def _use_as_reference() -> Message:
    return Message(
        "Replace this node: connect video and image to Pika Generate, which takes both as "
        "references for a new video, describe the whole scene in the prompt, and connect Pika "
        "Result."
    )
