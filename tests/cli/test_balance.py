"""``python -m pika_api balance``: plain numbers on stdout, an exit code for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.test_cli import Shell
from simulator import Simulator
from support.api import KEY


def test_balance_prints_plain_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people with the currency that the user has set, and as one JSON object without it in the
    numbers. Nothing is sent that costs anything, and no journal is created."""
    with Simulator(key=KEY, account="v1") as gateway:
        gateway.spend(7.6)
        shell = Shell(gateway, tmp_path / "home")
        code, out, err = shell.inside("balance", monkeypatch=monkeypatch, capsys=capsys)
        assert (code, out, err) == (0, "quota 20.00\nused  7.60\nleft  12.40\n", "")
        shell.env["PIKA_CURRENCY"] = "CNY"
        _, out, _ = shell.inside("balance", monkeypatch=monkeypatch, capsys=capsys)
        assert out.splitlines()[2] == "left  12.40 CNY"
        _, out, _ = shell.inside("balance", "--json", monkeypatch=monkeypatch, capsys=capsys)
        assert json.loads(out) == {
            "quota": 20.0,
            "used": pytest.approx(7.6),
            "left": pytest.approx(12.4),
            "unlimited": False,
            "currency": "CNY",
        }
        assert {seen.method for seen in gateway.log} == {"GET"}
    assert not shell.home.exists()


def test_unlimited_key_has_no_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ "unlimited" in place of the numbers, null in JSON."""
    with Simulator(key=KEY, account="token", unlimited=True) as gateway:
        shell = Shell(gateway, tmp_path / "home")
        _, out, _ = shell.inside("balance", monkeypatch=monkeypatch, capsys=capsys)
        assert out == "quota unlimited\nused  0.00\nleft  unlimited\n"
        _, out, _ = shell.inside("balance", "--json", monkeypatch=monkeypatch, capsys=capsys)
        assert (json.loads(out)["quota"], json.loads(out)["unlimited"]) == (None, True)


def test_gateway_without_a_balance_is_exit_code_1(tmp_path: Path) -> None:
    """It says so once, on stderr; a wrong key and a missing one are errors, too."""
    with Simulator(key=KEY, dialect="wrapped") as gateway:
        shell = Shell(gateway, tmp_path / "home")
        for arguments in (("balance",), ("balance", "--json")):
            done = shell(*arguments, code=1)
            assert (done.stdout, done.stderr.count("does not report a balance")) == ("", 1)
        assert "No API key" in shell("balance", code=1, PIKA_API_KEY="").stderr
    with Simulator(key=KEY, account="v1") as gateway:
        shell = Shell(gateway, tmp_path / "home")
        assert "Invalid token" in shell("balance", code=1, PIKA_API_KEY="another").stderr
