"""Reading the responses of a gateway, whatever their form."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pika_api.gateway import Status, Task
from pika_api.gateway.responses import error_message, is_html, json_object
from pika_api.text import MAX_MESSAGE

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["id", "data", "videos", "status", "progress", "resultUrl", "videoPoster", "error", "message"]
)
FEEDS = st.recursive(
    ANY,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"error": {"message": "No credit", "type": "x", "code": "402x"}}, "No credit (402x)"),
        ({"error": {"message": "No credit", "type": "billing"}}, "No credit (billing)"),
        ({"message": "No credit"}, "No credit"),
        ({"code": 40012, "message": "No credit"}, "No credit (40012)"),
        ({"detail": "No credit"}, "No credit"),
        ({"detail": [{"loc": ["body"], "msg": "field required"}, {"msg": "too long"}]},
         "field required; too long"),
        ({"error": "No credit"}, "No credit"),
        ({"error": {"error": {"message": "No credit"}}}, "No credit"),
        ({"errors": None, "title": "No credit"}, "No credit"),
        ({"message": "", "detail": "No credit"}, "No credit"),
        ({"message": None, "error": {"message": "No credit"}}, "No credit"),
        ("No credit", "No credit"),
        (["No credit", "Bye"], "No credit; Bye"),
        ({"code": "no_credit", "message": "Stop: no_credit"}, "Stop: no_credit"),
    ],
)  # fmt: skip
def test_message_is_extracted_from_each_known_form(answer: object, message: str) -> None:
    """The forms of error responses that gateways of this family use."""
    assert error_message(json.dumps(answer)) == message


@pytest.mark.parametrize("text", ["Service Unavailable", " Service Unavailable\n"])
def test_plain_text_is_the_message(text: str) -> None:
    """Without the white space around it."""
    assert error_message(text) == "Service Unavailable"


@pytest.mark.parametrize("text", ["", " ", "\r\n"])
def test_blank_body_has_a_message(text: str) -> None:
    """An error never ends with an empty sentence."""
    assert error_message(text) == "(an empty response)"


def test_html_page_is_reduced_to_its_text() -> None:
    """Tags, scripts and styles are removed."""
    page = """<!DOCTYPE html><html><head><title>502</title><style>b{color:red}</style>
    <script>var x = "<b>";</script></head><body><h1>Bad&nbsp;Gateway</h1><hr>nginx</body></html>"""
    assert error_message(page) == "an HTML page: 502 Bad Gateway nginx"


@pytest.mark.parametrize("value", [{}, [], 0, True, None, {"foo": {"bar": 1}}])
def test_json_without_a_message_is_shown_unchanged(value: object) -> None:
    """No information is dropped."""
    assert error_message(json.dumps(value)) == json.dumps(value)


@pytest.mark.parametrize(
    ("text", "is_page"),
    [
        ("<!DOCTYPE html><html>", True),
        ("\ufeff\n <HTML lang='zh'>", True),
        ("<!-- a --> <!--b-->\n<head>", True),
        ("<title>Sign in</title>", True),
        ("<!-- <html>", False),
        ("<!--" * 4000 + "<html>", False),
        ("<!---->" * 2000 + "<html>", True),
        ("<?xml version='1.0'?><Error/>", False),
        ('{"html": "<html>"}', False),
        ("<htmlx>", False),
        ("", False),
    ],
)
def test_web_page_is_recognized(text: str, is_page: bool) -> None:
    """By its beginning, behind a byte order mark and comments."""
    assert is_html(text) is is_page


@pytest.mark.parametrize("text", ["x" * 5_000_000, json.dumps({"message": "y" * 5_000_000})])
def test_huge_message_is_shortened(text: str) -> None:
    """A node never shows megabytes."""
    assert len(error_message(text)) == MAX_MESSAGE


@pytest.mark.parametrize(
    "text",
    [
        "<html>" + "<" * 4_000_000,
        "<html>" + "<script>" * 500_000,
        "<html>" + "<script>x</" * 300_000,
        " " * 4_000_000 + "x",
    ],
    ids=["open tags", "open scripts", "half scripts", "white space"],
)
def test_broken_markup_is_read_quickly(text: str) -> None:
    """A megabyte of broken markup must not occupy a thread for hours."""
    started = time.monotonic()
    assert error_message(text)
    assert time.monotonic() - started < 5


@pytest.mark.usefixtures("calm")
@pytest.mark.parametrize("depth", [50, 400, 900, 100_000])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"error": ', "}")])
def test_deeply_nested_json_has_a_message(depth: int, left: str, right: str) -> None:
    """At any depth there is a message, and no exception."""
    assert error_message(left * depth + '"deep"' + right * depth)


@given(st.text())
@example("1" * 5000)
def test_any_text_has_a_message(text: str) -> None:
    """It is never empty and never too long, and there is no exception."""
    assert 0 < len(error_message(text)) <= MAX_MESSAGE


@pytest.mark.usefixtures("calm")
@pytest.mark.parametrize("text", ["[]", "7", "", "{", "null", "<html>", "[" * 100_000, "1" * 5000])
def test_body_that_is_not_a_json_object_is_none(text: str) -> None:
    """JSON that is not an object is as unusable as HTML."""
    assert json_object(text) is None


FINISHED = {
    "id": "t", "promptText": "Apple evaporates",
    "videos": [{"id": "t", "status": "finished", "progress": 100, "seed": 393769667,
                "resultUrl": "https://cdn/x.mp4?a=%2F", "videoPoster": "https://cdn/p.jpg",
                "imageThumb": "https://cdn/t.jpg", "duration": 5, "error": ""}],
}  # fmt: skip


def test_public_example_of_the_feed_is_read() -> None:
    """All fields of the example on the public reference pages."""
    task = Task.from_feed("t", FINISHED)
    assert task == Task(
        "t", Status.FINISHED, "finished", 100, "https://cdn/x.mp4?a=%2F", "https://cdn/p.jpg", "",
        FINISHED,
    )  # fmt: skip
    assert Task.from_feed("t", {"data": FINISHED}).result_url == task.result_url


@pytest.mark.parametrize(
    "answer", [{}, {"videos": []}, {"videos": None}, {"videos": [None]}, {"videos": [{}]}]
)
def test_feed_without_a_video_is_queued(answer: dict[str, Any]) -> None:
    """Just after the submit, the feed has no video yet."""
    task = Task.from_feed("t", answer)
    assert (task.status, task.progress, task.result_url) == (Status.QUEUED, 0, "")


@pytest.mark.parametrize(
    ("raw", "url", "status"),
    [
        ("queued", "", Status.QUEUED),
        ("PENDING", "", Status.PENDING),
        ("Finished", "https://cdn/x.mp4", Status.FINISHED),
        ("finished", "", Status.PENDING),
        ("finished", "file:///etc/passwd", Status.PENDING),
        ("finished", "https://[cdn/x.mp4", Status.PENDING),
        ("error", "", Status.ERROR),
        ("rendering", "", Status.UNKNOWN),
    ],
)
def test_status_is_mapped_or_shown_as_it_is(raw: str, url: str, status: Status) -> None:
    """Case does not matter. A finished task without a usable link is still pending. The gateway's
    own word is kept for the user.
    """
    task = Task.from_feed("t", {"videos": [{"status": raw, "resultUrl": url}]})
    assert task.status is status
    assert task.raw_status == raw
    assert status.over == (status in (Status.FINISHED, Status.ERROR))


@pytest.mark.parametrize(
    ("value", "percent"),
    [(0, 0), (99.9, 99), (-5, 0), (1000, 100), (math.inf, 100), (math.nan, 0), (True, 0),
     ("50", 50), ("50%", 50), ("101%", 100), ("5O%", 0), ("", 0), ([50], 0), (None, 0),
     (10**400, 100)],
)  # fmt: skip
def test_progress_is_limited_to_0_to_100(value: object, percent: int) -> None:
    """Whatever the gateway sends, the progress bar gets 0…100."""
    assert Task.from_feed("t", {"videos": [{"progress": value}]}).progress == percent


@given(st.dictionaries(NAMES, FEEDS, max_size=6))
@example({"videos": [{"resultUrl": "http://[", "status": "finished"}]})
def test_any_feed_response_is_read(answer: dict[str, Any]) -> None:
    """No response of the feed causes an exception."""
    task = Task.from_feed("t", answer)
    assert task.id == "t"
    assert isinstance(task.status, Status)
    assert 0 <= task.progress <= 100
    assert task.response is answer
    assert task.result_url == "" or task.result_url.lower().startswith(("http://", "https://"))
