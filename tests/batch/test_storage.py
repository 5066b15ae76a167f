"""Finished files at an address: each is copied completely, compared, and its address is known."""

from __future__ import annotations

import hashlib
import pickle
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batch.test_batch import prompts, result, states, table
from pika_api.batch import (
    Batch,
    BatchProgress,
    BatchStopped,
    ServiceWorker,
    Storage,
    Summary,
    is_address,
)
from pika_api.errors import InvalidInput
from support.api import ServiceHarness, run

fsspec = pytest.importorskip("fsspec", reason="an address needs fsspec")


@pytest.fixture(params=["memory", "file"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty folder in each kind of storage that needs no server."""
    if request.param == "file":
        yield f"file://{tmp_path.as_posix()}/a folder/clips"
        return
    name = uuid.uuid4().hex
    yield f"memory://{name}/clips"
    fsspec.filesystem("memory").rm(f"/{name}", recursive=True)


def run_batch(harness: ServiceHarness, source: Path, address: str, **options: Any) -> Summary:
    """Run a batch whose files go to an address."""
    worker = ServiceWorker(harness.service, source.parent, storage=Storage(address))
    return run(Batch(worker, source, source.with_name("out.jsonl"), **options).run())


def stored(file: str) -> bytes:
    """The content of a file at its address."""
    files, path = fsspec.core.url_to_fs(file)
    return bytes(files.cat_file(path))


def test_files_are_at_the_address(harness: ServiceHarness, tmp_path: Path, address: str) -> None:
    """Complete, and only there; the journal has their addresses too. Nothing else is there."""
    source = table(tmp_path, *prompts(3))
    assert run_batch(harness, source, address).states == {"saved": 3}
    rows, entries = result(source), harness.journal.entries()
    assert {entry.file_path for entry in entries} == {row["file"] for row in rows}
    digests = {entry.file_path: entry.sha256 for entry in entries}
    for row in rows:
        assert row["file"].startswith(f"{address}/pika_")
        assert hashlib.sha256(stored(row["file"])).hexdigest() == digests[row["file"]]
    assert list(harness.output.iterdir()) == []
    files, root = fsspec.core.url_to_fs(address)
    assert len(files.ls(root)) == 3


def test_second_start_neither_pays_nor_downloads(
    harness: ServiceHarness, tmp_path: Path, address: str
) -> None:
    """With its log, and without it: then the journal knows the addresses. A file that is damaged
    or was removed comes again."""
    source = table(tmp_path, *prompts(3))
    run_batch(harness, source, address)
    before = len(harness.gateway.log)
    run_batch(harness, source, address)
    log = source.with_name("out.jsonl.log")
    log.unlink()
    run_batch(harness, source, f"{address}/")
    assert len(harness.gateway.log) == before
    log.unlink()
    damaged, removed, _ = (row["file"] for row in result(source))
    files, path = fsspec.core.url_to_fs(damaged)
    content = stored(damaged)
    files.pipe_file(path, content[:-1] + b"?")
    files.rm_file(fsspec.core.url_to_fs(removed)[1])
    run_batch(harness, source, address)
    assert stored(damaged) == content
    assert stored(removed)
    assert states(source) == ["saved"] * 3
    assert len(harness.gateway.charged) == 3


def test_file_that_cannot_be_copied_is_kept(harness: ServiceHarness, tmp_path: Path) -> None:
    """The batch ends: each further row would be paid and stay here. It goes on once it works."""
    source, folder = table(tmp_path, *prompts(4)), tmp_path / "clips"
    address = f"file://{folder.as_posix()}"

    def block(progress: BatchProgress) -> None:
        if progress.live:
            folder.rmdir()
            folder.write_text("a file where the folder was")

    with pytest.raises(BatchStopped, match="cannot be copied") as caught:
        run_batch(harness, source, address, window=1, report=block)
    assert "It is kept" in str(caught.value)
    assert len(harness.gateway.charged) == 1
    assert len(list(harness.output.iterdir())) == 1
    folder.unlink()
    run_batch(harness, source, address)
    assert states(source) == ["saved"] * 4
    assert len(harness.gateway.charged) == 4
    assert list(harness.output.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nothing://bucket/clips", "cannot be used"),
        ("ftp://me:se-cret@127.0.0.1/clips", "has a password"),
        ("file:///proc/clips", "cannot be used"),
    ],
)
def test_address_that_does_not_work_is_an_error_before_anything_is_sent(
    harness: ServiceHarness, tmp_path: Path, address: str, words: str
) -> None:
    """An unknown kind, one that would show a password, and one where nothing can be written."""
    with pytest.raises(InvalidInput, match=words) as caught:
        run_batch(harness, table(tmp_path, *prompts(1)), address)
    assert "se-cret" not in str(caught.value)
    assert harness.gateway.log == []


def test_pickle_has_only_the_address() -> None:
    """Another machine reads credentials from its own environment."""
    storage = Storage("memory://clips/")
    assert b"memory://clips" in pickle.dumps(storage)
    assert pickle.loads(pickle.dumps(storage)).address == storage.address == "memory://clips"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("s3://bucket/clips", True), ("memory://x", True), ("clips", False), ("C:\\clips", False),
     ("C:/clips", False), ("/mnt/clips", False), ("a b://c", False), ("s3://", False)],
)  # fmt: skip
def test_address_is_told_from_a_path(text: str, expected: bool) -> None:
    """A drive of Windows is not an address."""
    assert is_address(text) is expected
