"""Signed URLs like those of object stores: they expire and must come back byte for byte."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from typing import Literal
from urllib.parse import parse_qs, quote

Verdict = Literal["valid", "expired", "wrong"]


class Signer:
    """Signs paths for `seconds`; no two signatures are equal. Thread-safe."""

    def __init__(self, seconds: int) -> None:
        self._secret = secrets.token_bytes(16)
        self._seconds = seconds
        self._lock = threading.Lock()
        self._serial = 0
        self._revoked = 0

    def sign(self, path: str) -> str:
        """The path with its query: `?Expires=…&Signature=<n>%2F<base64>%3D`."""
        with self._lock:
            self._serial += 1
            serial = self._serial
        return f"{path}?{self._query(path, int(time.time()) + self._seconds, serial)}"

    def revoke(self) -> None:
        """Expires every URL that was signed until now."""
        with self._lock:
            self._revoked = self._serial

    def check(self, path: str, query: str) -> Verdict:
        """Checks a raw query. One that means the same but was encoded again is wrong."""
        fields = parse_qs(query)
        try:
            expires = int(fields["Expires"][0])
            serial = int(fields["Signature"][0].partition("/")[0])
        except (KeyError, ValueError):
            return "wrong"
        if not hmac.compare_digest(query.encode(), self._query(path, expires, serial).encode()):
            return "wrong"
        return "expired" if time.time() >= expires or serial <= self._revoked else "valid"

    def _query(self, path: str, expires: int, serial: int) -> str:
        digest = hmac.digest(self._secret, f"{path}\n{expires}\n{serial}".encode(), hashlib.sha256)
        signature = f"{serial}/{base64.b64encode(digest).decode()}"
        return f"Expires={expires}&Signature={quote(signature, safe='')}"
