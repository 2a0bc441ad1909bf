"""What scollector called interfaces and bonds: by their names; speed in megabit, directions in and out."""

import re
from collections.abc import Iterator

from rscollector.api.old import Old, Point, Points, Run

_SHOWN = re.compile(r"eth\d+|em\d+|em\d+_\d+|p\d+p\d+|p\d+p\d+_\d+|bond\d+|team\d+|(en|wl|ww)[A-Za-z0-9]+")
_BOND = re.compile("bond|team")
_DIRECTIONS = {"receive": "in", "transmit": "out"}
_DROPPED = "network_dropped_frames_total"
_MEGABIT = 125_000
_TRAFFIC = {
    "bytes": "network_bytes_total",
    "packets": "network_frames_total",
    "errs": "network_errors_total",
}


def _shown(run: Run, ours: str, *, bonds: bool) -> Iterator[Point]:
    for labels, number in run.numbers(ours):
        interface = labels["interface"]
        if _SHOWN.fullmatch(interface) and bool(_BOND.match(interface)) is bonds:
            yield labels, number


def _traffic(*, bonds: bool) -> Points:
    def points(run: Run, ours: str) -> Iterator[Point]:
        for labels, number in _shown(run, ours, bonds=bonds):
            yield {"iface": labels["interface"], "direction": _DIRECTIONS[labels["direction"]]}, number

    return points


def _dropped(*, bonds: bool) -> Points:
    """What /proc/net/dev calls dropped: by the kernel or the driver, and for want of room in the card."""

    def points(run: Run, ours: str) -> Iterator[Point]:
        found: dict[tuple[str, str], float] = {}
        for labels, number in _shown(run, ours, bonds=bonds):
            if labels["kind"] in ("kernel", "ring"):
                key = labels["interface"], _DIRECTIONS[labels["direction"]]
                found[key] = found.get(key, 0) + number
        for (interface, direction), number in found.items():
            yield {"iface": interface, "direction": direction}, number

    return points


def _speed(*, bonds: bool) -> Points:
    def points(run: Run, ours: str) -> Iterator[Point]:
        for labels, number in _shown(run, ours, bonds=bonds):
            yield {"iface": labels["interface"]}, number / _MEGABIT

    return points


def _slaves_up(run: Run, ours: str) -> Iterator[Point]:
    for labels, number in run.numbers(ours):
        yield {"slave": labels["interface"], "bond": labels["bond"]}, number


def _of_both(system: str) -> Iterator[Old]:
    for prefix, bonds in (("", False), ("bond.", True)):
        for name, ours in _TRAFFIC.items():
            unit = "bytes" if name == "bytes" else ""
            yield Old(f"{system}.net.{prefix}{name}", ours, _traffic(bonds=bonds), unit, rate="counter")
        yield Old(f"{system}.net.{prefix}dropped", _DROPPED, _dropped(bonds=bonds), "", rate="counter")
        speed = f"{system}.net.{prefix}ifspeed"
        yield Old(speed, "network_speed_bytes", _speed(bonds=bonds), "Mbit", "What the link carries.")


SCOLLECTOR = (
    *_of_both("os"),
    *_of_both("linux"),
    Old("linux.net.bond.slave.is_up", "network_bond_slave_up", _slaves_up, "bool"),
    Old("linux.net.bond.slave.count", "network_bond_slaves", unit=""),
)
