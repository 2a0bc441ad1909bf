"""A bond together with the interfaces that it has: the samples of both."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from collectors.network.bonds import (
    ACTIVE,
    CHURNED,
    FAILURES,
    LACP,
    MIN_LINKS,
    MODE,
    NOBODY,
    PARTNER,
    PARTNER_PRESENT,
    PORTS,
    SLAVE_STATE,
    SLAVE_UP,
    SLAVES,
    Bond,
    Seen,
    Slave,
    State,
    state,
)
from collectors.network.interfaces import Interface
from rscollector.api import Sample


@dataclass(frozen=True, slots=True)
class Member:
    """An interface of a bond; `state` is None without LACP, `seen` where /proc shows nothing."""

    name: str
    slave: Slave
    has_carrier: bool
    state: State | None
    seen: Seen | None


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bond by its name, and its interfaces; `active` is the active one, of those that have one."""

    name: str
    bond: Bond
    members: tuple[Member, ...]
    is_up: bool
    has_carrier: bool
    active: str

    @property
    def ports(self) -> int:
        """How many interfaces it can use."""
        if self.bond.mode == LACP:
            return self.bond.ports
        return sum(each.slave.is_up and each.has_carrier for each in self.members)

    @property
    def has_partner(self) -> bool:
        """Whether somebody answers with LACP."""
        return self.bond.partner != NOBODY

    def samples(self) -> Iterator[Sample]:
        """Yield the samples of the bond and of what it has.

        Of one that is switched off the driver tells what was so before.
        """
        bond = self.name
        yield MODE(bond=bond, mode=self.bond.mode)
        yield SLAVES(len(self.members), bond=bond)
        if not self.is_up:
            return
        yield PORTS(self.ports, bond=bond)
        if self.active:
            yield ACTIVE(bond=bond, interface=self.active)
        if self.bond.mode == LACP:
            yield MIN_LINKS(self.bond.min_links, bond=bond)
            yield PARTNER_PRESENT(int(self.has_partner), bond=bond)
            if self.has_partner:
                yield PARTNER(bond=bond, partner=self.bond.partner)
        for each in self.members:
            yield SLAVE_UP(int(each.slave.is_up), bond=bond, interface=each.name)
            yield FAILURES(each.slave.failures, bond=bond, interface=each.name)
            if each.state:
                yield SLAVE_STATE(each.state, bond=bond, interface=each.name)
            if each.seen:
                for side, count in (
                    ("actor", each.seen.actor_churned),
                    ("partner", each.seen.partner_churned),
                ):
                    yield CHURNED(count, bond=bond, interface=each.name, side=side)


def bundle_of(
    interface: Interface, bond: Bond, all_: Iterable[Interface], seen: Mapping[bytes, Seen]
) -> Bundle:
    """Put a bond and what belongs to it together; `seen` is by the kernel's names."""
    index = interface.link.ifindex
    members = [each for each in all_ if each.master == index]
    return Bundle(
        name=interface.names.own,
        bond=bond,
        members=tuple(_member(each, each.slave, bond, seen) for each in members if each.slave),
        is_up=interface.is_up,
        has_carrier=interface.has_carrier,
        active=next((each.names.own for each in members if each.link.ifindex == bond.active), ""),
    )


def _member(interface: Interface, slave: Slave, bond: Bond, seen: Mapping[bytes, Seen]) -> Member:
    found = seen.get(interface.link.name)
    partner = found.partner if found else ""
    is_what = state(bond, slave, interface.has_carrier, partner) if bond.mode == LACP else None
    return Member(interface.names.own, slave, interface.has_carrier, is_what, found)
