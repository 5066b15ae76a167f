"""One measurement in a process of its own, which has done nothing else before."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import peak_growth, timed

_ROOT: Final = Path(__file__).resolve().parent.parent


def alone(what: str, *arguments: object) -> Any:
    """Run one of the measurements below. Raises CalledProcessError when it breaks."""
    command = [sys.executable, "-m", "benchmarks.alone", what, *map(str, arguments)]
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def memory(whose: str, way: str, picture: str) -> int:
    """Bytes that making a request body of a picture takes at most."""
    from benchmarks import ours, theirs
    from benchmarks.picture import Picture

    encode: Callable[..., int] = ours.to_body if whose == "ours" else theirs.load().to_body
    image = Picture("", Path(picture)).load()
    lossless = way == "lossless"
    # What is loaded at the first picture only is not the picture's.
    encode(image[:, :64, :64], lossless=lossless)
    return peak_growth(lambda: encode(image, lossless=lossless))


def upload(base_url: str, file: str) -> dict[str, float]:
    """Seconds, and bytes of memory, that sending a request with a video file takes."""
    from benchmarks import ours
    from pika_api.gateway import Client
    from pika_api.media import Media
    from pika_api.settings import Settings

    path = Path(file)
    video = Media("0" * 64, "video/mp4", 1920, 1080, path, path.stat().st_size)
    client = Client(Settings(api_key="bench", base_url=base_url))
    client.submit(ours.payload())
    seconds = 0.0

    def send() -> None:
        nonlocal seconds
        seconds = timed(lambda: client.submit(ours.payload(video=video)))

    return {"memory": peak_growth(send), "seconds": seconds}


def their_upload(size: str) -> dict[str, float]:
    """The same of theirs, up to the body, which they have in memory before anything is sent."""
    from benchmarks import theirs

    helper = theirs.load()
    video = _Copied(int(size))
    seconds = 0.0

    def make() -> None:
        nonlocal seconds
        seconds = timed(lambda: helper.video_to_body(video))

    return {"memory": peak_growth(make), "seconds": seconds}


class _Copied:
    """A VIDEO of theirs, as far as they ask of it: one whose file is copied as it is."""

    def __init__(self, size: int) -> None:
        self._size = size

    def save_to(self, target: Any, **_options: object) -> None:
        piece = bytes(1_000_000)
        for _ in range(self._size // len(piece)):
            target.write(piece)


def start() -> float:
    """Seconds that loading the pack adds to ComfyUI's start."""
    from benchmarks.starting import load_pack

    return load_pack()


_ALL: Final[Mapping[str, Callable[..., Any]]] = {
    call.__name__: call for call in (memory, upload, their_upload, start)
}

if __name__ == "__main__":
    print("\n" + json.dumps(_ALL[sys.argv[1]](*sys.argv[2:])))
