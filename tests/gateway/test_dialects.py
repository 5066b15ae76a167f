"""What gateways of this family really answer: a corpus of answers, each with its outcome.

`tests/gateways/submit.json` and `feed.json` have one answer a line: where it comes from, its
status, headers and body (`text` is sent as it is), and under `expect` the state of the journal's
entry, the error and parts of its message. Each is given once over a real socket.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pika_api import errors
from pika_api.errors import NotAccepted, PikaError, Refused, SubmitUnknown
from pika_api.gateway import RetryPolicy
from pika_api.gateway.dialects import Meaning, new_task_id, problem_in
from pika_api.gateway.masking import MAX_ANSWER
from pika_api.journal import Journal, State
from pika_api.settings import sqlite_url
from pika_api.tasks import Service, ServicePolicy
from simulator import Simulator
from simulator.dialects import DIALECTS
from support.api import (
    KEY,
    RawServer,
    ServiceHarness,
    answer,
    ask,
    client_of,
    intent,
    payload,
    run,
)

Case = dict[str, Any]
CORPUS = Path(__file__).parent.parent / "gateways"
#: No request is repeated: each answer is given once.
ONCE = ServicePolicy(retry=RetryPolicy(unreachable_patience=0.0, busy_patience=0.0))
TASK = "t-1"


def cases(name: str, state: str = "") -> Any:
    """The cases of a file of the corpus, or those with an expected state, as parameters."""
    loaded: list[Case] = json.loads((CORPUS / f"{name}.json").read_text("utf-8"))
    assert len({case["name"] for case in loaded}) == len(loaded)
    chosen = [case for case in loaded if state in ("", case["expect"]["state"])]
    return pytest.mark.parametrize("case", chosen, ids=[case["name"] for case in chosen])


def raw(case: Case) -> bytes:
    """The answer of a case as it comes over the wire."""
    body = case["text"] if "text" in case else json.dumps(case["body"], ensure_ascii=False)
    headers = {name.replace("-", "_"): value for name, value in case.get("headers", {}).items()}
    return answer(case["status"], body.encode(), **headers)


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    journal = Journal(sqlite_url(tmp_path / "home"))
    yield journal
    journal.close()


def service_at(server: RawServer, journal: Journal, tmp_path: Path) -> Service:
    from pika_api.settings import Settings

    settings = Settings(api_key=KEY, base_url=server.url)
    return Service(settings, journal, tmp_path / "output", policy=ONCE)


def check_message(error: BaseException, expect: Case) -> None:
    """The parts that must be in a message, and those that must not."""
    text = str(error)
    for words in expect.get("message", ()):
        assert words in text
    for words in expect.get("absent", ()):
        assert words not in text
    assert KEY not in text


@cases("submit")
def test_answer_to_a_submit(case: Case, journal: Journal, tmp_path: Path) -> None:
    """One request. The entry is submitted with the id, refused or unknown; the error says what it
    means for the money, and whether the request may be sent again. No id is lost: one that is not
    taken is named in the error and in the journal."""
    expect = case["expect"]
    error: PikaError | None = None
    with RawServer(raw(case)) as server:
        service = service_at(server, journal, tmp_path)
        try:
            task_id = run(service.submit(ask())).task_id
        except (NotAccepted, SubmitUnknown) as raised:
            task_id, error = None, raised
        finally:
            service.close()
        assert len(server.seen) == 1
    (entry,) = journal.entries(forgotten=True)
    assert (entry.state.value, entry.task_id) == (expect["state"], expect.get("task_id"))
    assert task_id == expect.get("task_id")
    if error is None:
        return
    assert (error.charged, error.retryable) == (expect["charged"], expect["retry"])
    assert error.status == case["status"]  # type: ignore[attr-defined]
    # Only a refusal of what this request asks for lets the other requests of a list go on.
    about_request = isinstance(error, Refused) and error.about_request
    assert about_request is expect.get("about_request", False)
    check_message(error, expect)
    for each in expect.get("task_ids", ()):
        assert each in str(error)
        assert each in entry.last_error


@cases("submit", "unknown")
def test_answer_that_proves_nothing_is_kept(case: Case) -> None:
    """The error has the whole answer, and what may be the id of the task."""
    with (
        RawServer(raw(case)) as server,
        client_of(server.url) as client,
        pytest.raises(SubmitUnknown) as caught,
    ):
        client.submit(payload())
    body = case["text"] if "text" in case else json.dumps(case["body"], ensure_ascii=False)
    assert caught.value.answer == body.replace("\r\n", "\n").strip()
    assert list(caught.value.task_ids) == case["expect"]["task_ids"]


@pytest.mark.parametrize("size", [10, MAX_ANSWER - 100, MAX_ANSWER, 1_000_000])
def test_answer_is_kept_without_the_key_and_bounded(size: int) -> None:
    """A gateway may quote the key, also where the answer is cut."""
    body = json.dumps({"note": "x" * size + KEY}).encode()
    with (
        RawServer(answer(200, body)) as server,
        client_of(server.url) as client,
        pytest.raises(SubmitUnknown) as caught,
    ):
        client.submit(payload())
    assert len(caught.value.answer) <= MAX_ANSWER
    assert KEY[:12] not in caught.value.answer


def submitted(journal: Journal, base_url: str) -> int:
    """An entry for the task, as if this journal had submitted it there."""
    entry = journal.claim(intent(base_url=base_url), "me").entry
    journal.mark_sent(entry.id, "me")
    journal.record_task(entry, TASK)
    return entry.id


@cases("feed")
def test_answer_of_the_feed(case: Case, journal: Journal, tmp_path: Path) -> None:
    """The task has the status, word, progress, link and error that the answer has, or there is an
    error. The entry is failed only if the answer is about the task and says so."""
    expect = case["expect"]
    with RawServer(raw(case)) as server:
        number = submitted(journal, server.url)
        service = service_at(server, journal, tmp_path)
        try:
            if "raises" in expect:
                with pytest.raises(PikaError) as caught:
                    run(service.status(TASK))
                assert type(caught.value) is getattr(errors, expect["raises"])
                check_message(caught.value, expect)
                task = None
            else:
                task = run(service.status(TASK))
        finally:
            service.close()
    assert journal.get(number).state.value == expect["state"]
    if task is None:
        return
    actual = {
        "status": task.status.value,
        "raw": task.raw_status,
        "progress": task.progress,
        "link": task.result_url,
        "error": task.error,
    }
    assert {name: actual[name] for name in actual if name in expect} == {
        name: expect[name] for name in actual if name in expect
    }


@pytest.mark.parametrize("dialect", list(DIALECTS))
@pytest.mark.parametrize("failing", [False, True], ids=["finished", "failed"])
def test_each_dialect_of_the_simulator(tmp_path: Path, dialect: str, failing: bool) -> None:
    """From the request to the file, or to the gateway's words about the failure."""
    with Simulator(
        key=KEY, task_seconds=0.3, clip_seconds=0.2, height=64, dialect=dialect
    ) as gateway:
        harness = ServiceHarness(gateway, tmp_path / "home")
        try:
            if failing:
                gateway.fault("task", error="blocked by moderation")
            task_id = harness.submit()
            assert gateway.charged == [task_id]
            if failing:
                with pytest.raises(errors.TaskFailed, match="blocked by moderation"):
                    run(harness.service.wait(task_id))
                assert harness.journal.entries()[0].state is State.FAILED
            else:
                assert run(harness.service.collect(task_id)).path.is_file()
                assert harness.journal.entries()[0].state is State.SAVED
            with pytest.raises(errors.TaskNotFound):
                run(harness.service.status("nobody"))
        finally:
            harness.close()


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "pika"])
def test_wrong_path_of_a_dialect_names_the_base_url(tmp_path: Path, dialect: str) -> None:
    """Such a gateway serves its own page there. Both calls say what to check, at once, and with the
    right base URL the same request is sent."""
    with Simulator(key=KEY, task_seconds=0.0, height=64, dialect=dialect) as gateway:
        harness = ServiceHarness(gateway, tmp_path / "home")
        try:
            wrong = harness.another(base_url=f"{gateway.url}/panel")
            with pytest.raises(SubmitUnknown, match="web page") as caught:
                run(wrong.submit(ask()))
            assert "PIKA_BASE_URL" in str(caught.value)
            with pytest.raises(errors.WebPage, match="PIKA_BASE_URL"):
                run(wrong.wait("t-1", timeout=5.0))
            right = harness.another(base_url=gateway.url)
            assert run(right.submit(ask())).task_id in gateway.charged
        finally:
            harness.close()


@pytest.mark.parametrize("depth", [30, 400, 900])
def test_deep_errors_are_read(depth: int) -> None:
    """At any depth there is an error and no exception."""
    value: Any = "余额不足"
    for _ in range(depth):
        value = {"error": value}
    assert problem_in(value, failed=True) is not None
    assert new_task_id({"id": "t-1", "data": value}) == ""


def test_meaning_of_a_quoted_error_proves_nothing() -> None:
    """The advice is that of the quoted error; the decision about the money does not rest on it."""
    quoted = json.dumps({"error": {"message": "no", "code": "insufficient_quota"}})
    problem = problem_in({"code": "fail_to_fetch_task", "message": quoted}, failed=True)
    assert problem is not None
    assert (problem.means, problem.proves) == (Meaning.CREDIT, None)
