"""Postfix: what waits in its queues, and for how long."""

from collectors.postfix.collector import Postfix

__all__ = ["Postfix"]
