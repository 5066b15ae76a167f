"""Requests to our routes as the editor sends them, and as those that are not the editor do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import requests

from pika_api.journal import Journal
from pika_api.settings import sqlite_url
from support.api import intent
from support.comfy import Comfy

HEADER = {"X-Pika-Editor": "1"}


def journal_of(comfy: Comfy) -> Journal:
    """Its journal, as another process has it."""
    return Journal(sqlite_url(comfy.base_dir / "user" / "__pika"))


def entered(comfy: Comfy, name: str, **given: Any) -> int:
    """A row that another process enters; its number."""
    with closing(journal_of(comfy)) as journal:
        return journal.claim(intent(f"{name}-{time.time_ns()}", **given), "another")[0].id


def entered_elsewhere(comfy: Comfy, prompt: str) -> int:
    """A task that another gateway has; its number."""
    number = entered(comfy, "elsewhere", base_url="https://elsewhere.example", prompt=prompt)
    with closing(journal_of(comfy)) as journal:
        journal.mark_sent(number, "another")
        journal.mark_submitted(number, f"theirs-{number}")
    return number


def ask(comfy: Comfy, path: str) -> dict[str, Any]:
    """The editor's GET of /pika/…; the answer."""
    answer = comfy.request("GET", f"/pika/{path}", headers=HEADER)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def send(comfy: Comfy, path: str, body: object = None) -> requests.Response:
    """The editor's POST to /pika/…."""
    given = {} if body is None else body
    return comfy.request("POST", f"/pika/{path}", json=given, headers=HEADER)


def done(comfy: Comfy, path: str, body: object = None) -> dict[str, Any]:
    """The answer of a POST that is carried out."""
    answer = send(comfy, path, body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def refused(comfy: Comfy, path: str, body: object = None) -> tuple[int, str, Mapping[str, Any]]:
    """Status, code and answer of a POST that is not."""
    answer = send(comfy, path, body)
    said = answer.json()
    assert said["error"], answer.text
    return answer.status_code, str(said["code"]), dict(said)


def strangers(comfy: Comfy) -> dict[str, dict[str, str]]:
    """Headers of requests that are not the editor's, by what they are."""
    port = comfy.setup.port
    return {
        "no header of ours": {},
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
