"""The registry's archive, packed by Comfy's own command line, in new ComfyUIs."""

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

pytestmark = pytest.mark.comfy

#: What users need, and nothing for development.
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
#: A name that users give the pack's folder. The fixture `comfy` has another one, with spaces.
FOLDER = "comfyui-pika_main"
NODES = set(json.loads((ROOT / "tests" / "nodes" / "contract.json").read_text("utf-8")))


@dataclass(frozen=True)
class Packed:
    """An archive, and the copy of the checkout that was packed."""

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
        """The files in one of its folders, relative to it."""
        inside = [name for name in self.names if name.startswith(folder) and name.endswith(ending)]
        assert inside, f"no {ending} in {folder}"
        return [name.removeprefix(folder) for name in inside]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """The archive of this checkout."""
    cli = comfy_cli()
    source = tracked_copy(tmp_path_factory.mktemp("source"))
    return Packed(cli, source, cli.pack(source))


@pytest.fixture(scope="module")
def installed(
    packed: Packed,
    shared_gateway: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Comfy]:
    """A ComfyUI with the unpacked archive, for which it needs its own. It has no API nodes."""
    base_dir = tmp_path_factory.mktemp("release")
    packed.unpack(base_dir / "custom_nodes" / FOLDER)
    env = {"PIKA_API_KEY": shared_gateway.key, "PIKA_BASE_URL": shared_gateway.url}
    options = ("--disable-api-nodes",)
    with Comfy.start(base_dir, env=env, extra_args=options, up_within=COMFYUI_WITHIN) as running:
        yield running


def test_registrys_validation_has_no_warning(packed: Packed) -> None:
    """Neither about the code nor about pyproject.toml."""
    output = packed.cli.validate(packed.source)
    assert "All validation checks passed" in output
    warnings, _ = packed.cli.configuration(packed.source)
    assert warnings == ""


def test_registry_reads_the_packs_metadata(packed: Packed) -> None:
    """The registry gets the name that workflows contain, the oldest supported ComfyUI, the
    dependency, every operating system, and the URLs of this repository."""
    _, configuration = packed.cli.configuration(packed.source)
    project, comfy = configuration["project"], configuration["tool_comfy"]
    assert project["name"] == "pika-video"
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
    assert project["supported_comfyui_version"] == ">=0.3.64"
    assert project["supported_os"] == ["OS Independent"]
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    assert project["dependencies"] == [line for line in lines if not line.startswith("#")]
    repository = project["urls"]["repository"]
    assert project["urls"]["issues"] == f"{repository}/issues"
    assert comfy["publisher_id"] == repository.split("/")[-2]
    assert comfy["display_name"]


def test_icon_is_a_file_of_the_repository(packed: Packed) -> None:
    """The icon's URL leads to a square PNG within 800 × 400 pixels."""
    _, configuration = packed.cli.configuration(packed.source)
    urls = configuration["project"]["urls"]
    repository = urls["repository"].removeprefix("https://github.com/")
    icon = configuration["tool_comfy"]["icon"]
    path = icon.removeprefix(f"https://raw.githubusercontent.com/{repository}/main/")
    with Image.open(packed.source / path) as picture:
        assert (picture.format, picture.size) == ("PNG", (400, 400))


def test_archive_has_only_what_users_need(packed: Packed) -> None:
    """The archive has exactly the entries of the list, and is a small download."""
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
def test_command_line_runs_from_the_archive(packed: Packed, tmp_path: Path, module: str) -> None:
    """`python -m pika_api` and `python -m simulator` only need the unpacked archive."""
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, cwd=packed.unpack(tmp_path), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"usage: python -m " + module.encode() in done.stdout


def test_all_nodes_load_from_the_archive(installed: Comfy) -> None:
    """ComfyUI reports no error."""
    nodes = installed.object_info()
    assert {name for name in nodes if nodes[name]["category"] == "Pika"} == NODES
    assert "(IMPORT FAILED)" not in installed.log_text()


def test_demo_workflow_runs_from_the_archive(installed: Comfy) -> None:
    """The demo's workflow ends in a video that can be decoded."""
    video = make_video(installed)
    assert video.suffix == ".mp4"
    assert describe_video(video)


def test_files_for_the_editor_are_served(installed: Comfy, packed: Packed) -> None:
    """Every file of web/ is served, with the help pages, and every script is listed."""
    for name in packed.under("web/", ""):
        answer = installed.request("GET", f"/extensions/{FOLDER}/{name}")
        assert answer.content == (packed.source / "web" / name).read_bytes(), name
    listed = installed.request("GET", "/extensions").json()
    scripts = {path for path in listed if FOLDER in path}
    assert scripts == {f"/extensions/{FOLDER}/{name}" for name in packed.under("web/", ".js")}


def test_templates_are_listed_and_served(installed: Comfy, packed: Packed) -> None:
    """Every example is a template with its workflow and its picture."""
    names = {name.removesuffix(".json") for name in packed.under("example_workflows/", ".json")}
    assert set(installed.get("/workflow_templates")[FOLDER]) == names
    for name in names:
        place = f"/api/workflow_templates/{FOLDER}/{name}"
        assert installed.get(f"{place}.json")["nodes"]
        picture = installed.request("GET", f"{place}.jpg")
        assert picture.headers["Content-Type"] == "image/jpeg", name


def test_help_pages_and_translations_are_served(installed: Comfy, packed: Packed) -> None:
    """Every node has a help page, and ComfyUI serves the translations of every language."""
    assert {f"docs/{node}.md" for node in NODES} <= set(packed.under("web/", ".md"))
    translations = installed.get("/i18n")
    for name in packed.under("locales/", "/nodeDefs.json"):
        language = name.split("/")[0]
        keys = {name.removesuffix(" (ComfyUI-Pika)") for name in translations[language]["nodeDefs"]}
        assert keys >= NODES
