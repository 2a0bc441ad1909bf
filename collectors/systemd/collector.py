"""The collector `systemd`: what this host's service manager says of its units, by systemctl.

Three short questions at each tick, and one for timers where they may have changed. Only the first two, for
systemd itself and for its units, fail the collect: without timers, results or restarts the rest is told, and
a note says what is missing.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from collectors.systemd import asking, timers, units
from collectors.systemd.explain import Picture, explain
from collectors.systemd.timetable import Timetable
from collectors.systemd.units import SYSTEMD, Choice, Patterns
from collectors.systemd.values import Facts, Manager, Unit
from collectors.systemd.watch import Watch
from rscollector.api import Collector, Context, Sample, setting
from rscollector.kit.optional import optional

STATES = (
    "initializing", "starting", "running", "degraded", "maintenance", "stopping", "offline", "unknown",
)  # fmt: skip
STATE = SYSTEMD.stateset(
    "system_state", "What systemd says of the whole host; degraded: a unit is failed.", STATES
)
JOBS = SYSTEMD.gauge("jobs", "Jobs, such as the start of a unit, that run or wait for others.")
MANAGER = SYSTEMD.info("manager", "The systemd that runs.", "version")


@dataclass(frozen=True)
class SystemdSettings:
    """Who is shown by name."""

    units: tuple[str, ...] = setting(
        'Names or patterns of units that are always shown, such as "nginx" or "backup-*.service". Units that '
        "are failed, were restarted by systemd, or start for long are shown anyhow, and all timers.",
        default=(),
    )
    ignored_units: tuple[str, ...] = setting(
        "Names or patterns of units that are not shown whatever they are; they are counted.", default=()
    )


class Systemd(Collector[SystemdSettings]):
    """Units of systemd: by state, failed and why, restarted again and again, starting for long; timers."""

    metrics = (STATE, JOBS, MANAGER, *units.METRICS, *timers.METRICS)
    interval = 60.0
    max_series = 5500  # 300 units of 11 series at most, and 200 timers of 10
    Settings = SystemdSettings
    wall = staticmethod(time.time)
    """Unix time: what a timer's times are compared with."""

    def open(self, context: Context) -> None:  # noqa: ARG002
        """Know nobody: all services are asked at the first tick."""
        self._ignored = Patterns(self.settings.ignored_units)
        self._watch, self._choice = Watch(), Choice(Patterns(self.settings.units))
        self._timetable = Timetable()

    def collect(self, context: Context) -> list[Sample]:
        """Ask for all."""
        manager = asking.manager(context)
        all_units = asking.units(context)
        known = {name: unit for name, unit in all_units.items() if name not in self._ignored}
        is_due = self._timetable.is_due(all_units, manager.loaded, self.wall(), context.clock())
        with optional(context, "timers, and who starts for long (which may be the job of one)") as of_timers:
            if is_due:
                self._list_timers(context, all_units, manager.loaded)
        listed, wall = self._timetable.listed, self.wall()
        more = {*timers.overdue(listed, wall), *timers.with_process(listed, known)}
        asked = self._watch.wanted(context, known, more, manager.loaded, may_wait=is_due)
        told: dict[str, Facts] = {}
        with optional(context, "results of failures, restarts, and who starts for long") as question:
            told = asking.facts(context, asked)
        now = context.clock()
        if question.refused:
            self._watch.refused()
        else:
            self._watch.take(context, known, asked, told, now)
        facts = self._watch.facts
        starting = dict(units.starting(known, told, now))
        at_work = starting | timers.at_work(listed, known, told, now)
        clocks = timers.told(listed, known, facts, at_work, wall)
        own = {} if of_timers.refused else starting | dict.fromkeys(timers.jobs(listed, all_units), 0.0)
        shown = self._choice.chosen(known, facts, own, now)
        self._bounds(context, len(clocks))
        clocks = clocks[: timers.MOST]
        context.say(*explain(Picture(manager, all_units, shown, clocks, self._watch.restarted, now, wall)))
        return [
            *_of_manager(context, manager),
            *units.counted(list(all_units.values())),
            *(sample for unit in shown for sample in unit.samples()),
            *(sample for clock in clocks for sample in clock.samples()),
        ]

    def _list_timers(self, context: Context, units: Mapping[str, Unit], loaded: str) -> None:
        """Have the timers listed. Raises Unavailable, and then none is known."""
        self._timetable.forget()
        self._timetable.take(asking.timers(context), units, loaded, self.wall(), context.clock())

    def _bounds(self, context: Context, clocks: int) -> None:
        """Tell what is not shown since there is too much of it, or it cannot be read."""
        if odd := self._timetable.odd:
            context.note(f"missing: {odd} timers in rows of systemctl list-timers that cannot be read")
        if self._choice.left_out:
            context.note(f"missing: {self._choice.left_out} units; at most {units.MOST} are shown by name")
        if clocks > timers.MOST:
            context.note(f"missing: {clocks - timers.MOST} timers; at most {timers.MOST} are shown")


def _of_manager(context: Context, manager: Manager) -> Iterator[Sample]:
    if manager.state in STATES:
        yield STATE(manager.state)
    else:
        context.note(f"unknown state of systemd: {manager.state}")
    if manager.jobs is not None:
        yield JOBS(manager.jobs)
    yield MANAGER(version=manager.version)
