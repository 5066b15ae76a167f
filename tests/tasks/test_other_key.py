"""The identity of a request does not depend on the key, nor on how the address is written."""

from __future__ import annotations

from typing import Any

import pytest

from pika_api.errors import FeedError, SubmitUnknown
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
    ],
    ids=["empty", "nginx", "new-api", "Kong"],
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
