"""What users read in the editor, in two languages: node texts, strings, help pages."""

from __future__ import annotations

import ast
import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.comfy import Comfy

ROOT = Path(__file__).parent.parent
LOCALES = ROOT / "locales"
DOCS = ROOT / "web" / "docs"
LANGUAGES = ("en", "zh")
#: What ComfyUI reads of a pack; ours gives the first two, and the others where it wants them.
READ = ("main", "nodeDefs", "settings", "commands")
FILES = [name for name in READ if (LOCALES / "en" / f"{name}.json").exists()]
CONTRACT = json.loads((ROOT / "tests" / "nodes" / "contract.json").read_text("utf-8"))

#: Chinese texts that have no Chinese in them, and need none.
NAMES = {"data: URI", "{found} / {all}"}
HAN = re.compile(r"[\u4e00-\u9fff]")
PLACE = re.compile(r"\{(\w+)\}")

each_node = pytest.mark.parametrize("node", sorted(CONTRACT))
each_language = pytest.mark.parametrize("language", LANGUAGES)
each_file = pytest.mark.parametrize("name", FILES)


def texts(language: str, name: str) -> dict[str, Any]:
    """A file of a language, as ComfyUI reads it."""
    read: dict[str, Any] = json.loads((LOCALES / language / f"{name}.json").read_text("utf-8"))
    return read


def leaves(tree: dict[str, Any], path: str = "") -> dict[str, str]:
    """Every text of a file by its path: ``{"tasks.title": "Pika tasks"}``."""
    found: dict[str, str] = {}
    for key, value in tree.items():
        found |= leaves(value, f"{path}{key}.") if isinstance(value, dict) else {path + key: value}
    return found


def scripts() -> str:
    """The editor's side, in one text."""
    js = ROOT / "web" / "js"
    return "\n".join(path.read_text("utf-8") for path in (*js.glob("*.js"), *js.glob("*.mjs")))


def page(node: str, language: str) -> str:
    """A node's help page."""
    return (DOCS / node / f"{language}.md").read_text("utf-8")


def spans(markdown: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`\n]+)`", markdown)


def test_every_language_has_the_files() -> None:
    """Both languages have the same files, with names that ComfyUI reads: others go unseen."""
    found = {path.relative_to(LOCALES).as_posix() for path in LOCALES.rglob("*") if path.is_file()}
    assert found == {f"{language}/{name}.json" for language in LANGUAGES for name in FILES}
    assert {"main", "nodeDefs"} <= set(FILES)


@each_file
def test_languages_say_the_same_things(name: str) -> None:
    """Both languages have the same keys, no text is blank, and {places} for values are the same."""
    english, chinese = leaves(texts("en", name)), leaves(texts("zh", name))
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert text.strip()
        assert chinese[key].strip()
        assert sorted(PLACE.findall(text)) == sorted(PLACE.findall(chinese[key])), key


@each_file
def test_chinese_is_chinese(name: str) -> None:
    """Nothing was left in English, but for names."""
    left = {key: text for key, text in leaves(texts("zh", name)).items() if not HAN.search(text)}
    assert {key: text for key, text in left.items() if text not in NAMES} == {}


@each_language
def test_the_editor_can_read_them(language: str) -> None:
    """The editor takes { } | @ in nodes' texts for its own syntax, and shows something else."""
    found = leaves(texts(language, "nodeDefs"))
    assert [key for key, text in found.items() if set(text) & set("{}|@")] == []


@pytest.mark.comfy
def test_english_nodes_are_the_schema(comfy: Comfy) -> None:
    """English repeats the nodes' own texts, all of them and nothing else: neither drifts."""
    wanted = {}
    for node in CONTRACT:
        info = comfy.object_info(node)
        inputs = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
        outputs = zip(info["output_name"], info["output_tooltips"], strict=True)
        wanted[node] = {
            "display_name": info["display_name"],
            "description": info["description"],
            "inputs": {
                name: {"name": name, "tooltip": details["tooltip"]}
                for name, (_kind, details) in inputs.items()
            },
            "outputs": {
                str(index): {"name": name, "tooltip": tooltip}
                for index, (name, tooltip) in enumerate(outputs)
            },
        }
    assert texts("en", "nodeDefs") == wanted


def test_every_string_of_the_editor_is_there() -> None:
    """What the scripts ask for with t("…") is in main.json, and nothing there is unused."""
    known, source = leaves(texts("en", "main")["pika"]), scripts()
    asked = set(re.findall(r"""\bt\(\s*["']([^"']+)["']""", source))
    assert asked
    assert asked - known.keys() == set()
    # A key may also stand apart from t(), or have its end put in: `tasks.state.${state}`.
    written = set(re.findall(r"""["']([\w-]+(?:\.[\w-]+)+)["']""", source))
    rooms = "|".join(texts("en", "main")["pika"])
    begun = tuple(re.findall(rf"`((?:{rooms})\.[\w.-]*)\$\{{", source))
    unused = {key for key in known.keys() - written if not key.startswith(begun)}
    assert unused == set()
    assert {start for start in begun if not any(key.startswith(start) for key in known)} == set()


def test_every_node_has_its_pages_and_no_other() -> None:
    """Each node has a page in each language; readers of any other get the English one."""
    found = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    wanted = {f"{node}/{language}.md" for node in CONTRACT for language in LANGUAGES}
    assert found == wanted | {f"{node}.md" for node in CONTRACT}
    for node in CONTRACT:
        assert (DOCS / f"{node}.md").read_text("utf-8") == page(node, "en")


@each_language
@each_node
def test_a_page_tells_everything(node: str, language: str) -> None:
    """A page names every input and output, with an input's default and limits."""
    text, contract = page(node, language), CONTRACT[node]
    told = set(spans(text))
    inputs = contract["required"] + contract["optional"]
    assert {made["name"] for made in inputs} <= told
    assert {name for name, _kind in contract["outputs"]} <= told
    for made in inputs:
        line = next(
            line
            for line in text.splitlines()
            if line.startswith("- ") and spans(line)[:1] == [made["name"]]
        )
        facts = [made[fact] for fact in ("default", "min", "max") if fact in made]
        for fact in facts:
            assert shown(fact) in line, (made["name"], fact)


def shown(value: Any) -> str:
    """A default or a limit, as a page writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


@each_node
def test_a_chinese_page_uses_the_names_on_the_node(node: str) -> None:
    """The reader finds the words of the page on the node: before each id stands its name there."""
    text, names, contract = page(node, "zh"), texts("zh", "nodeDefs")[node], CONTRACT[node]
    for made in contract["required"] + contract["optional"]:
        assert f"- {names['inputs'][made['name']]['name']} `{made['name']}`" in text
    for index, (name, _kind) in enumerate(contract["outputs"]):
        assert f"- {names['outputs'][str(index)]['name']} `{name}`" in text


@each_language
@each_node
def test_a_page_quotes_real_errors(node: str, language: str) -> None:
    """The errors that a page explains are those that the pack raises, word for word."""
    section = page(node, language).split("\n## ")[-1]
    quotes = re.findall(r"^- `([^`]+)`", section, re.MULTILINE)
    assert quotes
    for quote in quotes:
        for piece in filter(str.strip, quote.split("…")):
            assert any(piece.strip() in text for text in said()), quote


def test_both_pages_explain_the_same_errors() -> None:
    """What can go wrong is told in both languages, in the same order."""
    for node in CONTRACT:
        english, chinese = (
            re.findall(r"^- `([^`]+)`", page(node, language).split("\n## ")[-1], re.MULTILINE)
            for language in LANGUAGES
        )
        assert english == chinese, node


def test_both_readmes_have_the_same_parts() -> None:
    """README.zh.md follows README.md: as many sections, and the same commands; each links the
    other."""
    english, chinese = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh.md"))
    assert english.count("\n## ") == chinese.count("\n## ")
    commands = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    assert commands.findall(english) == commands.findall(chinese)
    assert "(README.zh.md)" in english
    assert "(README.md)" in chinese


@functools.cache
def said() -> set[str]:
    """Every text in the code of the nodes and the API."""
    trees = [
        ast.parse(path.read_text("utf-8"))
        for folder in ("nodes", "pika_api")
        for path in (ROOT / folder).rglob("*.py")
    ]
    return {
        item.value
        for tree in trees
        for item in ast.walk(tree)
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
    }
