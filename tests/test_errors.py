"""The fields of errors on which code decides, and the text for the user."""

from __future__ import annotations

import pytest

from pika_api.errors import (
    NOT_CHARGED,
    Busy,
    DownloadFailed,
    FeedError,
    FeedRefused,
    InvalidInput,
    JournalError,
    LinkRefused,
    PikaError,
    Refused,
    SettingsError,
    SubmitUnknown,
    TaskFailed,
    TaskNotFound,
    TaskTimeout,
    TaskUnclear,
    Unreachable,
    WebPage,
)

#: Each error with `retryable` and `charged`.
FIELDS: dict[str, tuple[PikaError, bool, bool | None]] = {
    "invalid input": (InvalidInput("seed", "too large.", "Use 0."), False, False),
    "settings": (SettingsError("no key."), False, False),
    "journal": (JournalError("full"), False, False),
    "journal after a charge": (JournalError("full", charged=True), False, True),
    "no connection": (Unreachable(""), True, False),
    "broken connection": (Unreachable("", connected=True), False, False),
    "busy": (Busy("", status=429, retry_after=None), True, False),
    "refused": (Refused("", status=400), False, False),
    "web page": (WebPage(""), True, False),
    "unclear": (TaskUnclear("t", ""), False, False),
    "unknown": (SubmitUnknown(""), False, None),
    "feed": (FeedError(""), True, False),
    "feed refused": (FeedRefused(""), False, False),
    "failed": (TaskFailed("t", ""), False, False),
    "timeout": (TaskTimeout("t", ""), False, False),
    "not found": (TaskNotFound("t", ""), False, False),
    "download": (DownloadFailed("t", ""), True, False),
    "download that needs the user": (DownloadFailed("t", "", retryable=False), False, False),
    "link refused": (LinkRefused("t", ""), True, False),
}


@pytest.mark.parametrize(("error", "retryable", "charged"), FIELDS.values(), ids=FIELDS)
def test_fields_of_each_error(error: PikaError, retryable: bool, charged: bool | None) -> None:
    """Only a repetition that cannot cost anything is retryable."""
    assert error.retryable is retryable
    assert error.charged is charged
    assert not retryable or charged is False


def test_text_has_one_line_for_each_part() -> None:
    """What happened, what it means for the money, and the next step; empty parts are left out."""
    error = TaskFailed("t", "It failed.", charge_note="Not charged.", hint="Try again.")
    assert str(error).splitlines() == ["It failed.", "Not charged.", "Try again."]
    assert str(TaskFailed("t", "It failed.")) == "It failed."


def test_rejected_submit_says_that_nothing_was_charged() -> None:
    """Whatever the reason was."""
    for error in (Unreachable("a"), Busy("b", status=429, retry_after=None), Refused("c")):
        assert error.charge_note == NOT_CHARGED
        assert NOT_CHARGED in str(error)
