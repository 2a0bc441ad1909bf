"""Units, restarts, timers and the state of this host's systemd."""

from collectors.systemd.collector import Systemd

__all__ = ["Systemd"]
