"""Nodes that the tests put beside the pack's in a real ComfyUI: sources, a sink, a sibling."""

import asyncio
import json
import time
from fractions import Fraction

import av
import folder_paths
import numpy as np
import torch
from comfy_api.latest import ComfyExtension, InputImpl, Types, io

CATEGORY = "tests"


def pattern(height: int, width: int, channels: int) -> np.ndarray:
    """A picture whose every 8-bit value is known: a ramp over all of them, in floats."""
    values = np.arange(height * width * channels, dtype=np.int64) * 37 % 256
    return (values.reshape(height, width, channels) / 255.0).astype(np.float32)


class ProbeImage(io.ComfyNode):
    """An IMAGE of any shape."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeImage",
            display_name="Probe Image",
            category=CATEGORY,
            inputs=[
                io.Int.Input("width", default=64),
                io.Int.Input("height", default=48),
                io.Int.Input("channels", default=3),
                io.Int.Input("batch", default=1),
                io.String.Input("flaw", default=""),
            ],
            outputs=[io.Image.Output("made", display_name="made")],
        )

    @classmethod
    def execute(cls, width, height, channels, batch, flaw):
        image = torch.from_numpy(pattern(height, width, channels))[None].repeat(batch, 1, 1, 1)
        if flaw == "grain":
            image = 0.5 + (torch.rand(batch, height, width, channels) - 0.5) * (6 / 255)
        if flaw == "nan":
            image[0, 0, 0, 0] = float("nan")
        return io.NodeOutput(image)


class ProbeVideo(io.ComfyNode):
    """A VIDEO: from frames, or from a file with this codec."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeVideo",
            display_name="Probe Video",
            category=CATEGORY,
            inputs=[
                io.String.Input("source", default="frames"),
                io.Int.Input("width", default=64),
                io.Int.Input("height", default=48),
            ],
            outputs=[io.Video.Output("made", display_name="made")],
        )

    @classmethod
    def execute(cls, source, width, height):
        if source == "frames":
            images = torch.from_numpy(pattern(height, width, 3))[None].repeat(12, 1, 1, 1)
            parts = Types.VideoComponents(images=images, audio=None, frame_rate=Fraction(12))
            return io.NodeOutput(InputImpl.VideoFromComponents(parts))
        codec, ending = source.split(".")
        path = f"{folder_paths.get_temp_directory()}/probe_{time.time_ns()}.{ending}"
        with av.open(path, "w") as container:
            stream = container.add_stream(codec, rate=12)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for _ in range(12):
                picture = (pattern(height, width, 3) * 255).astype(np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            container.mux(stream.encode(None))
        return io.NodeOutput(InputImpl.VideoFromFile(path))


class ProbeList(io.ComfyNode):
    """A list of texts, a line each."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeList",
            display_name="Probe List",
            category=CATEGORY,
            inputs=[io.String.Input("lines", multiline=True)],
            outputs=[io.String.Output("made", display_name="made", is_output_list=True)],
        )

    @classmethod
    def execute(cls, lines):
        return io.NodeOutput(lines.split("\n"))


class ProbeSink(io.ComfyNode):
    """Says what came in, as JSON in the history."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeSink",
            display_name="Probe Sink",
            category=CATEGORY,
            inputs=[
                io.Video.Input("video", optional=True),
                io.Image.Input("image", optional=True),
                io.String.Input("text", optional=True, force_input=True),
                io.Int.Input("number", optional=True, force_input=True),
            ],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, video=None, image=None, text=None, number=None):
        seen = {"text": text, "number": number}
        if video is not None:
            seen["video"] = {
                "source": str(video.get_stream_source()),
                "size": video.get_dimensions(),
                "seconds": video.get_duration(),
            }
        if image is not None:
            seen["image"] = {
                "shape": list(image.shape),
                "type": str(image.dtype),
                "low": float(image.min()),
                "high": float(image.max()),
            }
        return io.NodeOutput(ui={"seen": [json.dumps(seen)]})


class ProbeSibling(io.ComfyNode):
    """An async node that ticks: says how long its longest pause was, in seconds; or fails."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeSibling",
            display_name="Probe Sibling",
            category=CATEGORY,
            inputs=[io.Float.Input("seconds", default=1.0), io.String.Input("mode", default="")],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    async def execute(cls, seconds, mode):
        longest, last, end = 0.0, time.monotonic(), time.monotonic() + seconds
        while last < end:
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        if mode == "fail":
            raise RuntimeError("the sibling failed, as asked")
        return io.NodeOutput(ui={"longest": [longest]})


class ProbeExtension(ComfyExtension):
    """The nodes."""

    async def get_node_list(self):
        return [ProbeImage, ProbeVideo, ProbeList, ProbeSink, ProbeSibling]


async def comfy_entrypoint():
    """Called by ComfyUI."""
    return ProbeExtension()
