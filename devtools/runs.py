"""How a queued graph went: what ComfyUI's answers and its history say, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Graph = Mapping[str, Mapping[str, Any]]


class Rejected(Exception):
    """ComfyUI refused a graph before running any of it (HTTP 400).

    `error` is its verdict on the whole graph, `node_errors` the parsed details by node id:
    {"class_type": …, "errors": [{"type", "message", "details", "extra_info"}]}.
    """

    def __init__(self, error: Mapping[str, Any], node_errors: Mapping[str, Any]) -> None:
        self.error = error
        self.node_errors = node_errors
        super().__init__("\n".join([str(error.get("message", error)), *self.texts()]))

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Rejected:
        """Read the body of the 400."""
        # An empty list stands for no details, an object for some.
        return cls(answer.get("error") or {}, answer.get("node_errors") or {})

    def texts(self, node: str | None = None) -> list[str]:
        """Every error as "message: details", of one node or of all."""
        found = [e for n, e in self.node_errors.items() if node is None or n == node]
        return [f"{e['message']}: {e['details']}" for each in found for e in each["errors"]]


@dataclass(frozen=True)
class NodeError:
    """What a node raised."""

    node_id: str
    node_type: str
    message: str
    type: str
    traceback: str


@dataclass(frozen=True)
class Run:
    """A prompt that is over."""

    prompt_id: str
    outputs: Mapping[str, Mapping[str, Any]]
    status: str
    messages: list[tuple[str, Mapping[str, Any]]]

    @classmethod
    def from_history(cls, prompt_id: str, entry: Mapping[str, Any]) -> Run:
        """Read an entry of /history."""
        status = entry.get("status") or {}
        messages = [(kind, data) for kind, data in status.get("messages", [])]
        return cls(prompt_id, entry["outputs"], status.get("status_str", ""), messages)

    @property
    def succeeded(self) -> bool:
        """Whether every node did its work."""
        return self.status == "success"

    @property
    def interrupted(self) -> bool:
        """Whether it was cancelled."""
        return self.message("execution_interrupted") is not None

    @property
    def error(self) -> NodeError | None:
        """The error that ended it, if one did."""
        data = self.message("execution_error")
        if data is None:
            return None
        return NodeError(
            str(data["node_id"]),
            data["node_type"],
            data["exception_message"].strip(),
            data["exception_type"],
            "".join(data.get("traceback") or []),
        )

    @property
    def cached(self) -> list[str]:
        """The nodes that ComfyUI did not run, since it had their results already."""
        return list((self.message("execution_cached") or {}).get("nodes", []))

    def message(self, kind: str) -> Mapping[str, Any] | None:
        """The first message of a kind, e.g. "execution_error"."""
        return next((data for each, data in self.messages if each == kind), None)
