"""The editor's settings page: what is set and from where, changing it, and whether it works."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ...pika_api.errors import SettingLocked, SettingsError
from ...pika_api.log import log
from ...pika_api.settings import (
    BASE64_STYLES,
    DEFAULTS,
    RANGES,
    RawSetting,
    check_setting,
    load_settings,
    lock_reason,
    read_settings_file,
    resolve_settings,
    save_settings,
)
from .. import host
from .replies import Problem, read_object

if TYPE_CHECKING:
    from ...pika_api.gateway import HealthResult

#: The last so many characters of a key are shown, unless it is shorter than the second.
_HINT: Final = 4
_HINTED: Final = 12
_NO_KEY: Final = {"set": False, "hint": "", "source": "none"}


async def show(_request: web.Request) -> web.Response:
    """GET: every setting and where it is from; never the key."""
    return web.json_response(await asyncio.to_thread(_described))


async def change(request: web.Request) -> web.Response:
    """POST: change some; as `show`, and whether the stored key was dropped with its address."""
    changes = await read_object(request)
    return web.json_response(await asyncio.to_thread(_changed, changes))


async def test(request: web.Request) -> web.Response:
    """POST: whether the gateway can be reached and knows the key. Costs nothing."""
    await read_object(request)
    result = await asyncio.to_thread(_tested)
    return web.json_response({"verdict": result.verdict.value, "message": result.message})


async def diagnostics(request: web.Request) -> web.Response:
    """GET: a text for a bug report, without key, prompts and user name; with ``connection=1`` also
    whether the gateway takes the key.
    """
    connect = request.query.get("connection") == "1"
    return web.json_response({"text": await asyncio.to_thread(_diagnosed, connect)})


def _diagnosed(connect: bool) -> str:
    # Imported late, as in host: requests and SQLAlchemy would weigh on ComfyUI's start.
    from ...pika_api.support import run_diagnostics

    output, host_versions = host.output_folder(), host.versions()
    return run_diagnostics(host.home(), output, connect=connect, host_versions=host_versions).text


def _changed(changes: Mapping[str, Any]) -> dict[str, Any]:
    try:
        dropped = save_settings(host.home(), changes)
    except SettingLocked:
        raise
    except SettingsError as error:
        if not error.name:
            raise  # it is the file that cannot be written
        text = "\n".join(filter(None, (error.problem, error.hint)))
        raise Problem(400, "invalid", text, error.name) from error
    log.info("settings: changed in the editor: %s", ", ".join(changes))
    return {**_described(), "key_cleared": dropped}


def _tested() -> HealthResult:
    # Imported late, as in host: requests would weigh on ComfyUI's start.
    from ...pika_api.gateway import HealthCheck, HealthResult, Verdict

    try:
        return HealthCheck(load_settings(host.home())).run()
    except SettingsError as error:
        named = error.name == "base_url"
        verdict = Verdict.BAD_ADDRESS if named else Verdict.TROUBLE
        return HealthResult(verdict, str(error))


def _described() -> dict[str, Any]:
    home, problem = host.home(), ""
    try:
        found = resolve_settings(read_settings_file(home))
    except SettingsError:
        found = resolve_settings({})
    has_key = bool(found["api_key"].value)
    try:
        settings = load_settings(home)
    except SettingsError as error:
        problem = str(error)  # told, not raised: this is the page where it is mended
    else:
        has_key = bool(settings.api_key)
        problem = settings.missing_key if settings.withheld_key_origin else ""
    described: dict[str, Any] = {name: _shown(name, found[name]) for name in found}
    described["api_key"] = _shown_key(found["api_key"]) if has_key else _NO_KEY
    lock = lock_reason("base_url", found)
    described["base_url"]["locked"] = lock.value if lock else ""
    described["base64_style"]["choices"] = BASE64_STYLES
    for name, (low, high) in RANGES.items():
        described[name] |= {"min": low, "max": high}
    return {**described, "problem": problem}


def _shown(name: str, found: RawSetting) -> dict[str, Any]:
    value = found.value
    try:
        value = check_setting(name, value)
    except SettingsError:
        # An address that is none may have a password in it.
        value = "" if name == "base_url" else str(value)
    return {"value": value, "source": found.source.value, "default": DEFAULTS[name]}


def _shown_key(found: RawSetting) -> dict[str, Any]:
    key = found.value
    hint = key[-_HINT:] if len(key) >= _HINTED else ""
    return {"set": True, "hint": hint, "source": found.source.value}
