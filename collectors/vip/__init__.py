"""Virtual IP addresses: whether this host holds an address, on which interface, and whether it works there."""

from collectors.vip.collector import Vip

__all__ = ["Vip"]
