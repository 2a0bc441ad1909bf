"""A zone from tick to tick: who is asked, what they have told, and what that comes to. Pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from dns.name import Name
from dns.rdatatype import RdataType

from collectors.dns.heard import Answer
from collectors.dns.judge import DOWN, LAME, Soa, State, Verdict, judge
from collectors.dns.looking import Found, is_address
from collectors.dns.serials import Serials, newer, seconds_left
from collectors.dns.wire import Question, shown
from rscollector.api import Metric, Namespace, Sample

_DNS = Namespace("dns")
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


class Zone:
    """A zone: its servers, and what is remembered of them."""

    def __init__(self, name: Name, primaries: Collection[str]) -> None:
        self.name = name
        self.label = shown(name)
        self.question = Question(name, RdataType.SOA)
        self.found = Found()
        self.serials = Serials()
        self.primary_seen: float | None = None
        self._primaries = frozenset(primaries)
        self._soa: Soa | None = None
        self._last: dict[Target, int] = {}
        self._in_sync: dict[Target, float] = {}
        self._went_back: Counter[Target] = Counter()

    @property
    def targets(self) -> list[Target]:
        """Who is to be asked, the primary first."""
        found = [
            Target(server, each) for server, addresses in self.found.servers.items() for each in addresses
        ]
        names = self._names_of_primary()
        return sorted(found, key=names.isdisjoint)

    def report(self, answers: Mapping[Target, Answer], now: float, wall: float) -> Report:
        """Take in what servers have answered; `wall` is the time by which signatures end."""
        verdicts: dict[Target, Verdict | None] = {}
        lame_over_tcp = set()
        for target, answer in answers.items():
            verdicts[target], is_lame = self._judged(answer)
            if is_lame:
                lame_over_tcp.add(target)
        judged = {target: each for target, each in verdicts.items() if each}
        right = {target: each.soa for target, each in judged.items() if each.serial is not None and each.soa}
        self._remember(right, now)
        primary_up = self._primary(judged, right, now)
        seen = tuple(
            self._seen(target, each, answers[target], target in lame_over_tcp, now, wall)
            for target, each in judged.items()
        )
        return Report(
            self.label,
            self.found,
            seen,
            self.serials.newest,
            self.serials.has_order,
            self._soa,
            primary_up,
            None if primary_up is None else self._expiry(seen, now),
            {target: answers[target].best.why for target, each in verdicts.items() if each is None},
        )

    def _judged(self, answer: Answer) -> tuple[Verdict | None, bool]:
        """Judge an answer, and tell whether over TCP there is another one that is lame.

        Who answers there may be another process: what is wrong over UDP goes before what is right over TCP,
        and of two serials the older one counts. Else that answer counts which tells more.
        """
        if not answer.udp.message or not answer.tcp or not answer.tcp.message:
            return judge(self.name, answer.best), False
        udp, tcp = judge(self.name, answer.udp), judge(self.name, answer.tcp)
        if not udp or not tcp or udp.serial is None or tcp.serial is None:
            return udp, bool(udp and udp.serial is not None)
        if newer(udp.serial, tcp.serial):
            return replace(tcp, why="over TCP"), False
        if newer(tcp.serial, udp.serial):
            return replace(udp, why="over UDP"), False
        return udp if answer.best is answer.udp else tcp, False

    def _remember(self, right: Mapping[Target, Soa], now: float) -> None:
        told = {target.address: soa.serial for target, soa in right.items()}
        self.serials.learn(now, told, {target.address for target in self.targets})
        for target, soa in right.items():
            if target in self._last and newer(self._last[target], soa.serial):
                self._went_back[target] += 1
            self._last[target] = soa.serial
            if soa.serial == self.serials.newest:
                self._in_sync[target] = now
            if soa.serial == self.serials.newest or self._soa is None:
                self._soa = soa

    def primaries(self) -> set[str]:
        """Return the addresses of the primary: of those that are set, else of whom the SOA names."""
        names = self._names_of_primary()
        return {target.address for target in self.targets if not names.isdisjoint(target)}

    def _names_of_primary(self) -> frozenset[str]:
        return self._primaries or frozenset({self._soa.primary} if self._soa else ())

    def _primary(self, judged: Collection[Target], right: Collection[Target], now: float) -> bool | None:
        addresses = self.primaries()
        if not any(target.address in addresses for target in judged):
            return None
        is_up = any(target.address in addresses for target in right)
        if is_up:
            self.primary_seen = now
        return is_up

    def _expiry(self, seen: Collection[Seen], now: float) -> float | None:
        """Return the seconds until the first secondary gives up: as it tells, or since the primary was up.

        It may have asked the primary for the last time just before the refresh that it has missed.
        """
        primaries = self.primaries()
        others = [each for each in seen if each.serial is not None and each.target.address not in primaries]
        told = [each.verdict.expiry for each in others]
        found: list[float] = [each for each in told if each is not None]
        if None in told and self._soa and self.primary_seen is not None:
            away = now - self.primary_seen
            found.append(max(0.0, self._soa.expire - self._soa.refresh - away))
        return min(found, default=None)

    def _seen(
        self,
        target: Target,
        verdict: Verdict,
        answer: Answer,
        is_lame_over_tcp: bool,
        now: float,
        wall: float,
    ) -> Seen:
        protocols = {"udp": answer.udp.answers}
        if answer.tcp:
            protocols["tcp"] = answer.tcp.answers and not is_lame_over_tcp
        serial = verdict.serial
        behind, behind_seconds = None, None
        if serial is not None and self.serials.has_order:
            behind = self.serials.behind(serial)
            since = self.serials.since(serial) if behind else None
            first = now if since is None else since
            behind_seconds = now - max(first, self._in_sync.get(target, first))  # who went back, was not
        heard = answer.udp if answer.udp.message else answer.best
        known = (*verdict.signed, *self.found.signed.get(target.address, ())) if serial is not None else ()
        return Seen(
            target,
            verdict,
            protocols,
            heard.seconds if heard.answers else None,
            behind,
            behind_seconds,
            self._went_back[target],
            min((seconds_left(end, wall) for _, end in known), default=None),
            min((-seconds_left(begin, wall) for begin, _ in known), default=None),
        )


def _number(flag: bool | None) -> int | None:
    return None if flag is None else int(flag)
