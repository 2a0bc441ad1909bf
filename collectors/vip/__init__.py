"""Virtual IP addresses: does this host hold an address, on which interface, and does it work there?"""

from collectors.vip.collector import Vip

__all__ = ["Vip"]
