"""Nodes of the tests, for graphs with the pack's nodes in a real ComfyUI."""

import ast
import asyncio
import hashlib
import json
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import comfy.model_management
import folder_paths
import numpy as np
import torch
from comfy_api.latest import ComfyExtension, InputImpl, Types, io
from server import PromptServer

CATEGORY = "tests"


def pattern(height: int, width: int, channels: int) -> np.ndarray:
    """A ramp over all 8-bit values, as float32 ``[H,W,C]`` in 0…1."""
    values = np.arange(height * width * channels, dtype=np.int64) * 37 % 256
    return (values.reshape(height, width, channels) / 255.0).astype(np.float32)


def is_missing(file: str) -> bool:
    """Whether a file is named and does not exist."""
    return bool(file) and not Path(file).exists()


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
            outputs=[io.Image.Output("output", display_name="output")],
        )

    @classmethod
    def execute(cls, width, height, channels, batch, flaw):
        image = torch.from_numpy(pattern(height, width, channels))[None].repeat(batch, 1, 1, 1)
        if flaw == "grain":
            generator = torch.Generator().manual_seed(1)  # the same picture in each run
            noise = torch.rand(batch, height, width, channels, generator=generator) - 0.5
            image = 0.5 + noise * (6 / 255)
        if flaw == "nan":
            image[0, 0, 0, 0] = float("nan")
        return io.NodeOutput(image)


class ProbeVideo(io.ComfyNode):
    """A VIDEO of frames, or of a file: ``codec.ending``."""

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
            outputs=[io.Video.Output("output", display_name="output")],
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


class TrimmedByFields(InputImpl.VideoFromFile):
    """A part of a file, as ComfyUI stores it in private fields."""

    def __init__(self, path, start, duration):
        super().__init__(path)
        self._VideoFromFile__start_time, self._VideoFromFile__duration = start, duration

    def get_duration(self):
        whole = super().get_duration()
        start, duration = self._VideoFromFile__start_time, self._VideoFromFile__duration
        rest = min(whole, -start) if start < 0 else whole - start
        return min(rest, duration) if duration else rest


class TrimmedByMethod(TrimmedByFields):
    """The same, as later versions describe it."""

    def __init__(self, path, start, duration):
        super().__init__(path, start, duration)
        whole = InputImpl.VideoFromFile(path).get_duration()
        self.window = max(whole + start, 0) if start < 0 else start, duration

    def get_active_trim_window(self):
        return self.window


class CroppedVideo(InputImpl.VideoFromFile):
    """A cut-out of a file, which the file itself does not show."""

    def get_dimensions(self):
        width, height = super().get_dimensions()
        return width // 2, height // 2

    def get_components(self):
        parts = super().get_components()
        width, height = self.get_dimensions()
        return Types.VideoComponents(
            images=parts.images[:, :height, :width], audio=None, frame_rate=parts.frame_rate
        )


class ProbeTrim(io.ComfyNode):
    """A part of a VIDEO: ``start duration`` in seconds."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeTrim",
            display_name="Probe Trim",
            category=CATEGORY,
            inputs=[
                io.Video.Input("video"),
                io.String.Input("window"),
                io.String.Input("method"),
            ],
            outputs=[io.Video.Output("output", display_name="output")],
        )

    @classmethod
    def execute(cls, video, window, method):
        path = video.get_stream_source()
        if method == "crop":
            return io.NodeOutput(CroppedVideo(path))
        kind = TrimmedByMethod if method == "method" else TrimmedByFields
        return io.NodeOutput(kind(path, *map(float, window.split())))


class ProbeDigests(io.ComfyNode):
    """The digests of a VIDEO, and the one that version 0.1.0 had. Returns its frames as a VIDEO."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeDigests",
            display_name="Probe Digests",
            category=CATEGORY,
            inputs=[io.Video.Input("video")],
            outputs=[io.Video.Output("output", display_name="output")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, video):
        (outgoing,) = [
            module for name, module in sys.modules.items() if name.endswith("nodes.outgoing")
        ]
        media = outgoing.from_video(video)
        expected = digest_of_0_1_0(video)
        frames = InputImpl.VideoFromComponents(video.get_components())
        digests = [media.digest, media.earlier_digest, expected]
        return io.NodeOutput(frames, ui={"digests": digests})


def digest_of_0_1_0(video):
    """What version 0.1.0 computed."""
    if isinstance(video, InputImpl.VideoFromFile):
        with av.open(video.get_stream_source()) as container:
            stream = container.streams.video[0]
            unchanged = "mp4" in container.format.name and stream.codec_context.name == "h264"
        if unchanged:
            return hashlib.sha256(Path(video.get_stream_source()).read_bytes()).hexdigest()
    parts = video.get_components()
    images = parts.images
    height, width = images.shape[1] // 2 * 2, images.shape[2] // 2 * 2
    images = images[:, :height, :width, :3]
    digest = hashlib.sha256(f"frames {tuple(images.shape)} {parts.frame_rate}\0".encode())
    for frame in images:
        digest.update(np.rint(frame.float().cpu().numpy().clip(0, 1) * 255).astype(np.uint8))
    if parts.audio:
        digest.update(np.ascontiguousarray(parts.audio["waveform"].cpu().numpy()))
    return digest.hexdigest()


class ProbeList(io.ComfyNode):
    """A list of texts: the lines of one."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeList",
            display_name="Probe List",
            category=CATEGORY,
            inputs=[io.String.Input("lines", multiline=True)],
            outputs=[io.String.Output("output", display_name="output", is_output_list=True)],
        )

    @classmethod
    def execute(cls, lines):
        return io.NodeOutput(lines.split("\n"))


class ProbeValue(io.ComfyNode):
    """Any value over a link: a Python literal, or ``numpy.int64(…)``."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeValue",
            display_name="Probe Value",
            category=CATEGORY,
            inputs=[io.String.Input("literal")],
            outputs=[io.AnyType.Output("output", display_name="output")],
        )

    @classmethod
    def execute(cls, literal):
        kind, _, inner = literal.removesuffix(")").partition("numpy.int64(")
        return io.NodeOutput(np.int64(inner) if inner else ast.literal_eval(kind))


class ProbeGate(io.ComfyNode):
    """Passes a text on as soon as a file exists."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeGate",
            display_name="Probe Gate",
            category=CATEGORY,
            inputs=[io.String.Input("text"), io.String.Input("file")],
            outputs=[io.String.Output("output", display_name="output")],
        )

    @classmethod
    async def execute(cls, text, file):
        while is_missing(file):  # noqa: ASYNC110 - another process creates it
            await asyncio.sleep(0.02)
        return io.NodeOutput(text)


class ProbeSink(io.ComfyNode):
    """Reports its inputs as JSON in the history."""

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
        inputs = {"text": text, "number": number}
        if video is not None:
            inputs["video"] = {
                "source": str(video.get_stream_source()),
                "size": video.get_dimensions(),
                "seconds": video.get_duration(),
            }
        if image is not None:
            inputs["image"] = {
                "shape": list(image.shape),
                "type": str(image.dtype),
                "low": float(image.min()),
                "high": float(image.max()),
            }
        return io.NodeOutput(ui={"inputs": [json.dumps(inputs)]})


class ProbeMode(io.ComfyNode):
    """An async node that shows a text, then waits for a file, and ends as `mode` says.

    «done» returns, «fail» raises an error, «wait» only ends by an interrupt.
    """

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeMode",
            display_name="Probe Mode",
            category=CATEGORY,
            inputs=[io.String.Input("mode", default="done"), io.String.Input("file", default="")],
            outputs=[],
            is_output_node=True,
            not_idempotent=True,
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    async def execute(cls, mode, file):
        PromptServer.instance.send_progress_text(f"mode is {mode} – ü", cls.hidden.unique_id)
        while is_missing(file):  # noqa: ASYNC110 - another process creates it
            await asyncio.sleep(0.02)
        if mode == "fail":
            raise ValueError("ProbeMode fails as requested")
        while mode == "wait":
            await asyncio.sleep(0.02)
            if comfy.model_management.processing_interrupted():
                raise comfy.model_management.InterruptProcessingException
        return io.NodeOutput(ui={"text": [mode]})


class ProbeExtension(ComfyExtension):
    """The nodes."""

    async def get_node_list(self):
        return [
            ProbeImage,
            ProbeVideo,
            ProbeTrim,
            ProbeDigests,
            ProbeList,
            ProbeValue,
            ProbeGate,
            ProbeSink,
            ProbeMode,
        ]


async def comfy_entrypoint():
    """Called by ComfyUI."""
    return ProbeExtension()
