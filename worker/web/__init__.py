"""The worker as others see it: pages, metrics, heartbeat, systemd."""
