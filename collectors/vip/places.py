"""Where an address is: the interface that has it, by a name that no other has, and what that means. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from collectors.vip.table import Held
from rscollector.kit.links import labels, text
from rscollector.kit.rtnetlink import IFA_LABEL, IFF_RUNNING, IFF_UP, IFLA_IFNAME, Address, Link

# linux/if_addr.h
_SECONDARY, _DADFAILED, _DEPRECATED, _TENTATIVE = 0x01, 0x08, 0x20, 0x40


class Place(NamedTuple):
    """An interface, by its label, that has an address."""

    interface: str
    link: Link
    entry: Address

    @property
    def is_up(self) -> bool:
        """Whether the interface is switched on."""
        return bool(self.link.flags & IFF_UP)

    @property
    def has_link(self) -> bool:
        """Whether it is switched on and has a carrier."""
        return bool(self.link.flags & IFF_RUNNING)

    @property
    def state(self) -> str:
        """The state of an IPv6 address; IPv4 has none."""
        flags = self.entry.flags
        if len(self.entry.local) == 4:
            return ""
        if flags & _DADFAILED:
            return "duplicate"
        if flags & _TENTATIVE:
            return "tentative"
        return "deprecated" if flags & _DEPRECATED else "preferred"

    @property
    def is_secondary(self) -> bool:
        """Whether an IPv4 address is a secondary one; of IPv6 the same flag means that it is temporary."""
        return bool(self.entry.flags & _SECONDARY)

    @property
    def label(self) -> str:
        """What the address is called, if that is not the interface's name."""
        raw = self.entry.attributes.get(IFA_LABEL, b"")
        return "" if raw == self.link.attributes.get(IFLA_IFNAME) else text(raw)


def is_anybodys(local: bytes) -> bool:
    """Tell whether an address may be a virtual one of which nobody has told: no loopback, not link-local."""
    address: IPv4Address | IPv6Address = ip_address(local)
    return not address.is_loopback and not address.is_link_local


def found(addresses: Iterable[Address], links: Mapping[int, Link]) -> dict[bytes, list[Place]]:
    """Return where each address is, without what is on a link that has gone meanwhile."""
    names = labels(links.values())
    there: dict[bytes, dict[int, Place]] = {}
    for each in addresses:
        if each.ifindex in links:
            place = Place(names[each.ifindex], links[each.ifindex], each)
            there.setdefault(each.local, {})[each.ifindex] = place
    return {local: list(places.values()) for local, places in there.items()}


def explain(address: str, places: list[Place], held: Held, now: float) -> Iterator[str]:
    """Yield what there is to say of a watched address, the most important first."""
    if not places:
        yield f"{address} is not on this host (vip_bound)."
    for place in places:
        yield f"{address} is on {place.interface}{_trouble(place)}."
    if len(places) > 1:
        yield f"{len(places)} interfaces of this host have {address} (vip_interfaces)."
    if held.changed is not None:
        counts = f"gained {held.gained}, lost {held.lost}, moved {held.moved}"
        ago = f"the last {max(0.0, now - held.changed):.0f} s ago"
        yield f"Changes of {address} since the agent watches it: {counts}; {ago} (vip_unchanged_seconds)."


def _trouble(place: Place) -> str:
    if not place.is_up:
        return ", which is switched off: no other host reaches it through that (vip_interface_up)"
    if not place.has_link:
        return ", which has no link (carrier): no other host reaches it through that (vip_link_up)"
    if place.state == "duplicate":
        return ", but another machine uses it, so that this one does not (vip_address_state)"
    if place.state == "tentative":
        return " and is not used before the check for duplicates is over (vip_address_state)"
    return ""
