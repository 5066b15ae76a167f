"""Tables in files: what is read is what was written, whatever is in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pika_api.batch import read_rows, write_rows
from pika_api.errors import InvalidInput

ROWS = [
    {"prompt_text": 'A "quoted", prompt\nin two lines', "seed": "1", "mine": "=1+1"},
    {"prompt_text": "一只海鸥 🍎", "seed": "18446744073709551615", "mine": ""},
]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".ndjson", ".CSV"])
def test_table_is_read_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    """Line breaks, quotation marks, any script, and columns that mean nothing to the pack."""
    path = tmp_path / f"table{suffix}"
    write_rows(path, ROWS[0], ROWS)
    assert list(read_rows(path)) == ROWS
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_parquet_is_read_as_it_was_written(tmp_path: Path) -> None:
    """With its own types. Without pyarrow, the error names it."""
    path = tmp_path / "table.parquet"
    rows = [{"prompt_text": "a", "seed": 2**63 - 1, "n": None}, {"prompt_text": "b", "n": 1.5}]
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        with pytest.raises(InvalidInput, match="pip install pyarrow"):
            write_rows(path, ["a"], rows)
        return
    write_rows(path, ["prompt_text", "seed", "n"], rows)
    assert list(read_rows(path)) == [rows[0], rows[1] | {"seed": None}]


def test_table_of_excel_is_read(tmp_path: Path) -> None:
    """It begins with a byte order mark and has lines that end with CR and LF."""
    path = tmp_path / "a.csv"
    path.write_bytes("\ufeffprompt_text,seed\r\nAn apple,1\r\n\r\n".encode())
    assert list(read_rows(path)) == [{"prompt_text": "An apple", "seed": "1"}]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.xlsx", b"", "known format"),
        ("a", b"", "known format"),
        ("a.csv", b"a,a\n1,2\n", "same name"),
        ("a.csv", b"a,b\n1\n", "line 2 has 1 cells"),
        ("a.csv", b"a\n\xff\xfe\n", "UTF-8"),
        ("a.csv", b'a\n"' + b"x" * 10_000_001, "field larger"),
        ("a.jsonl", b"{}\n{", "line 2 is not JSON"),
        ("a.jsonl", b"[1]\n", "line 1 is not a JSON object"),
        ("a.jsonl", b"[" * 100_000, "line 1 is not JSON"),
        ("absent.csv", None, "No such file"),
    ],
)
def test_file_that_is_no_table_is_an_error(
    tmp_path: Path, name: str, data: bytes | None, words: str
) -> None:
    """The error names the file, and the line where there is one."""
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InvalidInput, match=words) as caught:
        list(read_rows(path))
    assert name in str(caught.value)


def test_failed_write_leaves_the_earlier_file(tmp_path: Path) -> None:
    """A result is replaced as a whole."""
    path = tmp_path / "a.jsonl"
    write_rows(path, ["a"], [{"a": 1}])
    with pytest.raises(TypeError):
        write_rows(path, ["a"], [{"a": 2}, None])  # type: ignore[list-item]
    assert json.loads(path.read_text("utf-8")) == {"a": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["a.jsonl"]


def test_parquet_that_is_damaged_is_an_error(tmp_path: Path) -> None:
    """Also where pyarrow is missing, which is an error of its own."""
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 is not all of it")
    with pytest.raises(InvalidInput, match=r"a\.parquet"):
        list(read_rows(path))


def test_values_that_csv_does_not_have_are_json(tmp_path: Path) -> None:
    """A list or an object of JSON Lines. Blank lines of that format mean nothing."""
    source, target = tmp_path / "a.jsonl", tmp_path / "a.csv"
    source.write_text('{"a": [1, "二"]}\n\n{"a": {"b": null}}\n', "utf-8")
    write_rows(target, ["a"], read_rows(source))
    assert [row["a"] for row in read_rows(target)] == ['[1, "二"]', '{"b": null}']
