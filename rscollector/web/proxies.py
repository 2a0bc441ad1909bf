"""Who a request comes from, when proxies that are trusted stand between. Pure."""

import ipaddress
from collections.abc import Sequence

from rscollector.config.types import LOCAL_PROXY

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """The proxies whose `X-Forwarded-For` is believed: addresses and networks, and "unix"."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._unix = LOCAL_PROXY in trusted
        self._networks: list[_Network] = [
            ipaddress.ip_network(each, strict=False) for each in trusted if each != LOCAL_PROXY
        ]

    def trust(self, address: str) -> bool:
        """Tell whether this is one of them."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return self._unix
        mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
        return any((mapped or parsed) in network for network in self._networks)

    def client(self, peer: str, forwarded: str) -> str:
        """Return who asks: each proxy has put at the end whom it was asked by, so it is read from there.

        What stands before the first one that is not trusted may be anything: it is his to write. What is no
        address ends the search too.
        """
        client = peer
        for each in reversed(forwarded.split(",")):
            if not self.trust(client):
                break
            try:
                address = ipaddress.ip_address(each.strip())
            except ValueError:
                break
            if getattr(address, "scope_id", None):  # of an interface there, and any text may be one
                break
            client = str(address)
        return client
