"""PikaParameters, PikaCamera, PikaOptions: parts of the request as values on sockets."""

from __future__ import annotations

from comfy_api.latest import io

from ..pika_api.request import (
    ASPECT_RATIOS,
    CAMERA_MOVES,
    FROM_IMAGE,
    MAX_ASPECT_RATIO,
    MAX_FRAME_RATE,
    MAX_GUIDANCE_SCALE,
    MAX_MOTION,
    MIN_ASPECT_RATIO,
    MIN_FRAME_RATE,
    MIN_GUIDANCE_SCALE,
    MIN_MOTION,
    Camera,
    Options,
    Parameters,
    parse_aspect_ratio,
    parse_extra,
)
from .language import translated_errors
from .sockets import (
    NONE,
    CameraSocket,
    OptionsSocket,
    ParametersSocket,
    check_extra_json,
    choice,
    extra_json,
    schema,
)

CUSTOM = "custom"
STILL_IMAGE = "none (still image)"

_MOVE_TOOLTIPS = {
    "zoom": "Move the camera towards the subject (in) or away from it (out).",
    "pan": "Turn the camera left or right.",
    "tilt": "Turn the camera up or down.",
    "rotate": "Roll the camera clockwise (cw) or counter-clockwise (ccw).",
}


class PikaParameters(io.ComfyNode):
    """Guidance scale, motion and negative prompt."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return schema(
            node_id="PikaParameters",
            display_name="Pika Parameters",
            search_aliases=["guidance scale", "motion", "negative prompt"],
            description="Sets how closely the video follows the prompt, how much it moves, and "
            "what to keep out of it. Connect it to Pika Options.",
            inputs=[
                io.Int.Input(
                    "guidance_scale",
                    default=12,
                    min=MIN_GUIDANCE_SCALE,
                    max=MAX_GUIDANCE_SCALE,
                    tooltip="How closely the video follows the prompt: 5 gives the model the most "
                    "freedom, 25 is the strictest.",
                ),
                io.Int.Input(
                    "motion",
                    default=1,
                    min=MIN_MOTION,
                    max=MAX_MOTION,
                    tooltip="Amount of motion: 0 is almost still, 4 is the strongest.",
                ),
                io.String.Input(
                    "negative_prompt",
                    multiline=True,
                    default="",
                    tooltip="What to keep out of the video. Optional.",
                ),
                extra_json("options.parameters"),
            ],
            outputs=[
                ParametersSocket.Output(
                    "pika_parameters",
                    display_name="PIKA_PARAMETERS",
                    tooltip="Connect it to the parameters input of Pika Options.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, extra_json: str | None = None) -> bool | str:
        """Report a broken extra_json before the queue starts."""
        return check_extra_json(extra_json)

    @classmethod
    def execute(
        cls, guidance_scale: int, motion: int, negative_prompt: str, extra_json: str = ""
    ) -> io.NodeOutput:
        """Return the value."""
        with translated_errors():
            extra = parse_extra(extra_json)
            return io.NodeOutput(Parameters(guidance_scale, motion, negative_prompt, extra))


class PikaCamera(io.ComfyNode):
    """Camera moves."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return schema(
            node_id="PikaCamera",
            display_name="Pika Camera",
            search_aliases=["camera motion", "zoom", "pan", "tilt", "rotate"],
            description="Sets how the camera moves. Connect it to Pika Options. The gateway "
            "decides which moves it supports.",
            inputs=[
                *(
                    io.Combo.Input(
                        move,
                        options=[NONE, *directions],
                        default=NONE,
                        tooltip=_MOVE_TOOLTIPS[move],
                    )
                    for move, directions in CAMERA_MOVES.items()
                ),
                extra_json("options.camera"),
            ],
            outputs=[
                CameraSocket.Output(
                    "pika_camera",
                    display_name="PIKA_CAMERA",
                    tooltip="Connect it to the camera input of Pika Options.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, extra_json: str | None = None) -> bool | str:
        """Report a broken extra_json before the queue starts."""
        return check_extra_json(extra_json)

    @classmethod
    def execute(
        cls, zoom: str, pan: str, tilt: str, rotate: str, extra_json: str = ""
    ) -> io.NodeOutput:
        """Return the value."""
        with translated_errors():
            asked = {"zoom": zoom, "pan": pan, "tilt": tilt, "rotate": rotate}
            moves = {move: choice(move, asked[move], CAMERA_MOVES[move]) for move in CAMERA_MOVES}
            return io.NodeOutput(Camera(**moves, extra=parse_extra(extra_json)))


class PikaOptions(io.ComfyNode):
    """Aspect ratio, frame rate and extend, with parameters and camera."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return schema(
            node_id="PikaOptions",
            display_name="Pika Options",
            search_aliases=["aspect ratio", "frame rate", "fps", "extend video", "still image"],
            description="Sets the aspect ratio and frame rate of the video, asks for a still image "
            "instead, or extends a video. Connect it to Pika Generate.",
            inputs=[
                io.Combo.Input(
                    "aspect_ratio",
                    options=[*ASPECT_RATIOS, FROM_IMAGE, CUSTOM, STILL_IMAGE],
                    default="16:9",
                    tooltip='Width to height. "from image" uses the ratio of the image connected '
                    'to Pika Generate. "custom" uses custom_aspect_ratio. "none (still image)" '
                    "asks for an image instead of a video.",
                ),
                io.Float.Input(
                    "custom_aspect_ratio",
                    default=1.0,
                    min=MIN_ASPECT_RATIO,
                    max=MAX_ASPECT_RATIO,
                    step=0.01,
                    round=0.0001,
                    tooltip="Width divided by height, from 0.4 to 2.5. "
                    'Used only if aspect_ratio is "custom".',
                ),
                io.Int.Input(
                    "frame_rate",
                    default=24,
                    min=MIN_FRAME_RATE,
                    max=MAX_FRAME_RATE,
                    tooltip="Frames per second.",
                ),
                io.Boolean.Input(
                    "extend",
                    default=False,
                    tooltip="Extend the video that is connected to Pika Generate.",
                ),
                ParametersSocket.Input(
                    "parameters",
                    optional=True,
                    tooltip="From Pika Parameters. If not connected: guidance scale 12, motion 1, "
                    "no negative prompt.",
                ),
                CameraSocket.Input(
                    "camera",
                    optional=True,
                    tooltip="From Pika Camera. If not connected: no camera moves.",
                ),
                extra_json("options"),
            ],
            outputs=[
                OptionsSocket.Output(
                    "pika_options",
                    display_name="PIKA_OPTIONS",
                    tooltip="Connect it to the options input of Pika Generate.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, extra_json: str | None = None) -> bool | str:
        """Report a broken extra_json before the queue starts."""
        return check_extra_json(extra_json)

    @classmethod
    def execute(
        cls,
        aspect_ratio: str,
        custom_aspect_ratio: float,
        frame_rate: int,
        extend: bool,
        parameters: Parameters | None = None,
        camera: Camera | None = None,
        extra_json: str = "",
    ) -> io.NodeOutput:
        """Return the value."""
        ratios = {CUSTOM: custom_aspect_ratio, STILL_IMAGE: None}
        with translated_errors():
            options = Options(
                aspect_ratio=parse_aspect_ratio(aspect_ratio, "aspect_ratio", ratios),
                frame_rate=frame_rate,
                extend=extend,
                parameters=parameters or Parameters(),
                camera=camera or Camera(),
                extra=parse_extra(extra_json),
            )
        return io.NodeOutput(options)
