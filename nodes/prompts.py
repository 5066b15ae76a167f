"""PikaPrompts: many prompts at once, one to a line."""

from __future__ import annotations

from comfy_api.latest import io

from ..pika_api.errors import InvalidInput
from .sockets import CATEGORY


class PikaPrompts(io.ComfyNode):
    """A list of prompts."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        return io.Schema(
            node_id="PikaPrompts",
            display_name="Pika Prompts",
            category=CATEGORY,
            description="Several prompts at once, one to a line. Connect it to prompt_text of "
            "Pika Generate: every prompt becomes a task and a charge of its own, and all are "
            "made at the same time.",
            inputs=[
                io.String.Input(
                    "prompts",
                    multiline=True,
                    default="",
                    placeholder="One prompt to a line",
                    tooltip="One prompt to a line. Blank lines are left out. The same line twice "
                    "is one task.",
                )
            ],
            outputs=[
                io.String.Output(
                    "prompt",
                    display_name="prompt",
                    is_output_list=True,
                    tooltip="The prompts as a list. What is connected to it runs once for each.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, prompts: str | None) -> bool | str:
        """Tell an empty list before the queue starts. A linked one is not known yet (None)."""
        try:
            return prompts is None or bool(_lines(prompts))
        except InvalidInput as error:
            return str(error)

    @classmethod
    def execute(cls, prompts: str) -> io.NodeOutput:
        """Make the list."""
        return io.NodeOutput(_lines(prompts))


def _lines(text: str) -> list[str]:
    """The prompts of a text.

    Raises:
        InvalidInput: There is none. An empty list would run nothing, without a word.
    """
    found = [line.strip() for line in text.split("\n") if line.strip()]
    if not found:
        raise InvalidInput("prompts", "there is no prompt.", "Write one prompt to a line.")
    return found
