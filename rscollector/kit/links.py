"""All links of this kernel, tick after tick, and what they are called.

Most links say the same for days, but for their counters. To take their attributes apart costs the caller four
times what it costs the kernel to tell them, so a link that says what it said before is not read again.
"""

import struct
from collections.abc import Callable, Iterable

from rscollector.api import Context
from rscollector.kit import netlink
from rscollector.kit.names import shown
from rscollector.kit.rtnetlink import (
    IFLA_STATS64,
    LINK,
    RTM_NEWLINK,
    Address,
    Link,
    Message,
    change,
)

_MOVING = frozenset({7, IFLA_STATS64, 26})
"""IFLA_STATS, IFLA_STATS64, IFLA_AF_SPEC: counters, and times."""
_TYPE = 0x3FFF
"""Bits of an attribute's type: without NLA_F_NESTED and NLA_F_NET_BYTEORDER."""
_index_of = struct.Struct("=4xi").unpack_from
_attribute = struct.Struct("=HH").unpack_from


class Links:
    """Asks for all links. One that says what it said at the last time is the same Link, with new counters."""

    def __init__(self, dump: Callable[[Context, netlink.Reader], list[Link]] = netlink.links) -> None:
        self._dump = dump
        self._known: dict[int, _Known] = {}

    def ask(self, context: Context) -> list[Link]:
        """Return all links; of the attributes of one that is known already, only IFLA_STATS64 is new.

        Raises Unavailable or Misconfigured.
        """
        found = self._dump(context, self._read)
        self._known = {each.ifindex: self._known[each.ifindex] for each in found}
        return found

    def _read(self, message: Message) -> Link | Address | None:
        payload = message.payload
        if message.type == RTM_NEWLINK and len(payload) >= LINK.size:
            known = self._known.get(_index_of(payload)[0])
            if known and known.says(payload):
                return known.link
        link = change(message)
        if isinstance(link, Link):
            self._known[link.ifindex] = _Known(link, payload)
        return link


class _Known:
    """A link, and what it says beside its counters: pieces of its message, each with its place."""

    __slots__ = ("_counters", "_length", "_pieces", "link")

    def __init__(self, link: Link, payload: bytes) -> None:
        """Remember a message that was read, and so is well formed."""
        self.link = link
        self._length = len(payload)
        self._counters = slice(0, 0)
        places, begin, offset = [], 0, LINK.size
        while offset < self._length:
            length, kind = _attribute(payload, offset)
            if kind & _TYPE in _MOVING:
                places.append(slice(begin, offset + 4))
                begin = offset + length
                if kind & _TYPE == IFLA_STATS64:
                    self._counters = slice(offset + 4, begin)
            offset += (length + 3) & ~3
        places.append(slice(begin, self._length))
        self._pieces = [(place, payload[place]) for place in places]

    def says(self, payload: bytes) -> bool:
        """Tell whether another message says the same; then the link has its counters."""
        if len(payload) != self._length:
            return False
        for place, piece in self._pieces:
            if payload[place] != piece:
                return False
        if self._counters.stop:
            self.link.attributes[IFLA_STATS64] = payload[self._counters]
        return True


def text(raw: bytes) -> str:
    """Return an attribute that is a text, which ends with a NUL."""
    return shown(raw.partition(b"\0")[0])


def labels(links: Iterable[Link]) -> dict[int, str]:
    """Return the names of links by their index, no two alike.

    The kernel takes any bytes for a name but blanks, slashes and colons. What cannot be printed is shown as
    in Python (`\\xff`); should that be another one's name, its index is behind it.
    """
    named: dict[int, str] = {}
    taken: set[str] = set()
    for link in links:
        name = shown(link.name)
        while name in taken:
            name = f"{name}#{link.ifindex}"
        named[link.ifindex] = name
        taken.add(name)
    return named
