"""A real PostgreSQL server for the tests: find it, install Debian's package, start it, end it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from devtools.setup import debian
from devtools.setup.processes import free_port
from devtools.setup.steps import say

DEBIAN_PACKAGES: Final = ("postgresql",)
MISSING: Final = (
    "PostgreSQL was not found, so its tests are skipped. Install the package postgresql, or put "
    "the folder with initdb on PATH."
)
#: Where Debian has the programs of each version.
_DEBIAN_FOLDER: Final = Path("/usr/lib/postgresql")
#: PostgreSQL refuses to run as root. Debian's package creates this user.
_USER: Final = "postgres"
#: Seconds until a new server answers, at most.
_STARTS_WITHIN: Final = 120.0
#: For a database that is thrown away: a commit is not on the disk when it returns.
_QUICK: Final = ("fsync=off", "full_page_writes=off", "autovacuum=off", "max_connections=200")


class NoPostgres(Exception):
    """PostgreSQL was not found. The message says what to do."""


def find_programs() -> Path | None:
    """The folder of `initdb` and `postgres`: that on PATH, or Debian's newest; None without."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(_DEBIAN_FOLDER.glob("*/bin/initdb"), key=lambda path: _version(path))
    return versions[-1].parent if versions else None


def ensure_postgres(log: Path) -> None:
    """Install Debian's PostgreSQL if it is missing, or print that it is.

    Raises StepError when apt-get fails.
    """
    if find_programs() is not None:
        return
    if debian.can_install():
        debian.install("PostgreSQL", DEBIAN_PACKAGES, log)
    else:
        say(MISSING)


@contextmanager
def postgres() -> Iterator[str]:
    """A new, empty server on a free port of 127.0.0.1, ended with the block.

    The value is the address of its database ``postgres``, for SQLAlchemy with psycopg.

    Raises:
        NoPostgres: It is not installed.
        RuntimeError: It does not start; with the end of its log.
    """
    programs = find_programs()
    if programs is None or sys.platform == "win32":
        raise NoPostgres(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="pika-postgres-"))
    try:
        identity = _identity(folder)
        data, port = folder / "data", free_port()
        initdb: list[str | Path] = [programs / "initdb", "-D", data, "-U", _USER, "-A", "trust"]
        initdb += ["-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **identity)
        options = [part for setting in _QUICK for part in ("-c", setting)]
        command = [programs / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1"]
        command += ["-k", folder, *options]
        log = folder / "log"
        with log.open("wb") as sink:
            server = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                **identity,
            )
        try:
            _wait_until_ready(programs, port, server, log)
            yield f"postgresql+psycopg://{_USER}@127.0.0.1:{port}/postgres"
        finally:
            _end(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _version(initdb: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in initdb.parent.parent.name.split(".") if part.isdigit())


def _identity(folder: Path) -> dict[str, Any]:
    """The user that runs the server, who gets the folder; the user of this process if not root."""
    if os.geteuid() != 0:
        return {}
    shutil.chown(folder, _USER, _USER)
    return {"user": _USER, "group": _USER, "extra_groups": []}


def _wait_until_ready(
    programs: Path, port: int, server: subprocess.Popen[bytes], log: Path
) -> None:
    ready: list[str | Path] = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    deadline = time.monotonic() + _STARTS_WITHIN
    while subprocess.run(ready, check=False).returncode:
        if server.poll() is not None or time.monotonic() > deadline:
            end = log.read_text("utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"PostgreSQL does not start:\n{end}")
        time.sleep(0.05)


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server, whatever is connected to it."""
    server.send_signal(signal.SIGINT)
    try:
        server.wait(20.0)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait(20.0)
