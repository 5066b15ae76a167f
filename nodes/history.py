"""PikaHistory: the id of an earlier task, from the journal."""

from __future__ import annotations

from typing import Final

from comfy_api.latest import io

from ..pika_api.errors import InvalidInput, PikaError
from ..pika_api.journal import State
from ..pika_api.message import Message
from . import host
from .language import translated_errors
from .sockets import schema

ANY: Final = "any"
#: Options of the state input, each with the journal states that it covers.
STATES: Final = {
    ANY: (),
    "running": (State.SUBMITTED, State.RUNNING),
    "finished": (State.FINISHED, State.SAVED),
    "failed": (State.FAILED,),
}


class PikaHistory(io.ComfyNode):
    """The id of an earlier task."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's inputs, outputs and texts."""
        return schema(
            node_id="PikaHistory",
            display_name="Pika History",
            search_aliases=["earlier task", "task list", "recent videos"],
            description="Returns the id of an earlier task, so that Pika Result can download its "
            "video or continue to wait for it. Costs nothing.",
            inputs=[
                io.String.Input(
                    "task_id",
                    default="",
                    tooltip="Task id: choose one from the list or type one in. "
                    "If empty, the newest task is used.",
                ),
                io.Combo.Input(
                    "state",
                    options=list(STATES),
                    default=ANY,
                    optional=True,
                    tooltip="Used only if task_id is empty: take the newest task in this state.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "found_task_id",
                    display_name="task_id",
                    tooltip="Task id, for Pika Result or Pika Status.",
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, task_id: str | None = "", state: str | None = ANY) -> str | float:
        """Changes when another task becomes the newest."""
        try:
            return _find(task_id or "", state or ANY)
        except PikaError:
            return float("nan")  # run the node, which then reports the error

    @classmethod
    async def execute(cls, task_id: str, state: str = ANY) -> io.NodeOutput:
        """Look it up in the journal."""
        with translated_errors():
            async with host.open_service() as service:
                return io.NodeOutput(await service.prepare(_find, task_id, state))


def _find(task_id: str, state: str) -> str:
    journal = host.journal()
    task_id = task_id.strip()
    if task_id:
        if journal.find_by_task_id(task_id) is None:
            raise InvalidInput(
                "task_id",
                Message('"{task_id}" is not in the journal.', task_id=task_id[:60]),
                Message(
                    "Choose a task from the list. To use a task of another ComfyUI, type its id "
                    "into Pika Result."
                ),
            )
        return task_id
    if state not in STATES:
        known = ", ".join(STATES)
        raise InvalidInput(
            "state",
            Message('"{value}" is not a valid choice.', value=state),
            Message("Choose one of: {known}.", known=known),
        )
    newest = journal.entries(STATES[state], limit=1, with_task=True)
    if not newest or newest[0].task_id is None:
        problem = Message("there is no {state} task in the journal yet.", state=state)
        if state == ANY:
            problem = Message("there is no task in the journal yet.")
        raise InvalidInput(
            "task_id",
            problem,
            Message("Create one with Pika Generate."),
        )
    return newest[0].task_id
