"""Every kind of scripted fault, as a client sees it."""

from __future__ import annotations

import json
import socket
import time
from urllib.parse import urlsplit

import pytest
import requests
from simulator_helpers import body, download_result, entry, feed, post, submit, wait_until_done

from simulator import Fault, Simulator


@pytest.fixture
def sim():
    with Simulator(height=64, clip_seconds=0.2, task_seconds=0.1) as running:
        yield running


def finished_url(sim):
    return wait_until_done(sim, submit(sim))["resultUrl"]


@pytest.mark.parametrize("accept", [False, True])
def test_reset_of_a_submit_charges_only_with_accept(sim, accept):
    """The client gets no answer in both cases."""
    sim.fault(on="submit", reset=True, accept=accept)
    with pytest.raises(requests.ConnectionError, match="reset"):
        post(sim)
    assert len(sim.charged) == accept
    assert (sim.log[0].status, sim.log[0].reset) == (None, True)
    assert post(sim).status_code == 200


def test_reset_sends_a_tcp_rst(sim):
    """recv must raise; after an orderly end it would return nothing."""
    sim.fault(on="feed", reset=True)
    parts = urlsplit(sim.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as raw:
        head = f"GET /pika/feed/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sim.key}"
        raw.sendall(f"{head}\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            raw.recv(100)


@pytest.mark.parametrize("accept", [False, True])
def test_scripted_status_charges_only_with_accept(sim, accept):
    """The scripted answer replaces the real one in both cases."""
    sim.fault("submit", status=502, body="<html>Bad gateway</html>", accept=accept)
    answer = post(sim)
    assert (answer.status_code, answer.text) == (502, "<html>Bad gateway</html>")
    assert answer.headers["Content-Type"] == "text/html"
    assert len(sim.charged) == accept


@pytest.mark.parametrize("place", ["submit", "task"])
def test_prompt_limits_a_fault(sim, place):
    """Only the request with this text in its prompt meets the fault, whatever the order."""
    fault = {"status": 400} if place == "submit" else {"error": "too sharp"}
    sim.fault(place, prompt="knife", **fault)
    pear = post(sim, body({"promptText": "A pear"}))
    knife = post(sim, body({"promptText": "A knife"}))
    assert pear.status_code == 200
    assert knife.status_code == (400 if place == "submit" else 200)
    assert post(sim, body({"promptText": "A knife"})).status_code == 200


def test_scripted_body_and_headers_are_sent(sim):
    """A mapping is sent as JSON."""
    sim.fault("submit", status=429, body={"message": "slow"}, headers={"Retry-After": "3"})
    sim.fault("submit", body={"data": {"id": "x"}}, content_type="application/problem+json")
    first, second = post(sim), post(sim)
    assert (first.status_code, first.json()) == (429, {"message": "slow"})
    assert (first.headers["Retry-After"], first.headers["Content-Type"]) == (
        "3",
        "application/json",
    )
    assert (second.status_code, second.json()) == (200, {"data": {"id": "x"}})
    assert second.headers["Content-Type"] == "application/problem+json"
    assert sim.charged == []


def test_delayed_submit_is_charged_before_the_answer(sim):
    """A client that times out was charged."""
    sim.fault("submit", delay=60)
    with pytest.raises(requests.Timeout):
        requests.post(
            f"{sim.url}/pika/generate",
            json=body(),
            headers={"Authorization": f"Bearer {sim.key}"},
            timeout=0.2,
        )
    deadline = time.monotonic() + 30
    while not sim.charged and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(sim.charged) == 1


def test_cut_submit_is_charged(sim):
    """The body is shorter than its Content-Length, and the task exists."""
    sim.fault("submit", cut=7)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="7 bytes read"):
        post(sim)
    assert len(sim.charged) == 1
    assert (sim.log[0].status, sim.log[0].cut) == (200, True)


def test_rejected_request_does_not_use_up_a_fault(sim):
    """A fault on submit is for requests that pass the checks."""
    sim.fault("submit", status=500)
    assert post(sim, body({"promptText": ""})).status_code == 400
    assert post(sim).status_code == 500
    assert post(sim).status_code == 200


@pytest.mark.parametrize(
    ("text", "kind"),
    [("garbage", "application/json"), ('{"id": "x", "vid', "application/json"),
     ("<html>", "text/html")],
)  # fmt: skip
def test_scripted_feed_body_is_sent_once(sim, text, kind):
    """Garbage, incomplete JSON and HTML come with 200. The next answer is the real one."""
    task_id = submit(sim)
    sim.fault("feed", body=text)
    answer = feed(sim, task_id)
    assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (200, text, kind)
    assert feed(sim, task_id).json()["id"] == task_id


def test_feed_fails_with_status_reset_delay_and_cut(sim):
    """The feed has the same faults as the submit."""
    task_id = submit(sim)
    sim.fault("feed", status=503)
    sim.fault("feed", reset=True)
    sim.fault("feed", delay=0.2)
    sim.fault("feed", cut=10)
    assert feed(sim, task_id).status_code == 503
    with pytest.raises(requests.ConnectionError):
        feed(sim, task_id)
    before = time.monotonic()
    assert feed(sim, task_id).status_code == 200
    assert time.monotonic() - before >= 0.2
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        feed(sim, task_id)
    assert feed(sim, task_id).status_code == 200


def test_faults_happen_in_order_for_their_task(sim):
    """Each fault happens `times` times, and only to the task of its `task_id`."""
    first, second = submit(sim), submit(sim)
    sim.fault("feed", status=500, times=2, task_id=first)
    sim.fault("feed", status=502, times=None, task_id=first)
    assert [feed(sim, first).status_code for _ in range(5)] == [500, 500, 502, 502, 502]
    assert feed(sim, second).status_code == 200
    sim.clear_faults()
    assert feed(sim, first).status_code == 200


def test_download_fails_with_status_body_reset_and_delay(sim):
    """A scripted body has the type of a video by default."""
    url = finished_url(sim)
    sim.fault("media", status=403)
    sim.fault("media", body="<html>Sign in</html>")
    sim.fault("media", reset=True)
    sim.fault("media", delay=0.2, headers={"X-Slow": "yes"})
    assert requests.get(url, timeout=5).status_code == 403
    page = requests.get(url, timeout=5)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "video/mp4")
    assert page.text == "<html>Sign in</html>"
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)
    before = time.monotonic()
    assert requests.get(url, timeout=5).headers["X-Slow"] == "yes"
    assert time.monotonic() - before >= 0.2


def test_cut_download_is_shorter_than_its_content_length(sim):
    """The next download is complete."""
    url = finished_url(sim)
    whole = requests.get(url, timeout=5)
    sim.fault("media", cut=500)
    with requests.get(url, timeout=5, stream=True) as answer:
        assert answer.headers["Content-Length"] == whole.headers["Content-Length"]
        assert answer.headers["Content-Type"] == "video/mp4"
        assert answer.raw.read(500) == whole.content[:500]
        with pytest.raises(Exception, match="IncompleteRead"):
            answer.raw.read(1)
    assert requests.get(url, timeout=5).content == whole.content


def test_expired_fault_expires_older_urls(sim):
    """URLs that were signed before stay expired; new ones work."""
    task_id = submit(sim)
    old = wait_until_done(sim, task_id)["resultUrl"]
    sim.fault("media", expired=True)
    assert requests.get(old, timeout=5).status_code == 403
    assert requests.get(old, timeout=5).status_code == 403
    assert requests.get(entry(sim, task_id)["resultUrl"], timeout=5).status_code == 200


def test_task_fails_with_the_scripted_error(sim):
    """The next task is not affected."""
    sim.fault("task", error="NSFW content detected")
    failed = wait_until_done(sim, submit(sim))
    assert (failed["status"], failed["error"]) == ("error", "NSFW content detected")
    assert "resultUrl" not in failed
    assert wait_until_done(sim, submit(sim))["status"] == "finished"


def test_prompt_with_forbidden_fails_without_a_script(sim):
    """A developer can see a moderation error without scripting a fault."""
    failed = wait_until_done(sim, submit(sim, {"promptText": "A Forbidden fruit"}))
    assert failed["status"] == "error"
    assert "moderation" in failed["error"]


def test_task_is_hidden_then_empty_then_running(sim):
    """`hide_for`, `empty_for` and `seconds` count from the creation of the task."""
    sim.fault("task", seconds=1.5, hide_for=0.5, empty_for=1.0)
    task_id = submit(sim)
    task = sim.tasks[task_id]
    seen = []
    while "finished" not in seen:
        before = task.age
        answer = feed(sim, task_id)
        if answer.status_code == 404:
            seen.append("hidden")
            assert before < 0.5
        elif not answer.json()["videos"]:
            seen.append("empty")
            assert task.age >= 0.5
            assert before < 1.0
        else:
            (video,) = answer.json()["videos"]
            seen.append(video["status"])
            assert task.age >= 1.0
    assert list(dict.fromkeys(seen)) == ["hidden", "empty", "pending", "finished"]
    assert task.age >= 1.5


def test_task_has_the_scripted_status_and_no_progress(sim):
    """`raw_status` replaces pending, and the task still finishes."""
    sim.fault("task", seconds=1.0, raw_status="weird", no_progress=True)
    task_id = submit(sim)
    while (running := entry(sim, task_id))["status"] == "queued":
        time.sleep(0.02)
    assert (running["status"], running["progress"]) == ("weird", 0)
    assert wait_until_done(sim, task_id)["status"] == "finished"


def test_stuck_task_stays_pending(sim):
    """Its progress stays below 100."""
    sim.fault("task", seconds=0, stuck=True)
    task_id = submit(sim)
    time.sleep(0.4)
    assert entry(sim, task_id)["status"] == "pending"
    assert entry(sim, task_id)["progress"] == 99


def test_another_process_adds_and_clears_faults(sim):
    """The control URL needs no key, and rejects an invalid fault."""
    url = f"{sim.url}/simulator/faults"
    assert requests.post(url, json={"on": "submit", "status": 500}, timeout=5).ok
    assert post(sim).status_code == 500
    assert requests.post(url, json={"on": "submit", "times": None, "status": 500}, timeout=5).ok
    assert requests.delete(url, timeout=5).ok
    assert post(sim).status_code == 200
    for wrong in ({"on": "nowhere"}, {"status": 500}, {"on": "feed", "stats": 1}, [],
                  {"on": "feed", "status": "500"}, {"on": "feed", "headers": "x"}):  # fmt: skip
        answer = requests.post(url, json=wrong, timeout=5)
        assert answer.status_code == 400, wrong
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "fields",
    [{"on": "feed", "accept": True}, {"on": "submit", "error": "x"}, {"on": "task", "status": 500},
     {"on": "submit", "times": 0}, {"on": "submit", "status": 99}, {"on": "feed", "delay": -1},
     {"on": "submit", "expired": True}],
)  # fmt: skip
def test_invalid_fault_raises_value_error(fields):
    """A fault that cannot happen would make its test meaningless."""
    with pytest.raises(ValueError, match=r"."):
        Fault(**fields)


def test_submit_over_max_running_is_rejected_with_429():
    """It has a Retry-After and is not charged."""
    with Simulator(height=64, clip_seconds=0.1, task_seconds=1.0, max_running=2) as sim:
        running = [submit(sim), submit(sim)]
        answer = post(sim)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        assert "2" in json.loads(answer.text)["error"]["message"]
        assert sim.charged == running
        wait_until_done(sim, running[0])
        wait_until_done(sim, running[1])
        assert download_result(sim)
