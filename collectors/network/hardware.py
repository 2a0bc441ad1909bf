"""What only files tell of an interface: sysfs of a device and its speed, /proc of LACP's churn.

Each read of speed or duplex takes the lock of the kernel that a dump takes too, so only interfaces with a
device and a carrier are asked; a virtual one makes its speed up.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from collectors.network.bonds import Seen
from collectors.network.interfaces import NETWORK
from rscollector.api import Context, Sample

SPEED = NETWORK.gauge(
    "speed_bytes", "How much the link carries in a second, in each direction, of a device that tells."
)
FULL_DUPLEX = NETWORK.gauge(
    "full_duplex", "Whether a device sends and receives at a time (1) or in turns (0), of one that tells."
)
METRICS = (SPEED, FULL_DUPLEX)
DIRECTORY = "/sys/class/net"
BONDING = "/proc/net/bonding"
_MEGABIT = 125_000
_FASTEST = 10_000_000  # Mbit/s; -1 is unknown, and some drivers write that without its sign
_UNKNOWN = 0xFFFF  # the same in 16 bits, which ethtool(8) takes for unknown too
_DUPLEX = {"full": True, "half": False}
_LARGEST = 1 << 20
_FIELDS = re.compile(
    rb"^(?P<slave>Slave Interface: )(?P<name>.*)$"
    rb"|^(?P<side>Actor|Partner) Churned Count: (?P<count>\d+)$"
    rb"|^details (?P<whose>actor|partner) lacp pdu:$"
    rb"|^    system mac address: (?P<mac>[0-9a-f:]{17})$",
    re.MULTILINE,
)


def has_device(context: Context, name: bytes) -> bool:
    """Tell whether an interface is a device's; `name` is the kernel's."""
    return os.path.lexists(context.path(f"{DIRECTORY}/{os.fsdecode(name)}/device"))


class Hardware(NamedTuple):
    """What a driver tells of a link: bytes in a second, and whether it is full duplex; else None."""

    speed: int | None
    full_duplex: bool | None

    def samples(self, label: str) -> Iterator[Sample]:
        """Yield the samples of what is told."""
        if self.speed is not None:
            yield SPEED(self.speed, interface=label)
        if self.full_duplex is not None:
            yield FULL_DUPLEX(int(self.full_duplex), interface=label)


def read(context: Context, name: bytes) -> Hardware:
    """Return speed and duplex of an interface."""
    speed = 0
    with suppress(ValueError):
        speed = int(_word(context, name, "speed"))
    known = speed * _MEGABIT if 0 < speed <= _FASTEST and speed != _UNKNOWN else None
    return Hardware(known, _DUPLEX.get(_word(context, name, "duplex")))


def _word(context: Context, name: bytes, what: str) -> str:
    """Return what a file says, "" where it says nothing: the interface is down, has gone, or is renamed."""
    try:
        return context.path(f"{DIRECTORY}/{os.fsdecode(name)}/{what}").read_text("ascii", "replace").strip()
    except OSError:
        return ""


def seen(context: Context, bond: bytes) -> dict[bytes, Seen]:
    """Return what /proc shows of the slaves of an LACP bond, by the kernel's names; nothing without it.

    It hides the partners from whoever may not administer the network.
    """
    try:
        with context.path(f"{BONDING}/{os.fsdecode(bond)}").open("rb") as file:
            text = file.read(_LARGEST)
    except OSError:
        return {}
    found: dict[bytes, Seen] = {}
    name, whose = None, b""
    for field in _FIELDS.finditer(text):
        if field["slave"]:
            name, whose = field["name"], b""
            found[name] = Seen(0, 0, "")
        elif name is not None:
            found[name], whose = _with(found[name], field, whose)
    return found


def _with(slave: Seen, field: re.Match[bytes], whose: bytes) -> tuple[Seen, bytes]:
    if field["whose"]:
        return slave, field["whose"]
    if field["side"] == b"Actor":
        return slave._replace(actor_churned=int(field["count"])), whose
    if field["side"] == b"Partner":
        return slave._replace(partner_churned=int(field["count"])), whose
    return slave._replace(partner=field["mac"].decode()) if whose == b"partner" else slave, whose
