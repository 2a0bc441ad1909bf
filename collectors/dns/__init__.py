"""Zones of the DNS: every server of each, its serial, who is behind or lame, and how long signatures last."""

from collectors.dns.collector import Dns

__all__ = ["Dns"]
