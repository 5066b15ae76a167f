"""PikaPrompts: a list of prompts from a text with one prompt per line."""

from __future__ import annotations

from comfy_api.latest import io

from ..pika_api.errors import InvalidInput
from ..pika_api.message import Message
from .language import explain, translated_errors
from .sockets import CATEGORY


class PikaPrompts(io.ComfyNode):
    """A list of prompts."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return io.Schema(
            node_id="PikaPrompts",
            display_name="Pika Prompts",
            category=CATEGORY,
            description="Turns a text with one prompt per line into a list of prompts. Connect it "
            "to prompt_text of Pika Generate: every prompt becomes a separate task with its own "
            "charge, and all tasks run at the same time.",
            inputs=[
                io.String.Input(
                    "prompts",
                    multiline=True,
                    default="",
                    placeholder="One prompt per line",
                    tooltip="One prompt per line. Empty lines are ignored. Identical lines share "
                    "one task.",
                )
            ],
            outputs=[
                io.String.Output(
                    "prompt",
                    display_name="prompt",
                    is_output_list=True,
                    tooltip="The prompts as a list. Connected nodes run once for each prompt.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, prompts: str | None) -> bool | str:
        """Report a text without prompts before the queue starts.

        A linked text has no value yet (None).
        """
        try:
            return prompts is None or bool(_lines(prompts))
        except InvalidInput as error:
            return explain(error)

    @classmethod
    def execute(cls, prompts: str) -> io.NodeOutput:
        """Return the list."""
        with translated_errors():
            return io.NodeOutput(_lines(prompts))


def _lines(text: str) -> list[str]:
    """The prompts in a text, without surrounding blanks.

    Raises:
        InvalidInput: The text has no prompt. ComfyUI would skip all nodes behind an empty list
            without a message.
    """
    found = [line.strip() for line in text.split("\n") if line.strip()]
    if not found:
        raise InvalidInput(
            "prompts", Message("the text has no prompt."), Message("Write one prompt per line.")
        )
    return found
