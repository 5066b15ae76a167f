"""What each command of `dev.py` does, before and around the environment it runs in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from devtools import mutation
from devtools.browser import ensure_chromium
from devtools.endings import Terminated, unwind_on_termination
from devtools.environment import Environment, Host, cache_folder, host, prepare
from devtools.pythons import free_interpreter, installed, own_version
from devtools.recipe import ROOT
from devtools.registry import comfy_cli
from devtools.steps import StepError, say

INTERRUPTED = 130
HEARD_WITHIN = 20.0
# By file: a file's tests share what they start. In the order of the folders, where the long ones
# come first: at the end of a run only one worker would be left with them. Tests without ComfyUI
# mostly wait, so there may be more at once than cores; a ComfyUI with a browser wants its own.
CORES = os.cpu_count() or 1
BY_FILE = ("--dist", "loadfile", "--no-loadscope-reorder")
SPREAD = ("-n", str(min(2 * CORES, 6)), *BY_FILE)
HOSTED = ("-n", str(min(CORES, 3)), *BY_FILE)
PACK_TESTS = (
    "tests/money",
    "tests/tasks",
    "tests/journal",
    "tests/gateway",
    "tests/request",
    "tests/media",
    "tests/settings",
    "tests/support",
    "tests/cli",
    "tests/test_log.py",
    "tests/test_windows.py",
    "tests/test_layout.py",
    "tests/test_security.py",
)
FREE_TESTS = ("tests/simulator", *PACK_TESTS, "tests/release/test_release.py")
# The second run adds to what the first one has seen, and the floor is of both.
COVER = ("--cov", "--cov-report=", "--cov-fail-under=0")
COVER_ON = ("--cov", "--cov-append", "--cov-report=term:skip-covered")
TYPED = ("-p", "pika_api", "-p", "simulator", "-p", "devtools", "-m", "dev")


def demo(arguments: list[str]) -> int:
    """An image becomes a video; the file stays in the cache folder."""
    used = host()
    return call([used.python, "-m", "devtools.demo", *arguments], using(used))


def editor(arguments: list[str]) -> int:
    """The graph editor, until Ctrl-C."""
    used = host()
    return call([used.python, "-m", "devtools.editor", *arguments], using(used))


def pictures(arguments: list[str]) -> int:
    """Screenshots of the example workflows, for README and the editor's templates."""
    used = host()
    ensure_chromium(cache_folder() / "setup.log")
    return call([used.python, "-m", "devtools.pictures", *arguments], using(used))


def test(arguments: list[str]) -> int:
    """Lint, types and tests. The exit code is the worst one; pytest speaks last.

    Without a choice of tests that is all of them, those of the pack without ComfyUI on every
    Python here, with a floor of coverage.
    """
    everything = not _names_tests(arguments)
    cover, cover_on = ((), ()) if arguments else (COVER, COVER_ON)
    others = {v: path for v, path in installed().items() if everything and v != own_version()}
    environment = _set_up(others)
    python = environment.python
    gates: list[list[str | Path]] = [
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "ruff", "format", "--check", "."],
        [python, "-m", "mypy", *TYPED],
    ]
    quick = ["-m", "not slow", "--hypothesis-profile=quick"]
    gates += [_free(version, base, [*PACK_TESTS, *quick]) for version, base in others.items()]
    if everything:
        rest = [f"--ignore={path}" for path in FREE_TESTS]
        gates.append([python, "-m", "pytest", *FREE_TESTS, *SPREAD, *cover, *arguments])
        gates.append([python, "-m", "pytest", "tests", *rest, *HOSTED, *cover_on, *arguments])
    else:
        gates.append([python, "-m", "pytest", *arguments])
    return max(call(gate, using(host())) for gate in gates)


def _set_up(others: Mapping[str, Path]) -> Environment:
    """All that the tests need, so that no set-up is part of one; two at a time."""
    with ThreadPoolExecutor(2) as pool:
        environment = pool.submit(prepare)
        rest: list[Future[Any]] = [pool.submit(comfy_cli)]
        rest += [pool.submit(free_interpreter, *each) for each in others.items()]
        for made in rest:
            made.result()
    ensure_chromium(environment.result().folder / "setup.log")
    return environment.result()


def free(arguments: list[str]) -> int:
    """The tests that need no ComfyUI, on the Python that runs this."""
    chosen = arguments if _names_tests(arguments) else [*FREE_TESTS, *arguments]
    return call(_free(own_version(), Path(sys.executable), chosen), os.environ)


def _free(version: str, base: Path, arguments: list[str]) -> list[str | Path]:
    return [free_interpreter(version, base), "-m", "pytest", *SPREAD, *arguments]


def pack(arguments: list[str]) -> int:
    """The archive that the Comfy registry would get, checked."""
    return call([sys.executable, "-m", "devtools.registry", *arguments], os.environ)


def bench(arguments: list[str]) -> int:
    """The benchmarks, side by side with ComfyUI's own helpers."""
    if not (ROOT / "benchmarks" / "__main__.py").is_file():
        raise StepError("There is no benchmarks/__main__.py in this checkout.")
    used = host()
    return call([used.python, "-m", "benchmarks", *arguments], using(used))


def mutants(arguments: list[str]) -> int:
    """The mutation check of the modules that money hangs on."""
    return mutation.main(arguments)


COMMANDS: Mapping[str, Callable[[list[str]], int]] = {
    "demo": demo,
    "editor": editor,
    "test": test,
    "free": free,
    "bench": bench,
    "pictures": pictures,
    "pack": pack,
    "mutants": mutants,
}


def run(name: str, arguments: list[str]) -> int:
    """Run a command to its exit code; a failed set-up is 1, Ctrl-C or a termination 130."""
    unwind_on_termination()
    _keep_bytecode()
    try:
        return COMMANDS[name](arguments)
    except StepError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _keep_bytecode() -> None:
    """Have what is started keep its bytecode in the cache folder, beside no sources.

    Some want none beside them (PYTHONDONTWRITEBYTECODE). But without any, each of the tests'
    ComfyUIs would compile for some fifteen seconds before it answers.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(cache_folder() / "bytecode")


def using(used: Host) -> dict[str, str]:
    """The environment in which the other modules find ComfyUI, its interpreter and the cache."""
    return {
        **os.environ,
        "COMFYUI_PATH": str(used.comfyui),
        "COMFYUI_PYTHON": str(used.python),
        "PIKA_DEV_CACHE": str(cache_folder()),
    }


def call(command: Sequence[str | Path], environment: Mapping[str, str]) -> int:
    """Run a command in the checkout. Ctrl-C is the command's own to tidy up after."""
    sys.stdout.flush()
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=dict(environment))
    try:
        return _positive(process.wait())
    except Terminated:
        process.terminate()
        process.wait()
        raise
    except KeyboardInterrupt:
        # A terminal's Ctrl-C reaches the child too. A second one would cut its tidying up short,
        # so only a child that seems not to have heard is told again.
        try:
            process.wait(HEARD_WITHIN)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
        raise


def _positive(code: int) -> int:
    """A child that a signal ended has a negative code, which `max` would take for a success."""
    return code if code >= 0 else 128 - code


def _names_tests(arguments: Sequence[str]) -> bool:
    return any((ROOT / argument.partition("::")[0]).exists() for argument in arguments)
