"""The modules that the simulator may import."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "simulator"
ALLOWED = {"aiohttp", "av", "numpy", "PIL"}


def test_simulator_imports_nothing_from_the_project():
    """A mistake in shared code would pass every test."""
    for file in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for name in names:
                root = name.partition(".")[0]
                assert root in sys.stdlib_module_names | ALLOWED, f"{file.name} imports {name}"
