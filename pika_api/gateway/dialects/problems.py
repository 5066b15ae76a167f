"""Errors in the answers of gateways: shapes, codes and words, and what each of them proves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from ..responses import message_in


class Meaning(Enum):
    """What an error means for the user. Each one is raised before a task is created."""

    CREDIT = auto()
    """The account or the key has no credit left. Waiting does not help."""
    MODEL = auto()
    """The gateway offers no such model to this key."""
    BUSY = auto()
    """The gateway takes no requests at the moment."""
    PROMPT = auto()
    """The gateway's own filter rejects the prompt."""
    NO_CALL = auto()
    """The gateway has no such call."""
    NO_TASK = auto()
    """The gateway does not know the task that the request is about."""


#: Values of ``code`` that mean success. Any other value is an error.
#: 0: Kling, and many others. "success": new-api dto/task.go. 200 and "ok": public reference pages.
SUCCESS_CODES: Final = frozenset(
    {"", "0", "200", "201", "202", "ok", "success", "succeed", "succeeded"}
)

#: The meaning of an error's ``code`` or ``type``, in lower case. The gateways set these before they
#: contact the provider, so in an error of their own format they prove that there is no task.
CODES: Final[Mapping[str, Meaning]] = {
    # new-api types/error.go; one-api relay/controller (issue #1270): HTTP 403.
    "insufficient_user_quota": Meaning.CREDIT,
    "pre_consume_token_quota_failed": Meaning.CREDIT,
    # OpenAI, passed on or imitated: HTTP 429, and 402 in some gateways.
    "insufficient_quota": Meaning.CREDIT,
    "billing_hard_limit_reached": Meaning.CREDIT,
    "billing_not_active": Meaning.CREDIT,
    # github.com/Wei-Shaw/sub2api issue #890: HTTP 403.
    "insufficient_balance": Meaning.CREDIT,
    # Kling: the resource pack is used up. HTTP 429.
    "1102": Meaning.CREDIT,
    # new-api middleware/distributor.go: HTTP 503. OpenAI: HTTP 404.
    "model_not_found": Meaning.MODEL,
    "no_available_channel": Meaning.MODEL,
    # new-api relay/relay_task.go: the model has no price there. HTTP 400.
    "model_price_error": Meaning.MODEL,
    # new-api middleware/performance.go: HTTP 503, before the request is read.
    "system_cpu_overloaded": Meaning.BUSY,
    "system_memory_overloaded": Meaning.BUSY,
    "system_disk_overloaded": Meaning.BUSY,
    # new-api controller/relay.go: before a channel is chosen. HTTP 500.
    "sensitive_words_detected": Meaning.PROMPT,
    # new-api controller/relay.go: HTTP 501.
    "api_not_implemented": Meaning.NO_CALL,
    # new-api relay/relay_task.go: HTTP 400, also for a task of the last seconds.
    "task_not_exist": Meaning.NO_TASK,
    "task_not_found": Meaning.NO_TASK,
    "task_origin_not_exist": Meaning.NO_TASK,
}

_OWNER: Final = "(?:用户|令牌|账户|账号|帐户|帳戶)"
#: The meaning of a message. Anywhere in a message it chooses the advice to the user. It counts as
#: proof only at the beginning of one: a message can quote a prompt, or report a failed refund.
WORDS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), meaning)
    for pattern, meaning in (
        # new-api service/pre_consume_quota.go; "返还…" in front of it is a failed refund.
        (r"(?<!返还)预扣费额度失败", Meaning.CREDIT),
        # new-api: "用户额度不足"; one-api model/token.go: "该令牌额度已用尽" with HTTP 401.
        # "并发额度不足" is a limit of tasks at a time.
        (rf"该?{_OWNER}?(?:剩余|可用|剩餘)?(?<!并发)(?:额度|額度)(?:不足|已用尽)", Meaning.CREDIT),
        (rf"{_OWNER}?(?:余额|餘額)不足", Meaning.CREDIT),
        # one-api issues #1270 and #1846.
        (r"(?:user|token) (?:\[\d+\] )?quota .{0,80}?(?:is )?not enough", Meaning.CREDIT),
        # Public issues about HTTP 402 and 403; Kling 1102.
        (r"insufficient (?:account )?(?:balance|credits?|funds)", Meaning.CREDIT),
        (r"(?:account )?balance (?:is )?not enough", Meaning.CREDIT),
        # one-api middleware/distributor.go and issue #2340, without a code; new-api i18n/locales.
        (r"(?:(?:当前|當前)?分[组組].{0,300}?)?[无無]可用(?:渠道|管道)", Meaning.MODEL),
        (r"no available channels? for", Meaning.MODEL),
        (r"该令牌无权(?:使用|访问)模型", Meaning.MODEL),
        (r"this token has no access to model", Meaning.MODEL),
        # new-api controller/relay.go, and the proxy Kong: about the path, not about a task.
        (r"invalid url \(", Meaning.NO_CALL),
        (r"no route matched", Meaning.NO_CALL),
        # new-api relay/relay_task.go, in gateways that drop the code.
        (r"task[_ ](?:does )?not[_ ](?:exist|found)", Meaning.NO_TASK),
        (r"任务不存在", Meaning.NO_TASK),
    )
)
#: What tasks are called in codes and messages.
_TASK_WORD: Final = re.compile(
    r"task|job|generation|video|record|任务|任務|作业|视频|影片|记录|記錄",
    re.IGNORECASE,
)
#: A path or an address in a message: it may contain such a word.
_PATH: Final = re.compile(r"\S*/\S*")
#: new-api controller/relay.go: no channel was left for a second attempt. The first one reached the
#: provider, so nothing is proven.
_LATER_ATTEMPT: Final = re.compile(r"[（(]retry[）)]", re.IGNORECASE)
#: Maximum length of a message that is searched. Characters.
_MAX_SEARCHED: Final = 2000


@dataclass(frozen=True)
class Problem:
    """An error of a gateway in one of its own formats.

    Attributes:
        codes: ``code`` and ``type``, in lower case.
        message: The gateway's words; may be empty.
        quoted: The error of another gateway behind it, which it quotes in its message.
    """

    codes: tuple[str, ...]
    message: str
    quoted: Problem | None = None

    @property
    def proves(self) -> Meaning | None:
        """The meaning on which the decision may rest that there is no task; None if there is none.

        An error that was quoted proves nothing: the gateway may have tried several providers, and
        quotes the last one.
        """
        if _LATER_ATTEMPT.search(self.message):
            return None
        return self._by_code() or self._by_words(at_start=True)

    @property
    def means(self) -> Meaning | None:
        """The meaning for the advice to the user; None if it is not known."""
        own = self._by_code() or self._by_words(at_start=False)
        return own or (self.quoted.means if self.quoted is not None else None)

    @property
    def is_about_task(self) -> bool:
        """Whether it says something about a task. The "not found" of a proxy, or of a program that
        has no such address, does not.
        """
        if self.means is not None:
            return self.means is Meaning.NO_TASK
        texts = (*self.codes, _PATH.sub(" ", self.message[:_MAX_SEARCHED]))
        return any(_TASK_WORD.search(text) for text in texts)

    def _by_code(self) -> Meaning | None:
        return next((CODES[code] for code in self.codes if code in CODES), None)

    def _by_words(self, *, at_start: bool) -> Meaning | None:
        text = self.message[:_MAX_SEARCHED].lstrip()
        for pattern, meaning in WORDS:
            if pattern.match(text) if at_start else pattern.search(text):
                return meaning
        return None


def problem_in(value: object, *, failed: bool) -> Problem | None:
    """The error in an answer; None if it has none in a known format.

    Formats: ``{"error": {"message", "type", "code"}}`` (one-api, new-api), ``{"code": "…",
    "message": "…", "data": null}`` (new-api dto/task.go), ``{"success": false, "message"}``
    (new-api's own pages), ``{"error": "…"}``, ``{"message"}`` and ``{"detail"}`` (public reference
    pages).

    Args:
        value: The decoded JSON.
        failed: Whether the HTTP status says that the request failed. Otherwise a message alone is
            no error.
    """
    if not isinstance(value, Mapping):
        return None
    errors = (value.get("error"), value.get("errors"))
    error = next((each for each in errors if not _is_empty(each)), "")
    parts = (value, error if isinstance(error, Mapping) else {})
    codes = tuple(_code(part.get(name)) for part in parts for name in ("code", "type"))
    codes = tuple(code for code in codes if code not in SUCCESS_CODES)
    message = message_in(error) or message_in({**value, "code": None, "type": None})
    says_no = bool(error) or value.get("success") in (False, "false") or _is_error_code(value)
    if not says_no and not (failed and message):
        return None
    return Problem(codes, message, _quoted(message))


def _is_empty(value: object) -> bool:
    """Whether a field for an error has none. An object has none if all its fields are empty."""
    values = list(value.values()) if isinstance(value, Mapping) else [value]
    return all(not each or (isinstance(each, str) and not each.strip()) for each in values)


def _code(value: object) -> str:
    is_code = isinstance(value, (str, int)) and not isinstance(value, bool)
    return str(value).strip().lower() if is_code else ""


def _is_error_code(value: Mapping[str, Any]) -> bool:
    """Whether ``code``, or a number in the place of the HTTP status, says that it failed."""
    if _code(value.get("code")) not in SUCCESS_CODES:
        return True
    numbers = (value.get(name) for name in ("status", "statusCode", "status_code"))
    return any(type(number) is int and number >= 400 for number in numbers)


def _quoted(message: str) -> Problem | None:
    """new-api relay/relay_task.go: the message is the whole body of the gateway behind it."""
    start = message.find("{")
    if start < 0:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(message, start)
    except (ValueError, RecursionError):
        return None
    inner = problem_in(value, failed=True) if isinstance(value, Mapping) else None
    return Problem(inner.codes, inner.message) if inner is not None else None
