"""An interface: what the kernel says of it, and the samples that this is. Pure.

What an interface counts changes with each tick, all else by the day: samples of what has not changed are
those of the tick before. Counters are `struct rtnl_link_stats64` of linux/if_link.h, which says what a driver
should count in each; /proc/net/dev adds some of them up, and this does not.
"""

from collections.abc import Iterator
from functools import partial
from operator import itemgetter
from typing import NamedTuple

from collectors.network.bonds import Bond, Slave, bond_of, slave_of
from rscollector.api import Metric, Namespace, Sample
from rscollector.kit.links import text
from rscollector.kit.rtnetlink import (
    IFF_LOOPBACK,
    IFF_LOWER_UP,
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_CARRIER_CHANGES,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_INFO_SLAVE_DATA,
    IFLA_INFO_SLAVE_KIND,
    IFLA_LINK,
    IFLA_LINK_NETNSID,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    IFLA_STATS64,
    IFLA_TXQLEN,
    Link,
    address,
    attributes,
    counters,
    number,
)

NETWORK = Namespace("network", "interface")
BYTES = NETWORK.counter("bytes", "What was received or transmitted.", "direction")
FRAMES = NETWORK.counter("frames", "Frames (packets) that were received or transmitted well.", "direction")
MULTICAST = NETWORK.counter("multicast_frames", "Frames to a group of hosts that were received.")
ERRORS = NETWORK.counter(
    "errors",
    "Frames that were broken or could not be sent, of whatever kind, as the driver counts.",
    "direction",
)
ERRORS_BY_KIND = NETWORK.counter(
    "errors_by_kind",
    "The same by the kernel's kinds; a kind that has not been counted is absent, and they need not add up.",
    "direction",
    "kind",
)
DROPPED = NETWORK.counter(
    "dropped_frames",
    "Frames that were given up though they were well: by kernel or driver (kernel), since the card had no "
    "room (ring), on an idle slave of a bond (nohandler), for another host (other_host).",
    "direction",
    "kind",
)
COLLISIONS = NETWORK.counter("collisions", "Collisions on a half duplex wire; absent where there was none.")
UP = NETWORK.gauge("up", "Whether the interface is switched on (1) or off (0).")
CARRIER = NETWORK.gauge(
    "carrier", "Whether it is switched on and has a carrier: its link is up (1) or not (0)."
)
CHANGES = NETWORK.counter("carrier_changes", "Times that the carrier was lost or came back.")
MTU = NETWORK.gauge("mtu_bytes", "The largest packet that the interface takes.")
QUEUE = NETWORK.gauge("queue_length", "How many frames may wait to be sent, for a queue that follows this.")
INTERFACE = NETWORK.info(
    "interface",
    "What the interface is: its kind (physical for a device), its address, the interface that it is on "
    "(parent), the bond or bridge that has it (master), its VLAN.",
    "kind",
    "address",
    "parent",
    "master",
    "vlan",
)
METRICS = (
    BYTES, FRAMES, MULTICAST, ERRORS, ERRORS_BY_KIND, DROPPED, COLLISIONS, UP, CARRIER, CHANGES, MTU, QUEUE,
    INTERFACE,
)  # fmt: skip

PHYSICAL = "physical"
_VLAN_ID = 1
_RX, _TX = "receive", "transmit"

RX_FRAMES, TX_FRAMES, RX_BYTES, TX_BYTES, RX_ERRORS, TX_ERRORS, RX_DROPPED, TX_DROPPED = range(8)
RX_MISSED = 15
_FIRST_RARE = 9
_ALWAYS: tuple[tuple[int, Metric, tuple[str, ...]], ...] = (
    (RX_FRAMES, FRAMES, (_RX,)),
    (TX_FRAMES, FRAMES, (_TX,)),
    (RX_BYTES, BYTES, (_RX,)),
    (TX_BYTES, BYTES, (_TX,)),
    (RX_ERRORS, ERRORS, (_RX,)),
    (TX_ERRORS, ERRORS, (_TX,)),
    (RX_DROPPED, DROPPED, (_RX, "kernel")),
    (TX_DROPPED, DROPPED, (_TX, "kernel")),
    (8, MULTICAST, ()),
    (RX_MISSED, DROPPED, (_RX, "ring")),
)
_METRICS_OF_ALL = [metric for _, metric, _ in _ALWAYS]
_counters_of_all = itemgetter(*(place for place, _, _ in _ALWAYS))
_sample = partial(tuple.__new__, Sample)
"""Makes a sample of its parts: 5,000 of them at a tick would cost the constructor half as much again."""
RX_KINDS = {10: "length", 11: "over", 12: "crc", 13: "frame", 14: "fifo"}
TX_KINDS = {16: "aborted", 17: "carrier", 18: "fifo", 19: "heartbeat", 20: "window"}
"""The kinds of errors, by their place among the counters."""
_IF_ANY: tuple[tuple[int, Metric, tuple[str, ...]], ...] = (
    (_FIRST_RARE, COLLISIONS, ()),
    *((place, ERRORS_BY_KIND, (_RX, kind)) for place, kind in RX_KINDS.items()),
    *((place, ERRORS_BY_KIND, (_TX, kind)) for place, kind in TX_KINDS.items()),
    (23, DROPPED, (_RX, "nohandler")),  # since Linux 4.6
    (24, DROPPED, (_RX, "other_host")),  # since Linux 6.0
)
_LEAST = 21


class Names(NamedTuple):
    """What an interface, its parent and its master are called, "" for what it does not have."""

    own: str
    parent: str
    master: str


def names_of(link: Link, labels: dict[int, str]) -> Names:
    """Return the names that belong to a link; its parent may be in another namespace. Raises ValueError."""
    found = link.attributes
    parent = "" if IFLA_LINK_NETNSID in found else _name(found.get(IFLA_LINK), labels)
    return Names(labels[link.ifindex], parent, _name(found.get(IFLA_MASTER), labels))


def _name(index: bytes | None, labels: dict[int, str]) -> str:
    return labels.get(number(index), "") if index else ""


class Interface:
    """An interface that says what it said; a collector owns it, and `link` has its newest counters.

    `master` is the index of what has it, `bond` and `slave` are what it is to bonds. `counted` are its
    counters at this tick and `before` at the one before, () where there are none that can be compared.
    Raises ValueError for what cannot be read.
    """

    def __init__(self, link: Link, names: Names, has_device: bool, before: "Interface | None") -> None:
        self.link, self.names = link, names
        self.kind, self.vlan = "", ""
        self.master = number(link.attributes[IFLA_MASTER]) if IFLA_MASTER in link.attributes else 0
        self.bond: Bond | None = None
        self.slave: Slave | None = None
        self._read_kind(attributes(link.attributes.get(IFLA_LINKINFO, b"")))
        if has_device and not self.kind:
            self.kind = PHYSICAL
        self._steady = list(self._described())
        self._raw = b""
        self._moving: list[Sample] = []
        same = before is not None and before.link.name == link.name
        self.counted: tuple[int, ...] = before.counted if before and same else ()
        self.before: tuple[int, ...] = ()
        self._labels = [(names.own, *labels) for _, _, labels in _ALWAYS]

    @property
    def is_of_host(self) -> bool:
        """Whether it is a device, a bond or its slave, a VLAN or the loopback: guests have other kinds."""
        if self.slave or self.link.flags & IFF_LOOPBACK:
            return True
        return self.kind in (PHYSICAL, "bond", "vlan")

    @property
    def is_up(self) -> bool:
        """Whether it is switched on."""
        return bool(self.link.flags & IFF_UP)

    @property
    def has_carrier(self) -> bool:
        """Whether it is switched on and its link is up."""
        return bool(self.link.flags & IFF_LOWER_UP)

    def grown(self, place: int) -> int:
        """Return by how much a counter has grown since the tick before; 0 where that is not known."""
        return max(0, self.counted[place] - self.before[place]) if self.before else 0

    def samples(self) -> list[Sample]:
        """Return the samples of this tick. Raises ValueError."""
        raw = self.link.attributes.get(IFLA_STATS64, b"")
        self.before = self.counted
        if raw != self._raw:
            self._count(raw)
        return self._steady + self._moving

    def _count(self, raw: bytes) -> None:
        now = counters(raw)
        if len(now) < _LEAST:
            raise ValueError(f"{len(now)} counters")
        if self.counted and any(now[each] < self.counted[each] for each in (RX_FRAMES, TX_FRAMES)):
            self.before = ()  # a driver that was started anew has begun to count anew
        self._raw, self.counted = raw, now
        self._moving = list(
            map(_sample, zip(_METRICS_OF_ALL, self._labels, _counters_of_all(now), strict=True))
        )
        if any(now[_FIRST_RARE:RX_MISSED]) or any(now[RX_MISSED + 1 :]):
            for place, metric, labels in _IF_ANY:
                if place < len(now) and now[place]:
                    self._moving.append(Sample(metric, (self.names.own, *labels), now[place]))

    def _read_kind(self, info: dict[int, bytes]) -> None:
        self.kind = text(info.get(IFLA_INFO_KIND, b""))
        data = info.get(IFLA_INFO_DATA, b"")
        if self.kind == "vlan":
            self.vlan = str(number(attributes(data).get(_VLAN_ID, b"")))
        elif self.kind == "bond":
            self.bond = bond_of(attributes(data))
        if text(info.get(IFLA_INFO_SLAVE_KIND, b"")) == "bond":
            self.slave = slave_of(attributes(info.get(IFLA_INFO_SLAVE_DATA, b"")))

    def _described(self) -> Iterator[Sample]:
        found, (own, parent, master) = self.link.attributes, self.names
        for metric, value in ((UP, self.is_up), (CARRIER, self.has_carrier)):
            yield Sample(metric, (own,), int(value))
        for metric, kind in ((CHANGES, IFLA_CARRIER_CHANGES), (MTU, IFLA_MTU), (QUEUE, IFLA_TXQLEN)):
            if kind in found:
                yield Sample(metric, (own,), number(found[kind]))
        yield INTERFACE(
            interface=own, kind=self.kind, address=address(found.get(IFLA_ADDRESS, b"")), parent=parent,
            master=master, vlan=self.vlan,
        )  # fmt: skip
