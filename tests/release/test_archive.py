"""The registry's archive, made by Comfy's own command line, installed in fresh ComfyUIs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from devtools import ROOT
from devtools.comfyui.services import COMFYUI_WITHIN
from devtools.demo import describe_video, make_video
from devtools.registry import ComfyCli, comfy_cli, tracked_copy
from simulator import Simulator
from support.comfy import Comfy

# The first test may set the command line up.
pytestmark = [pytest.mark.comfy, pytest.mark.timeout(600)]

#: All that users need, and nothing of the workshop.
ENTRIES = {
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "README.zh.md",
    "SECURITY.md",
    "__init__.py",
    "docs",
    "example_workflows",
    "locales",
    "nodes",
    "pika_api",
    "pyproject.toml",
    "requirements.txt",
    "simulator",
    "subgraphs",
    "web",
}
LARGEST = 2_000_000
#: What people make of the pack's name. Under one with a space ComfyUI's web server finds no pack's
#: files, so nothing but the nodes is there.
FOLDERS = ["comfyui-pika_main", "pika video 1-0"]
in_the_editor = pytest.mark.parametrize("installed", FOLDERS[:1], indirect=True, scope="module")
NODES = set(json.loads((ROOT / "tests" / "nodes" / "contract.json").read_text("utf-8")))


@dataclass(frozen=True)
class Packed:
    """An archive, and the copy of the checkout that it was made from."""

    cli: ComfyCli
    source: Path
    path: Path

    @property
    def names(self) -> list[str]:
        """The files in it."""
        with zipfile.ZipFile(self.path) as archive:
            return archive.namelist()

    def unpack(self, place: Path) -> Path:
        """Unpack it, as an installer does."""
        with zipfile.ZipFile(self.path) as archive:
            archive.extractall(place)
        return place

    def under(self, folder: str, ending: str) -> list[str]:
        """The files under one of its folders, from there."""
        inside = [name for name in self.names if name.startswith(folder) and name.endswith(ending)]
        assert inside, f"no {ending} in {folder}"
        return [name.removeprefix(folder) for name in inside]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """The archive of this checkout."""
    cli = comfy_cli()
    source = tracked_copy(tmp_path_factory.mktemp("source"))
    return Packed(cli, source, cli.pack(source))


@pytest.fixture(scope="module", params=FOLDERS)
def installed(
    request: pytest.FixtureRequest,
    packed: Packed,
    gateway: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Comfy, str]]:
    """A fresh ComfyUI with the archive unpacked in it, and the name of its folder there."""
    base_dir = tmp_path_factory.mktemp("fresh")
    packed.unpack(base_dir / "custom_nodes" / request.param)
    env = {"PIKA_API_KEY": gateway.key, "PIKA_BASE_URL": gateway.url}
    with Comfy.start(base_dir, env=env, up_within=COMFYUI_WITHIN) as running:
        yield running, request.param


def test_publishing_would_find_nothing(packed: Packed) -> None:
    """Comfy's own check passes without a warning, about the code or about pyproject.toml."""
    said = packed.cli.validate(packed.source)
    assert "All validation checks passed" in said
    warnings, _ = packed.cli.configuration(packed.source)
    assert warnings == ""


def test_registry_reads_what_we_wrote(packed: Packed) -> None:
    """The registry gets the name that workflows carry, the floor of ComfyUI, the one dependency,
    every operating system, and addresses of this repository."""
    _, found = packed.cli.configuration(packed.source)
    project, comfy = found["project"], found["tool_comfy"]
    assert project["name"] == "pika-video"
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
    assert project["supported_comfyui_version"] == ">=0.3.64"
    assert project["supported_os"] == ["OS Independent"]
    wanted = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    assert project["dependencies"] == [line for line in wanted if not line.startswith("#")]
    repository = project["urls"]["repository"]
    assert project["urls"]["issues"] == f"{repository}/issues"
    assert comfy["publisher_id"] == repository.split("/")[-2]
    assert comfy["display_name"]


def test_icon_is_there(packed: Packed) -> None:
    """The icon's address is that of a file in the repository, square and within 800 × 400."""
    _, found = packed.cli.configuration(packed.source)
    repository = found["project"]["urls"]["repository"].removeprefix("https://github.com/")
    icon = found["tool_comfy"]["icon"]
    path = icon.removeprefix(f"https://raw.githubusercontent.com/{repository}/main/")
    with Image.open(packed.source / path) as picture:
        assert (picture.format, picture.size) == ("PNG", (400, 400))


def test_archive_has_what_users_need_and_no_more(packed: Packed) -> None:
    """The archive's entries are those of the list, and an update of it is a small download."""
    assert {name.split("/")[0] for name in packed.names} == ENTRIES
    assert packed.path.stat().st_size < LARGEST


def test_linked_files_and_pictures_are_packed(packed: Packed) -> None:
    """Every relative link and picture of an unpacked README or page of docs leads to a file that
    is packed too. The only pictures from elsewhere are the badges.
    """
    pages = [name for name in packed.names if re.fullmatch(r"(README|docs/).*\.md", name)]
    assert {"README.md", "README.zh.md", "docs/configuration.md"} <= set(pages)
    for name in pages:
        text = (ROOT / name).read_text("utf-8")
        for picture, target in re.findall(r"(!\[[^][]*)?]\(([^)#\s]+)", text):
            if target.startswith("https://"):
                assert not picture or target.startswith("https://img.shields.io/badge/"), target
                continue
            path = (ROOT / name).parent.joinpath(target).resolve().relative_to(ROOT).as_posix()
            assert [each for each in packed.names if each == path or each.startswith(f"{path}/")]


@pytest.mark.parametrize("module", ["pika_api", "simulator"])
def test_command_lines_work_unpacked(packed: Packed, tmp_path: Path, module: str) -> None:
    """`python -m pika_api` and `python -m simulator` start from the unpacked archive alone."""
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, cwd=packed.unpack(tmp_path), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"usage: python -m " + module.encode() in done.stdout


def test_nodes_are_there(installed: tuple[Comfy, str]) -> None:
    """Under whatever folder's name, all nodes load, without an error."""
    comfy, _ = installed
    found = comfy.object_info()
    assert {name for name in found if found[name]["category"] == "Pika"} == NODES
    assert "(IMPORT FAILED)" not in comfy.log_text()


def test_a_video_is_made(installed: tuple[Comfy, str]) -> None:
    """The demo's workflow, with every node of the way, ends in a video that plays."""
    comfy, _ = installed
    made = make_video(comfy)
    assert made.suffix == ".mp4"
    assert describe_video(made)


@in_the_editor
def test_files_of_the_editor_are_served(installed: tuple[Comfy, str], packed: Packed) -> None:
    """Every file under web is served, help pages among them, and every script is loaded."""
    comfy, folder = installed
    for name in packed.under("web/", ""):
        answer = comfy.request("GET", f"/extensions/{folder}/{name}")
        assert answer.content == (packed.source / "web" / name).read_bytes(), name
    listed = comfy.request("GET", "/extensions").json()
    ours = {path for path in listed if folder in path}
    assert ours == {f"/extensions/{folder}/{name}" for name in packed.under("web/", ".js")}


@in_the_editor
def test_templates_are_listed_and_served(installed: tuple[Comfy, str], packed: Packed) -> None:
    """Every example is a template, with its workflow and its picture."""
    comfy, folder = installed
    names = {name.removesuffix(".json") for name in packed.under("example_workflows/", ".json")}
    assert set(comfy.get("/workflow_templates")[folder]) == names
    for name in names:
        place = f"/api/workflow_templates/{folder}/{name}"
        assert comfy.get(f"{place}.json")["nodes"]
        picture = comfy.request("GET", f"{place}.jpg")
        assert picture.headers["Content-Type"] == "image/jpeg", name


@in_the_editor
def test_help_and_words_are_served(installed: tuple[Comfy, str], packed: Packed) -> None:
    """Every node has a help page, and the words of every language reach the editor."""
    comfy, _ = installed
    assert {f"docs/{node}.md" for node in NODES} <= set(packed.under("web/", ".md"))
    words = comfy.get("/i18n")
    for name in packed.under("locales/", "/nodeDefs.json"):
        language = name.split("/")[0]
        assert set(words[language]["nodeDefs"]) >= NODES
