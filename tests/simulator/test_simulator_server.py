"""The servers: feed, signed URLs, request log, load, start and end."""

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
from simulator_helpers import (
    EXAMPLE_BODY,
    b64,
    body,
    download_result,
    entry,
    feed,
    picture,
    post,
    submit,
    wait_until_done,
)

from simulator import Simulator
from simulator.render_queue import TAKES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sim():
    with Simulator(height=64, clip_seconds=0.2, task_seconds=0.2) as running:
        yield running


def test_task_is_queued_then_pending_then_finished(sim):
    """Progress never falls, and the last entry has the fields of the public pages."""
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


def test_unknown_task_is_404(sim):
    """The feed answers only for accepted tasks."""
    assert feed(sim, "c8091b7b-06df-48ed-8fe3-8ee8f1e367c2").status_code == 404


def test_media_have_their_own_origin_which_rejects_a_key(sim):
    """Object stores refuse an Authorization header besides a signature, too."""
    url = wait_until_done(sim, submit(sim))["resultUrl"]
    assert url.startswith(sim.cdn_url + "/")
    assert urlsplit(url).port != urlsplit(sim.url).port
    assert urlsplit(url).path.endswith(".mp4")
    answer = requests.get(url, headers={"Authorization": f"Bearer {sim.key}"}, timeout=5)
    assert answer.status_code == 400


def test_changed_media_url_is_rejected_with_403(sim):
    """A URL works only byte for byte: not decoded, changed or without its query."""
    url = wait_until_done(sim, submit(sim))["resultUrl"]
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


def test_media_urls_are_signed_for_each_answer_and_expire():
    """Each feed answer has its own signature."""
    with Simulator(height=64, clip_seconds=0.1, task_seconds=0, url_seconds=0) as sim:
        task_id = submit(sim)
        assert wait_until_done(sim, task_id)["resultUrl"] != entry(sim, task_id)["resultUrl"]
        answer = requests.get(entry(sim, task_id)["resultUrl"], timeout=5)
        assert answer.status_code == 403
        assert "expired" in answer.json()["error"]["message"]


def test_media_support_ranges(sim):
    """A client can resume a download."""
    url = wait_until_done(sim, submit(sim))["resultUrl"]
    whole = requests.get(url, timeout=5)
    assert whole.headers["Content-Type"] == "video/mp4"
    assert int(whole.headers["Content-Length"]) == len(whole.content)
    assert whole.headers["ETag"]
    part = requests.get(url, headers={"Range": "bytes=100-199"}, timeout=5)
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert sim.log[-1].status == 206


def test_poster_and_thumbnail_are_jpegs(sim):
    """Both URLs of the feed can be downloaded."""
    video = wait_until_done(sim, submit(sim))
    for name in ("videoPoster", "imageThumb"):
        answer = requests.get(video[name], timeout=5)
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.content[:2] == b"\xff\xd8"


def test_log_has_all_of_a_request():
    """Method, path, headers, size, time, status, and the body with its media described."""
    with Simulator(height=64, clip_seconds=0.1) as sim:
        data = picture("PNG", (80, 60))
        sent = body({"image": b64(data)})
        before = time.time()
        task_id = post(sim, sent).json()["id"]
        feed(sim, task_id)
        request, feed_request = sim.log
        assert (request.method, request.path, request.query) == ("POST", "/pika/generate", "")
        assert request.headers["content-type"] == "application/json"
        assert json.loads(request.text) == sent
        assert request.size == len(request.text)
        assert request.body == {
            **EXAMPLE_BODY,
            "image": {
                "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(),
                "kind": "image", "width": 80, "height": 60,
            },
        }  # fmt: skip
        assert (request.status, request.task_id) == (200, task_id)
        assert before <= request.wall <= time.time()
        assert request.monotonic <= feed_request.monotonic <= time.monotonic()
        assert [entry.path for entry in sim.requests(method="GET")] == [feed_request.path]
        assert len(sim.requests(path="/pika/feed/")) == 1
        assert sim.requests(path="/pika/generate", server="cdn") == []
        assert sim.tasks[task_id].body == request.body
        assert sim.tasks[task_id].state in ("queued", "pending")


def test_log_has_no_text_of_a_large_body():
    """The raw text is kept only for bodies under a megabyte."""
    with Simulator(height=64, clip_seconds=0.1) as sim:
        assert post(sim, body({"promptText": "a" * 2**20})).status_code == 200
        assert sim.log[0].text is None
        assert sim.log[0].size > 2**20


def test_control_requests_are_not_logged(sim):
    """The log has only what a client sends to the gateway."""
    before = len(sim.log)
    assert requests.delete(f"{sim.url}/simulator/faults", timeout=5).ok
    assert len(sim.log) == before


@pytest.mark.slow
def test_sixty_four_clients_are_served_at_once():
    """No client gets an error, and each task is charged once."""
    with Simulator(height=64, clip_seconds=0.1, task_seconds=0.5) as sim:

        def client(number):
            with requests.Session() as session:
                session.headers["Authorization"] = f"Bearer {sim.key}"
                answer = session.post(f"{sim.url}/pika/generate", json=body(), timeout=20)
                task_id = answer.json()["id"]
                for _ in range(15):
                    answer = session.get(f"{sim.url}/pika/feed/{task_id}", timeout=20)
                    assert answer.json()["id"] == task_id
                return task_id

        with ThreadPoolExecutor(64) as pool:
            ids = list(pool.map(client, range(64)))
        assert sorted(ids) == sorted(sim.charged)
        assert len(sim.requests(method="GET", path="/pika/feed/")) == 64 * 15


def test_open_connections_are_counted():
    """Tests of a client use it to find leaks."""
    with Simulator() as sim:
        assert sim.connections == 0
        with requests.Session() as session:
            session.get(f"{sim.url}/pika/feed/x", timeout=5)
            assert sim.connections == 1
        deadline = time.monotonic() + 5
        while sim.connections and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sim.connections == 0


def test_close_ends_all_threads_sockets_and_files():
    """Also with a pending answer and rendering. Closing twice is allowed."""
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
    folder = sim._renders.folder
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


def test_incomplete_upload_creates_no_task(caplog):
    """It does not log an error either."""
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


def test_media_dir_has_one_file_for_each_take(tmp_path):
    """Requests with the same body get different clips, until they repeat."""
    with Simulator(height=64, clip_seconds=0.1, task_seconds=0, media_dir=tmp_path) as sim:
        results = [download_result(sim) for _ in range(TAKES + 1)]
        assert len(sim.charged) == TAKES + 1
    assert len(set(results)) == TAKES
    assert results[0] == results[-1]
    assert len(list(tmp_path.glob("*.mp4"))) == TAKES


@pytest.mark.parametrize(
    "options",
    [{"host": "0.0.0.0"}, {"host": "example.com"}, {"key": ""}, {"height": 8},
     {"clip_seconds": 0}, {"task_seconds": -1}],
)  # fmt: skip
def test_invalid_option_raises_value_error(options):
    """Most of all, the simulator must not listen to other machines."""
    with pytest.raises(ValueError, match=r"."):
        Simulator(**options)


def start_command(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to catch")
def test_command_serves_until_sigterm():
    """It prints the settings and a line for each request, and exits with 0."""
    with start_command("--port", "0", "--task-seconds", "0", "--clip-seconds", "0.2") as process:
        lines = [process.stdout.readline() for _ in range(4)]
        settings = dict(line.strip().split("=", 1) for line in lines if "=" in line)
        assert settings["PIKA_API_KEY"] == "simulator-key"
        headers = {"Authorization": "Bearer simulator-key"}
        url = settings["PIKA_BASE_URL"] + "/pika/generate"
        assert requests.post(url, json=EXAMPLE_BODY, headers=headers, timeout=10).ok
        line = process.stdout.readline()
        assert "POST /pika/generate 200" in line
        assert "simulator-key" not in line
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "stopped\n", "")


def test_command_that_cannot_start_prints_one_line():
    """A port in use or a public host ends with exit code 1."""
    with Simulator() as sim:
        taken = urlsplit(sim.url).port
        for arguments, word in (
            (["--port", str(taken)], str(taken)),
            (["--host", "0.0.0.0"], "loop"),
        ):
            with start_command(*arguments) as process:
                out, err = process.communicate(timeout=10)
            assert (process.returncode, out) == (1, "")
            assert err.startswith("error: ")
            assert word in err
            assert "Traceback" not in err
