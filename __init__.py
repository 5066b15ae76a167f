"""ComfyUI-Pika: the Pika video API as ComfyUI nodes. ComfyUI loads this file."""

# Test tools import it too, as a plain file without a package: then there is nothing to load.
if __package__:
    from .nodes import comfy_entrypoint

    WEB_DIRECTORY = "./web"

    __all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
