"""Mutation check: one small thing is changed at a time, and some test must notice.

python dev.py mutants [module…]    all modules of MODULES, or these

What no test notices is either a test that is missing, or listed in tests/mutants.md with the reason
why none is wanted. Words for people are left alone: no test holds an error to the letter.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devtools import recipe
from devtools.environment import cache_folder, interpreter, make_once, make_venv
from devtools.recipe import ROOT
from devtools.steps import StepError, run_step, say

MUTMUT: Final = "mutmut==3.8.1"
_JOURNAL: Final = (
    "tests/journal/test_states.py",
    "tests/journal/test_queries.py",
    "tests/journal/test_ownership.py",
)
#: Each module with the tests that are about it: those that look, not those that wait.
MODULES: Final[Mapping[str, Sequence[str]]] = {
    "retry": ("tests/gateway/test_retry.py",),
    "request": (
        "tests/request/test_body.py",
        "tests/request/test_input_errors.py",
        "tests/request/test_fingerprint.py",
    ),
    "journal": _JOURNAL,
    "entries": _JOURNAL,
    "submitting": (
        "tests/tasks/test_submit.py",
        "tests/tasks/test_submit_faults.py",
        "tests/tasks/test_submit_calls.py",
        "tests/money/test_money_table.py",
        "tests/money/test_money_table_after.py",
    ),
    "service": (
        "tests/tasks/test_service.py",
        "tests/tasks/test_submit_calls.py",
        "tests/tasks/test_thumbnails.py",
    ),
}
#: What waits, measures time, or is about many at once.
LEFT_OUT: Final = (
    "tests/tasks/test_submit.py::test_different_requests_do_not_wait_for_each_other",
    "tests/tasks/test_submit.py::test_twenty_four_twins_are_one_task",
    "tests/tasks/test_submit_faults.py::test_a_brake_holds_what_is_queued_for_a_thread",
    "tests/journal/test_states.py::test_four_processes_one_winner",
    "tests/journal/test_states.py::test_sixteen_threads_one_winner",
)
LISTED: Final = ROOT / "tests" / "mutants.md"
_NEEDED: Final = ("pika_api", "simulator", "devtools", "tests", "requirements.txt")
#: Lines of the log, and texts with a word, a space and a word: a sentence for people.
_WORDS: Final = (
    r"\blog\.\w+\(",
    r'"[A-Za-z{«][^"]*[a-z}»,:] [a-z{«][^"]*"',
    r"'[A-Za-z{«][^']*[a-z}»,:] [a-z{«][^']*'",
)
#: A mutant that makes a test run for ever is caught as well.
_CAUGHT: Final = frozenset({"killed", "timeout"})
_NAME: Final = re.compile(r"(?:x_|xǁ(?P<of>\w+?)ǁ)(?P<function>\w+)__mutmut_\d+")


@dataclass(frozen=True)
class Mutant:
    """A change to a function, known by its lines: mutmut's own numbers move with the code."""

    module: str
    function: str
    change: tuple[str, ...]


def main(arguments: Sequence[str]) -> int:
    """Check these modules, or all. Returns 1 if a mutant lives that is not listed."""
    unknown = set(arguments) - set(MODULES)
    if unknown:
        raise StepError(f"Not among {', '.join(MODULES)}: {', '.join(sorted(unknown))}.")
    if sys.platform == "win32":
        raise StepError("mutmut works on Linux and macOS; on Windows, in WSL.")
    python = _prepare()
    modules = list(arguments) or list(MODULES)
    alive = [mutant for module in modules for mutant in _check(module, python)]
    wanted = [each for each in listed(LISTED.read_text("utf-8")) if each.module in modules]
    if gone := [mutant for mutant in wanted if mutant not in alive]:
        say(f"Listed in {LISTED.name}, and not alive any more:\n{written(gone)}")
    new = [mutant for mutant in alive if mutant not in wanted]
    print(written(new), end="")
    say(f"{len(alive)} alive, {len(new)} of them not in {LISTED.name}.")
    return 1 if new else 0


def written(mutants: Iterable[Mutant]) -> str:
    """A list of mutants, as `listed` reads it."""
    lines: list[str] = []
    module = function = ""
    for mutant in mutants:
        if mutant.module != module:
            lines += ["", f"## {mutant.module}"]
        if (mutant.module, mutant.function) != (module, function):
            lines += ["", f"### {mutant.function}"]
        module, function = mutant.module, mutant.function
        lines += ["", "```diff", *mutant.change, "```"]
    return "".join(f"{line}\n" for line in lines)


def listed(text: str) -> list[Mutant]:
    """The mutants of a list such as tests/mutants.md.

    A heading of the second level names the module, one of the third the function. Between two
    mutants in one block is an empty line.
    """
    module = function = ""
    found: list[Mutant] = []
    change: list[str] = []
    inside = False
    for line in text.splitlines():
        if inside and line[:1] in {"-", "+"}:
            change.append(_tidy(line))
            continue
        if change:
            found.append(Mutant(module, function, tuple(change)))
            change = []
        if line.startswith("```"):
            inside = line == "```diff"
        elif line.startswith("### "):
            function = line[4:].strip()
        elif line.startswith("## "):
            module = line[3:].strip()
    return found


def _tidy(line: str) -> str:
    return f"{line[0]} {line[1:].strip()}"


def _prepare() -> Path:
    """The interpreter with mutmut and what the ComfyUI-free tests need."""
    wanted = [*recipe.free_packages(), MUTMUT]
    folder = cache_folder() / f"mutants-{recipe.free_fingerprint()}-{MUTMUT.partition('==')[2]}"
    make_once(folder, lambda log: make_venv(folder, sys.executable, wanted, log))
    return interpreter(folder / "venv")


def _check(module: str, python: Path) -> list[Mutant]:
    """The mutants of one module that live. They are made in a copy, one module at a time, so that
    only the tests about it are run.
    """
    mutmut: list[str | Path] = [python, "-m", "mutmut"]
    with tempfile.TemporaryDirectory(prefix="mutants-", dir=cache_folder()) as folder:
        copy = Path(folder)
        _copy_to(copy)
        (copy / "pyproject.toml").write_text(_configuration(module), encoding="utf-8")
        run_step(f"Mutants of {module}", [*mutmut, "run"], copy / "run.log", cwd=copy)
        found = _output([*mutmut, "results", "--all", "true"], copy).splitlines()
        results = dict(line.strip().split(": ") for line in found if "__mutmut_" in line)
        alive = [name for name, status in results.items() if status not in _CAUGHT]
        say(f"  {len(results)} mutants, {len(alive)} alive")
        return [_mutant(module, name, _output([*mutmut, "show", name], copy)) for name in alive]


def _copy_to(copy: Path) -> None:
    for name in _NEEDED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, copy / name, ignore=ignored)
        else:
            shutil.copy(source, copy / name)


def _configuration(module: str) -> str:
    values: dict[str, Sequence[str]] = {
        "source_paths": ["pika_api"],
        "only_mutate": [f"pika_api/{module}.py"],
        "also_copy": [name for name in _NEEDED if name not in {"pika_api", "tests"}],
        "do_not_mutate_patterns": _WORDS,
        # A mutant in an endless loop is caught soon.
        "pytest_add_cli_args": ["--hypothesis-profile=steady", "--timeout=30"],
        "pytest_add_cli_args_test_selection": [
            *MODULES[module],
            *(f"--deselect={test}" for test in LEFT_OUT),
        ],
    }
    # An array of JSON is one of TOML.
    lines = (f"{name} = {json.dumps(list(value))}" for name, value in values.items())
    return "\n".join(["[tool.mutmut]", *lines]) + "\n"


def _output(command: Iterable[str | Path], folder: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StepError(f"{done.stdout}{done.stderr}\nmutmut failed with code {done.returncode}.")
    return done.stdout


def _mutant(module: str, name: str, shown: str) -> Mutant:
    found = _NAME.fullmatch(name.rpartition(".")[2])
    if found is None:
        raise StepError(f"mutmut names a mutant {name}, which is not understood here.")
    function = ".".join(filter(None, (found["of"], found["function"])))
    lines = [line for line in shown.splitlines() if re.match(r"[-+](?![-+]{2})", line)]
    return Mutant(module, function, tuple(map(_tidy, lines)))
