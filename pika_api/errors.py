"""The errors of the pack: one tree under `PikaError`.

PikaError                    base class; its text is shown to the user at the node
├── InvalidInput             the value of an input cannot be sent; nothing was sent
├── SettingsError            the key is missing or a setting is invalid; nothing was sent
│   └── SettingLocked        the environment sets it, so it cannot be changed here
├── JournalError             the journal cannot be opened, read or written
├── GatewayError             the gateway answered with an error or could not be reached
│   ├── NotAccepted          a submit that certainly did not create a task: no charge
│   │   ├── Unreachable      no connection, or the request was not sent completely
│   │   ├── Busy             429, or 503 with Retry-After: the submit may be sent again
│   │   └── Refused          any other rejection
│   ├── SubmitUnknown        a submit that may have created a task: never resent automatically
│   └── FeedError            the feed could not be read this time
│       └── FeedRefused      the feed rejects the key or the address
└── TaskError                about one task, which stays in the journal
    ├── TaskFailed           the gateway ended the task with an error
    ├── TaskTimeout          the task was not finished when the waiting ended
    ├── TaskNotFound         the gateway does not know the task
    └── DownloadFailed       the task is finished, but its file could not be fetched or used
        └── LinkRefused      the media host rejected the link: it has expired or the file is gone

Code decides on the type and on the fields `retryable` and `charged`, never on the text.
"""

from __future__ import annotations


class PikaError(Exception):
    """What happened, what it means for the money, and the next step.

    Attributes:
        what: What happened, with measured values and the other side's own words.
        charge_note: What it means for the charge; empty if nothing could be charged.
        hint: What the user can do next; may be empty.
        retryable: Whether the program may repeat the call by itself: that cannot cost anything
            more, and may succeed.
        charged: Whether the call that raised the error was charged; None if only the gateway
            knows.
    """

    retryable: bool = False
    charged: bool | None = False

    def __init_subclass__(cls) -> None:
        # ComfyUI names the modules of a pack by their path on disk, and shows the full name of an
        # error. A user's folders must not appear in a screenshot or a bug report.
        cls.__module__ = "pika"

    def __init__(self, what: str, *, charge_note: str = "", hint: str = "") -> None:
        self.what = what
        self.charge_note = charge_note
        self.hint = hint
        super().__init__("\n".join(part for part in (what, charge_note, hint) if part))


class InvalidInput(PikaError):
    """The value of an input cannot be sent. Raised before anything is sent.

    Attributes:
        name: The name of the input.
    """

    def __init__(self, name: str, problem: str, hint: str) -> None:
        self.name = name
        super().__init__(f"{name}: {problem}", hint=hint)


class SettingsError(PikaError):
    """A setting is missing or invalid. Raised before anything is sent.

    Attributes:
        name: The name of the setting; empty if the error is not about a single one.
        problem: What is wrong with it.
    """

    def __init__(self, problem: str, *, name: str = "", hint: str = "") -> None:
        self.name = name
        self.problem = problem
        super().__init__(f"PIKA_{name.upper()}: {problem}" if name else problem, hint=hint)


class SettingLocked(SettingsError):
    """The setting, or the key that it belongs to, is set by the environment."""


class JournalError(PikaError):
    """The journal of tasks cannot be opened, read or written.

    Args:
        charged: True if a task was paid for before the journal failed.
    """

    def __init__(
        self, what: str, *, charge_note: str = "", hint: str = "", charged: bool = False
    ) -> None:
        self.charged = charged
        super().__init__(what, charge_note=charge_note, hint=hint)


class GatewayError(PikaError):
    """The gateway answered with an error, or could not be reached.

    Attributes:
        status: The HTTP status; None if there was no response.
    """

    def __init__(
        self, what: str, *, status: int | None = None, charge_note: str = "", hint: str = ""
    ) -> None:
        self.status = status
        super().__init__(what, charge_note=charge_note, hint=hint)


NOT_CHARGED = "No task was created, so nothing was charged."


class NotAccepted(GatewayError):
    """A submit that certainly did not create a task."""

    def __init__(self, what: str, *, status: int | None = None, hint: str = "") -> None:
        super().__init__(what, status=status, charge_note=NOT_CHARGED, hint=hint)


class Unreachable(NotAccepted):
    """No connection was made, or it broke before the last byte of the request was handed over.

    Attributes:
        connected: Whether there was a connection. Only a request without one is resent
            automatically.
    """

    def __init__(self, what: str, *, connected: bool = False, hint: str = "") -> None:
        self.connected = connected
        self.retryable = not connected
        super().__init__(what, hint=hint)


class Busy(NotAccepted):
    """429, or 503 with a Retry-After: the gateway asks to be called later.

    Attributes:
        retry_after: How long to wait, in seconds, as the gateway says; None if it does not.
    """

    retryable = True

    def __init__(
        self, what: str, *, status: int, retry_after: float | None, hint: str = ""
    ) -> None:
        self.retry_after = retry_after
        super().__init__(what, status=status, hint=hint)


class Refused(NotAccepted):
    """The gateway read the request and rejected it."""


class SubmitUnknown(GatewayError):
    """The request was sent, and no response proves whether it became a task.

    Attributes:
        answer: The gateway's response, shortened and without the key; empty if there was none.
    """

    charged = None

    def __init__(
        self,
        what: str,
        *,
        status: int | None = None,
        charge_note: str = "",
        hint: str = "",
        answer: str = "",
    ) -> None:
        self.answer = answer
        super().__init__(what, status=status, charge_note=charge_note, hint=hint)


class FeedError(GatewayError):
    """The feed could not be read this time.

    Attributes:
        retry_after: How long to wait, in seconds, as the gateway says; None if it does not.
    """

    retryable = True

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
    """The feed rejects this key or address."""

    retryable = False


class TaskError(PikaError):
    """An error about one task. The task stays in the journal.

    Attributes:
        task_id: The gateway's id of the task.
    """

    def __init__(self, task_id: str, what: str, *, charge_note: str = "", hint: str = "") -> None:
        self.task_id = task_id
        super().__init__(what, charge_note=charge_note, hint=hint)


class TaskFailed(TaskError):
    """The gateway ended the task with an error. A rejection by moderation is one, too."""


class TaskTimeout(TaskError):
    """The task was not finished when the waiting ended."""


class OtherGateway(TaskError):
    """The task belongs to another gateway than that of the settings, which was not asked."""


class TaskNotFound(TaskError):
    """The gateway does not know the task id."""


class DownloadFailed(TaskError):
    """The task is finished, and its file could not be fetched, saved or decoded.

    Args:
        retryable: Whether another attempt may succeed. False if the user has to change something
            first: the link leads to a private address, the certificate is not trusted, or the
            file cannot be written.
    """

    def __init__(
        self,
        task_id: str,
        what: str,
        *,
        charge_note: str = "",
        hint: str = "",
        retryable: bool = True,
    ) -> None:
        self.retryable = retryable
        super().__init__(task_id, what, charge_note=charge_note, hint=hint)


class LinkRefused(DownloadFailed):
    """The media host rejects the link. A fresh link from the feed may work."""
