"""The collector `vip`.

That an address is bound says nothing about whether packets reach it: the link may be down, and IPv6 may have
found the address in use elsewhere (duplicate address detection). The kernel tells all of that itself, of this
process's network namespace. Addresses that somebody has named are watched from tick to tick (`watcher`); if
nobody has named any, those that there are at the moment are shown.
"""

from collections.abc import Iterator
from ipaddress import ip_address

from collectors.vip.comparison import Comparison
from collectors.vip.places import Place, explain, found, is_anybodys
from collectors.vip.table import Held
from collectors.vip.wanted import VipSettings, Wanted
from collectors.vip.watcher import Watcher
from rscollector.api import Collector, Context, Namespace, Sample
from rscollector.kit import netlink
from rscollector.kit.links import labels
from rscollector.kit.rtnetlink import Link

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
    "What the kernel says of an IPv6 address: tentative while it is checked, duplicate if somebody else "
    "has it, deprecated if no connection from here begins with it, as keepalived wants it.",
    ("preferred", "deprecated", "tentative", "duplicate"),
    "interface",
)
INTERFACE_UP = VIP.gauge(
    "interface_up",
    "Whether the interface that has the address is switched on (1) or off (0); on and without a link it has "
    "no carrier.",
    "interface",
)
PREFIX = VIP.gauge("prefix_length", "Bits of the network that the address was added with.", "interface")
SECONDARY = VIP.gauge(
    "secondary",
    "Whether an IPv4 address is a secondary one of its network on the interface: it goes with the first one.",
    "interface",
)
LABEL = VIP.info("label", "What an IPv4 address is called, if not as its interface.", "interface", "label")
LINK_LOSSES = VIP.counter(
    "link_losses", "Times that the link of the interface that has the address was lost.", "interface"
)
INTERFACES = VIP.gauge("interfaces", "Interfaces of this host that have the address.")
EXPECTED = VIP.gauge("expected_holders", "How many hosts should have the address, by the settings.")
GAINED = VIP.counter("gained", "Times that an interface of this host got the address.")
LOST = VIP.counter("lost", "Times that an interface of this host lost the address.")
MOVED = VIP.counter(
    "moved",
    "Times that the address came from one interface of this host to another, by way of others or not.",
)
HELD = VIP.counter("held_seconds", "Time for which this host has had the address, in this life of the agent.")
UNCHANGED = VIP.gauge(
    "unchanged_seconds",
    "Time since this host last got, lost or moved the address; absent while it never has.",
)
WATCH = Namespace("vip")
OVERRUNS = WATCH.counter(
    "watch_overruns",
    "Times that addresses changed more often between two ticks than the kernel keeps: not all of what was "
    "gained, lost and moved then is counted.",
)
LINK_OVERRUNS = WATCH.counter("link_watch_overruns", "The same for links and their losses.")
GAPS = WATCH.counter(
    "watch_gaps",
    "Times that nobody watched for a while, since the worker was exchanged or the host slept; what was "
    "different after it is counted once.",
)
DIFFER = WATCH.gauge(
    "sources_differ",
    "Addresses on which the C library and the kernel did not agree, twice, a minute apart.",
)


class Vip(Collector[VipSettings]):
    """Virtual IP addresses: bound here or not, on which interface, with a link and without a duplicate."""

    metrics = (
        BOUND, INTERFACE, LINK_UP, STATE, INTERFACE_UP, PREFIX, SECONDARY, LABEL, LINK_LOSSES, INTERFACES,
        EXPECTED, GAINED, LOST, MOVED, HELD, UNCHANGED, OVERRUNS, LINK_OVERRUNS, GAPS, DIFFER,
    )  # fmt: skip
    Settings = VipSettings

    @classmethod
    def is_local(cls, settings: VipSettings) -> bool:
        """Share a worker only where nothing is watched: another collector's hang would blind the watch."""
        return not Wanted(settings)

    def open(self, context: Context) -> None:
        """Begin to watch the addresses that somebody has named."""
        wanted = Wanted(self.settings)
        self._comparison = Comparison(wanted.__contains__ if wanted else is_anybodys)
        self._watcher = Watcher(wanted, context) if wanted else None

    def close(self) -> None:
        """Watch no more."""
        if self._watcher:
            self._watcher.close()

    def collect(self, context: Context) -> Iterator[Sample]:
        """Show the addresses that are watched, or those that there are."""
        if self._watcher:
            addresses, links = self._watcher.look(context)
            yield from self._watched(self._watcher, links, context)
        else:
            addresses = netlink.addresses(context, only=lambda each: is_anybodys(each.local))
            links = {link.ifindex: link for link in netlink.links(context)}
            context.say("Nobody has named an address (addresses, networks): those of this host are shown.")
            for local, places in found(addresses, links).items():
                yield from _bound(str(ip_address(local)), places)
        if addresses is not None:
            self._comparison.make(context, addresses, links.values())
        if self._comparison.lasting is not None:
            yield DIFFER(self._comparison.lasting)

    def _watched(self, watcher: Watcher, links: dict[int, Link], context: Context) -> Iterator[Sample]:
        doubts = watcher.doubts
        yield OVERRUNS(doubts.overruns)
        yield LINK_OVERRUNS(doubts.link_overruns)
        yield GAPS(doubts.gaps)
        names, now = labels(links.values()), context.clock()
        for local, held in watcher.table.held.items():
            address = str(ip_address(local))
            places = [
                Place(names[index], links[index], next(iter(entries.values())))
                for index, entries in held.on.items()
                if index in links
            ]
            yield from _bound(address, places)
            yield from _in_detail(address, places, watcher)
            yield EXPECTED(self.settings.expected_holders, address=address)
            yield from _history(address, held, now)
            context.say(*explain(address, places, held, now))


def _bound(address: str, places: list[Place]) -> Iterator[Sample]:
    yield BOUND(int(bool(places)), address=address)
    for place in places:
        where = {"address": address, "interface": place.interface}
        yield INTERFACE(**where)
        yield LINK_UP(int(place.has_link), **where)
        if place.state:
            yield STATE(place.state, **where)


def _in_detail(address: str, places: list[Place], watcher: Watcher) -> Iterator[Sample]:
    yield INTERFACES(len(places), address=address)
    for place in places:
        where = {"address": address, "interface": place.interface}
        yield INTERFACE_UP(int(place.is_up), **where)
        yield PREFIX(place.entry.prefix, **where)
        yield LINK_LOSSES(watcher.links.losses.get(place.link.ifindex, 0), **where)
        if not place.state:
            yield SECONDARY(int(place.is_secondary), **where)
        if place.label:
            yield LABEL(label=place.label, **where)


def _history(address: str, held: Held, now: float) -> Iterator[Sample]:
    yield GAINED(held.gained, address=address)
    yield LOST(held.lost, address=address)
    yield MOVED(held.moved, address=address)
    yield HELD(held.seconds_held(now), address=address)
    if held.changed is not None:
        yield UNCHANGED(max(0.0, now - held.changed), address=address)
