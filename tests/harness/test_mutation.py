"""The list of mutants that may survive: how it is read and written, and that it is up to date."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from devtools import ROOT
from devtools.mutation import LEFT_OUT, LISTED, MODULES, Mutant, listed, main, written
from devtools.setup.steps import StepError

SOME = [
    Mutant("retry", "poll_delay", ("- delay = 1", "+ delay = 2")),
    Mutant("retry", "poll_delay", ("- delay = 1", "+ delay = None")),
    Mutant("retry", "Pace.wait", ("- return 1", "+ return (", "+ )")),
    Mutant("journal", "Pace.wait", ("- return 1", "+ return 2")),
]


def functions(path: Path) -> set[str]:
    """The names of the functions and methods in a file, as `Mutant.function` has them."""
    tree = ast.parse(path.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in tree.body if isinstance(node, kinds)}
    for each in tree.body:
        if isinstance(each, ast.ClassDef):
            names |= {f"{each.name}.{node.name}" for node in each.body if isinstance(node, kinds)}
    return names


def test_printed_mutants_can_be_listed() -> None:
    """The output of the command can be added to the list unchanged."""
    assert listed(written(SOME)) == SOME


def test_prose_and_indentation_are_ignored() -> None:
    """Text between the blocks, several mutants in one block, and indented lines."""
    text = """
# Mutants

## retry

### poll_delay

```diff
-        delay = 1
+        delay = 2

-        delay = 1
+        delay = None
```

- Both have the same effect.
+ Another remark.
"""
    assert listed(text) == SOME[:2]


def test_listed_functions_exist() -> None:
    """An entry for a removed function, or a duplicate, would stay in the list unnoticed."""
    entries = listed(LISTED.read_text("utf-8"))
    assert entries
    assert len(set(entries)) == len(entries)
    for entry in entries:
        files = [ROOT / "pika_api" / file for file in MODULES[entry.module].files]
        assert entry.function in set().union(*map(functions, files))
        assert any(line.startswith("-") for line in entry.change)


def test_files_and_tests_exist() -> None:
    """The files, test files and excluded tests of the mutation check exist."""
    for module in MODULES.values():
        assert all((ROOT / "pika_api" / file).is_file() for file in module.files)
        assert all((ROOT / test).is_file() for test in module.tests)
    for test in LEFT_OUT:
        path, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text("utf-8")


def test_unknown_module_is_an_error() -> None:
    """The error lists the known modules."""
    with pytest.raises(StepError, match=r"Not among retry, .*: nonsense"):
        main(["nonsense"])
