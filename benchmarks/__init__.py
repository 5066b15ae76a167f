"""Benchmarks, side by side with ComfyUI's own helpers: `python dev.py bench`."""
