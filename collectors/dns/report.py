"""What one tick tells of a zone and of its servers, and the metrics that have it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from collectors.dns.judge import DOWN, LAME, Soa, State, Verdict
from collectors.dns.looking import Found
from collectors.dns.wire import is_address
from rscollector.api import Metric, Namespace, Sample

_ZONE = Namespace("dns_zone", "zone")
_SERVER = Namespace("dns_server", "zone", "server", "address")

ZONE_UP = _ZONE.gauge("up", "Whether any of its servers answers for the zone with authority (1) or none (0).")
ZONE_SERIAL = _ZONE.gauge("serial", "The newest serial that any server has told, as RFC 1982 counts.")
SERVERS = _ZONE.gauge("servers", "Addresses of the zone's servers that were asked.")
IN_SYNC = _ZONE.gauge(
    "servers_in_sync", "Those of them that answer with authority and have the newest serial."
)
REFRESH = _ZONE.gauge("refresh_seconds", "After how long secondaries ask the primary again (SOA).")
RETRY = _ZONE.gauge("retry_seconds", "After how long they do when it has not answered (SOA).")
EXPIRE = _ZONE.gauge("expire_seconds", "How long they answer for the zone without the primary (SOA).")
DELEGATED = _ZONE.gauge(
    "delegated", "Whether the parent's servers delegate the zone (1) or say that there is none (0)."
)
PRIMARY_UP = _ZONE.gauge(
    "primary_up", "Whether the primary answers for the zone, where it is known who that is."
)
ZONE_EXPIRY = _ZONE.gauge(
    "expiry_seconds",
    "Without the primary: until the first of the secondaries gives up the zone, at least.",
)
ADDRESSES = _ZONE.gauge(
    "server_addresses", "Addresses of a server's name; 0: the name points to nothing.", "server"
)
LISTED = _ZONE.gauge(
    "server_listed",
    "Whether the parent's delegation, or the zone's own NS records, name the server.",
    "server",
    "by",
)
FAMILY_UP = _ZONE.gauge(
    "server_family_up",
    "Whether any of a server's addresses of a family (ipv4, ipv6) answers.",
    "server",
    "family",
)
UP = _SERVER.gauge("up", "Whether the server answers at this address (1), whatever it says, or not (0).")
STATE = _SERVER.stateset(
    "state", "What the server is to the zone: authoritative, lame and why, or why there is no answer.",
    tuple(State),
)  # fmt: skip
AUTHORITATIVE = _SERVER.gauge(
    "authoritative", "Whether it answers for the zone with authority (1) or says something else (0)."
)
PROTOCOL_UP = _SERVER.gauge(
    "protocol_up",
    "Whether it answers over UDP, and over TCP; 0 over TCP, too, where it has the zone over UDP only.",
    "protocol",
)
QUERY = _SERVER.gauge("query_seconds", "Time to the answer, over UDP if there is one.")
SERIAL = _SERVER.gauge("serial", "The serial of the zone that it has.")
BEHIND = _SERVER.gauge("serial_behind", "By how much that is behind the newest one, as RFC 1982 counts.")
BEHIND_SECONDS = _SERVER.gauge(
    "behind_seconds", "Since when a newer serial is seen than the one that it has; 0 for who has the newest."
)
WENT_BACK = _SERVER.counter("serial_went_back", "Times that its serial was older than the one before.")
SIGNATURE = _SERVER.gauge(
    "signature_expiry_seconds",
    "Until the first signature (RRSIG) of the zone's SOA, NS and DNSKEY ends; negative afterwards.",
)
SIGNATURE_AGE = _SERVER.gauge(
    "signature_age_seconds",
    "Since the last of these signatures began to be valid; negative: it is not valid yet.",
)
EXPIRY = _SERVER.gauge(
    "expiry_seconds",
    "In how long it gives up the zone if it does not reach the primary, where it tells (RFC 7314).",
)
METRICS = (
    ZONE_UP, ZONE_SERIAL, SERVERS, IN_SYNC, REFRESH, RETRY, EXPIRE, DELEGATED, PRIMARY_UP, ZONE_EXPIRY,
    ADDRESSES, LISTED, FAMILY_UP, UP, STATE, AUTHORITATIVE, PROTOCOL_UP, QUERY, SERIAL, BEHIND,
    BEHIND_SECONDS, WENT_BACK, SIGNATURE, SIGNATURE_AGE, EXPIRY,
)  # fmt: skip


class Target(NamedTuple):
    """A server's name, or its address where it has none, and an address of it."""

    server: str
    address: str


@dataclass(frozen=True)
class Seen:
    """What one tick tells of a server at one of its addresses; None is what it does not tell."""

    target: Target
    verdict: Verdict
    protocols: Mapping[str, bool]
    seconds: float | None
    behind: int | None = None
    behind_seconds: float | None = None
    went_back: int = 0
    signature: float | None = None
    signature_age: float | None = None

    @property
    def is_up(self) -> bool:
        """Whether it answers, whatever it says."""
        return self.verdict.state not in DOWN

    @property
    def is_lame(self) -> bool:
        """Whether it answers, and has not the zone."""
        return self.verdict.state in LAME

    @property
    def serial(self) -> int | None:
        """The serial, of one that has authority."""
        return self.verdict.serial

    def samples(self, zone: str) -> Iterator[Sample]:
        """Yield what is told of it."""
        on = {"zone": zone, "server": self.target.server, "address": self.target.address}
        yield UP(int(self.is_up), **on)
        yield STATE(self.verdict.state, **on)
        for protocol, is_up in self.protocols.items():
            yield PROTOCOL_UP(int(is_up), protocol=protocol, **on)
        yield WENT_BACK(self.went_back, **on)
        if self.is_up:
            yield AUTHORITATIVE(int(self.verdict.state is State.AUTHORITATIVE), **on)
        for metric, value in (
            (QUERY, self.seconds), (SERIAL, self.serial), (BEHIND, self.behind),
            (BEHIND_SECONDS, self.behind_seconds), (SIGNATURE, self.signature),
            (SIGNATURE_AGE, self.signature_age), (EXPIRY, self.verdict.expiry),
        ):  # fmt: skip
            if value is not None:
                yield metric(value, **on)


@dataclass(frozen=True)
class Report:
    """What one tick tells of a zone.

    `soa` is that of the newest serial; `unasked` is why some could not be asked.
    """

    zone: str
    found: Found
    servers: tuple[Seen, ...]
    newest: int | None
    has_order: bool
    soa: Soa | None
    primary_up: bool | None
    expiry: float | None
    unasked: Mapping[Target, str]

    @property
    def in_sync(self) -> int:
        """How many have the newest serial."""
        return sum(each.serial is not None and each.serial == self.newest for each in self.servers)

    @property
    def is_up(self) -> bool:
        """Whether anybody answers for the zone."""
        return any(each.serial is not None for each in self.servers)

    def samples(self) -> Iterator[Sample]:
        """Yield what is told of the zone and of its servers."""
        if self.servers or not any(self.found.servers.values()):  # nobody was asked whom this host cannot ask
            yield ZONE_UP(int(self.is_up), zone=self.zone)
        yield SERVERS(len(self.servers), zone=self.zone)
        yield IN_SYNC(self.in_sync, zone=self.zone)
        told: list[tuple[Metric, float | None]] = [
            (ZONE_SERIAL, self.newest), (DELEGATED, _number(self.found.delegated)),
            (PRIMARY_UP, _number(self.primary_up)), (ZONE_EXPIRY, self.expiry),
        ]  # fmt: skip
        if self.soa:
            told += [(REFRESH, self.soa.refresh), (RETRY, self.soa.retry), (EXPIRE, self.soa.expire)]
        for metric, value in told:
            if value is not None:
                yield metric(value, zone=self.zone)
        yield from self._names()
        families: dict[tuple[str, str], bool] = {}
        for each in self.servers:
            of = each.target.server, "ipv6" if ":" in each.target.address else "ipv4"
            families[of] = families.get(of, False) or each.is_up
        for (server, family), is_up in families.items():
            yield FAMILY_UP(int(is_up), zone=self.zone, server=server, family=family)
        for each in self.servers:
            yield from each.samples(self.zone)

    def _names(self) -> Iterator[Sample]:
        parent, own = self.found.parent, self.found.own
        for server, addresses in self.found.servers.items():
            if is_address(server):
                continue
            if addresses or server not in self.found.unresolved:
                yield ADDRESSES(len(addresses), zone=self.zone, server=server)
            if server in (parent or ()) or server in (own or ()):  # a hidden one is named by nobody
                for by, names in (("parent", parent), ("zone", own)):
                    if names is not None:
                        yield LISTED(int(server in names), zone=self.zone, server=server, by=by)


def _number(flag: bool | None) -> int | None:
    return None if flag is None else int(flag)
