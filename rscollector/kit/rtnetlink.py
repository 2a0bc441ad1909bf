"""What the kernel says in rtnetlink, as values: messages, links, addresses, and their attributes. Pure.

What is malformed raises ValueError with a sentence: a length that lies, an end that is missing.
Formats: netlink(7), rtnetlink(7), linux/{netlink,if,if_link,if_addr}.h.
"""

import socket
import struct
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_FLAGS = 1, 2, 3, 8
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_TXQLEN = 1, 3, 4, 5, 10, 13
IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_STATS64, IFLA_CARRIER_CHANGES, IFLA_LINK_NETNSID = 16, 18, 23, 35, 37
"""With IFLA_LINK_NETNSID, the number in IFLA_LINK is a link's in another namespace."""
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFF_UP, IFF_LOOPBACK, IFF_RUNNING, IFF_MASTER, IFF_SLAVE, IFF_LOWER_UP = 0x1, 0x8, 0x40, 0x400, 0x800, 0x10000

RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR = 16, 17, 20, 21

HEADER = struct.Struct("=IHHII")
LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_attribute = struct.Struct("=HH").unpack_from  # 501 links have 20,000 attributes
_LENGTHS: dict[int, int] = {socket.AF_INET: 4, socket.AF_INET6: 16}


class Message(NamedTuple):
    """One netlink message: its header without the length, and what follows."""

    type: int
    flags: int
    sequence: int
    port: int
    payload: bytes


class Link(NamedTuple):
    """A link as it is, or was when it went (`gone`); `flags` are IFF_…, `attributes` IFLA_…."""

    gone: bool
    ifindex: int
    flags: int
    attributes: dict[int, bytes]

    @property
    def name(self) -> bytes:
        """Its name as the kernel has it."""
        return self.attributes.get(IFLA_IFNAME, b"").partition(b"\0")[0]


class Address(NamedTuple):
    """An address as it is, or was when it went (`gone`); `ifindex` is its link's.

    `local` is this host's address, 4 or 16 bytes, whether it has a peer or not; `prefix` its network's bits.
    `flags` are all 32 bits of IFA_F_…, `scope` is RT_SCOPE_…, `attributes` are IFA_….
    """

    gone: bool
    ifindex: int
    local: bytes
    prefix: int
    flags: int
    scope: int
    attributes: dict[int, bytes]


def messages(part: bytes) -> Iterator[Message]:
    """Take a datagram apart. Raises ValueError when it is malformed."""
    offset = 0
    while offset < len(part):
        if len(part) - offset < HEADER.size:
            raise ValueError(f"a message's header is cut after {len(part) - offset} bytes")
        length, kind, flags, sequence, port = HEADER.unpack_from(part, offset)
        if not HEADER.size <= length <= len(part) - offset:
            raise ValueError(f"a message of {length} bytes where {len(part) - offset} are left")
        yield Message(kind, flags, sequence, port, part[offset + HEADER.size : offset + length])
        offset += (length + 3) & ~3


def change(message: Message) -> Link | Address | None:
    """Read a message about a link or an IP address; None for any other. Raises ValueError if malformed."""
    if message.type in (RTM_NEWLINK, RTM_DELLINK):
        return _link(message.type == RTM_DELLINK, message.payload)
    if message.type in (RTM_NEWADDR, RTM_DELADDR):
        return _address(message.type == RTM_DELADDR, message.payload)
    return None


def _link(gone: bool, payload: bytes) -> Link | None:
    family, _, index, flags, _ = _fixed(LINK, payload)
    if family != socket.AF_UNSPEC:
        return None  # of a bridge's port: it "goes" when it leaves the bridge, and the link stays
    return Link(gone, index, flags, attributes(payload[LINK.size :]))


def _address(gone: bool, payload: bytes) -> Address | None:
    family, prefix, flags, scope, index = _fixed(_ADDRESS, payload)
    if family not in _LENGTHS:
        return None  # all families were asked for: modules such as phonet answer too
    found = attributes(payload[_ADDRESS.size :])
    local = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS) or b""  # with a peer, IFA_ADDRESS is the peer's
    if len(local) != _LENGTHS[family]:
        raise ValueError(f"an address of {len(local)} bytes in family {family}")
    if IFA_FLAGS in found:
        flags = number(found[IFA_FLAGS])
    return Address(gone, index, local, prefix, flags, scope, found)


def _fixed(header: struct.Struct, payload: bytes) -> tuple[int, ...]:
    if len(payload) < header.size:
        raise ValueError(f"a message's payload is cut after {len(payload)} bytes")
    return header.unpack_from(payload)


def attributes(data: bytes) -> dict[int, bytes]:
    """Return the payload of each attribute by its type; of two of one type the last, as in the kernel.

    Nested ones are read by calling this with a payload. Raises ValueError when they are malformed.
    """
    found, offset, end = {}, 0, len(data)
    while (left := end - offset) >= 4:
        length, kind = _attribute(data, offset)
        if not 4 <= length <= left:
            raise ValueError(f"an attribute of {length} bytes where {left} are left")
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]  # without NLA_F_NESTED, NLA_F_NET_BYTEORDER
        offset += (length + 3) & ~3
    if left > 0:
        raise ValueError(f"an attribute's header is cut after {left} bytes")
    return found


def number(data: bytes) -> int:
    """Read an unsigned number of 8, 16, 32 or 64 bits in this host's order. Raises ValueError."""
    if len(data) not in (1, 2, 4, 8):
        raise ValueError(f"a number of {len(data)} bytes")
    return int.from_bytes(data, sys.byteorder)


def counters(data: bytes) -> tuple[int, ...]:
    """Read an array of 64-bit counters, such as IFLA_STATS64; a later kernel has more. Raises ValueError."""
    if len(data) % 8:
        raise ValueError(f"64-bit counters of {len(data)} bytes")
    return struct.unpack(f"={len(data) // 8}Q", data)


def address(data: bytes) -> str:
    """Return an IPv4 (4 bytes) or IPv6 (16) address in its short form, and any other in hex with colons."""
    return str(ip_address(data)) if len(data) in (4, 16) else data.hex(":")
