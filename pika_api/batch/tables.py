"""Tables in files, read row by row: CSV, JSON Lines, and Parquet if pyarrow is installed."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from .. import files
from ..errors import InvalidInput
from ..message import Message

#: A row: a value for each column.
Row = dict[str, Any]

#: The formats, by the suffix of the file.
FORMATS: Final = (".csv", ".jsonl", ".ndjson", ".parquet")
#: Rows of a Parquet file that are in memory at once.
_CHUNK: Final = 1000
#: Maximum size of one cell of a CSV file, in characters: a prompt is far shorter.
_MAX_CELL: Final = 10_000_000


def check_format(path: Path) -> str:
    """The format of a table: its suffix.

    Raises:
        InvalidInput: It is none of `FORMATS`, or pyarrow is needed and missing.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InvalidInput(
            path.name,
            Message("the name does not end with a known format."),
            Message("Use one of: {known}.", known=", ".join(FORMATS)),
        )
    if suffix == ".parquet":
        _pyarrow(path.name)
    return suffix


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a table, in its order.

    Raises:
        InvalidInput: It cannot be read, or is not a table. It names the line.
    """
    suffix = check_format(path)
    read = {".csv": _read_csv, ".parquet": _read_parquet}.get(suffix, _read_json_lines)
    try:
        yield from read(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, str(error)) from error


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table, and replace one that is there when it is complete.

    Args:
        columns: The names of all columns, in their order. A row may lack some.

    Raises:
        OSError: It cannot be written.
    """
    suffix = check_format(path)
    write = {".csv": _write_csv, ".parquet": _write_parquet}.get(suffix, _write_json_lines)
    part = path.with_name(f".{path.name}.part")
    try:
        write(part, list(columns), rows)
        files.replace_file(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _unreadable(path: Path, problem: str) -> InvalidInput:
    return InvalidInput(
        path.name,
        Message("the table cannot be read: {problem}.", problem=problem.rstrip(".")),
        Message("Correct the file. Text must be in UTF-8."),
    )


def _read_csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(_MAX_CELL)
    # Excel writes a byte order mark.
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        columns = next(reader, [])
        if len(set(columns)) < len(columns):
            raise _unreadable(path, "two columns have the same name")
        for cells in reader:
            if not cells:
                continue  # an empty line
            if len(cells) != len(columns):
                raise _unreadable(
                    path,
                    f"line {reader.line_num} has {len(cells)} cells, and there are "
                    f"{len(columns)} columns",
                )
            yield dict(zip(columns, cells, strict=True))


def _read_json_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise _unreadable(path, f"line {number} is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise _unreadable(path, f"line {number} is not a JSON object")
            yield row


def _read_parquet(path: Path) -> Iterator[Row]:
    parquet = _pyarrow(path.name)
    try:
        with parquet.ParquetFile(path) as table:
            for chunk in table.iter_batches(_CHUNK):
                yield from chunk.to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's own errors are among them
        raise _unreadable(path, str(error)) from error


def _write_csv(path: Path, columns: list[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _cell(value) for name, value in row.items()})


def _cell(value: object) -> object:
    """What a CSV file contains for a value that is not a text or number."""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return value


def _write_json_lines(path: Path, columns: list[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            ordered = {name: row[name] for name in columns if name in row}
            # A value of Parquet may have no form in JSON, such as a date.
            file.write(json.dumps(ordered, ensure_ascii=False, default=str) + "\n")


def _write_parquet(path: Path, columns: list[str], rows: Iterable[Mapping[str, Any]]) -> None:
    import pyarrow as pa

    parquet = _pyarrow(path.name)
    # As one table: a column may have its first value in the last row.
    table = pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in rows])
    parquet.write_table(table, path)


def _pyarrow(name: str) -> ModuleType:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise InvalidInput(
            name,
            Message("Parquet needs the package pyarrow, which is not installed in this Python."),
            Message("Install it: python -m pip install pyarrow. Or use CSV or JSON Lines."),
        ) from error
    module: ModuleType = parquet
    return module
