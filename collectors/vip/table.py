"""Who has which address: a table that follows what the kernel tells, change by change, and counts. Pure.

An address may be on several interfaces, and on one of them with several prefixes or peers; its *home* is the
interface that has it longest. Changes are taken in one by one and in order, so that what comes and goes
between two ticks is counted. A dump takes the table's place when nothing was told around it, or when changes
were lost; what it shows differently is counted as one change.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from collectors.vip.wanted import Wanted
from rscollector.kit.rtnetlink import IFA_ADDRESS, Address

_REMEMBERED = 3600.0

Entries = dict[tuple[int, bytes], Address]
"""The same address on one interface, by prefix and peer: mostly one."""


class Held:
    """One address: `on` which interfaces, the oldest first, and what was counted; times are monotonic."""

    __slots__ = ("changed", "gained", "home", "lost", "moved", "on", "seconds", "since")

    def __init__(self) -> None:
        self.on: dict[int, Entries] = {}
        self.home = 0
        self.gained = self.lost = self.moved = 0
        self.seconds = 0.0
        self.since: float | None = None
        self.changed: float | None = None

    def put(self, each: Address, now: float, *, counted: bool = True) -> None:
        """Have it on an interface; if it is there already, only its flags have changed."""
        if each.ifindex not in self.on:
            self.on[each.ifindex] = {}
            self._count("gained", now, counted=counted)
        self.on[each.ifindex][_key(each)] = each

    def take(self, each: Address, now: float) -> None:
        """Have it off an interface; its coming may not have been told, as of IPv6 before the check."""
        if each.ifindex not in self.on:
            self.put(each, now)
        entries = self.on[each.ifindex]
        entries.pop(_key(each), None)
        if not entries:
            self.leave(each.ifindex, now)

    def leave(self, ifindex: int, now: float) -> None:
        """Have it on an interface no more."""
        del self.on[ifindex]
        self._count("lost", now, counted=True)

    def seconds_held(self, now: float) -> float:
        """Return for how long some interface has had it, up to now."""
        return self.seconds + (0.0 if self.since is None else max(0.0, now - self.since))

    def kept(self) -> list[Any]:
        """Return it as JSON has it."""
        counts = [self.gained, self.lost, self.moved]
        return [*counts, self.seconds, self.since, self.changed, self.home, list(self.on)]

    @classmethod
    def of(cls, kept: list[Any]) -> Self:
        """Read what was kept. Raises ValueError or TypeError."""
        held = cls()
        *counts, seconds, since, changed, home, on = kept
        held.gained, held.lost, held.moved = map(int, counts)
        held.seconds, held.home = float(seconds), int(home)
        held.since, held.changed = (None if each is None else float(each) for each in (since, changed))
        held.on = {int(ifindex): {} for ifindex in on}
        return held

    def _count(self, what: str, now: float, *, counted: bool) -> None:
        home = next(iter(self.on), self.home)
        if counted:
            setattr(self, what, getattr(self, what) + 1)
            self.moved += home != self.home and bool(self.home)
            self.changed = now
        self.home = home
        if self.on and self.since is None:
            self.since = now
        if not self.on:
            self.seconds, self.since = self.seconds_held(now), None


class Table:
    """The watched addresses, by their 4 or 16 bytes; the listed ones are always there."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.held = {local: Held() for local in wanted.listed}
        self._unknown = set(self.held)
        """Of these nothing is known yet: that they are there is no change."""
        self._complete = False
        """Whether an address that is not in the table was nowhere: then that it is there is a change."""

    def change(self, event: Address, now: float) -> None:
        """Take in what the kernel has told of one address."""
        if event.local in self.wanted:
            held = self.held.setdefault(event.local, Held())
            held.take(event, now) if event.gone else held.put(event, now)

    def replace(self, dump: Iterable[Address], now: float) -> None:
        """Take in what there is of them at one moment; the first time nothing of it is a change."""
        there: dict[bytes, dict[int, list[Address]]] = {}
        for each in dump:
            there.setdefault(each.local, {}).setdefault(each.ifindex, []).append(each)
        for local in self.held.keys() | there.keys():
            self._compare(local, there.get(local, {}), now)
        self._unknown, self._complete = set(), True
        for local in [local for local, held in self.held.items() if self._is_over(local, held, now)]:
            del self.held[local]

    def _compare(self, local: bytes, there: Mapping[int, list[Address]], now: float) -> None:
        known = local not in self._unknown and (self._complete or local in self.held)
        held = self.held.setdefault(local, Held())
        for ifindex, entries in there.items():
            if ifindex in held.on:
                held.on[ifindex].clear()
            for each in entries:
                held.put(each, now, counted=known)
        for ifindex in [ifindex for ifindex in held.on if ifindex not in there]:
            held.leave(ifindex, now)

    def _is_over(self, local: bytes, held: Held, now: float) -> bool:
        listed, changed = local in self.wanted.listed, held.changed
        return not listed and not held.on and (changed is None or now - changed > _REMEMBERED)

    def kept(self) -> dict[str, list[Any]]:
        """Return what the next process has to know, as JSON has it."""
        return {local.hex(): held.kept() for local, held in self.held.items()}

    def go_on(self, kept: Mapping[str, list[Any]], *, complete: bool) -> None:
        """Take up what another process has kept; `complete` if it has watched all that this one does.

        Raises ValueError or TypeError when it is damaged.
        """
        for text, values in kept.items():
            local = bytes.fromhex(text)
            if local in self.wanted:
                self.held[local] = Held.of(values)
                self._unknown.discard(local)
        self._complete = complete


def _key(each: Address) -> tuple[int, bytes]:
    return each.prefix, each.attributes.get(IFA_ADDRESS, b"")
