"""Two gateways use the same task id: they share no file, no incomplete file and no thumbnail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from PIL import Image

from pika_api.errors import DownloadFailed, OtherGateway
from pika_api.gateway.partial import PartInfo
from pika_api.journal import Entry, Journal, State
from pika_api.settings import DEFAULTS, Settings, gateway_of, sqlite_url
from pika_api.tasks import Service, ServicePolicy
from pika_api.tasks.collect import file_stem
from support.api import KEY, RawServer, answer, intent, write_video
from support.media_host import MediaHost, Version

#: The id that both gateways use.
TASK = "same"


class Gateway:
    """A gateway whose task has this file."""

    def __init__(self, stack: ExitStack, data: bytes) -> None:
        self.host = stack.enter_context(MediaHost([Version(data, '"1"')]))
        feed = {"videos": [{"status": "finished", "resultUrl": self.host.url}]}
        self.url = stack.enter_context(RawServer(answer(200, feed))).url
        self.data = data

    def stem(self) -> str:
        return file_stem(gateway_of(self.url), TASK)

    def enter(self, journal: Journal) -> Entry:
        """A row of the task, as a submit writes it."""
        claim = journal.claim(intent(self.url.rjust(64, "f"), base_url=self.url), "me")
        journal.mark_sent(claim.entry.id, "me")
        return journal.record_task(claim.entry, TASK)


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[tuple[Gateway, Gateway]]:
    with ExitStack() as stack:
        clips = (write_video(tmp_path / f"{count}.mp4", frames=count) for count in (12, 24))
        one, two = (Gateway(stack, clip.read_bytes()) for clip in clips)
        yield one, two


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(sqlite_url(tmp_path / "home"))) as opened:
        yield opened


def collect(gateway: Gateway, journal: Journal, output: Path) -> Path:
    settings = Settings(api_key=KEY, base_url=gateway.url)
    policy = ServicePolicy(download_attempts=2, download_pause=0.01)
    with closing(Service(settings, journal, output, policy=policy)) as service:
        return asyncio.run(service.collect(TASK)).path


def test_each_gateway_has_its_own_file(
    gateways: tuple[Gateway, Gateway], journal: Journal, tmp_path: Path
) -> None:
    """Also where a file with the name that both once shared is there, without a record."""
    output = tmp_path / "output"
    output.mkdir()
    (output / f"pika_{TASK}.mp4").write_bytes(gateways[0].data)
    paths = []
    for gateway in gateways:
        gateway.enter(journal)
        paths.append(collect(gateway, journal, output))
        assert paths[-1].read_bytes() == gateway.data
    assert paths[0] != paths[1]
    assert paths[0].read_bytes() == gateways[0].data
    # Whichever of the two is asked again.
    assert [collect(gateway, journal, output) for gateway in gateways] == paths


@pytest.mark.parametrize("ending", [".part", ".unchecked", ".mp4", ".as-received.mp4"])
def test_files_of_the_other_gateway_are_not_touched(
    gateways: tuple[Gateway, Gateway], journal: Journal, tmp_path: Path, ending: str
) -> None:
    """An incomplete file is not continued, an unchecked one does not stop the download, and a
    complete one without a record is not taken."""
    one, two = gateways
    output = tmp_path / "output"
    output.mkdir()
    foreign = [output / (stem + ending) for stem in (one.stem(), f"pika_{TASK}")]
    for path in foreign:
        path.write_bytes(one.data[:500])
        PartInfo(etag='"1"').save(path)
    two.enter(journal)
    path = collect(two, journal, output)
    assert path.read_bytes() == two.data
    assert "Range" not in two.host.seen[0]
    assert [path.read_bytes() for path in foreign] == [one.data[:500]] * 2


def test_own_unchecked_file_still_stops_the_download(
    gateways: tuple[Gateway, Gateway], journal: Journal, tmp_path: Path
) -> None:
    """A file still so named is never opened."""
    one, _two = gateways
    output = tmp_path / "output"
    output.mkdir()
    (output / f"{one.stem()}.unchecked").write_bytes(one.data)
    one.enter(journal)
    with pytest.raises(DownloadFailed, match="not opened"):
        collect(one, journal, output)
    assert one.host.seen == []


@pytest.mark.parametrize("moved", [False, True])
def test_file_of_an_earlier_version_is_found(
    gateways: tuple[Gateway, Gateway], journal: Journal, tmp_path: Path, moved: bool
) -> None:
    """By its recorded path, and by that path's name in an output folder that has moved."""
    one, _two = gateways
    output = tmp_path / "output"
    output.mkdir()
    path = output / f"pika_{TASK}.mp4"
    path.write_bytes(one.data)
    entry = one.enter(journal)
    recorded = tmp_path / "before" / path.name if moved else path
    journal.mark_saved(entry.id, recorded)
    assert journal.count_missing_files(output) == 0
    assert collect(one, journal, output) == path
    assert one.host.seen == []
    assert journal.get(entry.id).file_path == str(path)


def test_copy_in_another_folder_does_not_take_the_file_of_another_gateway(
    gateways: tuple[Gateway, Gateway], journal: Journal, tmp_path: Path
) -> None:
    """The recorded file is elsewhere, and its old name is taken in the output folder."""
    one, two = gateways
    elsewhere, output = tmp_path / "elsewhere", tmp_path / "output"
    for folder, gateway in ((elsewhere, one), (output, two)):
        folder.mkdir()
        (folder / f"pika_{TASK}.mp4").write_bytes(gateway.data)
    entry = one.enter(journal)
    journal.mark_saved(entry.id, elsewhere / f"pika_{TASK}.mp4")
    path = collect(one, journal, output)
    assert path == output / f"{one.stem()}.mp4"
    assert path.read_bytes() == one.data
    assert (output / f"pika_{TASK}.mp4").read_bytes() == two.data
    assert journal.get(entry.id).file_path == str(path)


def test_each_gateway_has_its_own_thumbnail(
    gateways: tuple[Gateway, Gateway], journal: Journal, tmp_path: Path
) -> None:
    """Of its own file, whichever gateway is in the settings."""
    folder = tmp_path / "thumbnails"
    settings = Settings(api_key=KEY, base_url=gateways[0].url)
    pictures = []
    with closing(Service(settings, journal, tmp_path / "output", thumbnails=folder)) as service:
        for number, gateway in enumerate(gateways):
            entry = gateway.enter(journal)
            file = tmp_path / f"{number}.png"
            Image.new("RGB", (40 + number, 30)).save(file)
            journal.mark_saved(entry.id, file)
            path = asyncio.run(service.thumbnail(journal.get(entry.id)))
            assert path == folder / f"{gateway.stem()}.jpg"
            with Image.open(path) as picture:
                pictures.append(picture.size)
    assert pictures == [(40, 30), (41, 30)]


def test_spelling_of_the_address_does_not_change_a_name(
    gateways: tuple[Gateway, Gateway], journal: Journal, tmp_path: Path
) -> None:
    """The same gateway, written differently, has the same file."""
    one, _two = gateways
    one.enter(journal)
    path = collect(one, journal, tmp_path / "output")
    one.url = one.url.replace("http", "HTTP") + "/./"
    assert collect(one, journal, tmp_path / "output") == path
    assert len(one.host.seen) == 1


def test_default_gateway_has_the_names_of_earlier_versions() -> None:
    """So that the files of almost all users keep their names."""
    default = Settings(base_url=DEFAULTS["base_url"] + "./")
    assert file_stem(default.gateway, TASK) == f"pika_{TASK}"


def test_state_of_a_found_file_is_saved(
    gateways: tuple[Gateway, Gateway], journal: Journal, tmp_path: Path
) -> None:
    """A process ended just before it recorded the path: the file is found by its new name."""
    one, _two = gateways
    output = tmp_path / "output"
    output.mkdir()
    path = output / f"{one.stem()}.mp4"
    path.write_bytes(one.data)
    entry = one.enter(journal)
    journal.mark_finished(entry.id, one.host.url)
    assert collect(one, journal, output) == path
    assert one.host.seen == []
    assert journal.get(entry.id).state is State.SAVED


def test_row_of_one_gateway_never_gets_the_file_of_the_other(
    gateways: tuple[Gateway, Gateway], journal: Journal, tmp_path: Path
) -> None:
    """The sidebar asks for the file of a row. If the settings name the other gateway, only a saved
    file of the row's own gateway is returned, and nobody is asked."""
    one, two = gateways
    entries = [gateway.enter(journal) for gateway in gateways]
    output = tmp_path / "output"
    path = collect(two, journal, output)
    settings = Settings(api_key=KEY, base_url=two.url)
    with closing(Service(settings, journal, output)) as service:
        with pytest.raises(OtherGateway, match=one.url):
            asyncio.run(service.collect(TASK, gateway=entries[0].gateway))
        assert asyncio.run(service.collect(TASK, gateway=entries[1].gateway)).path == path
    own = collect(one, journal, output)
    with closing(Service(settings, journal, output)) as service:
        assert asyncio.run(service.collect(TASK, gateway=entries[0].gateway)).path == own
