"""A bond and its slaves, from what netlink tells everybody; and what the state of LACP means. Pure.

A bond without an LACP partner stays up: its carrier is there, `min_links` is satisfied, and every peer is
silent. Numbers and bits are those of linux/if_link.h and of IEEE 802.1AX.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from rscollector.api import Namespace
from rscollector.kit.rtnetlink import address, attributes, number


class State(StrEnum):
    """What a slave is to an LACP bond."""

    BUNDLED = "bundled"
    NEGOTIATING = "negotiating"
    WRONG_AGGREGATOR = "wrong_aggregator"
    NO_PARTNER = "no_partner"
    OTHER_PARTNER = "other_partner"
    LINK_DOWN = "link_down"


BOND = Namespace("network_bond", "bond")
MODE = BOND.info("mode", "What kind of bond it is.", "mode")
SLAVES = BOND.gauge("slaves", "Interfaces that belong to the bond.")
PORTS = BOND.gauge(
    "ports",
    "Interfaces that the bond can use: with LACP those in the active aggregator, else those with a link. Of "
    "one that is switched off only mode and slaves are told.",
)
MIN_LINKS = BOND.gauge(
    "min_links", "With fewer ports than this an LACP bond has no carrier; 0 is the same as 1."
)
ACTIVE = BOND.info(
    "active",
    "The active interface, of a bond that has one: balance-tlb and balance-alb send by the others too.",
    "interface",
)
PARTNER_PRESENT = BOND.gauge(
    "partner_present",
    "Whether somebody answers with LACP at the other end of the active aggregator (1) or nobody does (0).",
)
PARTNER = BOND.info("partner", "The system (a switch) at the other end of the active aggregator.", "partner")
SLAVE_UP = BOND.gauge(
    "slave_up", "Whether the bond takes the interface's link for up (1) or not (0).", "interface"
)
SLAVE_STATE = BOND.stateset(
    "slave_state",
    "With LACP: bundled, or why not. other_partner (cabled to another system) is shown to root only, "
    "wrong_aggregator to others.",
    tuple(State),
    "interface",
)
FAILURES = BOND.counter(
    "slave_failures", "Times that the interface's link has failed, says the bond.", "interface"
)
CHURNED = BOND.counter(
    "slave_churned",
    "Times that one side (actor: this host, partner: the other) was not in sync for a minute.",
    "interface",
    "side",
)
METRICS = (
    MODE, SLAVES, PORTS, MIN_LINKS, ACTIVE, PARTNER_PRESENT, PARTNER, SLAVE_UP, SLAVE_STATE, FAILURES,
    CHURNED,
)  # fmt: skip

LACP = "802.3ad"
MODES = (
    "balance-rr", "active-backup", "balance-xor", "broadcast", LACP, "balance-tlb", "balance-alb",
)  # fmt: skip
_MODE, _ACTIVE_SLAVE, _MIIMON, _ARP_INTERVAL, _MIN_LINKS, _AD_INFO = 1, 2, 3, 7, 18, 23
_AGGREGATOR, _NUM_PORTS, _PARTNER_MAC = 1, 2, 5
_MII_STATUS, _FAILURES, _AD_AGGREGATOR, _ACTOR_STATE, _PARTNER_STATE = 2, 3, 6, 7, 8
_IN_USE = 0x10 | 0x20
"""Collecting and distributing."""
_DEFAULTED = 0x40
"""Nothing has come from a partner, so that values are made up."""
NOBODY = "00:00:00:00:00:00"


@dataclass(frozen=True, slots=True)
class Bond:
    """What a bond says of itself; `aggregator` is 0, and `partner` nobody, where none is active.

    One that is not `monitored`, which is the kernel's default, does not look at its links: new ones are up.
    """

    mode: str
    active: int
    min_links: int
    aggregator: int
    ports: int
    partner: str
    monitored: bool


@dataclass(frozen=True, slots=True)
class Slave:
    """What a bond says of an interface that it has; the numbers of LACP are 0 where it tells none."""

    is_up: bool
    failures: int
    aggregator: int
    actor: int
    partner: int


class Seen(NamedTuple):
    """What /proc shows beside: churn of both sides, and the partner, "" where that is hidden from us."""

    actor_churned: int
    partner_churned: int
    partner: str


def bond_of(data: Mapping[int, bytes]) -> Bond:
    """Read IFLA_INFO_DATA of a bond. Raises ValueError."""
    mode = _number(data, _MODE)
    ad_info = attributes(data.get(_AD_INFO, b""))
    return Bond(
        mode=MODES[mode] if mode < len(MODES) else str(mode),
        active=_number(data, _ACTIVE_SLAVE),
        min_links=_number(data, _MIN_LINKS),
        aggregator=_number(ad_info, _AGGREGATOR),
        ports=_number(ad_info, _NUM_PORTS),
        partner=address(ad_info.get(_PARTNER_MAC, bytes(6))),
        monitored=_MIIMON not in data or bool(_number(data, _MIIMON) or _number(data, _ARP_INTERVAL)),
    )


def slave_of(data: Mapping[int, bytes]) -> Slave:
    """Read IFLA_INFO_SLAVE_DATA of a bond's slave. Raises ValueError."""
    return Slave(
        is_up=_number(data, _MII_STATUS) == 0,
        failures=_number(data, _FAILURES),
        aggregator=_number(data, _AD_AGGREGATOR),
        actor=_number(data, _ACTOR_STATE),
        partner=_number(data, _PARTNER_STATE),
    )


def _number(data: Mapping[int, bytes], kind: int) -> int:
    return number(data[kind]) if kind in data else 0


def state(bond: Bond, slave: Slave, has_carrier: bool, partner: str = "") -> State:
    """Return what a slave is to its bond; `partner` is its own, if that is known.

    The last states of LACP stay when a link is lost, so the link comes first.
    """
    if not (slave.is_up and has_carrier):
        return State.LINK_DOWN
    if slave.actor & _DEFAULTED or partner == NOBODY:
        return State.NO_PARTNER
    if bond.aggregator and slave.aggregator not in (0, bond.aggregator):
        return State.OTHER_PARTNER if partner not in ("", bond.partner) else State.WRONG_AGGREGATOR
    return State.BUNDLED if slave.actor & slave.partner & _IN_USE == _IN_USE else State.NEGOTIATING
