"""Development tools: what `python dev.py …` runs. Users do not get this folder.

`setup` prepares environments, `comfyui` runs and drives a real ComfyUI, `stand_ins` is on the
Python path of that ComfyUI. Each other file is one command.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

#: The folder of the checkout.
ROOT: Final = Path(__file__).resolve().parent.parent
