"""What is known about an incomplete download, so that only the same version of a file is resumed.

It is stored beside the incomplete file, so that it survives a restart. It contains no link.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

#: A strong entity tag (RFC 9110, section 8.8.3). A weak one begins with ``W/``.
_STRONG_ETAG: Final = re.compile(r'"[!#-~]{0,1024}"')
_DATE: Final = re.compile(r"[A-Za-z0-9,: +-]{1,64}")
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
#: Maximum size of the stored JSON, in bytes.
_MAX_BYTES: Final = 8192


@dataclass(frozen=True)
class PartInfo:
    """What is known about an incomplete file.

    Attributes:
        etag: The strong entity tag of the file; empty if it has none.
        last_modified: When the file was changed, as the media host wrote it; empty if it is not
            exact enough, or if the file has an entity tag, even a weak one.
        total: Size of the whole file in bytes; None if the media host did not say it.
        digest: SHA-256 of an earlier complete response whose end nothing proved; else empty.
    """

    etag: str = ""
    last_modified: str = ""
    total: int | None = None
    digest: str = ""

    @property
    def validator(self) -> str:
        """The value of ``If-Range``; empty if the download cannot be resumed."""
        return self.etag or self.last_modified

    @classmethod
    def of(cls, headers: Mapping[str, str], total: int | None, digest: str) -> PartInfo:
        """From the headers of the response that the file begins with."""
        etag = headers.get("ETag", "").strip()
        if etag:
            return cls(etag if _STRONG_ETAG.fullmatch(etag) else "", "", total, digest)
        modified = headers.get("Last-Modified", "").strip()
        exact = _is_exact(modified, headers.get("Date", ""))
        return cls("", modified if exact else "", total, digest)

    @classmethod
    def load(cls, part: Path) -> PartInfo:
        """What is stored about a file; nothing if it is missing or damaged."""
        try:
            with part_info_path(part).open("rb") as file:
                values = json.loads(file.read(_MAX_BYTES))
            info = cls(**values)
            texts = (info.etag, info.last_modified, info.digest)
            if all(isinstance(text, str) for text in texts) and (
                info.total is None or type(info.total) is int
            ):
                return info
        except (OSError, ValueError, TypeError, RecursionError):
            pass
        return cls()

    def save(self, part: Path) -> None:
        """Store it. Raises `OSError`."""
        part_info_path(part).write_text(json.dumps(asdict(self)), "utf-8")

    def matches(self, headers: Mapping[str, str], total: int | None) -> bool:
        """Whether a part of a file (206) belongs to the same version.

        A 206 repeats the entity tag of the file (RFC 9110, section 15.3.7), but need not repeat its
        date.
        """
        if headers.get("ETag", "").strip() != self.etag:
            return False
        modified = headers.get("Last-Modified", "").strip()
        if self.last_modified and modified not in ("", self.last_modified):
            return False
        return None in (total, self.total) or total == self.total


@dataclass(frozen=True)
class ContentRange:
    """The bytes in a 206: the first, the last, and the size of the file; None if it is unknown."""

    first: int
    last: int
    total: int | None

    @classmethod
    def parse(cls, text: str) -> ContentRange | None:
        """The value of ``Content-Range``; None if it is not valid."""
        match = _CONTENT_RANGE.fullmatch(text.strip())
        if match is None:
            return None
        first, last = int(match[1]), int(match[2])
        total = None if match[3] == "*" else int(match[3])
        valid = first <= last and (total is None or last < total)
        return cls(first, last, total) if valid else None


def part_info_path(part: Path) -> Path:
    """Where it is stored what is known about an incomplete file."""
    return part.with_name(f"{part.name}.json")


def discard_part(part: Path) -> None:
    """Remove an incomplete file and what is known about it. Raises `OSError`."""
    part.unlink(missing_ok=True)
    part_info_path(part).unlink(missing_ok=True)


def _is_exact(modified: str, date: str) -> bool:
    """Whether a file that was changed again had another date (RFC 9110, section 8.8.2.2).

    The date has whole seconds. A file that is sent in the second of its change may change again
    within it.
    """
    if not _DATE.fullmatch(modified):
        return False
    try:
        changed = parsedate_to_datetime(modified)
        return not date or parsedate_to_datetime(date) - changed >= timedelta(seconds=1)
    except (ValueError, TypeError, OverflowError):
        return False
