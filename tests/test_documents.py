"""README and the other documents: links, contents, translations, quoted errors, badges."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from support.messages import is_translation

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
)
#: Documents in two languages: the English one, which has a Chinese one beside it.
TRANSLATED = [
    ROOT / "README.md",
    *(path for path in sorted(DOCS.glob("*.md")) if not path.stem.endswith(".zh")),
]
#: Error texts of Python, not of the pack.
OF_PYTHON = {"No module named"}

each_document = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix()
)
each_translated = pytest.mark.parametrize("path", TRANSLATED, ids=lambda path: path.name)


def chinese_of(path: Path) -> Path:
    """The Chinese version of a document."""
    return path.with_suffix(".zh.md")


def without_code(text: str) -> str:
    """A document without its code blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def code_blocks(text: str) -> list[str]:
    """The code blocks of a document, without their indentation in a list."""
    found = re.findall(r"^( *)```\w*\n(.*?)^ *```$", text, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def headings(text: str) -> list[tuple[int, str]]:
    """The headings of a document: level and text."""
    found = re.findall(r"^(#+) (.+)$", without_code(text), flags=re.MULTILINE)
    return [(len(marks), title) for marks, title in found]


def anchor(title: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    """The anchors of a document. A heading that is there twice gets a number, which none needs."""
    return {anchor(title) for _level, title in headings(path.read_text("utf-8"))}


def links(text: str) -> Iterator[str]:
    """The targets of a document's links and pictures."""
    for target in re.findall(r"\]\(([^()\s]+)\)", without_code(text)):
        yield unquote(target)


@each_document
def test_relative_links_and_anchors_exist(path: Path) -> None:
    """Every relative link leads to a file of the repository, and to a heading that is in it."""
    for target in links(path.read_text("utf-8")):
        if target.startswith(("https://", "http://")):
            continue
        name, _, fragment = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        assert linked.exists(), target
        assert not fragment or fragment in anchors(linked), target


@pytest.mark.parametrize(
    "path",
    [each for first in TRANSLATED for each in (first, chinese_of(first))],
    ids=lambda path: path.name,
)
def test_contents_list_every_section(path: Path) -> None:
    """The list of contents has every section, in order, under its own title."""
    text = path.read_text("utf-8")
    listed = re.findall(r"^- \[(.+)\]\(#(.+)\)$", text, flags=re.MULTILINE)
    sections = [title for level, title in headings(text) if level == 2]
    before = 2 if path.name.startswith("README") else 0  # the quick start, the contents themselves
    assert listed == [(title, anchor(title)) for title in sections[before:]]


@each_translated
def test_both_languages_have_the_same_parts(path: Path) -> None:
    """The same headings by level, commands, pictures and rows of tables; each links the other."""
    english = path.read_text("utf-8")
    chinese = chinese_of(path).read_text("utf-8")
    assert [level for level, _ in headings(english)] == [level for level, _ in headings(chinese)]
    assert code_blocks(english) == code_blocks(chinese)
    assert re.findall(r"!\[.*?\]\((.+?)\)", english) == re.findall(r"!\[.*?\]\((.+?)\)", chinese)
    assert english.count("\n|") == chinese.count("\n|")
    assert f"]({chinese_of(path).name})" in english
    assert f"]({path.name})" in chinese


@each_translated
def test_both_languages_link_the_same_pages(path: Path) -> None:
    """Both have the same links, and a translated page is linked in the reader's language."""
    english, chinese = (
        {target.partition("#")[0] for target in links(each.read_text("utf-8"))} - {""}
        for each in (path, chinese_of(path))
    )
    names = {each.name: chinese_of(each).name for each in TRANSLATED}
    pages = {Path(target).name: target for target in english}
    pages.pop(chinese_of(path).name)  # the link to the other language
    in_chinese = {
        target.removesuffix(name) + names.get(name, name) for name, target in pages.items()
    }
    assert chinese == in_chinese | {path.name}


def error_rows(path: Path) -> list[list[str]]:
    """The error texts that a page explains: the code in the first column of its tables, by row."""
    rows = re.findall(r"^\| (.+?) \| ", path.read_text("utf-8"), flags=re.MULTILINE)
    return list(filter(None, (re.findall(r"`([^`]+)`", row) for row in rows)))


@functools.cache
def texts_of_the_code() -> str:
    """All texts in the code of the nodes and the API, one per line."""
    trees = [
        ast.parse(path.read_text("utf-8"))
        for folder in ("nodes", "pika_api")
        for path in (ROOT / folder).rglob("*.py")
    ]
    return "\n".join(
        item.value
        for tree in trees
        for item in ast.walk(tree)
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
    )


#: Rows that are the same in both languages: names of variables, and messages of the command line,
#: of the database and of the log, which are English.
UNTRANSLATED = (
    ["HTTPS_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE"],
    ["Nothing was sent: the task may be paid for already."],
    ["ComfyUI-Pika was updated: restart ComfyUI"],
    ["should contain the id of a paid task, but is damaged"],
)


def test_troubleshooting_quotes_real_errors() -> None:
    """A quoted error is one that the pack raises, word for word. The Chinese page quotes the same
    errors in the same order, as the nodes show them in Chinese."""
    english, chinese = (error_rows(DOCS / f"troubleshooting{name}.md") for name in ("", ".zh"))
    assert len(english) == len(chinese) > 10
    own = {quote for row in english for quote in row} - OF_PYTHON
    assert [quote for quote in own if quote not in texts_of_the_code()] == []
    for row, translated in zip(english, chinese, strict=True):
        same = row == translated and (set(row) <= OF_PYTHON or row in UNTRANSLATED)
        assert same or is_translation_of_row(row, translated), (row, translated)


def is_translation_of_row(row: list[str], translated: list[str]) -> bool:
    """Whether both rows quote the same error, or the same two errors."""
    if is_translation(row, translated):
        return True
    cuts = [(i, k) for i in range(1, len(row)) for k in range(1, len(translated))]
    return any(
        is_translation(row[:i], translated[:k]) and is_translation(row[i:], translated[k:])
        for i, k in cuts
    )


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_badges_agree_with_the_project(name: str) -> None:
    """Licence, registry name, ComfyUI and Python on the badges are those of pyproject.toml."""
    badges = re.findall(
        r"https://img\.shields\.io/badge/([^)]+)-blue", (ROOT / name).read_text("utf-8")
    )
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    registry = re.search(r'^name = "(.+)"$', project, re.MULTILINE)
    comfyui = re.search(r'^requires-comfyui = ">=(.+)"$', project, re.MULTILINE)
    pythons = re.findall(r"Python :: (3\.\d+)", project)
    assert registry
    assert comfyui
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("MIT License")
    assert badges == [
        "licence-MIT",
        f"Comfy_registry-{registry[1].replace('-', '--')}",
        f"ComfyUI-{comfyui[1]}_or_later",
        f"Python-{pythons[0]}_to_{pythons[-1]}",
    ]
