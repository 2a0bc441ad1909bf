"""Timers: when they have elapsed last and will next, who is late, and whose job does not end.

systemctl has made Unix times of what systemd knows by one clock or the other. While a timer's unit runs there
is no next time: it does not elapse before that has ended.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from collectors.systemd.units import SYSTEMD, named
from collectors.systemd.values import Facts, Timer, Unit
from rscollector.api import Sample

STATES = ("waiting", "running", "elapsed", "dead", "failed")
STATE = SYSTEMD.stateset(
    "timer_state",
    "What a timer does: waits, has its unit running, elapses no more, was not started, or is failed.",
    STATES,
    "timer",
)
LAST = SYSTEMD.gauge(
    "timer_last_time_seconds", "When the timer has elapsed last, as Unix time; absent where it never has.",
    "timer",
)  # fmt: skip
NEXT = SYSTEMD.gauge(
    "timer_next_time_seconds", "When it will elapse next, as Unix time; absent while its unit runs.", "timer"
)
LATE = SYSTEMD.gauge(
    "timer_late_seconds",
    "For how long an active timer should have elapsed, after all that its AccuracySec= allows; 0 if it is on "
    "time.",
    "timer",
)
RUNNING = SYSTEMD.gauge(
    "timer_running_seconds",
    "For how long what an active timer has started has not ended: its unit is still activating, or has a "
    "process and is started by OnCalendar=; 0 where nothing runs.",
    "timer",
)
NEVER = SYSTEMD.gauge(
    "timer_never_elapses",
    "Whether an active timer has not elapsed since it was started, and never will (1): what it waits for "
    "cannot come.",
    "timer",
)
METRICS = (STATE, LAST, NEXT, LATE, RUNNING, NEVER)
MOST = 200


class Told(NamedTuple):
    """A timer with its state, and by how much it is late or has been running, in seconds: None is unknown."""

    timer: Timer
    state: str
    late: float | None
    running: float | None

    @property
    def is_active(self) -> bool:
        """Tell whether it was started, and is not failed."""
        return self.state in ("waiting", "running", "elapsed")

    @property
    def never(self) -> bool:
        """Tell whether it has not elapsed since it was started, and never will."""
        return self.state == "elapsed" and self.timer.next is None and self.timer.last is None

    def samples(self) -> Iterator[Sample]:
        """Yield what is told of it."""
        label = named(self.timer.name)
        if self.state in STATES:
            yield STATE(self.state, timer=label)
        if self.timer.last is not None:
            yield LAST(self.timer.last, timer=label)
        if self.timer.next is not None:
            yield NEXT(self.timer.next, timer=label)
        if self.is_active:
            if self.late is not None:
                yield LATE(self.late, timer=label)
            if self.running is not None:
                yield RUNNING(self.running, timer=label)
            yield NEVER(int(self.never), timer=label)


def overdue(timers: Sequence[Timer], wall: float) -> set[str]:
    """Return the timers that should have elapsed: by how much they may be late has to be asked."""
    return {each.name for each in timers if each.next is not None and each.next < wall}


def jobs(timers: Sequence[Timer], units: Mapping[str, Unit]) -> set[str]:
    """Return the units that timers have started: how long those work is told with the timer."""
    return {each.activates for each in timers if each.name in units and units[each.name].sub == "running"}


def with_process(timers: Sequence[Timer], units: Mapping[str, Unit]) -> Iterator[str]:
    """Yield the timers whose unit is up and at work, and those units: what they are has to be asked."""
    working = jobs(timers, units)
    for each in timers:
        if each.activates in working and each.activates in units and units[each.activates].works:
            yield each.name
            yield each.activates


def at_work(
    timers: Sequence[Timer], units: Mapping[str, Unit], facts: Mapping[str, Facts], now: float
) -> dict[str, float]:
    """Return for how many seconds units are up that a calendar starts, which are to end before its next time.

    Of such a job (Type=simple, the default) systemd says that it is up as soon as it begins. What is started
    a while after the boot, by a timer without a calendar, may be a daemon, and has 0.
    """
    found: dict[str, float] = {}
    for each in timers:
        timer, job = facts.get(each.name), facts.get(each.activates)
        is_up = each.activates in units and units[each.activates].works
        if is_up and timer and job and job.since is not None:
            seconds = max(0.0, now - job.since) if timer.calendar else 0.0
            found[each.activates] = max(seconds, found.get(each.activates, 0.0))
    return found


def told(
    timers: Sequence[Timer],
    units: Mapping[str, Unit],
    facts: Mapping[str, Facts],
    at_work: Mapping[str, float],
    wall: float,
) -> list[Told]:
    """Return what there is to tell of each timer that is loaded, those that only wait last.

    `wall` is when they were listed, `at_work` for how many seconds units have been starting, or at work.
    """
    found = []
    for timer in timers:
        unit = units.get(timer.name)
        if unit and unit.load == "loaded":
            late = _late(timer, unit, facts.get(timer.name), wall)
            found.append(Told(timer, unit.sub, late, _running(timer, unit, units, at_work)))
    return sorted(found, key=lambda each: (each.state == "waiting" and not each.late, each.timer.name))


def _running(
    timer: Timer, unit: Unit, units: Mapping[str, Unit], at_work: Mapping[str, float]
) -> float | None:
    if unit.sub != "running":
        return 0.0
    job = units.get(timer.activates)
    return at_work.get(job.name, None if job.is_starting or job.works else 0.0) if job else None


def _late(timer: Timer, unit: Unit, facts: Facts | None, wall: float) -> float | None:
    if unit.sub != "waiting" or timer.next is None or timer.next >= wall:
        return 0.0
    return max(0.0, wall - timer.next - facts.accuracy) if facts else None
