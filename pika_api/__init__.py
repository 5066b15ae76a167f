"""The Pika video API of a gateway, without ComfyUI: requests, tasks, and a journal of both."""
