"""Units by state, and those that are shown by their names: failed, restarted, starting for long, or wanted.

Whoever is shown stays so for an hour after the reason is gone: that it is well again is told as well. One
that systemd has no more in its memory is inactive.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import translate
from typing import NamedTuple

from collectors.systemd.values import Facts, Unit
from rscollector.api import Namespace, Sample
from rscollector.kit.names import shown

SYSTEMD = Namespace("systemd")
STATES = (
    "active", "reloading", "inactive", "failed", "activating", "deactivating", "maintenance", "refreshing",
)  # fmt: skip
UNITS = SYSTEMD.gauge(
    "units", "Units that systemd has in its memory, by state; a state that none is in has 0.", "state"
)
STATE = SYSTEMD.stateset("unit_state", "What a unit is that is shown by its name.", STATES, "unit")
FAILURE = SYSTEMD.info(
    "unit_failure", "Why a unit is failed, in systemd's word; absent unless it is.", "unit", "result"
)
RESTARTS = SYSTEMD.counter(
    "unit_restarts",
    "Times that systemd has restarted a service by itself, since it was started otherwise or loaded.",
    "unit",
)
STARTING = SYSTEMD.gauge(
    "unit_starting_seconds",
    "For how long a unit has been starting, of one that is shown; 0 where it is not, waits to be restarted, "
    "or is what a timer runs.",
    "unit",
)
BROKEN = SYSTEMD.gauge(
    "units_broken",
    "Units that systemd cannot start, for it cannot read or does not understand their files (LoadState).",
)
METRICS = (UNITS, BROKEN, STATE, FAILURE, RESTARTS, STARTING)

MOST = 300
LONG = 60.0
_STAYS = 3600.0
_GLOB = re.compile(r"[*?\[]")
_TYPED = re.compile(
    r".\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)\Z", re.DOTALL
)


def completed(pattern: str) -> str:
    """Return a unit's name as systemctl understands it: what has no type is a service."""
    return pattern if _TYPED.search(pattern) or pattern.endswith("*") else f"{pattern}.service"


class Patterns:
    """Names or patterns of units, as an operator has written them."""

    def __init__(self, patterns: Iterable[str]) -> None:
        wanted = [completed(pattern) for pattern in patterns]
        self._match = re.compile("|".join(map(translate, wanted)) or r"(?!)").match
        self.names = tuple(each for each in wanted if not _GLOB.search(each))

    def __contains__(self, name: str) -> bool:
        return self._match(name) is not None


class Shown(NamedTuple):
    """A unit that is shown; `starting` is for how many seconds it has been, None if nobody has told."""

    unit: Unit
    facts: Facts | None
    starting: float | None

    def samples(self) -> Iterator[Sample]:
        """Yield what is told of it."""
        unit, facts, label = self.unit, self.facts, named(self.unit.name)
        if unit.active in STATES:
            yield STATE(unit.active, unit=label)
        if self.starting is not None:
            yield STARTING(self.starting, unit=label)
        if facts and facts.restarts is not None:
            yield RESTARTS(facts.restarts, unit=label)
        if result := self.result:
            yield FAILURE(unit=label, result=result)

    @property
    def result(self) -> str:
        """Why it is failed, "" where it is not, or where it was not failed any more when it was asked."""
        is_told = self.facts is not None and self.unit.is_failed and self.facts.result != "success"
        return self.facts.result if self.facts and is_told else ""


def named(name: str) -> str:
    """Return a unit's name as a label. Those that are valid stay as they are, \\x2d and all."""
    return shown(name.encode("utf-8", "backslashreplace"))


class Choice:
    """Who is shown, at most MOST: those in trouble first, then those that were, then those wanted."""

    def __init__(self, wanted: Patterns) -> None:
        self._wanted = wanted
        self._until: dict[str, float] = {}
        self.left_out = 0

    def chosen(
        self, units: Mapping[str, Unit], facts: Mapping[str, Facts], starting: Mapping[str, float], now: float
    ) -> list[Shown]:
        """Return who is shown now, by name; `starting` tells for how many seconds units have been.

        It has 0 for those that a timer runs, and not those of which it is not known.
        """
        trouble = [
            name
            for name, unit in units.items()
            if _in_trouble(unit, facts.get(name), starting.get(name, 0.0))
        ]
        trouble.sort(key=lambda name: not units[name].is_failed)
        stay = [name for name, until in self._until.items() if until > now]
        wanted = [name for name in units if name in self._wanted]
        names = list(dict.fromkeys((*trouble, *stay, *self._wanted.names, *wanted)))
        self.left_out = max(0, len(names) - MOST)
        until = self._until | dict.fromkeys((*trouble, *wanted), now + _STAYS)
        self._until = {name: until[name] for name in names[:MOST] if name in until}
        return [
            Shown(unit, facts.get(name), starting_for(unit, starting))
            for name in sorted(names[:MOST])
            for unit in [units.get(name) or _gone(name)]
        ]


def _in_trouble(unit: Unit, facts: Facts | None, starting: float) -> bool:
    is_restarted = facts is not None and bool(facts.restarts)
    return unit.is_failed or unit.waits_for_restart or is_restarted or unit.is_changing or starting >= LONG


def _gone(name: str) -> Unit:
    return Unit(name, "not-found", "inactive", "dead")


def starting(units: Mapping[str, Unit], told: Mapping[str, Facts], now: float) -> Iterator[tuple[str, float]]:
    """Yield for how many seconds units have been starting, of those that have told of themselves just now."""
    for name, facts in told.items():
        unit = units.get(name)
        if unit and unit.is_starting and facts.since is not None:
            yield name, max(0.0, now - facts.since)


def starting_for(unit: Unit, starting: Mapping[str, float]) -> float | None:
    """Return for how many seconds a unit has been starting: 0 if it is not, None if that is not known."""
    return starting.get(unit.name) if unit.is_starting else 0.0


def counted(units: Collection[Unit]) -> Iterator[Sample]:
    """Yield how many units are in each state, as `systemctl list-units --all` has them, and broken."""
    found = Counter(unit.active for unit in units)
    yield BROKEN(sum(unit.is_broken for unit in units))
    for state in STATES:
        yield UNITS(found[state], state=state)
