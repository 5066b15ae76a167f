"""The house: who may import whom, and what does not belong in the repository."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: Modules of ComfyUI that only the two doors may import; `comfy_api` is open to all nodes.
INSIDES = {"comfy", "comfy_execution", "folder_paths", "server", "execution", "nodes"}
DOORS = {"nodes/host.py", "nodes/routes.py"}

#: Inside pika_api: a module may import those on lower floors only.
FLOORS = [
    {"errors", "answers", "states", "units", "connecting", "log", "files"},
    {"media", "png", "task", "settings", "retry", "watch", "database", "transport"},
    {"request", "payload", "entries", "pictures", "settings_file"},
    {"journal", "downloads", "anonymous"},
    {"client", "leases", "explain", "home", "connection", "command_line"},
    {"workers", "diagnostics"},
    {"submitting", "waiting"},
    {"collecting"},
    {"posters"},
    {"service"},
    {"__main__"},
]


def imports(path: Path) -> set[str]:
    """What a file imports, as dotted names; one from its own package begins with a dot."""
    found = set()
    for item in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(item, ast.Import):
            found |= {alias.name for alias in item.names}
        elif isinstance(item, ast.ImportFrom):
            base = "." * item.level + (item.module or "")
            found |= {base} if item.module else {base + alias.name for alias in item.names}
    return found


def sources(folder: str) -> list[Path]:
    """The Python files of a room."""
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found, f"{folder} has no files"
    return found


def top(name: str) -> str:
    """The top-level package of an absolute import."""
    return name.split(".")[0]


@pytest.mark.parametrize("path", sources("pika_api"), ids=lambda path: path.name)
def test_api_knows_nothing_of_comfyui(path: Path) -> None:
    """pika_api imports nothing of ComfyUI, of the nodes or of the simulator: it works alone."""
    names = imports(path)
    assert not {name for name in names if name.startswith("..")}
    strangers = INSIDES | {"comfy_api", "simulator", "torch"}
    assert not {top(name) for name in names} & strangers


@pytest.mark.parametrize("path", sources("pika_api"), ids=lambda path: path.name)
def test_api_is_built_from_the_bottom(path: Path) -> None:
    """Each module of pika_api imports lower floors only."""
    if path.stem == "__init__":
        return
    floor = next(level for level, modules in enumerate(FLOORS) if path.stem in modules)
    below = set().union(*FLOORS[:floor])
    own = {top(name.lstrip(".")) for name in imports(path) if name.startswith(".")}
    assert own <= below


def test_client_and_journal_do_not_meet() -> None:
    """What is sent and what is written down are joined above them, not in either."""
    kept = {"database", "entries", "journal"}
    assert not {f".{name}" for name in kept} & imports(ROOT / "pika_api" / "client.py")
    for name in kept:
        assert ".client" not in imports(ROOT / "pika_api" / f"{name}.py")


@pytest.mark.parametrize("path", sources("simulator"), ids=lambda path: path.name)
def test_simulator_knows_nothing_of_ours(path: Path) -> None:
    """The simulator imports nothing of ours: a shared mistake would pass every test."""
    names = imports(path)
    assert not {name for name in names if name.startswith("..")}
    assert not {top(name) for name in names} & ({"pika_api", "comfy_api", "torch"} | INSIDES)


@pytest.mark.parametrize("path", sources("nodes"), ids=lambda path: path.name)
def test_only_the_doors_lead_into_comfyui(path: Path) -> None:
    """Only host and routes import ComfyUI's insides; other nodes keep to comfy_api."""
    if path.relative_to(ROOT).as_posix() in DOORS:
        return
    assert not {top(name) for name in imports(path)} & INSIDES


def test_the_root_loads_the_nodes_and_nothing_else() -> None:
    """What ComfyUI loads has an entry point and a web folder, and no NODE_CLASS_MAPPINGS."""
    text = (ROOT / "__init__.py").read_text("utf-8")
    assert "NODE_CLASS_MAPPINGS" not in text
    assert imports(ROOT / "__init__.py") == {".nodes"}
