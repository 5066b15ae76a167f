"""The pack's routes as the editor calls them, as others call them, and the files behind them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from pika_api.journal import Clocks, Journal
from pika_api.journal.schema import TASKS
from pika_api.settings import sqlite_url
from support.api import intent
from support.comfy import Comfy

HEADER = {"X-Pika-Editor": "1"}


def home(comfy: Comfy) -> Path:
    """The pack's private folder."""
    return comfy.base_dir / "user" / "__pika"


def settings_file(comfy: Comfy) -> Path:
    """Where the pack stores its settings. The folder exists, the file may not."""
    home(comfy).mkdir(exist_ok=True)
    return home(comfy) / "settings.json"


def journal_of(comfy: Comfy, clocks: Clocks | None = None) -> Journal:
    """The journal of a ComfyUI, opened by another process."""
    return Journal(sqlite_url(home(comfy)), clocks)


@contextmanager
def journal_tables(comfy: Comfy) -> Iterator[sa.Connection]:
    """A transaction on the journal's tables, for what no route does."""
    with closing(journal_of(comfy)) as journal:
        journal.entries(limit=1)  # creates the tables
    engine = sa.create_engine(sqlite_url(home(comfy)))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def empty_journal(comfy: Comfy) -> None:
    """Remove all tasks, as in a new installation."""
    with journal_tables(comfy) as connection:
        connection.execute(TASKS.delete())


def add_failed_tasks(comfy: Comfy, count: int) -> tuple[int, int]:
    """Write this many tasks into the journal; the numbers of the oldest and the newest."""
    now = time.time()
    columns = {"state": "failed", "base_url": "", "key_id": "", "lease_until": 0.0}
    rows = [
        {
            **columns,
            "task_id": f"example-{number:06d}",
            "prompt": f"Prompt number {number}",
            "request": json.dumps({"promptText": f"Prompt number {number}"}),
            "created_at": now - 60 * (count - number),
            "changed_at": now - 60 * (count - number),
        }
        for number in range(count)
    ]
    number = TASKS.c.id
    query = sa.select(sa.func.min(number), sa.func.max(number))
    with journal_tables(comfy) as connection:
        connection.execute(TASKS.insert(), rows)
        inserted = query.where(TASKS.c.task_id.startswith("example-"))
        oldest, newest = connection.execute(inserted).one()
    return int(oldest), int(newest)


def forget_all_tasks(comfy: Comfy) -> None:
    """Forget the listed tasks, as a user would: an open page removes them from its list."""
    for task in get(comfy, "tasks?limit=500")["tasks"]:
        post_ok(comfy, f"tasks/{task['number']}/forget")


def add_entry(comfy: Comfy, name: str, **fields: Any) -> int:
    """Have another process claim a request; the entry's number."""
    with closing(journal_of(comfy)) as journal:
        return journal.claim(intent(f"{name}-{time.time_ns()}", **fields), "another").entry.id


def add_task_of_another_gateway(comfy: Comfy, prompt: str) -> int:
    """Add a task with another base URL; its number."""
    number = add_entry(comfy, "elsewhere", base_url="https://elsewhere.example", prompt=prompt)
    with closing(journal_of(comfy)) as journal:
        journal.mark_sent(number, "another")
        journal.record_task(journal.get(number), f"theirs-{number}")
    return number


def get(comfy: Comfy, path: str) -> dict[str, Any]:
    """The editor's GET of /pika/…; the answer."""
    answer = comfy.request("GET", f"/pika/{path}", headers=HEADER)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def post(comfy: Comfy, path: str, body: object = None) -> requests.Response:
    """The editor's POST to /pika/…, whatever its status."""
    return comfy.request("POST", f"/pika/{path}", json={} if body is None else body, headers=HEADER)


def post_ok(comfy: Comfy, path: str, body: object = None) -> dict[str, Any]:
    """The answer to a POST that succeeds."""
    answer = post(comfy, path, body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def post_error(comfy: Comfy, path: str, body: object = None) -> tuple[int, str, Mapping[str, Any]]:
    """Status, code and answer of a POST that fails."""
    answer = post(comfy, path, body)
    details = answer.json()
    assert details["error"], answer.text
    return answer.status_code, str(details["code"]), dict(details)


def save_settings(comfy: Comfy, **settings: Any) -> dict[str, Any]:
    """Change the pack's settings as its page does; the answer."""
    return post_ok(comfy, "settings", settings)


def foreign_requests(comfy: Comfy) -> dict[str, dict[str, str]]:
    """Headers of requests that do not come from the editor, by their origin."""
    port = comfy.setup.port
    return {
        "without our header": {},
        "a page of another origin": {**HEADER, "Origin": "https://evil.example"},
        "a page of another port": {**HEADER, "Origin": f"http://127.0.0.1:{port + 1}"},
        "a sandboxed page": {**HEADER, "Origin": "null"},
        "a rebound name": {**HEADER, "Host": f"evil.example:{port}"},
        "a rebound name that is its own origin": {
            **HEADER,
            "Host": f"evil.example:{port}",
            "Origin": f"http://evil.example:{port}",
        },
        "another site": {**HEADER, "Sec-Fetch-Site": "cross-site"},
        "another page of this machine": {**HEADER, "Sec-Fetch-Site": "same-site"},
    }
