"""Any answer of a gateway: the call ends with a result or an error of the pack, and the journal
says what is known about the charge."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pika_api.errors import NotAccepted, PikaError, SubmitUnknown
from pika_api.gateway import RetryPolicy, SizeLimits, Timeouts
from pika_api.journal import Journal, State
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Service, ServicePolicy
from support.api import KEY, RawServer, answer, ask, run
from support.sizes import at_most

#: Short time limits, and no retries: each answer is given once.
POLICY = ServicePolicy(
    timeouts=Timeouts(submit=0.3, read=0.3, head=0.5, response=0.5, download=0.5),
    size_limits=SizeLimits(response=100_000, file=100_000),
    retry=RetryPolicy(unreachable_patience=0.0, busy_patience=0.0),
    download_attempts=1,
    new_task_grace=0.0,
    max_misses=1,
)
BOUNDED = settings(
    max_examples=at_most(40),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

names = st.sampled_from([
    "id", "task_id", "taskId", "data", "videos", "status", "progress", "resultUrl", "videoPoster",
    "error", "message", "code", "detail", "seed",
]) | st.text(max_size=8)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
statuses = st.sampled_from([
    100, 103, 200, 201, 204, 206, 301, 302, 307, 400, 401, 402, 403, 404, 408, 413, 416, 425, 429,
    499, 500, 502, 503, 504, 599, 999,
])  # fmt: skip
bodies = (
    json_values.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: f"<html><body>{text}</body></html>".encode())
)
header_lines = st.sampled_from([
    b"Content-Length: 7", b"Content-Length: -1", b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Content-Encoding: gzip",
    b"Content-Encoding: br", b"Location: https://[bad", b"Location: /pika/generate",
    b"Retry-After: 0", b"Retry-After: 99999999999", b"Retry-After: Mon, 01 Jan 0001 00:00:00 GMT",
    b"Content-Type: text/html; charset=\xff", b"Set-Cookie: a=b", b"Connection: keep-alive",
    b"Content-Range: bytes 5-9/10", b"X: \x00\x1b[2J",
]) | st.binary(max_size=30)  # fmt: skip


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """A response as it comes over the wire, often broken."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    body = draw(bodies)
    lines = [f"HTTP/1.1 {draw(statuses)} X".encode(), *draw(st.lists(header_lines, max_size=4))]
    if draw(st.booleans()):
        lines.append(f"Content-Length: {len(body)}".encode())
    raw = b"\r\n".join([*lines, b"", body])
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 4)) == 0 else raw


@contextlib.contextmanager
def service_at(url: str, home: Path) -> Iterator[Service]:
    """A service with an empty journal."""
    with contextlib.closing(Journal(sqlite_url(home))) as journal:
        service = Service(Settings(api_key=KEY, base_url=url), journal, home / "out", policy=POLICY)
        with contextlib.closing(service):
            yield service


def new_home(tmp_path: Path) -> Path:
    """A folder that no example has used."""
    return tmp_path / str(len(list(tmp_path.iterdir())))


@BOUNDED
@given(raw=answers())
def test_any_answer_to_a_submit_is_recorded(tmp_path: Path, raw: bytes) -> None:
    """One request. The entry is submitted, rejected or unknown, as the result says, and only a
    rejection lets the same request be sent again."""
    with RawServer(raw) as server, service_at(server.url, new_home(tmp_path)) as service:
        task_id, error = None, None
        try:
            task_id = run(service.submit(ask())).task_id
        except (SubmitUnknown, NotAccepted) as raised:
            error = raised
        expected = State.SUBMITTED
        if error is not None:
            is_unknown = isinstance(error, SubmitUnknown)
            expected = State.UNKNOWN if is_unknown else State.REFUSED
            words = "may have been accepted" if is_unknown else "nothing was charged"
            assert words in str(error)
        (entry,) = service.journal.entries(forgotten=True)
        assert (entry.state, entry.task_id) == (expected, task_id)
        assert KEY not in entry.last_error
        assert len(server.seen) == 1


@BOUNDED
@given(raw=answers())
@pytest.mark.parametrize("name", ["status", "wait", "collect"])
def test_any_answer_of_the_feed_is_survived(tmp_path: Path, name: str, raw: bytes) -> None:
    """A result or an error of the pack. The task stays in the journal under its id, and it is
    failed only if the answer says so."""
    with RawServer(raw) as server, service_at(server.url, new_home(tmp_path)) as service:
        entry = service.journal.adopt("t-1", server.url, service.settings.key_id)
        options: dict[str, Any] = {} if name == "status" else {"timeout": 0.0}
        with contextlib.suppress(PikaError):
            run(getattr(service, name)("t-1", **options))
        after = service.journal.get(entry.id)
        assert after.task_id == "t-1"
        assert after.state is not State.FAILED or b"error" in raw.lower()
        assert KEY not in after.last_error


@BOUNDED
@given(raw=answers())
def test_any_answer_of_the_media_host_is_survived(tmp_path: Path, raw: bytes) -> None:
    """A file that decodes, or an error of the pack; the finished task stays finished."""
    with RawServer(raw) as media_host:
        video = {"status": "finished", "resultUrl": f"{media_host.url}/v.mp4"}
        feed = answer(200, {"videos": [video]})
        with (
            RawServer(feed) as gateway,
            service_at(gateway.url, new_home(tmp_path)) as service,
        ):
            with contextlib.suppress(PikaError):
                run(service.collect("t-1"))
            assert media_host.seen
            (entry,) = service.journal.entries()
            assert entry.state in (State.FINISHED, State.SAVED)
