"""The result of a queued graph: ComfyUI's answers and its history as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Graph = Mapping[str, Mapping[str, Any]]


class Rejected(Exception):
    """ComfyUI rejected a graph before it ran any node (HTTP 400).

    `error` is about the whole graph. `node_errors` has the details by node id:
    {"class_type": …, "errors": [{"type", "message", "details", "extra_info"}]}.
    """

    def __init__(self, error: Mapping[str, Any], node_errors: Mapping[str, Any]) -> None:
        self.error = error
        self.node_errors = node_errors
        super().__init__("\n".join([str(error.get("message", error)), *self.texts()]))

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Rejected:
        """Parse the body of the answer."""
        # Without details `node_errors` is an empty list instead of an object.
        return cls(answer.get("error") or {}, answer.get("node_errors") or {})

    def texts(self, node: str | None = None) -> list[str]:
        """Every error as "message: details", of one node or of all."""
        nodes = [e for n, e in self.node_errors.items() if node is None or n == node]
        return [f"{e['message']}: {e['details']}" for each in nodes for e in each["errors"]]


@dataclass(frozen=True)
class NodeError:
    """The exception of a node."""

    node_id: str
    node_type: str
    message: str
    type: str
    traceback: str


@dataclass(frozen=True)
class Run:
    """A prompt that has ended."""

    prompt_id: str
    outputs: Mapping[str, Mapping[str, Any]]
    status: str
    messages: list[tuple[str, Mapping[str, Any]]]

    @classmethod
    def from_history(cls, prompt_id: str, entry: Mapping[str, Any]) -> Run:
        """Parse an entry of /history."""
        status = entry.get("status") or {}
        messages = [(kind, data) for kind, data in status.get("messages", [])]
        return cls(prompt_id, entry["outputs"], status.get("status_str", ""), messages)

    @property
    def succeeded(self) -> bool:
        """Whether every node succeeded."""
        return self.status == "success"

    @property
    def interrupted(self) -> bool:
        """Whether it was cancelled."""
        return self.message("execution_interrupted") is not None

    @property
    def error(self) -> NodeError | None:
        """The error that ended it, if any."""
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
        """The nodes whose results came from ComfyUI's cache."""
        return list((self.message("execution_cached") or {}).get("nodes", []))

    def message(self, kind: str) -> Mapping[str, Any] | None:
        """The first message of a kind, e.g. "execution_error"."""
        return next((data for each, data in self.messages if each == kind), None)
