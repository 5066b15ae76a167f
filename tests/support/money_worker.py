"""Another process with a service of its own: takes commands over a pipe, one JSON object a line.

Run as ``python -m support.money_worker`` by `support.money.Worker`, which may kill or stop it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from pika_api.errors import PikaError
from pika_api.journal import Journal
from pika_api.request import GenerateRequest
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Service
from support.api import WrongClocks


def open_service(given: dict[str, Any]) -> Service:
    """A service with leases as short as the tests', on the journal in ``home``."""
    home = Path(given["home"])
    settings = Settings(api_key=given["key"], base_url=given["base_url"])
    clocks = WrongClocks(given.get("clock", 0.0))
    url = given["database"] or sqlite_url(home)
    journal = Journal(url, clocks, lease=given["lease"], spool=home / "spool")
    return Service(settings, journal, home / "output")


async def act(service: Service, given: dict[str, Any]) -> dict[str, Any]:
    """Carry out one command."""
    while time.time() < given.get("at", 0.0):
        pass  # the barrier: no sleep wakes two processes as close together
    if given["do"] == "collect":
        collected = await service.collect(given["task_id"], timeout=given.get("timeout"))
        return {"task_id": collected.task_id, "path": str(collected.path)}
    request = GenerateRequest(given["prompt"])
    submitted = await service.submit(request, take=given.get("take", 0))
    return {"task_id": submitted.task_id, "taken_up": submitted.reused}


def main() -> None:
    """Answer every line with a line, until the pipe ends."""
    service = None
    for line in sys.stdin:
        given = json.loads(line)
        if given["do"] == "open":
            if service is not None:
                service.close()
            service = open_service(given)
            tell({"open": True})
            continue
        try:
            tell(asyncio.run(act(service, given)))
        except PikaError as error:
            tell({"error": type(error).__name__, "text": str(error)})
    if service is not None:
        service.close()


def tell(answer: dict[str, Any]) -> None:
    """One line to the parent."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
