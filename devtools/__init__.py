"""What `dev.py` is made of: a real ComfyUI, a simulated gateway, and ways to run them.

`recipe`, `steps`, `environment` and `browser` use the standard library alone, since they run
before anything is installed. The other modules run in the environment that these made.
"""
