"""This host: CPU, memory, disks, network stack, md arrays and clock, as its kernel tells of them."""

from collectors.host.collector import Host

__all__ = ["Host"]
