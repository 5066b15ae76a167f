"""The list of mutants that may live, as it is read and as it is printed."""

from __future__ import annotations

import ast

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


def functions(module: str) -> set[str]:
    """The names of a module's functions and methods, as mutants have them."""
    tree = ast.parse((ROOT / "pika_api" / f"{module}.py").read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = {node.name for node in tree.body if isinstance(node, kinds)}
    for each in tree.body:
        if isinstance(each, ast.ClassDef):
            found |= {f"{each.name}.{node.name}" for node in each.body if isinstance(node, kinds)}
    return found


def test_what_is_printed_can_be_read() -> None:
    """A mutant that the command prints may be put into the list as it is."""
    assert listed(written(SOME)) == SOME


def test_a_reason_and_an_indent_change_nothing() -> None:
    """Words between the blocks, several mutants in one block, lines deep in a function."""
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

- Both are as good.
+ So there.
"""
    assert listed(text) == SOME[:2]


def test_the_list_is_of_functions_that_are_there() -> None:
    """An entry whose function has gone would excuse nothing for ever; none is there twice."""
    entries = listed(LISTED.read_text("utf-8"))
    assert entries
    assert len(set(entries)) == len(entries)
    for entry in entries:
        assert entry.function in functions(entry.module)
        assert any(line.startswith("-") for line in entry.change)


def test_modules_and_tests_are_there() -> None:
    """The table names what there is."""
    for module, tests in MODULES.items():
        assert (ROOT / "pika_api" / f"{module}.py").is_file()
        assert all((ROOT / test).is_file() for test in tests)
    for test in LEFT_OUT:
        path, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text("utf-8")


def test_an_unknown_module_is_told() -> None:
    """With those that there are."""
    with pytest.raises(StepError, match=r"Not among retry, .*: nonsense"):
        main(["nonsense"])
