"""ComfyUI's former Pika nodes under their old ids."""

from __future__ import annotations

import pytest

from support.comfy import Comfy
from simulator import Simulator
from support.graphs import image, node

pytestmark = pytest.mark.comfy


def test_try(comfy: Comfy, gateway: Simulator) -> None:
    import json
    info = comfy.object_info()
    print(json.dumps({k: v for k, v in info.items() if v["category"] == "Pika" and v.get("deprecated")}, indent=1)[:9000])
    g = {"1": node("PikaTextToVideoNode2_2", prompt_text="a", negative_prompt="", seed=1, resolution="1080p", duration=5, aspect_ratio=1.7777777777777777, auth_token="x"),
         "2": node("SaveVideo", video=["1", 0], filename_prefix="video/ComfyUI", format="auto", codec="auto")}
    for i in range(2):
        g["2"]["inputs"]["filename_prefix"] += "x"
        r = comfy.run(g)
        print(r.error, r.outputs)
    print(gateway.requests(method="POST")[-1].body)
    g = {"0": node("ProbeVideo", source="frames", width=64, height=48), "1": node("Pikaswaps", video=["0", 0]),
         "2": node("SaveVideo", video=["1", 0], filename_prefix="video/ComfyUI", format="auto", codec="auto")}
    try:
        comfy.run(g)
    except Exception as e:
        print(repr(e), e.texts())
    assert 0
