"""A media host over real sockets, whose file changes and whose answers can be wrong."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Version:
    """One version of a file, and how it is sent.

    Attributes:
        data: Its bytes.
        etag, modified: The values of ETag and Last-Modified; empty if they are not sent.
        date: The value of Date; empty for the present.
        ranges: Whether Range is honoured.
        if_range: Whether If-Range is honoured. Some servers ignore it.
        length: How the end is marked: by "length", by "chunked", or by "close".
        cut: How many bytes of the body are sent, before the connection ends.
        span: A false Content-Range.
    """

    data: bytes
    etag: str = ""
    modified: str = ""
    date: str = ""
    ranges: bool = True
    if_range: bool = True
    length: str = "length"
    cut: int | None = None
    span: str = ""


@dataclass
class MediaHost:
    """Serves one version after the other; the last one is repeated.

    Attributes:
        versions: What is still to be served.
        seen: The headers of the requests.
        statuses: The statuses of the answers.
    """

    versions: list[Version]
    seen: list[dict[str, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def __enter__(self) -> MediaHost:
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                host._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The link to the file."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v.mp4"

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        version = self.versions.pop(0) if len(self.versions) > 1 else self.versions[0]
        self.seen.append(dict(handler.headers))
        status, start = self._choose(version, handler)
        body = version.data[start:]
        self.statuses.append(status)
        handler.close_connection = True
        handler.send_response_only(status)
        handler.send_header("Date", version.date or formatdate(usegmt=True))
        for name, value in (("ETag", version.etag), ("Last-Modified", version.modified)):
            if value:
                handler.send_header(name, value)
        if status == 206:
            total = len(version.data)
            span = version.span or f"bytes {start}-{total - 1}/{total}"
            handler.send_header("Content-Range", span)
        if version.length == "length":
            handler.send_header("Content-Length", str(len(body)))
        elif version.length == "chunked":
            handler.send_header("Transfer-Encoding", "chunked")
            body = b"".join(
                b"%04x\r\n%s\r\n" % (len(part), part)
                for part in (body[at : at + 1000] for at in range(0, len(body), 1000))
            )
            body += b"0\r\n\r\n"
        handler.send_header("Connection", "close")
        handler.end_headers()
        with contextlib.suppress(ConnectionError):
            handler.wfile.write(body if version.cut is None else body[: version.cut])

    def _choose(self, version: Version, handler: BaseHTTPRequestHandler) -> tuple[int, int]:
        """The status, and the offset of the first byte."""
        asked = handler.headers.get("Range", "")
        condition = handler.headers.get("If-Range", "")
        changed = condition not in ("", version.etag, version.modified)
        if not asked or not version.ranges or (changed and version.if_range):
            return 200, 0
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        return (206, start) if start < len(version.data) else (416, len(version.data))
