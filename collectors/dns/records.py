"""What an answer has of a zone's records: its servers, their addresses, its signatures. Pure."""

import ipaddress
from collections.abc import Iterable, Iterator

import dns.flags
import dns.rcode
from dns.message import Message
from dns.name import Name
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType
from dns.rrset import RRset

from collectors.dns.wire import shown

Names = frozenset[str]
Addresses = tuple[str, ...]
_LONGEST_CHAIN = 8


def rrsets(name: Name, section: Iterable[RRset], rdtype: RdataType) -> Iterator[RRset]:
    """Yield what a section has of a name and a type."""
    for each in section:
        if each.rdtype == rdtype and each.rdclass == RdataClass.IN and each.name == name:
            yield each


def signatures(zone: Name, told: Message) -> tuple[tuple[int, int], ...]:
    """Return when the signatures of the zone's own name begin and end, as it stands in an answer.

    Of those over the same records, as while keys are changed, one that is valid is enough (RFC 6840, 5.11).
    """
    found = rrsets(zone, [*told.answer, *told.authority], RdataType.RRSIG)
    return tuple(
        sorted({(min(s.inception for s in each), max(s.expiration for s in each)) for each in found})
    )


def ns_names(zone: Name, section: Iterable[RRset]) -> Names | None:
    """Return the names that the NS records of a zone have in a section, None if there is none."""
    found = [shown(record.target) for each in rrsets(zone, section, RdataType.NS) for record in each]
    return frozenset(found) if found else None


def says_delegated(zone: Name, told: Message) -> bool | None:
    """Tell whether the parent's server says that the zone is delegated; None if it says nothing of that.

    A server that has both zones answers for the lower one, and the delegation is not seen.
    """
    if told.rcode() == dns.rcode.NXDOMAIN:
        return False if told.flags & dns.flags.AA else None
    if told.rcode() != dns.rcode.NOERROR or ns_names(zone, told.answer) is not None:
        return None
    if ns_names(zone, told.authority) is not None:
        return True
    above = [each for each in told.authority if each.rdtype == RdataType.SOA and each.name != zone]
    return False if told.flags & dns.flags.AA and above and not told.answer else None


def zone_above(zone: Name, told: Message) -> Name | None:
    """Return the zone above, by the SOA that was found when one was asked for."""
    for each in (*told.answer, *told.authority):
        if each.rdtype == RdataType.SOA and zone != each.name and zone.is_subdomain(each.name):
            return each.name
    return None


def glue(name: Name, told: Message) -> Addresses:
    """Return the addresses that a delegation has for a server's name."""
    return tuple(
        record.address
        for rdtype in (RdataType.A, RdataType.AAAA)
        for each in rrsets(name, told.additional, rdtype)
        for record in each
        if _is_usable(record.address)
    )


def addresses_of(name: Name, told: Message, rdtype: RdataType) -> Addresses:
    """Return the addresses of a name, along its aliases."""
    for _ in range(_LONGEST_CHAIN):
        if found := [record.address for each in rrsets(name, told.answer, rdtype) for record in each]:
            return tuple(sorted(filter(_is_usable, found)))
        aliases = [record.target for each in rrsets(name, told.answer, RdataType.CNAME) for record in each]
        if not aliases:
            break
        name = aliases[0]
    return ()


def _is_usable(address: str) -> bool:
    """Tell whether one host can be asked at an address that somebody else has written down."""
    found = ipaddress.ip_address(address)
    return not (found.is_multicast or found.is_unspecified or address == "255.255.255.255")
