"""A zone from tick to tick: who is asked, and what is remembered of what they have told. Pure."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

from dns.name import Name
from dns.rdatatype import RdataType

from collectors.dns.heard import Answer
from collectors.dns.judge import Soa, Verdict, judge
from collectors.dns.looking import Found
from collectors.dns.report import Report, Seen, Target
from collectors.dns.serials import Serials, newer, seconds_left
from collectors.dns.wire import Question, shown


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
