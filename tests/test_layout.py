"""Which package may import which, and what has no place in the shipped code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: Modules of ComfyUI that only ACCESS may import; `comfy_api` is open to all nodes.
INSIDES = {"comfy", "comfy_execution", "folder_paths", "server", "execution", "nodes"}
ACCESS = {"nodes/host.py", "nodes/progress.py"}
#: The parts of pika_api in the order of their layers: a part imports earlier layers and itself.
LAYERS = [
    {"message"},
    {"errors", "log", "text", "files", "progress", "threads"},
    {"media"},
    {"request", "settings"},
    {"gateway", "journal", "inputs"},
    {"tasks"},
    {"support"},
    {"facade"},
    {"batch"},
    {"cli"},
    {"__main__"},
]


def imports(path: Path) -> set[str]:
    """The modules that a file imports, as dotted names; a relative import begins with a dot."""
    names = set()
    for item in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(item, ast.Import):
            names |= {alias.name for alias in item.names}
        elif isinstance(item, ast.ImportFrom):
            base = "." * item.level + (item.module or "")
            names |= {base} if item.module else {base + alias.name for alias in item.names}
    return names


def sources(folder: str) -> list[Path]:
    """The Python files below a folder of the checkout."""
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, f"{folder} has no files"
    return files


def top(name: str) -> str:
    """The top-level package of an absolute import."""
    return name.split(".")[0]


def parts_of_api(path: Path) -> set[str]:
    """The parts of pika_api that one of its files imports."""
    depth = len(path.relative_to(ROOT / "pika_api").parts)
    own = path.relative_to(ROOT / "pika_api").parts[0].removesuffix(".py")
    parts = set()
    for name in imports(path):
        level = len(name) - len(name.lstrip("."))
        if level == depth:
            parts.add(name.lstrip(".").split(".")[0])
        elif level:
            assert level < depth, f"{path} imports from outside pika_api: {name}"
            parts.add(own)
    return parts


@pytest.mark.parametrize("path", sources("pika_api"), ids=lambda path: path.as_posix()[-30:])
def test_pika_api_imports_in_one_direction(path: Path) -> None:
    """A part of pika_api imports itself and earlier layers; gateway and journal do not meet."""
    own = path.relative_to(ROOT / "pika_api").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    layer = next(number for number, parts in enumerate(LAYERS) if own in parts)
    assert parts_of_api(path) <= {own}.union(*LAYERS[:layer])


def test_every_part_of_pika_api_has_a_layer() -> None:
    """A new package or module must be given its place in LAYERS."""
    folder = ROOT / "pika_api"
    parts = {path.relative_to(folder).parts[0].removesuffix(".py") for path in sources("pika_api")}
    assert parts - {"__init__"} == set().union(*LAYERS)


@pytest.mark.parametrize("path", sources("pika_api"), ids=lambda path: path.as_posix()[-30:])
def test_pika_api_works_without_comfyui(path: Path) -> None:
    """pika_api imports nothing of ComfyUI, of the nodes or of the simulator."""
    forbidden = INSIDES | {"comfy_api", "simulator", "torch"}
    assert not {top(name) for name in imports(path)} & forbidden


@pytest.mark.parametrize("path", sources("simulator"), ids=lambda path: path.name)
def test_simulator_imports_nothing_of_the_pack(path: Path) -> None:
    """The simulator shares no code with the pack: a shared mistake would pass every test."""
    names = imports(path)
    assert not {name for name in names if name.startswith("..")}
    assert not {top(name) for name in names} & ({"pika_api", "comfy_api", "torch"} | INSIDES)


@pytest.mark.parametrize("path", sources("nodes"), ids=lambda path: path.as_posix()[-30:])
def test_only_host_progress_and_routes_import_comfyui(path: Path) -> None:
    """All other nodes use `comfy_api` alone."""
    name = path.relative_to(ROOT).as_posix()
    if name in ACCESS or name.startswith("nodes/routes/"):
        return
    assert not {top(name) for name in imports(path)} & INSIDES


def test_the_root_loads_the_nodes_and_nothing_else() -> None:
    """ComfyUI finds an entry point and a web folder, and no NODE_CLASS_MAPPINGS."""
    text = (ROOT / "__init__.py").read_text("utf-8")
    assert "NODE_CLASS_MAPPINGS" not in text
    assert imports(ROOT / "__init__.py") == {".nodes"}
