"""PikaHistory: task ids of earlier days."""

from __future__ import annotations

from typing import Final

from comfy_api.latest import io

from ..pika_api.errors import InvalidInput, PikaError
from ..pika_api.journal import State
from . import host
from .sockets import CATEGORY

ANY: Final = "any"
#: What a user calls a task, and the journal's states that it covers.
STATES: Final = {
    ANY: (),
    "running": (State.SUBMITTED, State.RUNNING),
    "finished": (State.FINISHED, State.SAVED),
    "failed": (State.FAILED,),
}


class PikaHistory(io.ComfyNode):
    """An earlier task."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        return io.Schema(
            node_id="PikaHistory",
            display_name="Pika History",
            category=CATEGORY,
            description="The id of a task of an earlier time, for Pika Result to fetch its video "
            "or to go on waiting for it. Costs nothing.",
            inputs=[
                io.String.Input(
                    "task_id",
                    default="",
                    tooltip="A task's id: choose one from the list, or type it in. "
                    "Blank takes the newest.",
                ),
                io.Combo.Input(
                    "state",
                    options=list(STATES),
                    default=ANY,
                    optional=True,
                    tooltip="Where task_id is blank: the newest task in this state.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "found_task_id",
                    display_name="task_id",
                    tooltip="For Pika Result or Pika Status.",
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, task_id: str | None = "", state: str | None = ANY) -> str | float:
        """Changes when another task is the newest."""
        try:
            return _find(task_id or "", state or ANY)
        except PikaError:
            return float("nan")  # run the node: it tells the error where it can be read

    @classmethod
    async def execute(cls, task_id: str, state: str = ANY) -> io.NodeOutput:
        """Look it up in the journal."""
        found = await host.service().prepare(_find, task_id, state)
        return io.NodeOutput(found)


def _find(task_id: str, state: str) -> str:
    journal = host.service().journal
    task_id = task_id.strip()
    if task_id:
        if journal.find_by_task_id(task_id) is None:
            raise InvalidInput(
                "task_id",
                f"«{task_id[:60]}» is not in the journal.",
                "Choose one from the list. A task made elsewhere can be typed into Pika Result.",
            )
        return task_id
    if state not in STATES:
        known = ", ".join(STATES)
        raise InvalidInput("state", f"«{state}» is not known.", f"Choose one of: {known}.")
    newest = journal.entries(STATES[state], limit=1, with_task=True)
    if not newest or newest[0].task_id is None:
        kind = "task" if state == ANY else f"{state} task"
        raise InvalidInput(
            "task_id", f"there is no {kind} in the journal yet.", "Make one with Pika Generate."
        )
    return newest[0].task_id
