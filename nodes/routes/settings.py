"""Routes of the settings page: read and change the settings, test the connection, diagnostics."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ...pika_api.errors import SettingLocked, SettingsError
from ...pika_api.log import log
from ...pika_api.message import Message
from ...pika_api.settings import (
    BASE64_STYLES,
    DEFAULTS,
    RANGES,
    RawSetting,
    Settings,
    check_setting,
    load_settings,
    lock_reason,
    preview_settings,
    read_settings_file,
    resolve_settings,
    save_settings,
)
from .. import host
from ..language import note_editor, say
from .replies import Problem, read_object

if TYPE_CHECKING:
    from ...pika_api.gateway import HealthResult

#: How many characters of a key the page shows, and how long the key must be for that.
_HINT_LENGTH: Final = 4
_MIN_KEY_LENGTH: Final = 12
#: What can be tested before it is saved.
_TESTABLE: Final = ("base_url", "api_key")
_NO_KEY: Final = {"set": False, "hint": "", "source": "none"}


async def show(_request: web.Request) -> web.Response:
    """GET: every setting and its source; never the key."""
    return web.json_response(await asyncio.to_thread(_describe))


async def change(request: web.Request) -> web.Response:
    """POST: change settings; as `show`, and whether the stored key was removed with its origin."""
    changes = await read_object(request)
    return web.json_response(await asyncio.to_thread(_change, changes))


async def test(request: web.Request) -> web.Response:
    """POST: test whether the gateway is reachable and accepts the key. Costs nothing.

    ``{"base_url": …, "api_key": …}``: values that are typed in and not saved, each optional.
    """
    values = await read_object(request)
    typed = {name: values[name] for name in _TESTABLE if name in values}
    result = await asyncio.to_thread(_test_connection, typed)
    return web.json_response({"verdict": result.verdict.value, "message": say(result.message)})


async def language(request: web.Request) -> web.Response:
    """POST ``{"language": "zh"}``: the language of the editor, for the texts on the nodes."""
    values = await read_object(request)
    note_editor(str(values.get("language", "")))
    return web.json_response({})


async def diagnostics(request: web.Request) -> web.Response:
    """GET: a text for a bug report, without key, prompts and user name.

    With ``connection=1`` it also says whether the gateway accepts the key.
    """
    connect = request.query.get("connection") == "1"
    return web.json_response({"text": await asyncio.to_thread(_run_diagnostics, connect)})


def _run_diagnostics(connect: bool) -> str:
    # Imported at the first use: requests and SQLAlchemy would slow down ComfyUI's start.
    from ...pika_api.support import run_diagnostics

    output, host_versions = host.output_folder(), host.versions()
    return run_diagnostics(host.home(), output, connect=connect, host_versions=host_versions).text


def _change(changes: Mapping[str, Any]) -> dict[str, Any]:
    try:
        dropped = save_settings(host.home(), changes)
    except SettingLocked:
        raise
    except SettingsError as error:
        if not error.name:
            raise  # the file cannot be written
        text = Message.joined("\n", error.problem, error.hint)
        raise Problem(400, "invalid", text, error.name) from error
    log.info("settings: changed in the editor: %s", ", ".join(changes))
    return {**_describe(), "key_cleared": dropped}


def _test_connection(typed: Mapping[str, Any]) -> HealthResult:
    # Imported at the first use: requests would slow down ComfyUI's start.
    from ...pika_api.gateway import HealthCheck, HealthResult, Verdict

    try:
        home = host.home()
        settings = preview_settings(home, typed) if typed else load_settings(home)
        if not settings.api_key:
            return HealthResult(Verdict.NO_KEY, _missing_key(settings))
        check = HealthCheck(settings)
        result = check.run()
        if result.verdict is not Verdict.GOOD:
            return result
        return HealthResult(result.verdict, Message.joined("\n", result.message, check.balance()))
    except SettingsError as error:
        blamed = {"base_url": Verdict.BAD_ADDRESS, "api_key": Verdict.BAD_KEY}
        verdict = Verdict.TROUBLE if isinstance(error, SettingLocked) else blamed.get(error.name)
        return HealthResult(verdict or Verdict.TROUBLE, _on_page(error))


def _missing_key(settings: Settings) -> Message:
    """Why there is no key, for a user who is on the settings page already."""
    if settings.withheld_key_origin:
        return Message(
            "The stored API key was entered for {origin} and is not sent to {current}. Paste the "
            "key of that gateway.",
            origin=settings.withheld_key_origin,
            current=settings.base_url,
        )
    return Message("No API key yet. Paste the key of your account.")


def _on_page(error: SettingsError) -> Message:
    return Message.joined("\n", error.problem, error.hint_on_page)


def _describe() -> dict[str, Any]:
    home, problem = host.home(), ""
    try:
        raw = resolve_settings(read_settings_file(home))
    except SettingsError:
        raw = resolve_settings({})
    has_key = bool(raw["api_key"].value)
    try:
        settings = load_settings(home)
    except SettingsError as error:
        # Not raised: this page is where the user corrects it.
        problem = say(Message.joined("\n", error.what, error.hint_on_page))
    else:
        has_key = bool(settings.api_key)
        problem = say(_missing_key(settings)) if settings.withheld_key_origin else ""
    described: dict[str, Any] = {name: _as_json(name, raw[name]) for name in raw}
    described["api_key"] = _key_as_json(raw["api_key"]) if has_key else _NO_KEY
    lock = lock_reason("base_url", raw)
    described["base_url"]["locked"] = lock.value if lock else ""
    described["base64_style"]["choices"] = BASE64_STYLES
    for name, (low, high) in RANGES.items():
        described[name] |= {"min": low, "max": high}
    return {**described, "problem": problem}


def _as_json(name: str, raw: RawSetting) -> dict[str, Any]:
    value = raw.value
    try:
        value = check_setting(name, value)
    except SettingsError:
        # An invalid URL may contain a password.
        value = "" if name == "base_url" else str(value)
    return {"value": value, "source": raw.source.value, "default": DEFAULTS[name]}


def _key_as_json(raw: RawSetting) -> dict[str, Any]:
    key = raw.value
    hint = key[-_HINT_LENGTH:] if len(key) >= _MIN_KEY_LENGTH else ""
    return {"set": True, "hint": hint, "source": raw.source.value}
