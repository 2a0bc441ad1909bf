"""Which addresses are watched: the settings, and the question whether an address is one of them. Pure."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from rscollector.api import IpAddress, setting

_MAPPED = 96
"""Bits before an IPv4 address in IPv6 (::ffff:0:0/96)."""


@dataclass(frozen=True, slots=True)
class VipSettings:
    """Which addresses to watch."""

    addresses: tuple[IpAddress, ...] = setting(
        "The virtual addresses, IPv4 or IPv6. Without any, those that this host has at the time are shown, "
        "so that nothing is said about one that is missing.",
        default=(),
    )
    networks: tuple[str, ...] = setting(
        'Networks such as "192.0.2.0/28" whose addresses are watched as well, from when this host has one '
        "until an hour after it has lost it.",
        default=(),
    )
    expected_holders: int = setting(
        "How many hosts should have each of the addresses at a time: one, or more with anycast.", default=1
    )

    def __post_init__(self) -> None:
        twice = sorted({each.text for each in self.addresses if self.addresses.count(each) > 1})
        if twice:
            raise ValueError(f"addresses: {', '.join(twice)} more than once")
        for each in self.addresses:
            if mapped := getattr(ip_address(each.text), "ipv4_mapped", None):
                raise ValueError(f'addresses: ::ffff:{mapped} is IPv4 in disguise; write "{mapped}"')
        for text in self.networks:
            _network(text)
        if self.expected_holders < 1:
            raise ValueError("expected_holders is at least 1")


class Wanted:
    """The addresses that somebody has named, by themselves (`listed`, 4 or 16 bytes) or by `networks`."""

    def __init__(self, settings: VipSettings) -> None:
        self.listed = dict.fromkeys(ip_address(each.text).packed for each in settings.addresses)
        networks = [_network(text) for text in settings.networks]
        self.networks = sorted(map(str, networks))
        self._masks = [
            (each.max_prefixlen // 8, int(each.network_address), int(each.netmask)) for each in networks
        ]

    def __contains__(self, local: bytes) -> bool:
        return local in self.listed or any(
            len(local) == size and int.from_bytes(local) & mask == network
            for size, network, mask in self._masks
        )

    def __bool__(self) -> bool:
        return bool(self.listed or self.networks)


def _network(text: str) -> IPv4Network | IPv6Network:
    """Return a network. Raises ValueError with what to write."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f'networks: expected such as "192.0.2.0/28" or "2001:db8::/64", not {text!r}'
        ) from None
    if str(network.network_address) != str(ip_address(text.partition("/")[0])):
        raise ValueError(f'networks: {text} is an address in a network; write "{network}"')
    if (mapped := getattr(network.network_address, "ipv4_mapped", None)) and network.prefixlen >= _MAPPED:
        plain = f"{mapped}/{network.prefixlen - _MAPPED}"
        raise ValueError(f'networks: {text} is IPv4 in disguise; write "{plain}"')
    return network
