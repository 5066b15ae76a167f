"""Finished files at an address such as ``s3://bucket/clips``, with the package fsspec."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from urllib.parse import urlsplit

from ..errors import InvalidInput
from ..media import file_digest
from ..message import Message

#: Below the private folder: files that are not copied to their address yet.
OUTGOING: Final = "outgoing"
_OPTION: Final = "--output"
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://.")
#: Bytes that are read at once to compare a copy.
_CHUNK: Final = 1 << 20


def is_address(text: str) -> bool:
    """Whether a text is an address, not a path."""
    return _ADDRESS.match(text) is not None


class Storage:
    """A folder at an address. Its files are complete, and have been compared after the copy.

    Safe in threads. A pickle has the address only: credentials come from the environment.

    Args:
        address: Of the folder, as fsspec reads it.

    Attributes:
        address: The same, without a slash at its end.

    Raises:
        InvalidInput: fsspec or the package for this kind of address is missing, or it is not valid.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        fsspec = _fsspec()
        if urlsplit(address).password:
            raise InvalidInput(
                _OPTION,
                Message("the address has a password, which would be in the result."),
                Message("Set it in the environment or in the configuration of the storage."),
            )
        try:
            # Listings are not cached: other machines write there too.
            self._files, self._root = fsspec.core.url_to_fs(address, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise InvalidInput(
                _OPTION,
                Message("{address} cannot be used: {error}.", address=address, error=error),
                Message("For s3:// install s3fs, for gs:// gcsfs, for az:// adlfs."),
            ) from error
        self._root = self._root.rstrip("/")
        self._names: frozenset[str] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Storage, (self.address,)

    def check(self) -> None:
        """Write, read and remove a small file.

        Raises:
            InvalidInput: That is not possible.
        """
        target = f"{self._root}/.pika-{uuid.uuid4().hex}"
        try:
            with _os_errors():
                self._files.makedirs(self._root, exist_ok=True)
                self._files.pipe_file(target, b"pika")
                is_same = self._files.cat_file(target) == b"pika"
                self._files.rm_file(target)
        except OSError as error:
            raise self._unusable(str(error)) from error
        if not is_same:
            raise self._unusable("what was written is not what is read")

    def save(self, path: Path) -> str:
        """Copy a file, and read the copy to compare it.

        Returns:
            The address of the copy. The file is not removed.

        Raises:
            OSError: It cannot be copied, or the copy differs.
        """
        file = f"{self.address}/{path.name}"
        digest = file_digest(path)
        if not self.has(file, digest):
            with _os_errors():
                self._files.makedirs(self._root, exist_ok=True)
                self._files.put_file(str(path), f"{self._root}/{path.name}")
            if not self.has(file, digest):
                raise OSError("the copy differs from the file")
        return file

    def has(self, file: str, digest: str) -> bool:
        """Whether a file is there, with this content.

        Args:
            file: An address, as `save` returns it. That of another folder is not there.
            digest: The SHA-256 of its bytes, in hexadecimal digits; empty if it is not known.

        Raises:
            OSError: The storage does not answer.
        """
        name = self._name(file)
        if not name:
            return False
        hashed = hashlib.sha256()
        try:
            with _os_errors(), self._files.open(f"{self._root}/{name}", "rb") as copy:
                while chunk := copy.read(_CHUNK):
                    hashed.update(chunk)
        except FileNotFoundError:
            return False
        return digest in ("", hashed.hexdigest())

    def lists(self, file: str) -> bool:
        """Whether a file was there when this was first asked: one listing answers for all files.

        Raises:
            InvalidInput: The storage does not answer.
        """
        if self._names is None:
            try:
                with _os_errors():
                    paths = self._files.ls(self._root, detail=False)
            except FileNotFoundError:
                paths = []
            except OSError as error:
                raise self._unusable(str(error)) from error
            self._names = frozenset(str(path).rpartition("/")[2] for path in paths)
        return self._name(file) in self._names

    def _name(self, file: str) -> str:
        """The name of a file in this folder; empty for any other address."""
        folder, _, name = file.rpartition("/")
        return name if folder == self.address else ""

    def _unusable(self, problem: str) -> InvalidInput:
        return InvalidInput(
            _OPTION,
            Message(
                "{address} cannot be used: {error}.",
                address=self.address,
                error=problem.rstrip("."),
            ),
            Message("Check the address and the credentials. They come from the environment."),
        )


@contextmanager
def _os_errors() -> Iterator[None]:
    """Each storage has errors of its own, which are not always an `OSError`."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(str(error) or repr(error)) from error


def _fsspec() -> ModuleType:
    try:
        import fsspec
    except ImportError as error:
        raise InvalidInput(
            _OPTION,
            Message("an address needs the package fsspec, which is not installed in this Python."),
            Message("Install it: python -m pip install fsspec. Or name a folder."),
        ) from error
    module: ModuleType = fsspec
    return module
