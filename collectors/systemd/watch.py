"""Which units `systemctl show` is asked for at a tick, and what it has told of them so far.

To be asked costs systemctl half a millisecond for each unit, and nothing else tells how often a service was
restarted: one that flaps looks as well as any other most of the time. So all services are asked at the first
tick; then those in trouble, those whose control group was made anew, which systemd does whenever it starts a
service, and of the others a few in turn, for some keep it (`KillMode=process`). What cannot be restarted by
systemd (`Restart=no`) has no turn, until unit files are read again; why a unit is failed is asked once, and
in turn. A tick that lists the timers, which costs as much, asks nobody who can wait for the next one.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from heapq import nsmallest
from typing import NamedTuple

from collectors.systemd.asking import group_born
from collectors.systemd.values import Facts, Unit
from rscollector.api import Context

_MOST, _LEAST = 100, 5
"""That many are asked in one command; half as many after one that has not ended in time."""
_IN_TROUBLE = 50
"""Of those in trouble that many are asked at a tick; of more those that were asked longest ago."""
_IN_TURN = 4
"""Of all others, while nobody is in trouble; each two that are have the place of one."""
_HOUR = 3600.0


class Restarted(NamedTuple):
    """By how much a service's count was found to have grown, when, and in how many seconds that was."""

    times: int
    at: float
    seconds: float


class Watch:
    """What is known of units; all times are those of a monotonic clock, in seconds."""

    def __init__(self) -> None:
        self.facts: dict[str, Facts] = {}
        self.restarted: dict[str, Restarted] = {}
        self._asked: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._groups: dict[str, int] = {}
        self._most = _MOST
        self._cannot: set[str] = set()
        self._told_why: set[str] = set()
        self._loaded = ""
        self._has_waited = False

    def wanted(
        self,
        context: Context,
        units: Mapping[str, Unit],
        more: Collection[str],
        loaded: str,
        *,
        may_wait: bool,
    ) -> list[str]:
        """Return who is to be asked: of all units, `more` among them are in trouble.

        `loaded` changes when systemd has read the unit files again. Whoever can wait for the next tick does
        so if they `may_wait`, and have not at the last one.
        """
        self._forget(units)
        if loaded != self._loaded:
            self._loaded = loaded
            self._cannot.clear()
        services = [name for name, unit in units.items() if _can_run(unit)]
        strangers = [name for name in services if name not in self._asked]
        may = [name for name in services if name not in self._cannot]
        running = [name for name in may if not units[name].is_failed]  # what is failed has no group
        anew = {name for name in running if self._is_anew(context, name)}
        trouble = self._longest_ago(self._in_trouble(units, anew.union(more), context.clock()), _IN_TROUBLE)
        others = {*may, *self._told_why} - {*strangers, *trouble}
        turn = self._longest_ago(others, max(1, _IN_TURN - len(trouble) // 2))
        asked = list(dict.fromkeys((*trouble, *strangers, *turn)))[: self._most]
        self._has_waited = may_wait and not self._has_waited
        if self._has_waited:
            asked = [name for name in asked if name in more or not self._can_wait(units[name])]
        return sorted(asked, key=lambda name: name in self._asked and name not in self.facts)

    def _can_wait(self, unit: Unit) -> bool:
        """Tell whether what is known of it is true, and only a restart may be missing in its count."""
        return unit.name in self.facts and not unit.is_starting and not self._has_failed(unit)

    def _has_failed(self, unit: Unit) -> bool:
        """Tell whether it is failed, and has not told why."""
        return unit.is_failed and unit.name not in self._told_why

    def _forget(self, units: Mapping[str, Unit]) -> None:
        """Forget the units that systemd has forgotten, and why those were failed that are not any more."""
        for known in (self.facts, self.restarted, self._asked, self._told, self._groups):
            for gone in known.keys() - units.keys():
                del known[gone]
        self._cannot &= units.keys()
        self._told_why = {name for name in self._told_why if name in units and units[name].is_failed}

    def _in_trouble(self, units: Mapping[str, Unit], more: Collection[str], now: float) -> Iterator[str]:
        for name, unit in units.items():
            restarted = self.restarted.get(name)
            is_restarted = unit.waits_for_restart or (restarted and now - restarted.at < _HOUR)
            if self._has_failed(unit) or is_restarted or unit.is_starting or name in more:
                yield name

    def _longest_ago(self, names: Iterable[str], most: int) -> list[str]:
        return nsmallest(most, names, key=lambda name: self._asked.get(name, -1.0))

    def _is_anew(self, context: Context, name: str) -> bool:
        return name in self._groups and self._groups[name] != group_born(context, self.facts[name].group)

    def refused(self) -> None:
        """Ask for fewer: systemctl did not come to an end, as on a host that has no CPU left for it."""
        self._most = max(_LEAST, self._most // 2)

    def take(
        self,
        context: Context,
        units: Mapping[str, Unit],
        asked: Collection[str],
        told: Mapping[str, Facts],
        now: float,
    ) -> None:
        """Take what those have told who were asked.

        The first that has told nothing may not be looked at; those behind it were not asked at all.
        """
        self._most = _MOST
        silent = next((name for name in asked if name not in told), None)
        self._asked |= dict.fromkeys((*told, *filter(None, [silent])), now)
        for name, facts in told.items():
            if name not in units:  # it has become another name of one that is known
                continue
            if grown := _grown(self.facts.get(name), facts):
                self.restarted[name] = Restarted(grown, now, now - self._told[name])
            self.facts[name], self._told[name] = facts, now
            if facts.group:
                self._groups[name] = group_born(context, facts.group)
            if units[name].is_failed:
                self._told_why.add(name)
            if facts.restart == "no" and not facts.restarts:
                self._cannot.add(name)
            else:
                self._cannot.discard(name)


def _can_run(unit: Unit) -> bool:
    return unit.name.endswith(".service") and unit.load == "loaded" and unit.active != "inactive"


def _grown(before: Facts | None, facts: Facts) -> int:
    """Return by how much a count has grown; one that is smaller was begun anew, when somebody started it."""
    if before is None or before.restarts is None or facts.restarts is None:
        return 0
    return facts.restarts - before.restarts if facts.restarts >= before.restarts else facts.restarts
