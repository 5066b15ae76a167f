"""Mutation check: change one small thing at a time, and expect that a test fails.

python dev.py mutants [name…] [--only FUNCTION]    all of MODULES, or these

A surviving mutant is a missing test, or it is listed in tests/mutants.md with the reason why no
test is needed. Texts for people are not mutated: no test checks the exact words of an error.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from devtools import ROOT
from devtools.setup import recipe
from devtools.setup.environment import cache_folder, interpreter, make_once, make_venv
from devtools.setup.steps import StepError, run_step, say

MUTMUT: Final = "mutmut==3.8.1"


@dataclass(frozen=True)
class Module:
    """What is mutated together: files of `pika_api`, and the test files that must notice."""

    files: Sequence[str]
    tests: Sequence[str]


#: The tests are those that check results. Tests that wait or measure time are left out.
MODULES: Final[Mapping[str, Module]] = {
    "retry": Module(["gateway/retry.py"], ["tests/gateway/test_retry.py"]),
    "dialects": Module(
        [
            "gateway/dialects/feeds.py",
            "gateway/dialects/ids.py",
            "gateway/dialects/problems.py",
            "gateway/rejections.py",
        ],
        [
            "tests/gateway/test_dialects.py",
            "tests/gateway/test_feed.py",
            "tests/gateway/test_rejections.py",
        ],
    ),
    "request": Module(
        [
            "request/aspect_ratio.py",
            "request/checks.py",
            "request/extra.py",
            "request/fingerprint.py",
            "request/values.py",
        ],
        [
            "tests/request/test_aspect_ratio.py",
            "tests/request/test_body.py",
            "tests/request/test_input_errors.py",
            "tests/request/test_fingerprint.py",
        ],
    ),
    "journal": Module(
        [
            "journal/store.py",
            "journal/transitions.py",
            "journal/queries.py",
            "journal/entries.py",
            "journal/limits.py",
            "journal/spending.py",
            "journal/ledger.py",
            "journal/spool.py",
        ],
        [
            "tests/journal/test_states.py",
            "tests/journal/test_queries.py",
            "tests/journal/test_ownership.py",
            "tests/journal/test_transitions.py",
            "tests/journal/test_clocks.py",
            "tests/journal/test_ledger.py",
            "tests/journal/test_location.py",
            "tests/journal/test_loss.py",
            "tests/journal/test_backup.py",
            "tests/tasks/test_spool.py",
            "tests/tasks/test_settle.py",
            "tests/tasks/test_other_key.py",
            "tests/tasks/test_limits.py",
        ],
    ),
    "submit": Module(
        ["tasks/submit.py"],
        [
            "tests/tasks/test_submit.py",
            "tests/tasks/test_submit_faults.py",
            "tests/tasks/test_submit_calls.py",
            "tests/tasks/test_other_key.py",
            "tests/tasks/test_spool.py",
            "tests/money/test_money_table.py",
            "tests/money/test_money_table_after.py",
        ],
    ),
    "service": Module(
        ["tasks/service.py"],
        [
            "tests/tasks/test_service.py",
            "tests/tasks/test_submit_calls.py",
            "tests/tasks/test_thumbnails.py",
        ],
    ),
}
#: Tests in those files that wait, measure time, or run many threads or processes.
LEFT_OUT: Final = (
    "tests/tasks/test_submit.py::test_different_requests_run_in_parallel",
    "tests/tasks/test_submit.py::test_24_identical_requests_create_one_task",
    "tests/tasks/test_submit_faults.py::test_backoff_also_stops_requests_queued_for_a_thread",
    "tests/journal/test_states.py::test_one_of_four_processes_acquires_the_claim",
    "tests/journal/test_states.py::test_one_of_sixteen_threads_acquires_the_claim",
    "tests/tasks/test_limits.py::test_processes_against_a_limit_of_half_as_many",
    "tests/tasks/test_limits.py::test_processes_against_limits_of_money",
)
LISTED: Final = ROOT / "tests" / "mutants.md"
#: The time limit of a test ends a mutant with an endless loop.
_OPTIONS: Final = ("--hypothesis-profile=steady", "--timeout=30")
#: For all tests of a module together.
_MAX_SECONDS: Final = 1200
_COPIED: Final = ("pika_api", "simulator", "devtools", "tests", "requirements.txt")
#: Calls of the logger, and strings with a word, a space and a word: sentences for people.
_TEXTS: Final = (
    r"\blog\.\w+\(",
    r'"[A-Za-z{«][^"]*[a-z}»,:] [a-z{«][^"]*"',
    r"'[A-Za-z{«][^']*[a-z}»,:] [a-z{«][^']*'",
)
#: A mutant that makes a test run without an end is noticed too.
_NOTICED: Final = frozenset({"killed", "timeout"})
_NAME: Final = re.compile(r"(?:x_|xǁ(?P<of>\w+?)ǁ)(?P<function>\w+)__mutmut_\d+")


@dataclass(frozen=True)
class Mutant:
    """A change to a function, identified by its lines: mutmut's numbers change with the code.

    `function` is such as ``poll_delay`` or ``Journal.adopt``.
    """

    module: str
    function: str
    change: tuple[str, ...]


def main(arguments: Sequence[str]) -> int:
    """Check these modules, or all. Returns 1 if a mutant survives that is not listed."""
    parser = argparse.ArgumentParser(prog="dev.py mutants", description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="name", help=", ".join(MODULES))
    parser.add_argument("--only", metavar="FUNCTION", help="such as poll_delay or Journal.adopt")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.modules) - set(MODULES):
        raise StepError(f"Not among {', '.join(MODULES)}: {', '.join(sorted(unknown))}.")
    if sys.platform == "win32":
        raise StepError("mutmut works on Linux and macOS; on Windows, in WSL.")
    python = interpreter_with_mutmut()
    modules = chosen.modules or list(MODULES)
    expected = [
        each
        for each in listed(LISTED.read_text("utf-8"))
        if each.module in modules and chosen.only in {None, each.function}
    ]
    alive = [each for name in modules for each in _check(name, chosen.only, python, expected)]
    if outdated := [mutant for mutant in expected if mutant not in alive]:
        say(f"Listed in {LISTED.name}, but noticed or removed:\n{written(outdated)}")
    new = [mutant for mutant in alive if mutant not in expected]
    print(written(new), end="")
    say(f"Surviving mutants: {len(alive)}; not in {LISTED.name}: {len(new)}.")
    return 1 if new else 0


def written(mutants: Iterable[Mutant]) -> str:
    """A list of mutants in the format that `listed` reads."""
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
    """The mutants in a text such as tests/mutants.md.

    A heading of the second level names the module, one of the third level the function. In a
    block of type `diff`, empty lines separate mutants.
    """
    module = function = ""
    mutants: list[Mutant] = []
    change: list[str] = []
    inside = False
    for line in text.splitlines():
        if inside and line[:1] in {"-", "+"}:
            change.append(_without_indent(line))
            continue
        if change:
            mutants.append(Mutant(module, function, tuple(change)))
            change = []
        if line.startswith("```"):
            inside = line == "```diff"
        elif line.startswith("### "):
            function = line[4:].strip()
        elif line.startswith("## "):
            module = line[3:].strip()
    return mutants


def interpreter_with_mutmut() -> Path:
    """An interpreter with mutmut and the requirements of the tests without ComfyUI.

    Created once in the cache folder. Raises StepError.
    """
    packages = [*recipe.free_packages(), MUTMUT]
    folder = cache_folder() / f"mutants-{recipe.free_fingerprint()}-{MUTMUT.partition('==')[2]}"

    def make(log: Path) -> None:
        say("Setting up mutmut")
        make_venv(folder, sys.executable, packages, log)

    make_once(folder, make)
    return interpreter(folder / "venv")


def _without_indent(line: str) -> str:
    return f"{line[0]} {line[1:].strip()}"


def _check(
    module: str, function: str | None, python: Path, expected: Collection[Mutant]
) -> list[Mutant]:
    """The surviving mutants of one module, or of one function.

    mutmut works in a copy of the checkout, on one module at a time, so that it runs only the
    tests of that module. It applies a mutant after all modules are imported: code that runs at
    import, such as that of the statements of the journal, is the original. So each survivor that
    is not expected is checked again in a process of its own.
    """
    mutmut: list[str | Path] = [python, "-m", "mutmut"]
    with tempfile.TemporaryDirectory(prefix="mutants-", dir=cache_folder()) as folder:
        copy = Path(folder)
        _copy_to(copy)
        (copy / "pyproject.toml").write_text(_configuration(module), encoding="utf-8")
        run_step(
            f"Mutants of {module}", [*mutmut, "run", *_patterns(function)], copy / "log", cwd=copy
        )
        lines = _output([*mutmut, "results", "--all", "true"], copy).splitlines()
        results = dict(line.strip().split(": ") for line in lines if "__mutmut_" in line)
        results = {name: status for name, status in results.items() if status != "not checked"}
        if not results:
            raise StepError(f"{module} has no mutants" + (f" of {function}." if function else "."))
        alive = {
            name: _mutant(module, name, _output([*mutmut, "show", name], copy))
            for name, status in results.items()
            if status not in _NOTICED
        }
        new = [name for name, mutant in alive.items() if mutant not in expected]
        say(f"  {len(results)} mutants, surviving: {len(alive)}; not expected: {len(new)}")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            survives = partial(_survives_from_import, module=module, python=python, copy=copy)
            really = dict(zip(new, pool.map(survives, new), strict=True))
        return [mutant for name, mutant in alive.items() if really.get(name, True)]


def _survives_from_import(name: str, module: str, python: Path, copy: Path) -> bool:
    """Whether no test notices a mutant that is applied before anything is imported."""
    command: list[str | Path] = [
        python,
        "-m",
        "pytest",
        "-x",
        "-q",
        "--rootdir=.",
        *_pytest_arguments(module),
    ]
    try:
        done = subprocess.run(
            command,
            cwd=copy / "mutants",
            env={**os.environ, "MUTANT_UNDER_TEST": name},
            capture_output=True,
            timeout=_MAX_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _patterns(function: str | None) -> list[str]:
    """Mutmut's names of a function's mutants, as a pattern. Empty for all mutants."""
    if function is None:
        return []
    owner, _, name = function.rpartition(".")
    return [f"*.{f'xǁ{owner}ǁ' if owner else 'x_'}{name}__mutmut_*"]


def _copy_to(copy: Path) -> None:
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, copy / name, ignore=ignored)
        else:
            shutil.copy(source, copy / name)


def _pytest_arguments(module: str) -> list[str]:
    return [
        *_OPTIONS,
        *MODULES[module].tests,
        *(f"--deselect={test}" for test in LEFT_OUT),
    ]


def _configuration(module: str) -> str:
    values: dict[str, Sequence[str]] = {
        "source_paths": ["pika_api"],
        "only_mutate": [f"pika_api/{file}" for file in MODULES[module].files],
        "also_copy": [name for name in _COPIED if name not in {"pika_api", "tests"}],
        "do_not_mutate_patterns": _TEXTS,
        "pytest_add_cli_args_test_selection": _pytest_arguments(module),
    }
    # A JSON array is also a TOML array.
    lines = (f"{name} = {json.dumps(list(value))}" for name, value in values.items())
    return "\n".join(["[tool.mutmut]", *lines]) + "\n"


def _output(command: Iterable[str | Path], folder: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StepError(f"{done.stdout}{done.stderr}\nmutmut failed with code {done.returncode}.")
    return done.stdout


def _mutant(module: str, name: str, diff: str) -> Mutant:
    match = _NAME.fullmatch(name.rpartition(".")[2])
    if match is None:
        raise StepError(f"mutmut's name of a mutant has an unknown format: {name}")
    function = ".".join(filter(None, (match["of"], match["function"])))
    lines = [line for line in diff.splitlines() if re.match(r"[-+](?![-+]{2})", line)]
    return Mutant(module, function, tuple(map(_without_indent, lines)))
