"""A certificate authority for one test run, servers that it vouches for, and a proxy in between."""

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
#: Names that the certificate is for; nobody has the second but a proxy that we tell.
NAMES = ("localhost", "gateway.example")


class Authority:
    """A throw-away authority, and one certificate of its for `NAMES`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.bundle = folder / "ca.pem"
        self._run(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", "ca.key",
            "-out", "ca.pem", "-subj", "/CN=Throw-away authority",
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
            contextlib.suppress(OSError),  # who does not trust it goes away
            self._context.wrap_socket(connection, server_side=True) as safe,
        ):
            super()._handle(safe)


class Proxy:
    """Carries connections to the ports that it knows by name, or says no to all.

    Args:
        ports: Where each name is on this machine.
        answer: What it says instead of carrying anything.
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
        """What it was asked, without the version of HTTP, which differs between Pythons."""
        return [seen.line.rpartition(" ")[0] for seen in self.seen]

    def _handle(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        seen = Seen(head.decode("latin-1"), b"")
        self.seen.append(seen)
        if self._answer:
            connection.sendall(self._answer)
            return
        name = seen.line.split()[1].rpartition(":")[0]
        with socket.create_connection(("127.0.0.1", self._ports[name])) as other:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_carry, args=(other, connection), daemon=True)
            back.start()
            _carry(connection, other)
            back.join(5)


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
