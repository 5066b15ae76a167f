"""The shapes in which gateways of this family answer, spoken on request.

`pika` is that of the API specification and the public reference pages. The others are those of
new-api (github.com/QuantumNous/new-api): `wrapped` and `bare` put the same answers below `data`,
`task` answers with the gateway's own task (dto/task.go), and `video` with a video object
(dto/openai_video.go). Read November 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Answer = dict[str, Any]

# The page that such a gateway serves for any path that it does not know, with status 200.
INDEX_PAGE = """<!doctype html>
<html lang="zh"><head><meta charset="UTF-8"/><title>New API</title>
<script type="module" src="/assets/index.js"></script></head>
<body><noscript>You need to enable JavaScript to run this app.</noscript>
<div id="root"></div></body>
</html>
"""

_TASK_WORDS = {
    "queued": "SUBMITTED",
    "pending": "IN_PROGRESS",
    "finished": "SUCCESS",
    "error": "FAILURE",
}
_VIDEO_WORDS = {
    "queued": "queued",
    "pending": "in_progress",
    "finished": "completed",
    "error": "failed",
}


@dataclass(frozen=True)
class Dialect:
    """How one kind of gateway answers.

    `submitted` turns the id of a new task into an answer, `feed` the answer of the feed page.
    `error` takes the message and the code. `no_task` is the status and code for a task that is not
    known. `serves_page` is whether an unknown path answers with `INDEX_PAGE`.
    """

    submitted: Callable[[str], Answer]
    feed: Callable[[Answer], Answer]
    error: Callable[[str, str], Answer]
    no_task: tuple[int, str]
    serves_page: bool


def _plain_error(message: str, code: str) -> Answer:
    return {"error": {"message": message, "type": "simulator_error", "code": code}}


def _task_error(message: str, code: str) -> Answer:
    return {"code": code, "message": message, "data": None}


def _wrap(data: object) -> Answer:
    return {"code": "success", "message": "", "data": data}


def _video_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    videos = answer.get("videos") or [{}]
    return dict(videos[0])


def _task(answer: Answer) -> Answer:
    video = _video_of(answer)
    status = video.get("status", "queued")
    task = {
        "id": 4711,
        "task_id": answer["id"],
        "platform": "pika",
        "action": "generate",
        "status": _TASK_WORDS.get(status, status),
        "fail_reason": video.get("error", ""),
        "progress": f"{100 if status == 'error' else video.get('progress', 0)}%",
        "data": answer,
    }
    if "resultUrl" in video:
        task["result_url"] = video["resultUrl"]
    return _wrap(task)


def _video(answer: Answer) -> Answer:
    video = _video_of(answer)
    status = video.get("status", "queued")
    item = {
        "id": answer["id"],
        "object": "video",
        "status": _VIDEO_WORDS.get(status, status),
        "progress": video.get("progress", 0),
        "created_at": 1795000000,
    }
    if "resultUrl" in video:
        item["metadata"] = {"url": video["resultUrl"]}
    if video.get("error"):
        item["error"] = {"message": video["error"], "code": "generation_failed"}
    return item


DIALECTS: dict[str, Dialect] = {
    "pika": Dialect(
        lambda task_id: {"id": task_id}, dict, _plain_error, (404, "task_not_found"), False
    ),
    "wrapped": Dialect(
        lambda task_id: _wrap({"id": task_id}), _wrap, _task_error, (404, "task_not_found"), True
    ),
    "bare": Dialect(_wrap, _wrap, _task_error, (404, "task_not_found"), True),
    "task": Dialect(
        lambda task_id: _wrap({"task_id": task_id}),
        _task,
        _task_error,
        (400, "task_not_exist"),
        True,
    ),
    "video": Dialect(
        lambda task_id: {"id": task_id, "object": "video", "task_id": task_id, "status": "queued"},
        _video,
        _plain_error,
        (400, "task_not_exist"),
        True,
    ),
}
