"""The ledger as CSV: what a spreadsheet makes of it, read back with Python's csv module."""

from __future__ import annotations

import csv
import io
import json
import time
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pika_api.journal import Entry
from pika_api.support.ledger_csv import BOM, COLUMNS, csv_chunks, iso_time, safe_cell

SIGNS = "=+-@＝＋－＠"


def entry(**fields: object) -> Entry:
    """An entry with these columns."""
    nothing = ("fingerprint", "owner", "task_id", "sent_at", "submitted_at", "finished_at")
    row: dict[str, object] = dict.fromkeys((*nothing, "saved_at", "forgotten_at"))
    texts = ("base_url", "key_id", "prompt", "node_id", "prompt_id", "result_url", "file_path")
    row |= dict.fromkeys((*texts, "last_error"), "")
    row |= {"id": 7, "state": "saved", "take": "0", "request": "{}", "lease_until": 0.0}
    row |= {"created_at": 1_800_000_000.0, "changed_at": 0.0, "revision": 1, "progress": 100}
    return Entry.of(row | fields)


def read_back(*entries: Entry) -> list[dict[str, str]]:
    """The rows, as Python's csv module reads the bytes of a file."""
    data = "".join(csv_chunks(entries)).encode("utf-8")
    assert data.startswith(b"\xef\xbb\xbf")
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    return list(csv.DictReader(text, strict=True))


def test_row_has_the_fields_of_the_task() -> None:
    """Texts as they are, times in ISO form with their zone, the price without a currency."""
    request = json.dumps({"promptText": "x", "model": "1.5", "pikaffect": "Cake-ify"})
    (row,) = read_back(
        entry(
            base_url="https://API.gpt.ge/",
            prompt='A "pear", 梨; and\nmore',
            request=request,
            take="3",
            task_id="c8091b7b-1",
            sent_at=1_800_000_001.5,
            price=0.25,
            estimate=9.0,
            file_path="/out/pika_1.mp4",
        )
    )
    assert tuple(row) == COLUMNS
    assert datetime.fromisoformat(row["sent"]).timestamp() == 1_800_000_001
    assert datetime.fromisoformat(row["created"]).utcoffset() is not None
    assert row["prompt"] == 'A "pear", 梨; and\nmore'
    expected = {"gateway": "https://api.gpt.ge", "model": "1.5", "effect": "Cake-ify", "take": "3",
                "state": "saved", "task_id": "c8091b7b-1", "price": "0.25",
                "price_source": "counted", "file": "/out/pika_1.mp4", "number": "7",
                "saved": ""}  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_expected_and_unknown_prices_say_so() -> None:
    """A price that is not known is empty, and not 0."""
    expected, unknown, free = read_back(entry(estimate=2e-6), entry(), entry(estimate=0.0))
    assert (expected["price"], expected["price_source"]) == ("0.000002", "expected")
    assert (unknown["price"], unknown["price_source"]) == ("", "")
    assert free["price"] == "0"


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize(
    "text",
    ["{}SUM(A1)", " {}1", '"{}1', "''{}1", "\ufeff{}1", "\t{}1", "\r{}1", "\n{}1", "a\n{}1",
     "a\r\n {}1", 'a";"{}1', "a;{}1", 'x", "{}1', "a\t{}1"],
)  # fmt: skip
def test_no_cell_begins_with_a_formula(sign: str, text: str) -> None:
    """In whatever field it comes, and wherever a program may see the beginning of a cell: at the
    start, after line breaks, quotation marks, tabs and semicolons, with blanks before it."""
    hostile = text.format(sign)
    request = json.dumps({"model": hostile, "pikaffect": hostile})
    (row,) = read_back(
        entry(prompt=hostile, request=request, task_id=hostile, base_url=hostile, file_path=hostile)
    )
    for name in ("prompt", "model", "effect", "task_id", "gateway", "file"):
        assert_harmless(row[name])


def assert_harmless(cell: str) -> None:
    """No part of the cell is a formula, however a program splits it."""
    assert cell[:1] not in {"\t", "\r", "\n"}
    for separator in ("\n", "\r", "\t", ";", '"'):
        for part in cell.split(separator):
            first = part.strip(' "\ufeff\u200b\t\n\r;')[:1]
            assert first not in set(SIGNS), cell


@given(st.text(st.sampled_from(SIGNS + "a ;,\"'\t\r\n\ufeff"), max_size=12))
def test_any_text_is_harmless(text: str) -> None:
    """And the file stays valid CSV with the same number of columns and rows."""
    rows = read_back(entry(prompt=text), entry(prompt="next"))
    assert rows[1]["prompt"] == "next"
    cell = rows[0]["prompt"]
    assert cell == safe_cell(text)
    assert cell[:1] not in set(SIGNS) | {"\t", "\r", "\n"}
    assert cell.replace("'", "") == text.replace("\r\n", "\n").replace("\r", "\ufffd").replace(
        "'", ""
    )


@pytest.mark.parametrize(
    "text", ["a well-lit room - at night", "a+b", "me@home", "5 = five", "x-1"]
)
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    """A sign within a text is no formula."""
    assert safe_cell(text) == text


@pytest.mark.parametrize("text", ["12345678901234567890", "00123", "1e5"])
def test_ids_that_look_like_numbers_stay_texts(text: str) -> None:
    """A spreadsheet would round them or drop their zeros."""
    assert safe_cell(text) == f"'{text}"


def test_long_and_broken_texts() -> None:
    """Excel moves the rest of a cell of more than 32767 characters into other cells. Half
    characters and NUL would break the file. A run of blanks does not take quadratic time."""
    assert len(safe_cell("x" * 100_000)) == 32_000
    (row,) = read_back(entry(prompt="a\x00b\ud800c"))
    assert row["prompt"] == "a\ufffdb\ufffdc"
    started = time.process_time()
    safe_cell("\n" * 32_000)
    safe_cell(" ;" * 16_000)
    assert time.process_time() - started < 2


def test_any_time_is_written() -> None:
    """Also that of a clock that was wrong by centuries."""
    assert iso_time(None) == ""
    assert iso_time(1e18) == "1e+18"
    assert iso_time(0.0)


def test_parts_follow_the_entries() -> None:
    """The first part is there before the first entry is read, and no more than a part is read at
    once."""
    read = 0

    def entries() -> object:
        nonlocal read
        for _ in range(1000):
            read += 1
            yield entry()

    chunks = csv_chunks(entries())  # type: ignore[arg-type]
    assert next(chunks).startswith(BOM)
    assert read == 0
    next(chunks)
    assert 0 < read <= 200


def test_paths_can_be_shortened() -> None:
    """The browser need not know the folders of the server."""
    text = "".join(
        csv_chunks([entry(file_path="/secret/out/pika/a.mp4")], lambda path: Path(path).name)
    )
    assert "secret" not in text
    assert '"a.mp4"' in text
