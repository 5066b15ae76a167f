"""Helpers for the tests of `pika_api`: services, scripted servers, small media."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
import sqlalchemy as sa

from pika_api.gateway import Client, RetryPolicy
from pika_api.journal import LEASE, BootTime, Intent, Journal, SystemClocks
from pika_api.media import Media, images, read_image_file
from pika_api.request import GenerateRequest, Payload
from pika_api.settings import Settings, gateway_of, sqlite_url
from pika_api.tasks import Service, ServicePolicy
from simulator import Simulator

T = TypeVar("T")

KEY = "sk-Pika/Secret+0123456789abcdef"
PROMPT = "Apple evaporates"
GENERATE = "/pika/generate"


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a new event loop, as ComfyUI does for each prompt."""
    return asyncio.run(work)


def ask(prompt: str = PROMPT, **values: Any) -> GenerateRequest:
    """A request with the defaults of the API specification."""
    return GenerateRequest(prompt, **values)


def payload(request: GenerateRequest | None = None) -> Payload:
    """The body of a request as a stream."""
    return Payload((request or ask()).body())


@contextlib.contextmanager
def client_of(url: str, key: str = KEY, **options: Any) -> Iterator[Client]:
    """A client of the gateway at this address; the options are those of `Client`."""
    client = Client(Settings(api_key=key, base_url=url), **options)
    try:
        yield client
    finally:
        client.close()


@dataclass
class ServiceHarness:
    """A gateway, and services with a journal in one folder, or in another database."""

    gateway: Simulator
    home: Path
    policy: ServicePolicy = field(default_factory=ServicePolicy)
    lease: float = LEASE
    database: str = ""
    _services: list[Service] = field(default_factory=list)

    @property
    def journal_url(self) -> str | sa.URL:
        """The address of the journal."""
        return self.database or sqlite_url(self.home)

    @property
    def journal(self) -> Journal:
        """The first service's journal."""
        return self.service.journal

    @property
    def service(self) -> Service:
        """The first service."""
        return self._services[0] if self._services else self.another()

    @property
    def output(self) -> Path:
        """The folder for downloaded files."""
        return self.home / "output"

    @property
    def gateway_id(self) -> str:
        """The identity of the gateway, for the names of files."""
        return gateway_of(self.gateway.url)

    @property
    def posts(self) -> int:
        """How many paid requests the gateway has received."""
        return len(self.gateway.requests("POST", GENERATE))

    def another(
        self, *, journal: Journal | None = None, output: Path | None = None, **settings: Any
    ) -> Service:
        """Another service on the same journal file, like that of a second process."""
        values = {"api_key": self.gateway.key, "base_url": self.gateway.url, **settings}
        service = Service(
            Settings(**values),
            journal or Journal(self.journal_url, lease=self.lease, spool=self.home / "spool"),
            output or self.output,
            policy=self.policy,
        )
        self._services.append(service)
        return service

    def submit(self, request: GenerateRequest | None = None, **options: Any) -> str:
        """Submit a request with the first service; returns the task id."""
        return run(self.service.submit(request or ask(), **options)).task_id

    def close(self) -> None:
        """Close all services."""
        for service in self._services:
            service.close()
            service.journal.close()


def impatient(policy: ServicePolicy, seconds: float) -> ServicePolicy:
    """A policy that repeats an unreachable submit for so long only, instead of 20 s."""
    return replace(policy, retry=RetryPolicy(unreachable_patience=seconds))


def intent(fingerprint: str = "f" * 64, **fields: Any) -> Intent:
    """An intent for the journal."""
    values: dict[str, Any] = {
        "base_url": "https://api.gpt.ge",
        "key_id": "0123456789abcdef",
        "take": 0,
        "prompt": PROMPT,
        "request": {"promptText": PROMPT},
    }
    return Intent(fingerprint, **(values | fields))


class Clock:
    """A clock that a test sets; as the clocks of a journal, those of a machine with no more than
    a wall clock.

    Attributes:
        started: The time since the machine's start; None if it cannot be had.
    """

    def __init__(self, now: float = 1_800_000_000.0, started: BootTime | None = None) -> None:
        self.now = now
        self.started = started

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    def boot(self) -> BootTime | None:
        return self.started


class WrongClocks(SystemClocks):
    """The clocks of this machine, with a wall clock that is wrong by some seconds."""

    def __init__(self, wrong: float) -> None:
        self.wrong = wrong

    def wall(self) -> float:
        return super().wall() + self.wrong


def claim_in_process(urls: list[str], owner: str, barrier: Any, answers: Any) -> None:
    """Claim the same fingerprint as other processes, at the same moment, in each journal."""
    for url in urls:
        with contextlib.closing(Journal(url)) as journal:
            barrier.wait(60)
            try:
                answers.put((url, journal.claim(intent(), owner).acquired, ""))
            except Exception as error:  # noqa: BLE001 - the parent process fails on it
                answers.put((url, False, repr(error)))


# Servers that can do more than the simulator.


@dataclass
class Seen:
    """A request as it was received."""

    head: str
    body: bytes

    @property
    def line(self) -> str:
        """The request line."""
        return self.head.split("\r\n", 1)[0]

    def header(self, name: str) -> str | None:
        """The value of a header; None if it is missing."""
        lines = (line.partition(":") for line in self.head.split("\r\n")[1:])
        return {key.lower(): value.strip() for key, _, value in lines}.get(name.lower())


Answer = bytes | Callable[[socket.socket], None]


def answer(status: int, body: object = b"", *, length: int | None = None, **headers: str) -> bytes:
    """An HTTP response in bytes; `length` is a false Content-Length."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    size = len(raw) if length is None else length
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {size}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + raw


def reset(connection: socket.socket) -> None:
    """Close with a TCP RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def drip(data: bytes, every: float) -> Callable[[socket.socket], None]:
    """Send byte by byte."""

    def act(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for byte in data:
                connection.sendall(bytes([byte]))
                time.sleep(every)

    return act


class RawServer:
    """A server with scripted responses, which records the requests.

    The responses are sent in order; the last one is repeated. `read` is how many bytes of a body
    are read before the response; None for all.
    """

    def __init__(self, *script: Answer, read: int | None = None) -> None:
        self.seen: list[Seen] = []
        self._script = list(script)
        self._read = read
        self._lock = threading.Lock()
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):
                    outer._handle(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> RawServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handle(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = connection.recv(65536)
            if not chunk:
                return
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        seen = Seen(head.decode("latin-1"), body)
        wanted = int(seen.header("Content-Length") or 0)
        wanted = wanted if self._read is None else min(wanted, self._read)
        while len(seen.body) < wanted and (chunk := connection.recv(65536)):
            seen.body += chunk
        with self._lock:
            self.seen.append(seen)
            act = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        connection.sendall(act) if isinstance(act, bytes) else act(connection)


def free_port() -> int:
    """A port of this machine on which no program listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


# Small media.


def write_video(
    path: Path,
    *,
    codec: str = "libx264",
    frames: int = 12,
    size: tuple[int, int] = (64, 48),
    faststart: bool = False,
    shift: int = 0,
) -> Path:
    """Write a short clip; `shift` moves its presentation times back by so many frames."""
    options = {"movflags": "faststart"} if faststart else {}
    width, height = size
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=24)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, 24)
        if codec == "libvpx-vp9":
            stream.options = {"cpu-used": "8", "deadline": "realtime"}
        packets = []
        for number in range(frames):
            pixels = np.full((height, width, 3), number * 255 // frames, np.uint8)
            pixels[:, number % width :: 3] = (255, 0, 0)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number
            packets += stream.encode(frame)
        packets += stream.encode()
        for packet in packets:
            if shift and packet.time_base is not None:
                ticks = int(shift / 24 / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts - ticks
                packet.dts = None if packet.dts is None else packet.dts - ticks
            container.mux(packet)
    return path


def picture(height: int = 6, width: int = 8, channels: int = 3, seed: int = 1) -> Any:
    """A picture of noise, as an IMAGE of ComfyUI."""
    random = np.random.default_rng(seed)
    return random.random((1, height, width, channels), dtype=np.float32)


def from_pixels(image: object) -> Media:
    """A picture as lossless PNG."""
    return images.prepare_image(image, form="png").media


def from_picture_file(path: Path) -> Media:
    """A picture file as lossless PNG."""
    return images.encode_image(read_image_file(path), form="png")[0]
