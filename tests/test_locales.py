"""The editor's texts in both languages: node texts, strings, help pages."""

from __future__ import annotations

import ast
import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.comfy import Comfy
from support.graphs import FORMER
from support.messages import is_translation

ROOT = Path(__file__).parent.parent
LOCALES = ROOT / "locales"
DOCS = ROOT / "web" / "docs"
LANGUAGES = ("en", "zh")
#: File names that ComfyUI reads from a pack. This pack has the first two.
READ = ("main", "nodeDefs", "settings", "commands")
FILES = [name for name in READ if (LOCALES / "en" / f"{name}.json").exists()]
CONTRACT = json.loads((ROOT / "tests" / "nodes" / "contract.json").read_text("utf-8"))

#: Texts that are the same in Chinese.
NAMES = {"data: URI", "{found} / {all}"}
HAN = re.compile(r"[\u4e00-\u9fff]")
PLACE = re.compile(r"\{(\w+)\}")

each_node = pytest.mark.parametrize("node", sorted(CONTRACT))
each_language = pytest.mark.parametrize("language", LANGUAGES)
each_file = pytest.mark.parametrize("name", FILES)


def texts(language: str, name: str) -> dict[str, Any]:
    """One file of a language, as ComfyUI reads it."""
    tree: dict[str, Any] = json.loads((LOCALES / language / f"{name}.json").read_text("utf-8"))
    return tree


def leaves(tree: dict[str, Any], path: str = "") -> dict[str, str]:
    """All texts of a file by path: ``{"tasks.title": "Pika tasks"}``."""
    flat: dict[str, str] = {}
    for key, value in tree.items():
        flat |= leaves(value, f"{path}{key}.") if isinstance(value, dict) else {path + key: value}
    return flat


def key_of(node: str) -> str:
    """The key of a node's texts in nodeDefs.json."""
    return f"{node} (ComfyUI-Pika)" if node in FORMER else node


def scripts() -> str:
    """All scripts of the editor extension, in one text."""
    js = ROOT / "web" / "js"
    return "\n".join(path.read_text("utf-8") for path in (*js.glob("*.js"), *js.glob("*.mjs")))


def page(node: str, language: str) -> str:
    """The help page of a node."""
    return (DOCS / node / f"{language}.md").read_text("utf-8")


def spans(markdown: str) -> list[str]:
    """The code spans, without backticks."""
    return re.findall(r"`([^`\n]+)`", markdown)


def test_every_language_has_the_files() -> None:
    """Both languages have the same files. ComfyUI ignores files with other names."""
    files = {path.relative_to(LOCALES).as_posix() for path in LOCALES.rglob("*") if path.is_file()}
    wanted = {f"{language}/{name}.json" for language in LANGUAGES for name in FILES}
    # Not ComfyUI's: the pack's own messages, whose English is in the code. See test_messages.py.
    assert files == wanted | {"zh/messages.json"}
    assert {"main", "nodeDefs"} <= set(FILES)


@each_file
def test_languages_have_the_same_keys_and_placeholders(name: str) -> None:
    """Both languages have the same keys and {placeholders}, and no text is blank."""
    english, chinese = leaves(texts("en", name)), leaves(texts("zh", name))
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert text.strip()
        assert chinese[key].strip()
        assert sorted(PLACE.findall(text)) == sorted(PLACE.findall(chinese[key])), key


@each_file
def test_chinese_texts_are_translated(name: str) -> None:
    """Every Chinese text contains Chinese, apart from names."""
    left = {key: text for key, text in leaves(texts("zh", name)).items() if not HAN.search(text)}
    assert {key: text for key, text in left.items() if text not in NAMES} == {}


@each_language
def test_node_texts_have_no_i18n_syntax(language: str) -> None:
    """Node texts have no { } | @: the editor's i18n library treats them as syntax."""
    flat = leaves(texts(language, "nodeDefs"))
    assert [key for key, text in flat.items() if set(text) & set("{}|@")] == []


@pytest.mark.comfy
def test_english_node_texts_equal_the_schema(comfy: Comfy) -> None:
    """nodeDefs.json in English has exactly the texts of the node schemas."""
    wanted = {}
    for node in CONTRACT:
        info = comfy.object_info(node)
        inputs = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
        outputs = zip(info["output_name"], info["output_tooltips"], strict=True)
        wanted[key_of(node)] = {
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


@each_language
def test_no_text_is_for_a_node_of_comfyui(language: str) -> None:
    """The editor would give texts under these ids to ComfyUI's own nodes, where it has them."""
    assert CONTRACT.keys() >= FORMER
    assert not FORMER & texts(language, "nodeDefs").keys()


def test_every_string_exists_and_is_used() -> None:
    """Every key that a script passes to t("…") is in main.json, and every key there is used."""
    known, source = leaves(texts("en", "main")["pika"]), scripts()
    used = set(re.findall(r"""\bt\(\s*["']([^"']+)["']""", source))
    assert used
    assert used - known.keys() == set()
    # A key can also be a plain string, or a template with a variable end: `tasks.state.${state}`.
    written = set(re.findall(r"""["']([\w-]+(?:\.[\w-]+)+)["']""", source))
    sections = "|".join(texts("en", "main")["pika"])
    prefixes = tuple(re.findall(rf"`((?:{sections})\.[\w.-]*)\$\{{", source))
    unused = {key for key in known.keys() - written if not key.startswith(prefixes)}
    assert unused == set()
    assert {start for start in prefixes if not any(key.startswith(start) for key in known)} == set()


def test_every_node_has_exactly_its_help_pages() -> None:
    """Each node has a page in each language. <Node>.md, for all others, is the English page."""
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    wanted = {f"{node}/{language}.md" for node in CONTRACT for language in LANGUAGES}
    assert pages == wanted | {f"{node}.md" for node in CONTRACT}
    for node in CONTRACT:
        assert (DOCS / f"{node}.md").read_text("utf-8") == page(node, "en")


@each_language
@each_node
def test_a_page_documents_every_input_and_output(node: str, language: str) -> None:
    """A page names every input and output, and the default and limits of each input."""
    text, contract = page(node, language), CONTRACT[node]
    named = set(spans(text))
    inputs = contract["required"] + contract["optional"]
    assert {each["name"] for each in inputs} <= named
    assert {name for name, _kind in contract["outputs"]} <= named
    for each in inputs:
        line = next(
            line
            for line in text.splitlines()
            if line.startswith("- ") and spans(line)[:1] == [each["name"]]
        )
        facts = [each[fact] for fact in ("default", "min", "max") if fact in each]
        for fact in facts:
            assert formatted(fact) in line, (each["name"], fact)


def formatted(value: Any) -> str:
    """A default or a limit as it is written on a page."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


@each_node
def test_a_chinese_page_uses_the_names_on_the_node(node: str) -> None:
    """The Chinese page puts the name on the node before each id, so that a reader finds it."""
    text, names, contract = page(node, "zh"), texts("zh", "nodeDefs")[key_of(node)], CONTRACT[node]
    for each in contract["required"] + contract["optional"]:
        assert f"- {names['inputs'][each['name']]['name']} `{each['name']}`" in text
    for index, (name, _kind) in enumerate(contract["outputs"]):
        assert f"- {names['outputs'][str(index)]['name']} `{name}`" in text


def quoted_errors(node: str, language: str) -> list[list[str]]:
    """The errors that a page explains, each in the pieces around its values."""
    section = page(node, language).split("\n## ")[-1]
    quotes = re.findall(r"^- `([^`]+)`", section, re.MULTILINE)
    return [[piece.strip() for piece in quote.split("…") if piece.strip()] for quote in quotes]


@each_node
def test_a_page_quotes_real_errors(node: str) -> None:
    """Every error quoted on an English page is in the code, word for word."""
    quotes = quoted_errors(node, "en")
    assert quotes
    for quote in quotes:
        for piece in quote:
            assert any(piece in text for text in code_texts()), quote


@each_node
def test_both_pages_explain_the_same_errors(node: str) -> None:
    """Both languages explain the same errors in the same order, each as the nodes show it in that
    language."""
    english, chinese = (quoted_errors(node, language) for language in LANGUAGES)
    for quote, translated in zip(english, chinese, strict=True):
        assert is_translation(quote, translated), (quote, translated)


def test_both_readmes_have_the_same_parts() -> None:
    """Both READMEs have as many sections and the same commands, and link to each other."""
    english, chinese = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh.md"))
    assert english.count("\n## ") == chinese.count("\n## ")
    commands = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    assert commands.findall(english) == commands.findall(chinese)
    assert "(README.zh.md)" in english
    assert "(README.md)" in chinese


@functools.cache
def code_texts() -> set[str]:
    """All string constants in nodes/ and pika_api/."""
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
