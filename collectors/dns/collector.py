"""The collector `dns`: each zone's servers, all asked at once for its SOA, at each of their addresses.

Who they are is looked up now and then, by asking: what the tick tells never waits for a resolver, but the
first time. What one server, one name or one zone does is told of that, and is no failure of the collector.
"""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

from collectors.dns.asking import WAIT, ask
from collectors.dns.explain import explain
from collectors.dns.heard import PORT, Answer, Query
from collectors.dns.kept import keep, restore
from collectors.dns.looking import look
from collectors.dns.report import METRICS, Report, Target
from collectors.dns.resolvers import RESOLV_CONF, Resolvers, nameservers
from collectors.dns.wire import is_address, parsed, shown
from collectors.dns.zone import Zone
from rscollector.api import Collector, Context, IpAddress, Needs, Package, Sample, Unavailable, setting

_SHARE = 0.6
_EVERY, _SOON = 300.0, 60.0
"""Seconds between two looks for servers, and where not all was found, or nobody answers for a zone."""
_MOST_TARGETS = 400
_MOST_ZONES = 200
_SHOWN = 5
_ODD = re.compile(r"@?\Z|.*[\s:ßẞς\u200c\u200d]", re.DOTALL)
"""An empty variable, a port, a URL; and what one version of IDNA writes as another name than the next."""


@dataclass(frozen=True)
class DnsSettings:
    """Which zones, and who has them beside those that the DNS itself names."""

    zones: tuple[str, ...] = setting('The zones, such as "example.com".')
    primaries: tuple[str, ...] = setting(
        "Names or IP addresses of primaries that no NS record names (hidden ones). Where none is set, the "
        "server that the SOA names is the primary, if it is one of the zone's.",
        default=(),
    )
    servers: tuple[str, ...] = setting(
        "Names or IP addresses of other servers that no NS record names, such as each one behind an anycast "
        "address.",
        default=(),
    )
    delegation: bool = setting(
        "Whether servers are found by the zones' delegations and NS records, too; without it `primaries` and "
        "`servers` are all there are, as for zones that no parent delegates.",
        default=True,
    )
    resolvers: tuple[IpAddress, ...] = setting(
        "IP addresses of resolvers to find servers and their addresses by; by default those of "
        f"{RESOLV_CONF}.",
        default=(),
    )

    def __post_init__(self) -> None:
        """Write all names alike. Raises ValueError."""
        if not self.zones:
            raise ValueError("zones: expected at least one")
        if len(self.zones) > _MOST_ZONES:
            raise ValueError(
                f"zones: {len(self.zones)} are more than the {_MOST_ZONES} that one collector asks for"
            )
        for key, read in (("zones", _zone), ("primaries", _host), ("servers", _host)):
            try:
                object.__setattr__(self, key, tuple(dict.fromkeys(map(read, getattr(self, key)))))
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        if not self.delegation and not self.primaries and not self.servers:
            raise ValueError("delegation: without it, primaries or servers have to say who is asked")


def _zone(text: str) -> str:
    if _ODD.match(text):
        raise ValueError(
            f"{text!r:.80} is no domain name, such as example.com; the letters ß and ς only in its form xn--…"
        )
    return shown(parsed(text))


def _host(text: str) -> str:
    return IpAddress(text).text if is_address(text) else _zone(text)


class Dns(Collector[DnsSettings]):
    """Zones of the DNS: who answers for them, who is behind or lame, and when signatures end."""

    metrics = METRICS
    interval = 60.0  # each tick is a datagram and a TCP connection for each address, mostly of strangers
    max_series = 16_000  # 400 servers of 26 series; 200 zones of 10, with four names each of 5
    Settings = DnsSettings
    needs = Needs(packages=(Package("python3-dnspython", "dnspython>=2.3"),))
    port = PORT

    def open(self, context: Context) -> None:
        """Take up what the worker before has known."""
        listed = [*self.settings.primaries, *self.settings.servers]
        self._listed = list(dict.fromkeys(listed))
        self._zones = [Zone(parsed(each), self.settings.primaries) for each in self.settings.zones]
        self._next_look = context.clock()
        self._told: list[str] = []
        self._away: set[str] = set()
        restore(self._zones, context, time.time())

    def collect(self, context: Context) -> Iterator[Sample]:
        """Ask all servers of all zones, and look for servers when it is time."""
        is_due = context.clock() >= self._next_look
        is_first = is_due and not all(zone.targets for zone in self._zones)
        if is_first:
            self._look(context, _SHARE)
        reports = self._reports(context)
        for each in reports:
            yield from each.samples()
        if is_due and not is_first:
            self._look(context, 1)
        away = {each.zone for each in reports if each.primary_up is False}
        if is_due or away != self._away:
            keep(self._zones, context, time.time())
            self._away = away
        if not all(each.is_up for each in reports):
            self._next_look = min(self._next_look, context.clock() + _SOON)
        self._tell(context, reports)

    def _reports(self, context: Context) -> list[Report]:
        """Ask everybody for the SOA at once, over UDP and over TCP."""
        asked = _in_turn(self._zones)
        if len(asked) > _MOST_TARGETS:
            context.note(
                f"missing: {len(asked) - _MOST_TARGETS} of {len(asked)} addresses, which are not asked: "
                "another collector can take some zones"
            )
            del asked[_MOST_TARGETS:]
        queries = [Query(zone.question, target.address, self.port, tcp=True) for zone, target in asked]
        answers = ask(queries, min(WAIT, _SHARE * context.budget()))
        of_zone: dict[Zone, dict[Target, Answer]] = {zone: {} for zone in self._zones}
        for (zone, target), answer in zip(asked, answers, strict=True):
            of_zone[zone][target] = answer
        now, wall = context.clock(), time.time()
        return [zone.report(answers, now, wall) for zone, answers in of_zone.items()]

    def _tell(self, context: Context, reports: Sequence[Report]) -> None:
        for each in self._told:
            context.note(each)
        unasked = {target: why for report in reports for target, why in report.unasked.items()}
        if unasked:
            shown_ = "; ".join(f"{each.address} ({why})" for each, why in islice(unasked.items(), _SHOWN))
            more = f" and {len(unasked) - _SHOWN} more" if len(unasked) > _SHOWN else ""
            context.note(f"missing: what this host cannot ask: {shown_}{more}")
        for report in reports:
            if not report.servers:
                context.note(f"{report.zone}: no server of it is known, or can be asked from here")
            elif not report.is_up:
                context.note(f"{report.zone}: none of its {len(report.servers)} addresses answers for it")
        if not any(zone.targets for zone in self._zones):
            why = "; ".join(self._told) or "neither the parent nor a resolver names any"
            context.degraded(Unavailable(f"no server of any zone is known: {why}"))
        context.say(*explain(reports))

    # --- looking for servers ---

    def _look(self, context: Context, share: float) -> None:
        """Look for the servers of all zones at once, question by question, and keep what is found."""
        end = context.clock() + share * context.budget()
        looks = {
            zone: look(zone.name, zone.found, self._listed, by_delegation=self.settings.delegation)
            for zone in self._zones
        }
        resolvers = Resolvers(self._resolvers(context), self.port, lambda: end - context.clock())
        wanted = {zone: next(each) for zone, each in looks.items()}
        while wanted:
            every = dict.fromkeys(each for asked in wanted.values() for each in asked)
            answers = resolvers.answers(list(every))
            for zone, asked in list(wanted.items()):
                try:
                    wanted[zone] = looks[zone].send([answers.get(each) for each in asked])
                except StopIteration as done:
                    zone.found = done.value
                    del wanted[zone]
        self._told = [told for zone in self._zones for told in zone.found.told[:_SHOWN]] + resolvers.told()
        is_whole = all(zone.found.is_whole for zone in self._zones)
        self._next_look = context.clock() + (_EVERY if is_whole else _SOON)

    def _resolvers(self, context: Context) -> list[str]:
        if self.settings.resolvers:
            return [each.text for each in self.settings.resolvers]
        try:
            text = context.path(RESOLV_CONF).read_text(errors="replace")
        except OSError as error:
            context.note(f"{RESOLV_CONF}: {error.strerror}")
            return []
        return nameservers(text)


def _in_turn(zones: Sequence[Zone]) -> list[tuple[Zone, Target]]:
    """Return one server of each zone, then the next of each: where they are too many, no zone is without."""
    rounds = zip_longest(*([(zone, target) for target in zone.targets] for zone in zones))
    return [each for each in chain.from_iterable(rounds) if each]
