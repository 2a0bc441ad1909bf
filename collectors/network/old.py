"""What scollector called interfaces and bonds: by their names; speed in megabit, directions in and out."""

import re
from collections.abc import Iterator, Mapping

from rscollector.api.old import Old, Point, Points, Run

_SHOWN = re.compile(r"eth\d+|em\d+|em\d+_\d+|p\d+p\d+|p\d+p\d+_\d+|bond\d+|team\d+|(en|wl|ww)[A-Za-z0-9]+")
_BOND = re.compile("bond|team")
_DIRECTIONS = {"receive": "in", "transmit": "out"}
_DROPPED = "network_dropped_frames_total"
_ERRORS = "network_errors_total"
_KINDS: dict[str, dict[str, tuple[str, ...]]] = {
    "fifo_errs": {"receive": ("fifo",), "transmit": ("fifo",)},
    "frame_errs": {"receive": ("length", "over", "crc", "frame")},
    "carrier_errs": {"transmit": ("aborted", "carrier", "heartbeat", "window")},
}
"""What /proc/net/dev adds up of the kinds of errors, by direction."""
_MEGABIT = 125_000
_TRAFFIC = {
    "bytes": "network_bytes_total",
    "packets": "network_frames_total",
    "errs": _ERRORS,
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


def _kinds(kinds: Mapping[str, tuple[str, ...]], *, bonds: bool) -> Points:
    """What it has not counted the kernel tells as 0, of each interface of which it tells errors."""

    def points(run: Run, ours: str) -> Iterator[Point]:
        found: dict[tuple[str, str], float] = {}
        for labels, _ in _shown(run, _ERRORS, bonds=bonds):
            if labels["direction"] in kinds:
                found[labels["interface"], labels["direction"]] = 0
        for labels, number in _shown(run, ours, bonds=bonds):
            if labels["kind"] in kinds.get(labels["direction"], ()):
                found[labels["interface"], labels["direction"]] += number
        for (interface, direction), number in found.items():
            yield {"iface": interface, "direction": _DIRECTIONS[direction]}, number

    return points


def _one_way(direction: str, *, bonds: bool) -> Points:
    """What has no direction here, and one there; what is not told is 0."""

    def points(run: Run, ours: str) -> Iterator[Point]:
        found = {labels["interface"]: 0.0 for labels, _ in _shown(run, _ERRORS, bonds=bonds)}
        found |= {labels["interface"]: number for labels, number in _shown(run, ours, bonds=bonds)}
        for interface, number in found.items():
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


def _of_linux() -> Iterator[Old]:
    for prefix, bonds in (("linux.net.", False), ("linux.net.bond.", True)):
        for name, kinds in _KINDS.items():
            made = _kinds(kinds, bonds=bonds)
            yield Old(prefix + name, "network_errors_by_kind_total", made, "", rate="counter", beside=True)
        for name, ours, direction in (
            ("multicast", "network_multicast_frames_total", "in"),
            ("collisions", "network_collisions_total", "out"),
        ):
            yield Old(prefix + name, ours, _one_way(direction, bonds=bonds), "", rate="counter")


SCOLLECTOR = (
    *_of_both("os"),
    *_of_both("linux"),
    *_of_linux(),
    Old("linux.net.bond.slave.is_up", "network_bond_slave_up", _slaves_up, "bool"),
    Old("linux.net.bond.slave.count", "network_bond_slaves", unit=""),
)
