"""The errors of the pack, one tree.

PikaError                    everything below; its text is made for the person at the node
├── InvalidInput             an input's value cannot be sent; nothing was sent
├── SettingsError            no key, or an address that cannot be used; nothing was sent
│   └── SettingLocked        the environment has set it, so that it cannot be changed here
├── JournalError             the journal cannot be opened or written
├── GatewayError             the gateway, or the way to it, said no
│   ├── NotAccepted          a submit that provably did not become a task: no charge
│   │   ├── Unreachable      no connection was made, or the request never left whole
│   │   ├── Busy             429, or 503 with Retry-After: may be sent again
│   │   └── Refused          any other clear no
│   ├── SubmitUnknown        a submit that may have become a task: never sent again by itself
│   └── FeedError            the feed could not be read this time
│       └── FeedRefused      the feed will not be readable with this key or address
└── TaskError                about one task, which stays in the journal
    ├── TaskFailed           the gateway ended it with an error
    ├── TaskTimeout          still not finished when the waiting ended
    ├── TaskNotFound         the gateway does not know it
    └── DownloadFailed       finished, but its file could not be fetched or is not media
        └── LinkRefused      the media host refused the link: expired, or gone
"""

from __future__ import annotations


class PikaError(Exception):
    """What happened, what it means for the money, and the next step.

    Args:
        what: What happened, with measured values and the other side's own words.
        charge_note: What it means for the charge; left out where nothing could be charged.
        way_out: What the user can do now.
    """

    def __init_subclass__(cls) -> None:
        # ComfyUI names a pack's modules by their path on the disk and shows an error's full name:
        # nobody's folders belong in a screenshot or a bug report.
        cls.__module__ = "pika"

    def __init__(self, what: str, *, charge_note: str = "", hint: str = "") -> None:
        self.what = what
        self.charge_note = charge_note
        self.hint = hint
        super().__init__("\n".join(part for part in (what, charge_note, hint) if part))


class InvalidInput(PikaError):
    """An input whose value cannot be sent. Raised before anything is sent."""

    def __init__(self, name: str, problem: str, hint: str) -> None:
        self.name = name
        super().__init__(f"{name}: {problem}", hint=hint)


class SettingsError(PikaError):
    """A setting is missing or unusable. Raised before anything is sent.

    Attributes:
        name: The setting's name; empty where it is not about one.
        problem: What is wrong with it.
    """

    def __init__(self, problem: str, *, name: str = "", hint: str = "") -> None:
        self.name = name
        self.problem = problem
        super().__init__(f"PIKA_{name.upper()}: {problem}" if name else problem, hint=hint)


class SettingLocked(SettingsError):
    """A setting cannot be changed here, as the environment has set it, or what it belongs to."""


class JournalError(PikaError):
    """The journal of tasks cannot be opened, read or written."""


class GatewayError(PikaError):
    """The gateway answered with an error, or could not be asked.

    Attributes:
        status: The HTTP status, or None where there was no answer.
    """

    def __init__(
        self, what: str, *, status: int | None = None, charge_note: str = "", hint: str = ""
    ) -> None:
        self.status = status
        super().__init__(what, charge_note=charge_note, hint=hint)


NOT_CHARGED = "No task was made, so nothing was charged."


class NotAccepted(GatewayError):
    """A submit that provably did not become a task."""

    def __init__(self, what: str, *, status: int | None = None, hint: str = "") -> None:
        super().__init__(what, status=status, charge_note=NOT_CHARGED, hint=hint)


class Unreachable(NotAccepted):
    """No connection was made, or the request broke off before its last byte was handed over.

    Attributes:
        connected: Whether a connection stood when it broke. Only a request that never had one
            is sent again by itself.
    """

    def __init__(self, what: str, *, connected: bool = False, hint: str = "") -> None:
        self.connected = connected
        super().__init__(what, hint=hint)


class Busy(NotAccepted):
    """429, or 503 with a Retry-After: the gateway asks to be asked later.

    Attributes:
        retry_after: Seconds the gateway asked for, or None where it did not say.
    """

    def __init__(
        self, what: str, *, status: int, retry_after: float | None, hint: str = ""
    ) -> None:
        self.retry_after = retry_after
        super().__init__(what, status=status, hint=hint)


class Refused(NotAccepted):
    """The gateway read the request and declined it."""


class SubmitUnknown(GatewayError):
    """The request left, and no answer proves what became of it."""


class FeedError(GatewayError):
    """The feed could not be read this time; asking again may help.

    Attributes:
        retry_after: Seconds the gateway asked to wait, or None.
    """

    def __init__(
        self,
        what: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        charge_note: str = "",
        hint: str = "",
    ) -> None:
        self.retry_after = retry_after
        super().__init__(what, status=status, charge_note=charge_note, hint=hint)


class FeedRefused(FeedError):
    """The feed refuses this key or address: asking again will not help."""


class TaskError(PikaError):
    """About one task. The task stays in the journal, whatever happened.

    Attributes:
        task_id: The gateway's id of the task.
    """

    def __init__(self, task_id: str, what: str, *, charge_note: str = "", hint: str = "") -> None:
        self.task_id = task_id
        super().__init__(what, charge_note=charge_note, hint=hint)


class TaskFailed(TaskError):
    """The gateway ended the task with an error of its own, moderation among them."""


class TaskTimeout(TaskError):
    """The waiting ended before the task did."""


class TaskNotFound(TaskError):
    """The gateway does not know the task id."""


class DownloadFailed(TaskError):
    """The task is finished, and its file could not be fetched, kept or read."""


class LinkRefused(DownloadFailed):
    """The media host answers that the link is not good (any more)."""
