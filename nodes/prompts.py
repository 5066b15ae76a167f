"""PikaPrompts: lists of prompts and of the seeds of their takes, from a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from comfy_api.latest import io

from ..pika_api.errors import InvalidInput
from ..pika_api.message import Message
from ..pika_api.request import MAX_TAKE, as_integer
from .language import explain, say, translated_errors
from .progress import send_node_text
from .sockets import schema

MAX_TAKES: Final = 100
#: Maximum number of tasks of a list with several takes. Without, there is no limit: each task has a
#: line that somebody wrote.
MAX_TASKS: Final = 1000

#: The index of the output `seed`.
_SEED_OUTPUT: Final = 1


class PikaPrompts(io.ComfyNode):
    """A list of prompts with one or more takes each."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return schema(
            node_id="PikaPrompts",
            display_name="Pika Prompts",
            search_aliases=["prompt list", "batch prompts", "several takes", "variations"],
            description="Turns a text with one prompt per line into a list of prompts. Connect it "
            "to prompt_text of Pika Generate: every prompt becomes a separate task with its own "
            "charge, and all tasks run at the same time. For several takes of each prompt, "
            "connect seed as well.",
            inputs=[
                io.String.Input(
                    "prompts",
                    multiline=True,
                    default="",
                    placeholder="One prompt per line",
                    tooltip="One prompt per line. Empty lines are ignored. Identical lines share "
                    "one task.",
                ),
                io.Int.Input(
                    "takes",
                    default=1,
                    min=1,
                    max=MAX_TAKES,
                    optional=True,
                    tooltip="How many takes of each prompt. Each take is a separate task with its "
                    "own charge: 2 prompts with 3 takes are 6 tasks. For more than one, connect "
                    "the output seed to seed of Pika Generate.",
                ),
                # Its name is not "seed": the editor would add a control that changes it after
                # each run, and every change of it is a charge.
                io.Int.Input(
                    "first_seed",
                    default=0,
                    min=0,
                    max=MAX_TAKE,
                    optional=True,
                    tooltip="The seed of the first take of every prompt; each further take has the "
                    "next one. The same prompt with the same seed reuses the existing task, with "
                    "no new charge. It is never changed automatically.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "prompt",
                    display_name="prompt",
                    is_output_list=True,
                    tooltip="The prompts as a list. Connected nodes run once for each prompt, or "
                    "for each of its takes.",
                ),
                io.Int.Output(
                    "seed",
                    display_name="seed",
                    is_output_list=True,
                    tooltip="The seeds as a list, one for each task. Connect it to seed of Pika "
                    "Generate.",
                ),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
        )

    @classmethod
    def validate_inputs(cls, prompts: str | None) -> bool | str:
        """Report a text without a prompt before the queue starts.

        A linked input has no value yet (None). No other input is named here: ComfyUI reports an
        error for each of them, whichever of them is wrong. It checks the ranges of the others by
        itself; `execute` reports what is wrong only together.
        """
        try:
            if prompts is not None:
                _lines(prompts)
        except InvalidInput as error:
            return explain(error)
        return True

    @classmethod
    def execute(cls, prompts: str, takes: int = 1, first_seed: int = 0) -> io.NodeOutput:
        """Return the two lists."""
        with translated_errors():
            lines = _lines(prompts)
            tasks = _tasks(lines, takes, first_seed)
        if len(tasks) > len(lines):
            _show_count(cls.hidden, len(lines), len(tasks))
        return io.NodeOutput([prompt for prompt, _ in tasks], [seed for _, seed in tasks])


def _tasks(prompts: Sequence[str], takes: Any, first_seed: Any) -> list[tuple[str, int]]:
    """Prompt and seed of every task: all takes of the first prompt, then those of the next one.

    The first take of every prompt has the seed `first_seed`, the second take the next one, and so
    on. A seed depends neither on the other prompts nor on the number of takes: whatever is added,
    removed or moved, all other tasks keep their seeds and are reused. Two prompts with the same
    seed are two tasks anyway.

    Args:
        takes, first_seed: Of any type: they may come over a link.

    Raises:
        InvalidInput: One of them is out of range, or there are too many tasks.
    """
    count = as_integer("takes", takes, 1, MAX_TAKES)
    # The last take needs a valid seed too.
    first = as_integer("first_seed", first_seed, 0, MAX_TAKE - count + 1)
    total = len(prompts) * count
    if count > 1 and total > MAX_TASKS:
        raise InvalidInput(
            "takes",
            Message(
                "{prompts} prompts with {takes} takes each are {total} tasks.",
                prompts=len(prompts),
                takes=count,
                total=total,
            ),
            Message(
                "The maximum is {maximum}. Use fewer takes, or fewer prompts at once.",
                maximum=MAX_TASKS,
            ),
        )
    return [(prompt, seed) for prompt in prompts for seed in range(first, first + count)]


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


def _show_count(hidden: Any, prompts: int, tasks: int) -> None:
    """Show on the node how many tasks there will be, or why the takes have no effect."""
    text = Message(
        "{tasks} tasks: {prompts} × {takes} takes",
        tasks=tasks,
        prompts=prompts,
        takes=tasks // prompts,
    )
    if not _is_connected(hidden):
        text = Message("The takes have no effect: connect seed to seed of Pika Generate.")
    send_node_text(say(text), hidden.unique_id)


def _is_connected(hidden: Any) -> bool:
    """Whether a node uses the output `seed`."""
    prompt = hidden.dynprompt
    source = [hidden.unique_id, _SEED_OUTPUT]
    return any(
        value == source
        for node_id in prompt.all_node_ids()
        for value in prompt.get_node(node_id)["inputs"].values()
    )
