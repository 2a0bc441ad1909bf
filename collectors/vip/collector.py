"""The collector `vip`.

That an address is bound says nothing about whether packets reach it: the link may be down, and IPv6 may have
found the address in use elsewhere (duplicate address detection). netifaces knows addresses and interfaces,
psutil the interfaces' flags, and procfs, beneath the context's root, the state of IPv6 addresses. All
three speak of this process's network namespace; sysfs may have been mounted in another one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import netifaces
import psutil

from rscollector.api import Collector, Context, IpAddress, Namespace, Sample, setting

VIP = Namespace("vip", "address")
BOUND = VIP.gauge("bound", "Whether an interface of this host has the address (1) or none has (0).")
INTERFACE = VIP.info(
    "interface", "The interface that has the address, one series for each that has it.", "interface"
)
LINK_UP = VIP.gauge(
    "link_up",
    "Whether the interface that has the address is up and has a carrier (1) or not (0).",
    "interface",
)
STATE = VIP.stateset(
    "address_state",
    "What duplicate address detection says of an IPv6 address; only a preferred one is good for new traffic.",
    ("preferred", "deprecated", "tentative", "duplicate"),
    "interface",
)

# Flags in /proc/net/if_inet6, from linux/if_addr.h.
_DADFAILED, _DEPRECATED, _TENTATIVE = 0x08, 0x20, 0x40


@dataclass(frozen=True, slots=True)
class VipSettings:
    """Which addresses to watch."""

    addresses: tuple[IpAddress, ...] = setting(
        "The virtual addresses, IPv4 or IPv6. Without any, those that this host has at the time are shown, "
        "so that nothing is said about one that is missing.",
        default=(),
    )

    def __post_init__(self) -> None:
        twice = sorted({each.text for each in self.addresses if self.addresses.count(each) > 1})
        if twice:
            raise ValueError(f"addresses: {', '.join(twice)} more than once")


class Binding(NamedTuple):
    """An address on an interface."""

    address: str
    interface: str


class Vip(Collector[VipSettings]):
    """Virtual IP addresses: bound here or not, on which interface, with a link and without a duplicate."""

    metrics = (BOUND, INTERFACE, LINK_UP, STATE)
    local = True
    Settings = VipSettings

    def collect(self, context: Context) -> Iterator[Sample]:
        """Compare the addresses of all interfaces with those that are wanted."""
        bound = list(bindings())
        wanted = [address.text for address in self.settings.addresses]
        found = {binding.address for binding in bound}
        for address in wanted or sorted(found):
            yield BOUND(int(address in found), address=address)
        states, links = dict(_states(context.path("/proc/net/if_inet6"))), psutil.net_if_stats()
        for binding in bound:
            if not wanted or binding.address in wanted:
                labels = binding._asdict()
                yield INTERFACE(**labels)
                yield LINK_UP(int(_running(links.get(binding.interface))), **labels)
                if binding in states:
                    yield STATE(states[binding], **labels)


def _states(file: Path) -> Iterator[tuple[Binding, str]]:
    """Read `address index prefix scope flags interface` from if_inet6; a kernel without IPv6 has none."""
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        address, _, _, _, flags, interface = line.split()
        yield Binding(str(ip_address(int(address, 16))), interface), _state(int(flags, 16))


def _running(link: Any) -> bool:
    """Tell whether an interface is up and has a carrier; one that has just gone (None) has none."""
    return link is not None and "running" in link.flags.split(",")


def _state(flags: int) -> str:
    if flags & _DADFAILED:
        return "duplicate"
    if flags & _TENTATIVE:
        return "tentative"
    return "deprecated" if flags & _DEPRECATED else "preferred"


def bindings() -> Iterable[Binding]:
    """Return the addresses of this host's interfaces, without loopback and link-local ones.

    An alias with a label (eth0:1) is an address of its interface. An interface may vanish while one looks.
    """
    found: dict[Binding, None] = {}
    for interface in netifaces.interfaces():
        try:
            families = netifaces.ifaddresses(interface)
        except ValueError:
            continue
        for family in (netifaces.AF_INET, netifaces.AF_INET6):
            for entry in families.get(family, []):
                address = ip_address(entry["addr"].partition("%")[0])
                if not address.is_loopback and not address.is_link_local:
                    found[Binding(str(address), interface.partition(":")[0])] = None
    return found
