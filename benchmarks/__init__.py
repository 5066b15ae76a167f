"""Benchmarks that compare the pack with ComfyUI's own helpers: `python dev.py bench`."""
