"""A certificate authority for one test run, servers with its certificates, and a proxy."""

from __future__ import annotations

import contextlib
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from support.api import Answer, RawServer, Seen

OPENSSL = shutil.which("openssl")
#: Names in the certificate. Only the `Proxy` below can resolve the second.
NAMES = ("localhost", "gateway.example")


class Authority:
    """A temporary authority, and one certificate for `NAMES`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.bundle = folder / "ca.pem"
        self._run(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", "ca.key",
            "-out", "ca.pem", "-subj", "/CN=Temporary authority",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip
        self._run(
            "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "leaf.key", "-out", "leaf.csr",
            "-subj", "/CN=gateway.example",
        )  # fmt: skip
        (folder / "leaf.ext").write_text(
            f"subjectAltName={','.join(f'DNS:{name}' for name in NAMES)}\n"
            "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\n"
            "extendedKeyUsage=serverAuth\nsubjectKeyIdentifier=hash\n"
            "authorityKeyIdentifier=keyid\n"
        )
        self._run(
            "x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", "leaf.ext", "-out", "leaf.pem",
        )  # fmt: skip
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "leaf.pem", folder / "leaf.key")

    def _run(self, *command: str) -> None:
        assert OPENSSL is not None
        subprocess.run([OPENSSL, *command], cwd=self._folder, check=True, capture_output=True)


class TlsServer(RawServer):
    """A `RawServer` behind TLS."""

    def __init__(self, authority: Authority, *script: Answer) -> None:
        super().__init__(*script)
        self._context = authority.context
        self.port = int(self.url.rpartition(":")[2])
        self.url = f"https://localhost:{self.port}"

    def _handle(self, connection: socket.socket) -> None:
        with (
            contextlib.suppress(
                OSError
            ),  # a client that does not trust the certificate disconnects
            self._context.wrap_socket(connection, server_side=True) as safe,
        ):
            super()._handle(safe)


class Proxy:
    """Forwards connections to ports of this machine by name, or rejects all.

    Args:
        ports: The port of each name.
        answer: What it responds instead of forwarding a connection.
    """

    def __init__(self, ports: Mapping[str, int], answer: bytes = b"") -> None:
        self.seen: list[Seen] = []
        self._ports = ports
        self._answer = answer
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    outer._handle(self.connection)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def asked(self) -> list[str]:
        """The request lines without the HTTP version, which differs between Pythons."""
        return [seen.line.rpartition(" ")[0] for seen in self.seen]

    def _handle(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            chunk = connection.recv(65536)
            if not chunk:
                return
            head += chunk
        seen = Seen(head.decode("latin-1"), b"")
        self.seen.append(seen)
        if self._answer:
            connection.sendall(self._answer)
            return
        name = seen.line.split()[1].rpartition(":")[0]
        with socket.create_connection(("127.0.0.1", self._ports[name])) as other:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_forward, args=(other, connection), daemon=True)
            back.start()
            _forward(connection, other)
            back.join(5)


def _forward(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
