"""The collector `vip`.

That an address is bound says nothing about whether packets reach it: the link may be down, and IPv6 may have
found the address in use elsewhere (duplicate address detection). The kernel tells all of that itself, of this
process's network namespace, in one dump of the addresses and one of the links.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from rscollector.api import Collector, Context, IpAddress, Namespace, Sample, setting
from rscollector.kit import netlink
from rscollector.kit.rtnetlink import IFLA_IFNAME, Address, Link

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

# linux/if.h and linux/if_addr.h
_RUNNING = 0x40
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
        for each in self.addresses:
            if mapped := getattr(ip_address(each.text), "ipv4_mapped", None):
                raise ValueError(f'addresses: ::ffff:{mapped} is IPv4 in disguise; write "{mapped}"')


class Vip(Collector[VipSettings]):
    """Virtual IP addresses: bound here or not, on which interface, with a link and without a duplicate."""

    metrics = (BOUND, INTERFACE, LINK_UP, STATE)
    local = True
    Settings = VipSettings

    def collect(self, context: Context) -> Iterator[Sample]:
        """Compare the addresses of all interfaces with those that are wanted."""
        bound = netlink.addresses(context)
        links = {link.ifindex: link for link in netlink.links(context)}
        names = labels(links.values())
        wanted = {ip_address(each.text).packed: each.text for each in self.settings.addresses}
        shown: dict[bytes, dict[int, Address]] = {each: {} for each in wanted}
        for each in bound:
            if each.ifindex in links and (each.local in wanted if wanted else _is_anybodys(each.local)):
                shown.setdefault(each.local, {})[each.ifindex] = each
        for local, holders in shown.items():
            address = str(ip_address(local))
            yield BOUND(int(bool(holders)), address=address)
            for ifindex, each in holders.items():
                where = {"address": address, "interface": names[ifindex]}
                yield INTERFACE(**where)
                yield LINK_UP(int(bool(links[ifindex].flags & _RUNNING)), **where)
                if len(local) == 16:
                    yield STATE(_state(each.flags), **where)


def _is_anybodys(local: bytes) -> bool:
    """Tell whether an address may be a virtual one of which nobody has told: no loopback, not link-local."""
    address: IPv4Address | IPv6Address = ip_address(local)
    return not address.is_loopback and not address.is_link_local


def _state(flags: int) -> str:
    if flags & _DADFAILED:
        return "duplicate"
    if flags & _TENTATIVE:
        return "tentative"
    return "deprecated" if flags & _DEPRECATED else "preferred"


def labels(links: Iterable[Link]) -> dict[int, str]:
    """Return the names of links by their index, no two alike.

    The kernel takes any bytes for a name but blanks, slashes and colons. What cannot be printed is shown as
    in Python (`\\xff`); should that be another one's name, its index is behind it.
    """
    found: dict[int, str] = {}
    taken: set[str] = set()
    for link in links:
        raw = link.attributes.get(IFLA_IFNAME, b"").partition(b"\0")[0]
        name = raw.decode("utf-8", "backslashreplace")
        name = name if name.isprintable() else repr(raw)[2:-1]
        found[link.ifindex] = f"{name}#{link.ifindex}" if name in taken else name
        taken.add(name)
    return found
