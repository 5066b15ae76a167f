"""Route of the sidebar's head: the balance of the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from .. import host
from ..language import say

if TYPE_CHECKING:
    from ...pika_api.gateway import Balance


async def show(_request: web.Request) -> web.Response:
    """GET: quota, used and left as numbers, and whether the gateway reports them at all.

    The gateway is asked at most once a minute and after a submit. Its trouble is no error here.
    """
    async with host.open_service() as service:
        state = await service.account.refresh()
        return web.json_response(
            {
                "balance": _as_json(state.balance),
                "offered": state.offered,
                "problem": say(state.problem),
                "currency": service.settings.currency,
            }
        )


def _as_json(balance: Balance | None) -> dict[str, Any] | None:
    if balance is None:
        return None
    return {
        "quota": balance.quota,
        "used": balance.used,
        "left": balance.left,
        "unlimited": balance.unlimited,
    }
