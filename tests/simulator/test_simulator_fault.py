"""Every kind of scripted trouble, as a client meets it."""

from __future__ import annotations

import json
import socket
import time
from urllib.parse import urlsplit

import pytest
import requests
from simulator_helpers import body, entry, feed, made, over, post, submit

from simulator import Fault, Simulator


@pytest.fixture
def sim():
    with Simulator(height=64, clip_seconds=0.2, task_seconds=0.1) as running:
        yield running


def finished_url(sim):
    return over(sim, submit(sim))["resultUrl"]


@pytest.mark.parametrize("accept", [False, True])
def test_submit_reset(sim, accept):
    """A reset leaves the client without an answer; `accept` says whether it was charged."""
    sim.fault(on="submit", reset=True, accept=accept)
    with pytest.raises(requests.ConnectionError, match="reset"):
        post(sim)
    assert len(sim.charged) == accept
    assert (sim.log[0].status, sim.log[0].reset) == (None, True)
    assert post(sim).status_code == 200


def test_a_reset_is_a_real_rst(sim):
    """An orderly end would be another fault: recv must raise, not return nothing."""
    sim.fault(on="feed", reset=True)
    parts = urlsplit(sim.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as raw:
        head = f"GET /pika/feed/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sim.key}"
        raw.sendall(f"{head}\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            raw.recv(100)


@pytest.mark.parametrize("accept", [False, True])
def test_submit_status(sim, accept):
    """A scripted answer replaces the real one, charged or not."""
    sim.fault("submit", status=502, body="<html>Bad gateway</html>", accept=accept)
    answer = post(sim)
    assert (answer.status_code, answer.text) == (502, "<html>Bad gateway</html>")
    assert answer.headers["Content-Type"] == "text/html"
    assert len(sim.charged) == accept


def test_submit_body_and_headers(sim):
    """A mapping goes out as JSON, headers and type as scripted."""
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


def test_submit_delay_charges_at_once(sim):
    """A client that gives up on a slow answer has been charged all the same."""
    sim.fault("submit", delay=0.4)
    with pytest.raises(requests.Timeout):
        requests.post(
            f"{sim.url}/pika/generate",
            json=body(),
            headers={"Authorization": f"Bearer {sim.key}"},
            timeout=0.2,
        )
    assert len(sim.charged) == 1


def test_submit_cut(sim):
    """The headers promise the whole answer, the body stops; the task exists."""
    sim.fault("submit", cut=7)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="7 bytes read"):
        post(sim)
    assert len(sim.charged) == 1
    assert (sim.log[0].status, sim.log[0].cut) == (200, True)


def test_a_refused_body_uses_up_no_fault(sim):
    """A script counts the requests it is meant for."""
    sim.fault("submit", status=500)
    assert post(sim, body({"promptText": ""})).status_code == 400
    assert post(sim).status_code == 500
    assert post(sim).status_code == 200


@pytest.mark.parametrize(
    ("text", "kind"),
    [("garbage", "application/json"), ('{"id": "x", "vid', "application/json"),
     ("<html>", "text/html")],
)  # fmt: skip
def test_feed_body(sim, text, kind):
    """Garbage, half JSON and HTML come as 200, and the next answer is right again."""
    task_id = submit(sim)
    sim.fault("feed", body=text)
    answer = feed(sim, task_id)
    assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (200, text, kind)
    assert feed(sim, task_id).json()["id"] == task_id


def test_feed_status_reset_delay_cut(sim):
    """The feed fails in every way the submit does."""
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


def test_times_and_task_id(sim):
    """Faults are used up in order, `times` each, only by the task they are for."""
    first, second = submit(sim), submit(sim)
    sim.fault("feed", status=500, times=2, task_id=first)
    sim.fault("feed", status=502, times=None, task_id=first)
    assert [feed(sim, first).status_code for _ in range(5)] == [500, 500, 502, 502, 502]
    assert feed(sim, second).status_code == 200
    sim.clear_faults()
    assert feed(sim, first).status_code == 200


def test_media_status_body_reset_delay(sim):
    """A download may be refused, be a web page in disguise, break or be slow."""
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


def test_media_cut(sim):
    """The Content-Length is the whole file's, the bytes are fewer."""
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


def test_media_expired(sim):
    """Links signed before the request that meets it are dead, new ones live."""
    task_id = submit(sim)
    old = over(sim, task_id)["resultUrl"]
    sim.fault("media", expired=True)
    assert requests.get(old, timeout=5).status_code == 403
    assert requests.get(old, timeout=5).status_code == 403
    assert requests.get(entry(sim, task_id)["resultUrl"], timeout=5).status_code == 200


def test_task_error(sim):
    """A task may end with the gateway's own words."""
    sim.fault("task", error="NSFW content detected")
    failed = over(sim, submit(sim))
    assert (failed["status"], failed["error"]) == ("error", "NSFW content detected")
    assert "resultUrl" not in failed
    assert over(sim, submit(sim))["status"] == "finished"


def test_the_word_forbidden_fails_without_a_script(sim):
    """Somebody at the desk sees a moderation error by writing one word."""
    failed = over(sim, submit(sim, {"promptText": "A Forbidden fruit"}))
    assert failed["status"] == "error"
    assert "moderation" in failed["error"]


def test_task_seconds_hide_empty(sim):
    """A new task may be unknown, then empty, then run."""
    sim.fault("task", seconds=0.8, hide_for=0.2, empty_for=0.5)
    task_id = submit(sim)
    assert feed(sim, task_id).status_code == 404
    time.sleep(0.25)
    assert feed(sim, task_id).json()["videos"] == []
    time.sleep(0.3)
    assert entry(sim, task_id)["status"] == "pending"
    over(sim, task_id)
    assert sim.tasks[task_id].age >= 0.8


def test_task_raw_status_and_no_progress(sim):
    """An unknown status is told as scripted, and progress may never move."""
    sim.fault("task", seconds=0.3, raw_status="weird", no_progress=True)
    task_id = submit(sim)
    time.sleep(0.15)
    running = entry(sim, task_id)
    assert (running["status"], running["progress"]) == ("weird", 0)
    assert over(sim, task_id)["status"] == "finished"


def test_task_stuck(sim):
    """A stuck task stays pending, long after its time."""
    sim.fault("task", seconds=0, stuck=True)
    task_id = submit(sim)
    time.sleep(0.4)
    assert entry(sim, task_id)["status"] == "pending"
    assert entry(sim, task_id)["progress"] == 99


def test_faults_from_another_process(sim):
    """The control door needs no key, and refuses what is no fault."""
    door = f"{sim.url}/simulator/faults"
    assert requests.post(door, json={"on": "submit", "status": 500}, timeout=5).ok
    assert post(sim).status_code == 500
    assert requests.post(door, json={"on": "submit", "times": None, "status": 500}, timeout=5).ok
    assert requests.delete(door, timeout=5).ok
    assert post(sim).status_code == 200
    for wrong in ({"on": "nowhere"}, {"status": 500}, {"on": "feed", "stats": 1}, [],
                  {"on": "feed", "status": "500"}, {"on": "feed", "headers": "x"}):  # fmt: skip
        answer = requests.post(door, json=wrong, timeout=5)
        assert answer.status_code == 400, wrong
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "fields",
    [{"on": "feed", "accept": True}, {"on": "submit", "error": "x"}, {"on": "task", "status": 500},
     {"on": "submit", "times": 0}, {"on": "submit", "status": 99}, {"on": "feed", "delay": -1},
     {"on": "submit", "expired": True}],
)  # fmt: skip
def test_a_fault_that_cannot_be_acted_out_is_an_error(fields):
    """A script with a mistake must fail, or the test it is in proves nothing."""
    with pytest.raises(ValueError, match=r"."):
        Fault(**fields)


def test_too_many_tasks_are_429():
    """Over `max_running`, a submit is refused with Retry-After and costs nothing."""
    with Simulator(height=64, clip_seconds=0.1, task_seconds=0.3, max_running=2) as sim:
        running = [submit(sim), submit(sim)]
        answer = post(sim)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        assert "2" in json.loads(answer.text)["error"]["message"]
        assert sim.charged == running
        over(sim, running[0])
        over(sim, running[1])
        assert made(sim)
