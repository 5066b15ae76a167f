"""What tests share: the real ComfyUI, the real browser."""
