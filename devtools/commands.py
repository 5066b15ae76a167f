"""The commands of `dev.py`. Each prepares its environment and runs in there."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from devtools import ROOT, mutation
from devtools.registry import comfy_cli
from devtools.setup import javascript
from devtools.setup.browser import ensure_chromium
from devtools.setup.environment import Environment, Host, cache_folder, host, prepare
from devtools.setup.postgres import ensure_postgres
from devtools.setup.processes import Terminated, unwind_on_termination
from devtools.setup.pythons import OLDEST, find_python, free_interpreter, own_version
from devtools.setup.steps import StepError, say

Command: TypeAlias = Sequence[str | Path]

#: Exit code after Ctrl-C.
INTERRUPTED = 130
#: Seconds for a child to end after Ctrl-C.
ENDS_WITHIN = 20.0

#: Tests that need ComfyUI or its packages. All others also run without it.
NEEDS_COMFYUI = (
    "tests/commands",
    "tests/editor",
    "tests/harness",
    "tests/nodes",
    "tests/release/test_archive.py",
    "tests/release/test_workflows.py",
    "tests/test_locales.py",
)
FREE_TESTS = ("tests", *(f"--ignore={path}" for path in NEEDS_COMFYUI))
#: By file, because the tests of a file share what they start, in the order of
#: tests/support/schedule.py. Many tests wait for a server: three for each core keep the cores busy.
CORES = os.cpu_count() or 1
WORKERS = min(3 * CORES, 8)
PARALLEL: tuple[str, ...] = ("-n", str(WORKERS), "--dist", "loadfile", "--no-loadscope-reorder")
#: A test that hangs ends its worker. A new worker would start with the same test.
PARALLEL += ("--max-worker-restart=0",)
COVERAGE = ("--cov", "--cov-report=term:skip-covered")
#: On the oldest Python every test must pass in some of its cases. All cases and rare values are for
#: the main one, and for `dev.py free`.
QUICK = ("--ignore=tests/simulator", "-m", "not slow", "--few", "--hypothesis-profile=quick")
TYPED = ("-p", "pika_api", "-p", "simulator", "-p", "devtools", "-m", "dev")


def demo(arguments: list[str]) -> int:
    """Create a video from an image. The file stays in the cache folder."""
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
    """Lint, types and tests. Returns the highest exit code; the output of pytest comes last.

    If `arguments` names no tests: all tests with a minimum of coverage, and on the oldest Python
    those without ComfyUI.
    """
    everything = not _names_tests(arguments)
    oldest = find_python(OLDEST) if everything and own_version() != OLDEST else None
    python = _set_up(everything, oldest).python
    environment = using(host())
    if not everything:
        some: Command = [python, "-m", "pytest", *arguments]
        return max(call(command, environment) for command in [*_checks(python), some])
    coverage = () if arguments else COVERAGE
    all_tests: Command = [python, "-m", "pytest", "tests", *PARALLEL, *coverage, *arguments]
    with _on_oldest(oldest) as code_on_oldest:
        checks = [*_checks(python), *javascript.gates(javascript.prepare())]
        code = max(call(command, environment) for command in checks)
        _compile_tests(python, ["tests"], environment)
        code = max(code, code_on_oldest())
    return max(code, call(all_tests, environment))


def _compile_tests(python: Path, tests: Sequence[str], environment: Mapping[str, str]) -> None:
    """Collect the tests in one process, which caches their bytecode.

    pytest rewrites each file of tests. Without the cache, all workers would do it for all files.
    """
    command: Command = [python, "-m", "pytest", *tests, "--collect-only", "-q"]
    # What is wrong with a test is printed by the run itself.
    subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=dict(environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


def _checks(python: Path) -> list[Command]:
    """Lint, format and types. They take seconds of one core."""
    return [
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "ruff", "format", "--check", "."],
        [python, "-m", "mypy", *TYPED],
    ]


@contextmanager
def _on_oldest(python: Path | None) -> Iterator[Callable[[], int]]:
    """Run the quick tests on the oldest Python in the background.

    The value waits for them, prints their output and returns their exit code.
    """
    if python is None:
        if own_version() != OLDEST:
            say(f"Python {OLDEST} is not installed, so the tests do not run on it.")
        yield lambda: 0
        return
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [str(python), "dev.py", "free", *QUICK],
            cwd=ROOT,
            env=dict(os.environ),
            stdout=output,
            stderr=subprocess.STDOUT,
        )

        def result() -> int:
            code = _wait(process)
            output.seek(0)
            sys.stdout.flush()
            shutil.copyfileobj(output, sys.stdout.buffer)
            sys.stdout.flush()
            return code

        try:
            yield result
        except Terminated:
            process.terminate()
            raise
        finally:
            _end_after_interrupt(process)


def _set_up(everything: bool, oldest: Path | None) -> Environment:
    """Install what the tests need, two things at a time, so that no test has to."""
    with ThreadPoolExecutor(2) as pool:
        environment = pool.submit(prepare)
        rest: list[Future[Any]] = [pool.submit(comfy_cli)]
        if everything:
            rest.append(pool.submit(javascript.prepare))
        if everything and sys.platform != "win32":
            rest.append(pool.submit(mutation.interpreter_with_mutmut))
        if oldest is not None:
            rest.append(pool.submit(free_interpreter, OLDEST, oldest))
        for each in rest:
            each.result()
    log = environment.result().folder / "setup.log"
    ensure_chromium(log)
    ensure_postgres(log)
    return environment.result()


def free(arguments: list[str]) -> int:
    """The tests without ComfyUI, on the running Python."""
    chosen = arguments if _names_tests(arguments) else [*FREE_TESTS, *arguments]
    python = free_interpreter(own_version(), Path(sys.executable))
    if chosen is not arguments:
        _compile_tests(python, FREE_TESTS, os.environ)
    return call([python, "-m", "pytest", *PARALLEL, *chosen], os.environ)


def pack(arguments: list[str]) -> int:
    """Create and check the archive for the Comfy registry."""
    return call([sys.executable, "-m", "devtools.registry", *arguments], os.environ)


def bench(arguments: list[str]) -> int:
    """The benchmarks, compared with ComfyUI's own helpers."""
    used = host()
    return call([used.python, "-m", "benchmarks", *arguments], using(used))


def mutants(arguments: list[str]) -> int:
    """The mutation check."""
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
    """Run a command. Returns its exit code: 1 after a failed set-up, 130 after Ctrl-C."""
    unwind_on_termination()
    _keep_checkout_clean()
    try:
        return COMMANDS[name](arguments)
    except StepError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _keep_checkout_clean() -> None:
    """Set variables so that all tools keep their caches in the cache folder.

    Bytecode is always cached, even with PYTHONDONTWRITEBYTECODE: otherwise each ComfyUI of the
    tests would compile for 15 seconds before it answers.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    bytecode = cache_folder() / "bytecode"
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(bytecode))
    # Each test's ComfyUI has the pack at another path. Its bytecode is not used again.
    for path in bytecode.joinpath(*Path(tempfile.gettempdir()).parts[1:]).glob("pytest-of-*"):
        shutil.rmtree(path, ignore_errors=True)
    # One folder for each checkout: two gates may run at the same time.
    own = cache_folder() / "checkouts" / hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    own.mkdir(parents=True, exist_ok=True)
    for variable, name in {
        "COVERAGE_FILE": "coverage",
        "HYPOTHESIS_STORAGE_DIRECTORY": "hypothesis",
        "MYPY_CACHE_DIR": "mypy",
        "RUFF_CACHE_DIR": "ruff",
    }.items():
        os.environ.setdefault(variable, str(own / name))


def using(used: Host) -> dict[str, str]:
    """Variables that tell the other modules about ComfyUI, its interpreter and the cache."""
    return {
        **os.environ,
        "COMFYUI_PATH": str(used.comfyui),
        "COMFYUI_PYTHON": str(used.python),
        "PIKA_DEV_CACHE": str(cache_folder()),
    }


def call(command: Command, environment: Mapping[str, str]) -> int:
    """Run a command in the checkout and return its exit code. After Ctrl-C let it clean up."""
    sys.stdout.flush()
    return _wait(subprocess.Popen([str(part) for part in command], cwd=ROOT, env=dict(environment)))


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return _positive(process.wait())
    except Terminated:
        process.terminate()
        process.wait()
        raise
    except KeyboardInterrupt:
        _end_after_interrupt(process)
        raise


def _end_after_interrupt(process: subprocess.Popen[bytes]) -> None:
    """Wait for a child that has received Ctrl-C too, since it is in our process group.

    A second signal would interrupt its clean-up, so it is sent only if the child does not end.
    """
    try:
        process.wait(ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()


def _positive(code: int) -> int:
    """The exit code of a child. After a signal it is negative, which `max` would ignore."""
    return code if code >= 0 else 128 - code


def _names_tests(arguments: Sequence[str]) -> bool:
    return any((ROOT / argument.partition("::")[0]).exists() for argument in arguments)
