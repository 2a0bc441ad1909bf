"""What an answer to the question for a zone's SOA means: whether its server has the zone, or is lame and why.

Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

import dns.flags
import dns.rcode
from dns.message import Message
from dns.name import Name
from dns.rdatatype import RdataType

from collectors.dns.heard import Failure, Heard
from collectors.dns.records import rrsets, signatures
from collectors.dns.wire import EXPIRE, shown


class State(StrEnum):
    """What a server is to a zone."""

    AUTHORITATIVE = "authoritative"
    REFUSED = "refused"
    SERVFAIL = "servfail"
    NXDOMAIN = "nxdomain"
    REFERRAL = "referral"
    NOT_AUTHORITATIVE = "not_authoritative"
    NO_SOA = "no_soa"
    ERROR = "error"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    SILENT = "silent"
    CLOSED = "closed"
    UNREACHABLE = "unreachable"


LAME = (
    State.REFUSED, State.SERVFAIL, State.NXDOMAIN, State.REFERRAL, State.NOT_AUTHORITATIVE, State.NO_SOA,
    State.ERROR,
)  # fmt: skip
"""It answers, and has not the zone."""
DOWN = (State.SILENT, State.CLOSED, State.UNREACHABLE)
"""It does not answer at all."""
_RCODES = {
    dns.rcode.REFUSED: State.REFUSED,
    dns.rcode.SERVFAIL: State.SERVFAIL,
    dns.rcode.NXDOMAIN: State.NXDOMAIN,
}


@dataclass(frozen=True)
class Soa:
    """What a zone says of itself: its serial, and in seconds how others follow its primary."""

    serial: int
    refresh: int
    retry: int
    expire: int
    primary: str


@dataclass(frozen=True)
class Verdict:
    """What a server is to a zone, `why` in its own words, and what it has told of the zone.

    `signed` is when signatures begin and end, as it stands there; `expiry` is in how many seconds it will
    give up the zone, where it tells.
    """

    state: State
    why: str = ""
    soa: Soa | None = None
    signed: tuple[tuple[int, int], ...] = ()
    expiry: int | None = None

    @property
    def serial(self) -> int | None:
        """The serial, of one that has authority."""
        return self.soa.serial if self.soa and self.state is State.AUTHORITATIVE else None


def judge(zone: Name, heard: Heard) -> Verdict | None:
    """Return what it means that this was heard, None where this host could not ask."""
    if heard.failure is Failure.UNASKED:
        return None
    if heard.message is None:
        return Verdict(State(str(heard.failure)), heard.why)
    told = heard.message
    rcode = told.rcode()
    if rcode != dns.rcode.NOERROR:
        return Verdict(_RCODES.get(rcode, State.ERROR), str(dns.rcode.to_text(rcode)))
    soa = _soa(zone, told)
    if soa is None:
        return _without_soa(zone, told)
    if not told.flags & dns.flags.AA:
        return Verdict(State.NOT_AUTHORITATIVE, soa=soa)
    return Verdict(State.AUTHORITATIVE, "", soa, signatures(zone, told), _expiry(told))


def _without_soa(zone: Name, told: Message) -> Verdict:
    owners = [each.name for each in told.authority if each.rdtype == RdataType.NS]
    if not told.flags & dns.flags.AA and any(zone.is_subdomain(each) for each in owners):
        return Verdict(State.REFERRAL, f"to the servers of {shown(owners[0])}")
    others = [each.name for each in (*told.answer, *told.authority) if each.rdtype == RdataType.SOA]
    return Verdict(State.NO_SOA, f"but that of {shown(others[0])}" if others else "")


def _soa(zone: Name, told: Message) -> Soa | None:
    for found in rrsets(zone, told.answer, RdataType.SOA):
        for each in found:
            return Soa(each.serial, each.refresh, each.retry, each.expire, shown(each.mname))
    return None


def _expiry(told: Message) -> int | None:
    for each in told.options:
        data = getattr(each, "data", b"")
        if each.otype == EXPIRE and len(data) == 4:
            return int.from_bytes(data, "big")
    return None
