"""Client for the Pika video API of a gateway, without ComfyUI: requests, tasks, journal."""
