"""Prepare what the commands need: virtual environments, ComfyUI, a browser. Standard library only."""
