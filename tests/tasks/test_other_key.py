"""The identity of a request does not depend on the key, nor on how the address is written."""

from __future__ import annotations

from typing import Any

import pytest

from pika_api.errors import FeedError, SubmitUnknown, TaskFailed
from pika_api.tasks import ServicePolicy, Submitted
from support.api import ServiceHarness, ask, run


@pytest.fixture
def _soon_old(harness: ServiceHarness) -> None:
    """A task counts as new for a moment, not for a minute."""
    harness.policy = ServicePolicy(new_task_grace=0.0, max_misses=2)


@pytest.mark.usefixtures("_soon_old")
def test_rotated_key_reuses_the_task(harness: ServiceHarness) -> None:
    """A new key of the same account: the gateway knows the task, which is not paid again. The
    gateway is asked once; from then on it is a task of the new key."""
    task_id = harness.submit()
    harness.gateway.add_key("rotated-key")
    service = harness.another(api_key="rotated-key")
    for _ in range(2):
        assert run(service.submit(ask())) == Submitted(task_id, reused=True)
    assert harness.posts == 1
    assert len(harness.gateway.requests("GET", f"/pika/feed/{task_id}")) == 1
    assert run(service.collect(task_id)).path.is_file()


@pytest.mark.usefixtures("_soon_old")
def test_key_of_another_account_creates_a_task_and_says_why(harness: ServiceHarness) -> None:
    """The gateway does not know the task with the other account's key. Each key then has its own
    task, however often the keys are changed."""
    first = harness.submit()
    harness.gateway.add_key("second-key", "second")
    other = harness.another(api_key="second-key")
    second = run(other.submit(ask()))
    assert (second.reused, second.replaced) == (False, first)
    for service, task_id in [(other, second.task_id), (harness.service, first)] * 2:
        assert run(service.submit(ask())) == Submitted(task_id, reused=True)
    assert harness.posts == 2
    assert harness.gateway.charged == [first, second.task_id]


@pytest.mark.usefixtures("_soon_old")
@pytest.mark.parametrize("back", ["first", "rotated", "rotated before", "third account"])
def test_no_task_of_the_request_is_paid_again_after_a_detour(
    harness: ServiceHarness, back: str
) -> None:
    """Another account's key made a task in between. Back at the first account, its task is reused,
    whichever key of the account it is read with; a third account has none, and gets one."""
    first = harness.submit()
    harness.gateway.add_key("rotated-key")
    harness.gateway.add_key("second-key", "second")
    harness.gateway.add_key("third-key", "third")
    if back == "rotated before":
        assert run(harness.another(api_key="rotated-key").submit(ask())).reused
    second = run(harness.another(api_key="second-key").submit(ask()))
    assert (second.reused, second.replaced) == (False, first)
    keys = {"rotated": "rotated-key", "third account": "third-key"}
    service = harness.another(api_key=keys.get(back, harness.gateway.key))
    expected = Submitted(first, reused=True)
    if back == "third account":
        third = run(service.submit(ask()))
        assert (third.reused, third.replaced) == (False, second.task_id)
        expected = Submitted(third.task_id, reused=True)
    assert run(service.submit(ask())) == expected
    assert harness.posts == 2 + (back == "third account")
    assert run(harness.another(api_key="second-key").submit(ask())).task_id == second.task_id


@pytest.mark.usefixtures("_soon_old")
@pytest.mark.parametrize("over", ["failed", "forgotten"])
def test_task_of_the_first_key_is_reused_when_that_of_the_second_is_over(
    harness: ServiceHarness, over: str
) -> None:
    """The second account's task failed or was forgotten: that releases the request, and the first
    account still has its task."""
    first = harness.submit()
    harness.gateway.add_key("second-key", "second")
    other = harness.another(api_key="second-key")
    harness.gateway.fault("task", error="NSFW")
    second = run(other.submit(ask())).task_id
    if over == "failed":
        with pytest.raises(TaskFailed):
            run(other.wait(second))
    else:
        entry = harness.journal.find_by_task_id(second)
        assert entry is not None
        assert harness.journal.forget(entry.id)
    assert run(harness.service.submit(ask())) == Submitted(first, reused=True)
    assert harness.posts == 2


def test_failure_that_the_feed_takes_back_is_not_paid_again(harness: ServiceHarness) -> None:
    """The feed said "failed", and later that the task is finished: the request reuses it, unless
    it was paid again in the meantime."""
    for take, meanwhile in enumerate((False, True)):
        task_id = harness.submit(take=take)
        harness.gateway.fault("feed", body={"videos": [{"status": "error", "error": "busy"}]})
        with pytest.raises(TaskFailed):
            run(harness.service.wait(task_id))
        expected = harness.submit(take=take) if meanwhile else task_id
        run(harness.service.collect(task_id))
        found = run(harness.service.submit(ask(), take=take))
        assert found == Submitted(expected, reused=True)
    assert harness.posts == 3


def test_unknown_of_another_key_is_not_resent(harness: ServiceHarness) -> None:
    """The request may have been charged to the earlier key's account."""
    harness.gateway.fault("submit", reset=True, accept=True)
    with pytest.raises(SubmitUnknown):
        harness.submit()
    for account in ("first", "second"):
        harness.gateway.add_key(account, account)
        with pytest.raises(SubmitUnknown, match="last attempt"):
            run(harness.another(api_key=account).submit(ask()))
    assert harness.posts == 1


@pytest.mark.parametrize("fault", [{"status": 502}, {"status": 401}, {"reset": True}])
def test_unreadable_feed_does_not_prove_that_a_task_is_unknown(
    harness: ServiceHarness, fault: dict[str, Any]
) -> None:
    """Nothing is sent; the error names the task and both ways to go on."""
    task_id = harness.submit()
    harness.gateway.add_key("rotated-key")
    harness.gateway.fault("feed", times=None, **fault)
    with pytest.raises(FeedError) as caught:
        run(harness.another(api_key="rotated-key").submit(ask()))
    for words in (task_id, "another key", "Nothing was sent", "earlier key", "seed"):
        assert words in str(caught.value)
    assert harness.posts == 1


def test_new_task_is_not_taken_for_unknown(harness: ServiceHarness) -> None:
    """The feed may not know a task in its first seconds: the key was changed just then."""
    harness.policy = ServicePolicy(new_task_grace=1.5, max_misses=2)
    harness.gateway.fault("task", hide_for=1.0)
    task_id = harness.submit()
    harness.gateway.add_key("rotated-key")
    found = run(harness.another(api_key="rotated-key").submit(ask()))
    assert (found.task_id, found.reused, harness.posts) == (task_id, True, 1)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html><body><h1>404 Not Found</h1><hr>nginx</body></html>",
        {"error": {"message": "Invalid URL (GET /pika/feed/x)", "type": "invalid_request_error"}},
        {"message": "no Route matched with those values"},
        {"message": "Not Found"},
        {"detail": "Not Found"},
        {"statusCode": 404, "message": "Cannot GET /pika/feed/task-1", "error": "Not Found"},
        {"timestamp": 1, "status": 404, "error": "Not Found", "path": "/pika/feed/task-1"},
        {"code": 404, "message": "page not found"},
        {"error": {"code": "model_not_found", "message": "no channel for this video model"}},
    ],
    ids=[
        "empty",
        "nginx",
        "new-api",
        "Kong",
        "API gateway",
        "FastAPI",
        "Nest",
        "Spring",
        "Go",
        "new-api, other key group",
    ],
)
def test_404_that_is_not_about_the_task_pays_nothing(harness: ServiceHarness, body: object) -> None:
    """A new task is created only if the gateway itself says that it does not know the old one."""
    harness.policy = ServicePolicy(new_task_grace=0.0)
    task_id = harness.submit()
    harness.gateway.add_key("rotated-key")
    harness.gateway.fault("feed", task_id=task_id, status=404, body=body, times=None)
    with pytest.raises(FeedError, match=task_id):
        run(harness.another(api_key="rotated-key").submit(ask()))
    assert harness.posts == 1


@pytest.mark.usefixtures("_soon_old")
@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "There is no such task", "code": "x"}},
        {"detail": "Task t-1 not found"},
        {"message": "video does not exist"},
        {"code": "JobNotFound", "message": "not found"},
        {"error": "record not found"},
        {"msg": "该任务不存在或已过期"},
    ],
)
def test_404_about_the_task_is_believed(harness: ServiceHarness, body: object) -> None:
    """In whatever words the gateway says that it does not know the task: the key is of another
    account, so a new task is created."""
    task_id = harness.submit()
    harness.gateway.add_key("second-key", "second")
    harness.gateway.fault("feed", task_id=task_id, status=404, body=body, times=None)
    found = run(harness.another(api_key="second-key").submit(ask()))
    assert (found.reused, found.replaced) == (False, task_id)


def test_saved_file_is_reused_without_asking_with_the_new_key(harness: ServiceHarness) -> None:
    """What is on disk does not depend on any key."""
    task_id = harness.submit()
    run(harness.service.collect(task_id))
    asked = len(harness.gateway.requests("GET"))
    harness.gateway.add_key("second-key", "second")
    service = harness.another(api_key="second-key")
    assert run(service.submit(ask())) == Submitted(task_id, reused=True)
    assert run(service.collect(task_id)).path.is_file()
    assert len(harness.gateway.requests("GET")) == asked


SPELLINGS = ["localhost:{}//", "localhost:{}/./", "LOCALHOST:{}", "localhost:{}/x/.."]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_other_spelling_of_the_gateway_reuses_the_task(
    harness: ServiceHarness, spelling: str
) -> None:
    """Submit, status and result treat it as the same gateway."""
    port = harness.gateway.url.rpartition(":")[2]
    first = harness.another(base_url=f"http://localhost:{port}")
    task_id = run(first.submit(ask())).task_id
    second = harness.another(base_url=f"http://{spelling.format(port)}")
    assert run(second.submit(ask())) == Submitted(task_id, reused=True)
    assert run(second.status(task_id)).id == task_id
    assert run(second.collect(task_id)).path.is_file()
    assert harness.posts == 1
