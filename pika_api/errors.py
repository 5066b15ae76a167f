"""The errors of the pack: one tree under `PikaError`.

PikaError                    base class; its text is shown to the user at the node
├── InvalidInput             the value of an input cannot be sent; nothing was sent
├── SettingsError            the key is missing or a setting is invalid; nothing was sent
│   └── SettingLocked        the environment sets it, so it cannot be changed here
├── LimitReached             a spending limit of the user; nothing was sent
├── JournalError             the journal cannot be opened, read or written
├── GatewayError             the gateway answered with an error or could not be reached
│   ├── NotAccepted          a submit that certainly did not create a task: no charge
│   │   ├── Unreachable      no connection, or the request was not sent completely
│   │   ├── Busy             429, or the gateway's own word for it: the submit may be sent again
│   │   └── Refused          any other rejection
│   ├── SubmitUnknown        a submit that may have created a task: never resent automatically
│   └── ReadError            something could not be read this time
│       ├── FeedError        the feed
│       │   ├── FeedRefused  the feed rejects the key or the address
│       │   └── WebPage      a web page instead of the feed
│       └── AccountError     the balance
│           └── AccountNotOffered    the gateway reports no balance
└── TaskError                about one task, which stays in the journal
    ├── TaskFailed           the gateway ended the task with an error
    ├── TaskUnclear          the feed reports an error in words that are not known
    ├── TaskTimeout          the task was not finished when the waiting ended
    ├── TaskNotFound         the gateway does not know the task
    └── DownloadFailed       the task is finished, but its file could not be fetched or used
        └── LinkRefused      the media host rejected the link: it has expired or the file is gone

Code decides on the type and on the fields `retryable` and `charged`, never on the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .message import Catalogue, Message

#: The subclasses of `PikaError` that are imported, by name.
_CLASSES: dict[str, type[PikaError]] = {}


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
        catalogue: The language of the error's text; English if it is empty.
    """

    retryable: bool = False
    charged: bool | None = False

    def __init_subclass__(cls) -> None:
        # ComfyUI names the modules of a pack by their path on disk, and shows the full name of an
        # error. A user's folders must not appear in a screenshot or a bug report.
        cls.__module__ = "pika"
        _CLASSES[cls.__qualname__] = cls

    def __init__(self, what: str, *, charge_note: str = "", hint: str = "") -> None:
        self.what = what
        self.charge_note = charge_note
        self.hint = hint
        self.catalogue: Catalogue = {}
        super().__init__(what)

    @property
    def message(self) -> Message:
        """All parts, one per line."""
        return Message.joined("\n", self.what, self.charge_note, self.hint)

    def __str__(self) -> str:
        return self.message.translated(self.catalogue)

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross the border of a process whatever their arguments are."""
        return _restored, (type(self).__qualname__, self.args, self.__dict__)


def _restored(name: str, args: tuple[object, ...], state: Mapping[str, object]) -> PikaError:
    """An error from a pickle. One whose class is not imported here is a `PikaError`."""
    cls = _CLASSES.get(name, PikaError)
    error: PikaError = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class InvalidInput(PikaError):
    """The value of an input cannot be sent. Raised before anything is sent.

    Attributes:
        name: The name of the input.
    """

    def __init__(self, name: str, problem: str, hint: str) -> None:
        self.name = name
        super().__init__(Message.joined(": ", name, problem), hint=hint)


class SettingsError(PikaError):
    """A setting is missing or invalid. Raised before anything is sent.

    Attributes:
        name: The name of the setting; empty if the error is not about a single one.
        problem: What is wrong with it.
        hint_on_page: The next step for a user who is on the settings page already.
    """

    def __init__(
        self, problem: str, *, name: str = "", hint: str = "", hint_on_page: str = ""
    ) -> None:
        self.name = name
        self.problem = problem
        self.hint_on_page = hint_on_page or hint
        variable = f"PIKA_{name.upper()}" if name else ""
        super().__init__(Message.joined(": ", variable, problem), hint=hint)


class SettingLocked(SettingsError):
    """The setting, or the key that it belongs to, is set by the environment."""


class LimitReached(PikaError):
    """A spending limit of the user. Raised before anything is sent.

    Attributes:
        name: The name of the setting.
    """

    def __init__(self, name: str, what: str, *, hint: str) -> None:
        self.name = name
        super().__init__(
            what, charge_note=Message("Nothing was sent and nothing was charged."), hint=hint
        )


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


NOT_CHARGED = Message("No task was created, so nothing was charged.")


class NotAccepted(GatewayError):
    """A submit that certainly did not create a task."""

    def __init__(self, what: str, *, status: int | None = None, hint: str = "") -> None:
        super().__init__(what, status=status, charge_note=NOT_CHARGED, hint=hint)


class Unreachable(NotAccepted):
    """No connection was made, or it broke before the last byte of the request was handed over.

    Attributes:
        connected: Whether there was a connection. Only a request without one is resent
            automatically.

    Args:
        permanent: Whether the user has to change something before another attempt can succeed, such
            as a proxy variable.
    """

    def __init__(
        self, what: str, *, connected: bool = False, permanent: bool = False, hint: str = ""
    ) -> None:
        self.connected = connected
        self.retryable = not (connected or permanent)
        super().__init__(what, hint=hint)


class Busy(NotAccepted):
    """429, or an error of the gateway that says that it takes no requests now.

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
    """The gateway read the request and rejected it.

    Attributes:
        about_request: Whether it rejects what this request asks for, so that other requests may be
            accepted. False if the rejection is about the key, the account or the address, or if
            its subject is not known.
    """

    def __init__(
        self,
        what: str,
        *,
        status: int | None = None,
        hint: str = "",
        about_request: bool = False,
    ) -> None:
        self.about_request = about_request
        super().__init__(what, status=status, hint=hint)


class SubmitUnknown(GatewayError):
    """The request was sent, and no response proves whether it became a task.

    Attributes:
        answer: The body of the response, bounded and without the key; empty if there was none.
        task_ids: What may be the id of the task: texts in the places of an id, next to something
            that contradicts them.
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
        task_ids: tuple[str, ...] = (),
    ) -> None:
        self.answer = answer
        self.task_ids = task_ids
        super().__init__(what, status=status, charge_note=charge_note, hint=hint)


class ReadError(GatewayError):
    """Something could not be read this time.

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


class FeedError(ReadError):
    """The feed could not be read this time."""


class FeedRefused(FeedError):
    """The feed rejects this key or address, or the environment lets no request to it out."""

    retryable = False


class WebPage(FeedError):
    """A web page instead of the feed: the address is wrong, or the gateway is being maintained."""


class AccountError(ReadError):
    """The balance could not be read this time. No task depends on it."""


class AccountNotOffered(AccountError):
    """The gateway has none of the known account endpoints."""

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


class TaskUnclear(TaskError):
    """The feed reports an error for the task, with a status word that is not known.

    It does not end the task in the journal.
    """


class TaskTimeout(TaskError):
    """The task was not finished when the waiting ended."""


class OtherGateway(TaskError):
    """The task belongs to another gateway than that of the settings, which was not asked."""


class TaskNotFound(TaskError):
    """The gateway does not know the task id.

    Attributes:
        stated: Whether the gateway itself says so, in an error about the task. Any other 404 can
            come from a proxy, or from an address where there is no gateway.
    """

    def __init__(
        self,
        task_id: str,
        what: str,
        *,
        charge_note: str = "",
        hint: str = "",
        stated: bool = False,
    ) -> None:
        self.stated = stated
        super().__init__(task_id, what, charge_note=charge_note, hint=hint)


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
