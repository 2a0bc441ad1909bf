"""The numbers in plain language: sentences, trouble first, each with where it is read. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nlargest
from typing import NamedTuple

from collectors.network.bonds import LACP, State
from collectors.network.bundles import Bundle, Member
from collectors.network.hardware import Hardware
from collectors.network.interfaces import (
    PHYSICAL,
    RX_BYTES,
    RX_DROPPED,
    RX_ERRORS,
    RX_FRAMES,
    RX_KINDS,
    RX_MISSED,
    TX_BYTES,
    TX_DROPPED,
    TX_ERRORS,
    TX_FRAMES,
    TX_KINDS,
    Interface,
)

_BUSIEST, _WORST = 5, 10
_WHY = {
    State.NEGOTIATING: "is not bundled: not both sides collect and distribute",
    State.WRONG_AGGREGATOR: "is not in the active aggregator: another system, or other settings",
    State.OTHER_PARTNER: "is cabled to another system than the active aggregator",
    State.NO_PARTNER: "hears no LACP from the other end",
}


class _Loss(NamedTuple):
    """Counters of what was lost and of what went well, and words for it; `within` if that has the lost."""

    lost: int
    well: int
    does: str
    source: str
    kinds: Mapping[int, str] = {}
    within: bool = False


_LOSSES = (
    _Loss(RX_MISSED, RX_FRAMES, "drops {} of received frames in the ring", "rx_missed_errors"),
    _Loss(
        RX_DROPPED,
        RX_FRAMES,
        "drops {} of received frames in the kernel or driver",
        "rx_dropped",
        within=True,  # linux/if_link.h: what the kernel drops was received well
    ),
    _Loss(TX_DROPPED, TX_FRAMES, "drops {} of the frames to be sent", "tx_dropped"),
    _Loss(RX_ERRORS, RX_FRAMES, "receives {} of its frames broken", "rx_errors", RX_KINDS),
    _Loss(TX_ERRORS, TX_FRAMES, "fails to send {} of its frames", "tx_errors", TX_KINDS),
)


@dataclass(frozen=True)
class Told:
    """What one tick has told, `seconds` after the one before; `hardware` is by the interface's name."""

    interfaces: list[Interface]
    seconds: float
    hardware: dict[str, Hardware] = field(default_factory=dict)
    bundles: list[Bundle] = field(default_factory=list)


def explain(told: Told) -> Iterator[str]:
    """Yield what there is to say."""
    for bundle in told.bundles:
        yield _bond(bundle)
        for member in bundle.members if bundle.is_up else ():
            yield from _member(bundle, member)
        if bundle.is_up and not bundle.bond.monitored:
            yield f"{bundle.name} does not look whether its links are up: miimon and arp_interval are 0."
    moved = [each for each in told.interfaces if each.before is not each.counted]
    lossy = [each for each in moved if _lost(each)]
    for each in nlargest(_WORST, lossy, key=_lost):
        yield from _losses(each)
    if len(lossy) > _WORST:
        yield f"{len(lossy) - _WORST} more interfaces have lost frames since the last tick."
    links = [text for each in told.interfaces for text in _link(each, told.hardware.get(each.names.own))]
    yield from links[:_WORST]
    if len(links) > _WORST:
        yield f"{len(links) - _WORST} more devices have no carrier or are half duplex (network_carrier)."
    with_carrier = sum(each.has_carrier for each in told.interfaces)
    yield f"{with_carrier} of {len(told.interfaces)} interfaces have a carrier (network_carrier)."
    for each in nlargest(_BUSIEST, filter(_traffic, moved), key=_traffic):
        yield _rates(each, told.hardware.get(each.names.own), told.seconds)


def _bond(bundle: Bundle) -> str:
    bond, lacp, count = bundle.bond, bundle.bond.mode == LACP, len(bundle.members)
    of = f"{bundle.ports} of its {count} interfaces (network_bond_ports)"
    if not bundle.is_up:
        return f"The bond {bundle.name} is switched off (network_up)."
    if not count:
        return f"The bond {bundle.name} is up and has no interface (network_bond_slaves)."
    if not bundle.has_carrier:
        wanted = f", and wants {bond.min_links}" if lacp and bond.min_links > 1 else ""
        return f"The bond {bundle.name} has no carrier: it can use {of}{wanted}."
    if lacp and not bundle.has_partner:
        return (
            f"The bond {bundle.name} is up and has no LACP partner: nobody bundles its links at the other "
            "end, and it may reach nobody (network_bond_partner_present)."
        )
    active = f", and {bundle.active} is the active one" if bundle.active else ""
    with_ = f", with the system {bond.partner}" if lacp else active
    return f"The bond {bundle.name} ({bond.mode}) can use {of}{with_}."


def _member(bundle: Bundle, each: Member) -> Iterator[str]:
    if each.state in _WHY:
        yield f"{each.name} of {bundle.name} {_WHY[each.state]} (network_bond_slave_state)."
    elif not each.has_carrier:
        takes = (
            ", and the bond takes it for up (network_carrier, network_bond_slave_up)"
            if each.slave.is_up
            else " (network_carrier)"
        )
        yield f"{each.name} of {bundle.name} has no link{takes}."
    elif not each.slave.is_up:
        why = (
            ": it has not looked yet, or waits for updelay, an answer to ARP, or the link's speed"
            if bundle.bond.monitored
            else ""
        )
        yield (
            f"{each.name} of {bundle.name} has a carrier, and the bond does not count it as up{why} "
            "(network_bond_slave_up)."
        )


def _lost(each: Interface) -> int:
    return sum(each.grown(loss.lost) for loss in _LOSSES)


def _losses(each: Interface) -> Iterator[str]:
    for loss in _LOSSES:
        if count := each.grown(loss.lost):
            well = each.grown(loss.well)
            share = count / (max(count, well) if loss.within else count + well)
            kinds = ", ".join(kind for place, kind in loss.kinds.items() if each.grown(place))
            source = f"{loss.source} + {count}" + (f", {kinds}" if kinds else "")
            yield f"{each.names.own} {loss.does.format(_percent(share))} since the last tick ({source})."


def _link(each: Interface, hardware: Hardware | None) -> Iterator[str]:
    if each.kind == PHYSICAL and each.is_up and not (each.has_carrier or each.slave):
        yield f"{each.names.own} is switched on and has no carrier (network_carrier)."
    if hardware and hardware.full_duplex is False:
        yield f"{each.names.own} sends and receives in turns: half duplex (network_full_duplex)."


def _traffic(each: Interface) -> int:
    return each.grown(RX_BYTES) + each.grown(TX_BYTES)


def _rates(each: Interface, hardware: Hardware | None, seconds: float) -> str:
    received, sent = (each.grown(place) / seconds for place in (RX_BYTES, TX_BYTES))
    frames = (each.grown(RX_FRAMES) + each.grown(TX_FRAMES)) / seconds
    of = ""
    if hardware and hardware.speed:
        of = f", {_percent(max(received, sent) / hardware.speed)} of its speed"
    return (
        f"{each.names.own} receives {_size(received)} and sends {_size(sent)} a second{of}, in {frames:.0f} "
        f"frames (network_bytes_total, the last {_number(seconds)} s)."
    )


def _percent(share: float) -> str:
    return "less than 0.001 %" if share < 1e-5 else f"{_number(100 * share)} %"


def _number(number: float) -> str:
    """Return two digits, or all that stand before the point, and never an exponent."""
    return f"{number:.2g}" if number < 99 else f"{number:.0f}"


def _size(number: float) -> str:
    """Return bytes as people say them."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= 0.9995 * size:  # what would be rounded to 1e+03 of the next smaller one
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f} B"
