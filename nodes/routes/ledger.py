"""Routes of the sidebar's sums and export: what was paid, by time and state."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ...pika_api.errors import JournalError
from ...pika_api.journal import Selection, State, start_of_day, start_of_month
from ...pika_api.log import log
from ...pika_api.message import Message
from ...pika_api.settings import load_settings
from .. import host
from .replies import Problem, add_headers

if TYPE_CHECKING:
    from ...pika_api.journal import Spent

#: Further characters of a search do not count.
_SEARCH_LENGTH: Final = 200
#: Text of a time: seconds since the epoch, up to the year 5138.
_SECONDS: Final = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?")


async def totals(_request: web.Request) -> web.Response:
    """GET: how many tasks were paid today and this month at the current gateway, and their cost.

    The days are those of the server's time zone, as for the limits.
    """
    return web.json_response(await asyncio.to_thread(_totals))


async def export(request: web.Request) -> web.StreamResponse:
    """GET: the paid tasks as a CSV file, with the filters of the list: ``state``, ``from``, ``to``.

    Without ``state`` it has every task that was or may have been paid, forgotten ones too.
    """
    chunks = _csv(selection_of(request.query))
    # An error up to here is an error response.
    chunk = await asyncio.to_thread(next, chunks, None)
    response = web.StreamResponse()
    response.content_type, response.charset = "text/csv", "utf-8"
    response.headers["Content-Disposition"] = 'attachment; filename="pika-tasks.csv"'
    add_headers(response)
    await response.prepare(request)
    try:
        while chunk is not None:
            await response.write(chunk.encode("utf-8"))
            chunk = await asyncio.to_thread(next, chunks, None)
    except JournalError as error:
        # Without the end of the body, the browser does not take the part for the whole.
        log.warning("editor: %s %s: %s", request.method, request.path, error.what)
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


def selection_of(query: Mapping[str, str]) -> Selection:
    """The filters of a request: ``state`` (several separated by commas), ``from`` and ``to`` in
    seconds since the epoch, ``search`` with words. Raises `Problem`.
    """
    names = [name for name in query.get("state", "").split(",") if name]
    known = {state.value for state in State}
    if unknown := [name for name in names if name not in known]:
        raise Problem(400, "invalid", Message("There is no state «{name}».", name=unknown[0][:40]))
    since, until = _time(query, "from"), _time(query, "to")
    search = query.get("search", "").replace("\0", "").strip()[:_SEARCH_LENGTH]
    return Selection(since, until, frozenset(map(State, names)), search)


def _time(query: Mapping[str, str], name: str) -> float | None:
    text = query.get(name, "")
    if not text:
        return None
    if not _SECONDS.fullmatch(text):
        raise Problem(
            400,
            "invalid",
            Message("{name} is not a time in seconds since the epoch.", name=name),
        )
    return float(text)


def _totals() -> dict[str, Any]:
    settings = load_settings(host.home())
    now = time.time()
    starts = {"today": start_of_day(now), "month": start_of_month(now)}
    sums = {name: host.journal().ledger.spent_since(start) for name, start in starts.items()}
    return {
        **{name: _as_json(spent, settings.gateway) for name, spent in sums.items()},
        "currency": settings.currency,
    }


def _as_json(spent: Mapping[str, Spent], gateway: str) -> dict[str, Any]:
    """The sum of one gateway: prices of others have another unit, so only their tasks count."""
    own = spent.get(gateway)
    count = sum(each.count for each in spent.values())
    amount = own.amount if own is not None and math.isfinite(own.amount) else 0.0
    return {
        "count": count,
        "amount": round(amount, 6),
        "unpriced": own.unpriced if own is not None else 0,
        "elsewhere": count - (own.count if own is not None else 0),
    }


def _csv(selection: Selection) -> Iterator[str]:
    # Imported at the first use, as elsewhere: it needs the whole client.
    from ...pika_api.support import csv_chunks

    return csv_chunks(host.journal().ledger.entries(selection), _file_name)


def _file_name(path: str) -> str:
    """A file as the editor names it: the browser need not know the folders of the server."""
    recorded = Path(path)
    if not host.is_output(recorded):
        return recorded.name
    name, subfolder = host.saved_result(recorded)
    return f"{subfolder}/{name}"
