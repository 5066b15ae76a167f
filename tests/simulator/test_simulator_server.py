"""The servers: feed, signed links, log, load, start and end."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import requests
from simulator_helpers import SEED_BODY, b64, body, entry, feed, made, over, picture, post, submit

from simulator import Simulator

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sim():
    with Simulator(height=64, clip_seconds=0.2, task_seconds=0.2) as running:
        yield running


def test_a_task_is_queued_then_pending_then_finished(sim):
    """States come in order, progress never falls, and the last shape is the public page's."""
    sim.fault("task", seconds=3.0)  # long enough to be seen queued on a machine with other work
    task_id = submit(sim)
    seen = []
    while not seen or seen[-1]["status"] not in ("finished", "error"):
        seen.append(entry(sim, task_id))
    states = [video["status"] for video in seen]
    assert list(dict.fromkeys(states)) == ["queued", "pending", "finished"]
    progress = [video["progress"] for video in seen]
    assert progress == sorted(progress)
    assert progress[-1] == 100
    assert max(progress[:-1]) < 100
    assert set(seen[-1]) == {
        "id", "status", "progress", "seed", "resultUrl", "sharingUrl", "videoPoster",
        "imageThumb", "duration", "error",
    }  # fmt: skip
    assert (seen[-1]["id"], seen[-1]["error"]) == (task_id, "")
    answer = feed(sim, task_id).json()
    assert (answer["id"], answer["promptText"]) == (task_id, "Apple evaporates")


def test_an_unknown_task_is_404(sim):
    """The feed invents nothing."""
    assert feed(sim, "c8091b7b-06df-48ed-8fe3-8ee8f1e367c2").status_code == 404


def test_media_are_on_another_origin_without_the_key(sim):
    """The CDN is its own port, and a key that comes along is refused as object stores do."""
    url = over(sim, submit(sim))["resultUrl"]
    assert url.startswith(sim.cdn_url + "/")
    assert urlsplit(url).port != urlsplit(sim.url).port
    assert urlsplit(url).path.endswith(".mp4")
    answer = requests.get(url, headers={"Authorization": f"Bearer {sim.key}"}, timeout=5)
    assert answer.status_code == 400


def test_links_come_back_byte_for_byte(sim):
    """A link works as it was given; decoded, changed or bare it does not."""
    url = over(sim, submit(sim))["resultUrl"]
    assert re.search(r"\?Expires=\d+&Signature=\d+%2F.*%3D$", url)
    assert requests.get(url, timeout=5).status_code == 200
    for wrong in (
        url.replace("%2F", "/"),
        url.partition("?")[0],
        re.sub(r"Expires=\d+", "Expires=9999999999", url),
        url.replace("video.mp4", "video_share.mp4"),
    ):
        assert requests.get(wrong, timeout=5).status_code == 403, wrong
    assert "%3D" not in unquote(url)


def test_links_are_signed_anew_and_expire():
    """Each feed answer has its own signature, and an old link stops working."""
    with Simulator(height=64, clip_seconds=0.1, task_seconds=0, url_seconds=0) as sim:
        task_id = submit(sim)
        assert over(sim, task_id)["resultUrl"] != entry(sim, task_id)["resultUrl"]
        answer = requests.get(entry(sim, task_id)["resultUrl"], timeout=5)
        assert answer.status_code == 403
        assert "expired" in answer.json()["error"]["message"]


def test_ranges_and_lengths(sim):
    """A broken download can go on where it stopped."""
    url = over(sim, submit(sim))["resultUrl"]
    whole = requests.get(url, timeout=5)
    assert whole.headers["Content-Type"] == "video/mp4"
    assert int(whole.headers["Content-Length"]) == len(whole.content)
    assert whole.headers["ETag"]
    part = requests.get(url, headers={"Range": "bytes=100-199"}, timeout=5)
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert sim.log[-1].status == 206


def test_posters_are_pictures(sim):
    """Poster and thumbnail are there, and a stranger's file is not."""
    video = over(sim, submit(sim))
    for name in ("videoPoster", "imageThumb"):
        answer = requests.get(video[name], timeout=5)
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.content[:2] == b"\xff\xd8"


def test_the_log_tells_what_was_asked():
    """Method, path, headers, size, body with the media measured, answer and time."""
    with Simulator(height=64, clip_seconds=0.1) as sim:
        data = picture("PNG", (80, 60))
        sent = body({"image": b64(data)})
        before = time.time()
        task_id = post(sim, sent).json()["id"]
        feed(sim, task_id)
        request, asked = sim.log
        assert (request.method, request.path, request.query) == ("POST", "/pika/generate", "")
        assert request.headers["content-type"] == "application/json"
        assert json.loads(request.text) == sent
        assert request.size == len(request.text)
        assert request.body == {
            **SEED_BODY,
            "image": {
                "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(),
                "kind": "image", "width": 80, "height": 60,
            },
        }  # fmt: skip
        assert (request.status, request.task_id) == (200, task_id)
        assert before <= request.wall <= time.time()
        assert request.monotonic <= asked.monotonic <= time.monotonic()
        assert [entry.path for entry in sim.requests(method="GET")] == [asked.path]
        assert len(sim.requests(path="/pika/feed/")) == 1
        assert sim.requests(path="/pika/generate", server="cdn") == []
        assert sim.tasks[task_id].body == request.body
        assert sim.tasks[task_id].state in ("queued", "pending")


def test_a_large_body_is_measured_not_kept():
    """The raw text is only for bodies under a megabyte."""
    with Simulator(height=64, clip_seconds=0.1) as sim:
        assert post(sim, body({"promptText": "a" * 2**20})).status_code == 200
        assert sim.log[0].text is None
        assert sim.log[0].size > 2**20


def test_another_process_reads_log_and_tasks(sim):
    """The control door shows both as JSON; a foreign token is masked, and it logs not itself."""
    task_id = submit(sim)
    requests.get(f"{sim.url}/pika/feed/x", headers={"Authorization": "Bearer real"}, timeout=5)
    log = requests.get(f"{sim.url}/simulator/log", timeout=5).json()
    assert log[-1]["headers"]["Authorization"] == "***"
    assert log[-2]["headers"]["Authorization"] == f"Bearer {sim.key}"
    tasks = requests.get(f"{sim.url}/simulator/tasks", timeout=5).json()
    assert tasks[-1]["id"] == task_id
    assert tasks[-1]["body"] == SEED_BODY
    assert sim.requests(path="/simulator/") == []


@pytest.mark.slow
def test_sixty_four_clients_at_once():
    """64 clients submit and poll without an error, and every task is charged once."""
    with Simulator(height=64, clip_seconds=0.1, task_seconds=0.5) as sim:

        def client(number):
            with requests.Session() as session:
                session.headers["Authorization"] = f"Bearer {sim.key}"
                answer = session.post(f"{sim.url}/pika/generate", json=body(), timeout=20)
                task_id = answer.json()["id"]
                for _ in range(15):
                    told = session.get(f"{sim.url}/pika/feed/{task_id}", timeout=20)
                    assert told.json()["id"] == task_id
                return task_id

        with ThreadPoolExecutor(64) as pool:
            ids = list(pool.map(client, range(64)))
        assert sorted(ids) == sorted(sim.charged)
        assert len(sim.requests(method="GET", path="/pika/feed/")) == 64 * 15


def test_connections_are_counted():
    """Leaks in a client show as connections that stay."""
    with Simulator() as sim:
        assert sim.connections == 0
        with requests.Session() as session:
            session.get(f"{sim.url}/pika/feed/x", timeout=5)
            assert sim.connections == 1
        deadline = time.monotonic() + 5
        while sim.connections and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sim.connections == 0


def test_it_starts_fast_and_leaves_nothing():
    """No thread, socket or folder outlives it, whatever is under way; closing twice is fine."""
    threads = set(threading.enumerate())
    before = time.monotonic()
    sim = Simulator(height=720, clip_seconds=20).start()
    assert time.monotonic() - before < 0.3
    sim.fault("feed", delay=60)
    task_id = submit(sim)
    with pytest.raises(requests.Timeout):
        requests.get(
            f"{sim.url}/pika/feed/{task_id}",
            headers={"Authorization": f"Bearer {sim.key}"},
            timeout=0.2,
        )
    folder = sim._studio._folder
    assert folder.is_dir()
    before = time.monotonic()
    sim.close()
    sim.close()
    assert time.monotonic() - before < 3
    assert set(threading.enumerate()) <= threads
    assert not folder.exists()
    assert sim.connections == 0
    for url in (sim.url, sim.cdn_url):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=2)


def test_a_client_that_hangs_up_leaves_no_trace(caplog):
    """An upload that breaks off creates nothing and logs no traceback."""
    with Simulator() as sim:
        parts = urlsplit(sim.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as raw:
            raw.sendall(
                f"POST /pika/generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sim.key}\r\n"
                "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{".encode()
            )
            time.sleep(0.1)
        time.sleep(0.1)
        assert sim.charged == []
        assert post(sim).status_code == 200
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_media_stay_in_a_given_folder(tmp_path):
    """`media_dir` keeps the files, and equal bodies share one."""
    with Simulator(height=64, clip_seconds=0.1, task_seconds=0, media_dir=tmp_path) as sim:
        assert made(sim) == made(sim)
        assert len(sim.charged) == 2
    assert len(list(tmp_path.glob("*.mp4"))) == 1


@pytest.mark.parametrize(
    "options",
    [{"host": "0.0.0.0"}, {"host": "example.com"}, {"key": ""}, {"height": 8},
     {"clip_seconds": 0}, {"task_seconds": -1}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(options):
    """Above all it never listens to other machines."""
    with pytest.raises(ValueError, match=r"."):
        Simulator(**options)


def run(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to catch")
def test_the_command_serves_and_stops():
    """It prints what to set, a line a request, and ends with 0 on SIGTERM."""
    with run("--port", "0", "--task-seconds", "0", "--clip-seconds", "0.2") as process:
        lines = [process.stdout.readline() for _ in range(4)]
        settings = dict(line.strip().split("=", 1) for line in lines if "=" in line)
        assert settings["PIKA_API_KEY"] == "simulator-key"
        headers = {"Authorization": "Bearer simulator-key"}
        url = settings["PIKA_BASE_URL"] + "/pika/generate"
        assert requests.post(url, json=SEED_BODY, headers=headers, timeout=10).ok
        line = process.stdout.readline()
        assert "POST /pika/generate 200" in line
        assert "simulator-key" not in line
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "stopped\n", "")


def test_the_command_says_why_it_cannot_start():
    """A taken port and a public host are one clear line and exit code 1."""
    with Simulator() as sim:
        taken = urlsplit(sim.url).port
        for arguments, word in (
            (["--port", str(taken)], str(taken)),
            (["--host", "0.0.0.0"], "loop"),
        ):
            with run(*arguments) as process:
                out, err = process.communicate(timeout=10)
            assert (process.returncode, out) == (1, "")
            assert err.startswith("error: ")
            assert word in err
            assert "Traceback" not in err
