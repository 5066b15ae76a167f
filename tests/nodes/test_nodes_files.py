"""PikaResult's files in a real ComfyUI: the workflow in them, their names, and the last frame."""

from __future__ import annotations

import json
import re
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from devtools import ROOT
from pika_api.settings import Settings
from simulator import Simulator
from support.comfy import Comfy, Graph, Rejected, Run
from support.gateway import result_name
from support.graphs import error_of, generate, image, node, options, text_to_video
from support.routes import journal_of

pytestmark = pytest.mark.comfy

#: As the editor sends it, with texts that could break a file or a page.
WORKFLOW: dict[str, Any] = {
    "nodes": [{"id": 1, "type": "PikaGenerate", "title": "The pear </script> }{ 漢字 \ud83d"}],
    "version": 0.4,
}


def run(comfy: Comfy, graph: Graph, workflow: object = None) -> Run:
    """Run a graph as the editor does, with its workflow."""
    extra = {"extra_pnginfo": {"workflow": WORKFLOW if workflow is None else workflow}}
    return comfy.wait(comfy.queue(graph, extra_data=extra))


def saved(comfy: Comfy, result: Run, node_id: str = "2") -> Path:
    """The file that the node shows."""
    assert result.error is None, result.error
    (entry,) = result.outputs[node_id]["images"]
    return comfy.file(entry)


def tags(path: Path) -> dict[str, str]:
    """The texts in a file."""
    if path.suffix == ".png":
        with Image.open(path) as picture:
            picture.load()
            return dict(getattr(picture, "text", {}))
    with av.open(str(path)) as container:
        return dict(container.metadata)


def test_file_has_the_workflow_as_save_video_writes_it(comfy: Comfy, gateway: Simulator) -> None:
    """Prompt and workflow are the same as in the file of ComfyUI's own Save Video, but for what
    ComfyUI adds for its cache. The packets are those of the gateway."""
    graph = text_to_video("A pear with its workflow")
    save = {"video": ["2", 0], "filename_prefix": "own/x", "format": "auto", "codec": "auto"}
    graph["3"] = node("SaveVideo", **save)
    result = run(comfy, graph)
    ours, theirs = tags(saved(comfy, result)), tags(saved(comfy, result, "3"))
    assert json.loads(ours["workflow"]) == json.loads(theirs["workflow"]) == WORKFLOW
    assert json.loads(ours["prompt"]) == graph
    without = {
        key: {name: value for name, value in each.items() if name != "is_changed"}
        for key, each in json.loads(theirs["prompt"]).items()
    }
    assert without == graph
    sent = gateway.requests(server="cdn")
    assert sent
    with closing(journal_of(comfy)) as journal:
        entry = journal.find_by_task_id(gateway.charged[-1])
    assert entry is not None
    assert re.fullmatch("[0-9a-f]{64}", entry.sha256)


def test_no_secret_is_in_a_file(comfy: Comfy, gateway: Simulator) -> None:
    """Neither the key, nor what identifies it, nor the address: not in our file, and not through
    our nodes in those of ComfyUI's own savers."""
    graph = text_to_video("A secret pear")
    graph["3"] = node("SaveImage", images=["2", 1], filename_prefix="secret")
    result = run(comfy, graph)
    key_id = Settings(api_key=gateway.key, base_url=gateway.url).key_id
    for path in (saved(comfy, result), saved(comfy, result, "3")):
        data = path.read_bytes()
        assert b"A secret pear" in data
        for secret in (gateway.key, gateway.key[-4:], key_id, gateway.url, str(comfy.base_dir)):
            assert secret.encode() not in data


def test_picture_has_the_workflow(comfy: Comfy) -> None:
    """As ComfyUI's Save Image writes it."""
    graph = {
        "0": options(aspect_ratio="none (still image)"),
        "1": generate("A still pear with its workflow", options=["0", 0]),
        "2": node("PikaResult", task_id=["1", 0]),
        "3": node("SaveImage", images=["2", 3], filename_prefix="still"),
    }
    result = run(comfy, graph)
    path = saved(comfy, result)
    assert path.suffix == ".png"
    assert json.loads(tags(path)["workflow"]) == WORKFLOW
    assert json.loads(tags(path)["prompt"]) == graph
    with Image.open(path) as ours, Image.open(saved(comfy, result, "3")) as last:
        assert (np.asarray(ours.convert("RGB")) == np.asarray(last)).all()


@pytest.mark.parametrize("extra", [None, [], "x", {"workflow": [1, float("inf")]}, {"a\nb": 1}])
def test_odd_workflow_does_not_stop_the_result(comfy: Comfy, extra: Any) -> None:
    """A client can send anything as its workflow. The prompt is in the file all the same."""
    graph = text_to_video("An odd pear")
    body = json.dumps({"prompt": graph, "extra_data": {"extra_pnginfo": extra}})
    headers = {"Content-Type": "application/json"}
    answer = comfy.request("POST", "/prompt", data=body, headers=headers).json()
    result = comfy.wait(answer["prompt_id"])
    texts = tags(saved(comfy, result))
    assert json.loads(texts["prompt"]) == graph
    if isinstance(extra, dict) and "workflow" in extra:
        assert json.loads(texts["workflow"]) == [1, None]


def test_reused_task_keeps_the_workflow_that_downloaded_it(comfy: Comfy) -> None:
    """Another workflow that collects the same task gets the file as it is."""
    graph = text_to_video("A reused pear")
    path = saved(comfy, run(comfy, graph))
    again = {"1": graph["1"], "2": node("PikaResult", task_id=["1", 0], timeout_minutes=5.0)}
    assert saved(comfy, run(comfy, again, {"nodes": [], "later": True})) == path
    assert json.loads(tags(path)["workflow"]) == WORKFLOW


def test_option_disable_metadata_is_honoured(
    gateway: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Then no file has a workflow, and a prefix still works."""
    env = {"PIKA_API_KEY": gateway.key, "PIKA_BASE_URL": gateway.url}
    folder = tmp_path_factory.mktemp("no-metadata")
    with Comfy.start(folder, env=env, pack=ROOT, extra_args=("--disable-metadata",)) as comfy:
        graph = text_to_video("A pear without a workflow")
        graph["2"]["inputs"]["filename_prefix"] = "a/%PikaGenerate.model%"
        path = saved(comfy, run(comfy, graph))
    assert path.name == "1.5_00001_.mp4"
    assert not {"workflow", "prompt"} & set(tags(path))


def with_prefix(prefix: Any, prompt: str = "A named pear") -> Graph:
    graph = text_to_video(prompt)
    graph["2"]["inputs"]["filename_prefix"] = prefix
    return graph


def test_words_are_replaced_without_an_editor(comfy: Comfy) -> None:
    """Date, size, and values of nodes by type, by title and by the editor's own name for it. The
    node shows the file, and the route serves it."""
    prefix = (
        "named/%date:yyyy-MM%/%PikaGenerate.model%-%The title.model%-%S&R.model%_%width%x%height%"
    )
    graph = with_prefix(prefix)
    graph["1"]["_meta"] = {"title": "The title"}
    workflow = {"nodes": [{"id": 1, "properties": {"Node name for S&R": "S&R"}}]}
    before = time.strftime("%Y-%m")
    result = run(comfy, graph, workflow)
    path = saved(comfy, result)
    with av.open(str(path)) as container:
        size = f"{container.streams.video[0].width}x{container.streams.video[0].height}"
    month = before if f"/{before}/" in path.as_posix() else time.strftime("%Y-%m")
    folder = comfy.base_dir / "output" / "named" / month
    # The editor finds a node by the name that the user gave to its type, and no more by the type.
    assert path == folder / f"%PikaGenerate.model%-1.5-1.5_{size}_00001_.mp4"
    (entry,) = result.outputs["2"]["images"]
    assert entry["subfolder"] == f"named/{month}"
    served = comfy.request("GET", "/view", params=entry)
    assert served.content == path.read_bytes()


def test_list_of_results_has_a_name_for_each(comfy: Comfy) -> None:
    """Two tasks of a list get two numbers, whichever is finished first."""
    graph = {
        "0": node("PikaPrompts", prompts="A listed pear\nA listed quince"),
        "1": generate(["0", 0]),
        "2": node("PikaResult", task_id=["1", 0], filename_prefix="list/x"),
    }
    result = comfy.run(graph)
    assert result.error is None
    names = {entry["filename"] for entry in result.outputs["2"]["images"]}
    assert names == {"x_00001_.mp4", "x_00002_.mp4"}


def test_reused_task_gets_a_further_name(comfy: Comfy, gateway: Simulator) -> None:
    """It is found under its old name, which stays, and nothing is downloaded or charged."""
    graph = with_prefix("", "A pear with two names")
    first = saved(comfy, run(comfy, graph))
    assert first.name == result_name(gateway, gateway.charged[-1])
    before = len(gateway.charged), len(gateway.requests(server="cdn"))
    graph["2"]["inputs"]["filename_prefix"] = "two/names"
    second = saved(comfy, run(comfy, graph))
    assert second == comfy.base_dir / "output" / "two" / "names_00001_.mp4"
    assert first.read_bytes() == second.read_bytes()
    assert (len(gateway.charged), len(gateway.requests(server="cdn"))) == before


@pytest.mark.parametrize("prefix", ["../x", "/tmp/x", "a/../../x", "C:\\x", "..\\x"])
def test_escape_is_refused_when_it_is_queued(comfy: Comfy, gateway: Simulator, prefix: str) -> None:
    """ComfyUI does not run the node, and says why. It runs the other nodes that it can run."""
    with closing(journal_of(comfy)) as journal:
        entry = journal.entries(with_task=True, limit=1)[0]
    with pytest.raises(Rejected) as caught:
        comfy.queue({"2": node("PikaResult", task_id=entry.task_id, filename_prefix=prefix)})
    assert "filename_prefix" in "\n".join(caught.value.texts("2"))
    answer = comfy.request("POST", "/prompt", json={"prompt": with_prefix(prefix, "Escaping")})
    assert "filename_prefix" in json.dumps(answer.json()["node_errors"]["2"])
    assert "2" not in comfy.wait(answer.json()["prompt_id"]).outputs
    assert gateway.charged


def test_escape_that_comes_by_a_link_is_refused_before_the_download(
    comfy: Comfy, gateway: Simulator
) -> None:
    """Its value is known only when the node runs."""
    graph = with_prefix(["0", 0], "An escaping pear")
    graph["0"] = node("PikaPrompts", prompts="../../escape")
    downloads = len(gateway.requests(server="cdn"))
    assert "leads out of ComfyUI's output folder" in error_of(comfy, graph)
    assert len(gateway.requests(server="cdn")) == downloads
    assert not list(comfy.base_dir.parent.rglob("escape*"))


def pixels(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_last_image_is_the_last_frame(comfy: Comfy, gateway: Simulator) -> None:
    """Also if it is connected only in a later run, when ComfyUI has the node's other outputs in its
    cache. That run costs nothing."""
    graph = {"0": image(), "1": generate("A moving pear", image=["0", 0])}
    graph["2"] = node("PikaResult", task_id=["1", 0])
    path = saved(comfy, run(comfy, graph))
    before = len(gateway.charged)
    graph["3"] = node("SaveImage", images=["2", 3], filename_prefix="last")
    graph["4"] = node("SaveImage", images=["2", 1], filename_prefix="first")
    result = run(comfy, graph)
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert (pixels(saved(comfy, result, "3")) == frames[-1]).all()
    assert (pixels(saved(comfy, result, "4")) == frames[0]).all()
    assert (frames[0] != frames[-1]).any()
    assert len(gateway.charged) == before


def test_next_clip_goes_on_from_the_last_frame(comfy: Comfy, gateway: Simulator) -> None:
    """The gateway gets exactly this frame as the image of the second task."""
    graph = text_to_video("A first pear")
    graph["3"] = generate("A second pear", image=["2", 3])
    graph["4"] = node("PikaResult", task_id=["3", 0])
    graph["5"] = node("SaveImage", images=["2", 3], filename_prefix="chain")
    result = run(comfy, graph)
    saved(comfy, result, "4")
    body = gateway.requests(method="POST")[-1].body
    assert body["promptText"] == "A second pear"
    height, width = pixels(saved(comfy, result, "5")).shape[:2]
    assert (body["image"]["width"], body["image"]["height"]) == (width, height)
