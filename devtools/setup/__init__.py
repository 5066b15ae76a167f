"""Prepare environments, ComfyUI and a browser. Only the standard library is imported."""
