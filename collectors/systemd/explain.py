"""What systemd says, in plain language: sentences, trouble first, each with where it is read. Pure."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from collectors.systemd.timers import Told
from collectors.systemd.units import LONG, Shown, named
from collectors.systemd.values import Manager, Unit
from collectors.systemd.watch import Restarted
from rscollector.api import humanized

_WORST = 10
_SET_BACK = 3600.0
_STATES = {
    "initializing": "is booting, and has only begun",
    "starting": "has not finished its boot",
    "running": "has finished its boot, and no unit is failed",
    "degraded": "has finished its boot, and not every unit is well",
    "maintenance": "is in the rescue or the emergency mode: most of what belongs to this host does not run",
    "stopping": "is shutting down",
    "offline": "is not the first process here",
    "unknown": "does not tell its state",
}
_RESULTS = {
    "exit-code": "a process of it ended with a status that says failure",
    "signal": "a process of it was ended by a signal",
    "core-dump": "a process of it crashed",
    "timeout": "a step took longer than its timeout",
    "watchdog": "it gave no sign of life in the time of its watchdog",
    "oom-kill": "a process of it was killed for want of memory",
    "start-limit-hit": "it was started too often in too short a time, and systemd has given up",
    "resources": "systemd could not do what starting it takes: a unit, a file or memory is missing",
    "protocol": "it did not become ready in the way that its type wants",
    "service-start-limit-hit": "the service that it starts was started too often, and systemd has given up",
    "trigger-limit-hit": "it was triggered too often in too short a time, and systemd has given up",
    "unmounted": "it is not mounted any more, and nobody has stopped it",
}


@dataclass(frozen=True)
class Picture:
    """What one tick has told: all units, those that are shown, and the timers; `now` and `wall` are when."""

    manager: Manager
    units: Mapping[str, Unit]
    shown: Sequence[Shown]
    timers: Sequence[Told]
    restarted: Mapping[str, Restarted]
    now: float
    wall: float


def explain(picture: Picture) -> Iterator[str]:
    """Yield what there is to say."""
    yield _system(picture)
    yield from _some("units are failed", [_failed(each) for each in picture.shown if each.unit.is_failed])
    broken = [each for each in picture.units.values() if each.is_broken]
    yield from _some("units are broken", [_broken(each) for each in broken])
    yield from _some("services have been restarted", list(_restarts(picture)))
    starts = [_starting(each.unit, each.starting) for each in picture.shown if (each.starting or 0.0) >= LONG]
    yield from _some("units start", starts)
    changing = [_changing(each) for each in picture.shown if each.unit.is_changing]
    yield from _some("units stop or reload", changing)
    troubles = [_trouble(each, picture) for each in picture.timers]
    yield from _some("timers are in trouble", [each for each in troubles if each])
    yield from _timers(picture)


def _some(what: str, sentences: Sequence[str]) -> Iterator[str]:
    yield from sentences[:_WORST]
    if len(sentences) > _WORST:
        yield f"{len(sentences) - _WORST} more {what}."


def _system(picture: Picture) -> str:
    state, jobs = picture.manager.state, picture.manager.jobs
    failed = sum(each.is_failed for each in picture.units.values())
    waits = f" Jobs that run or wait: {jobs} (systemd_jobs)." if jobs else ""
    return (
        f"systemd is {state}: it {_STATES.get(state, 'has a state that is not known here')} "
        f"(systemd_system_state). Of {_count(len(picture.units), 'unit')} {failed or 'none'} "
        f"{'are' if failed > 1 else 'is'} failed (systemd_units).{waits}"
    )


def _failed(each: Shown) -> str:
    name, why = named(each.unit.name), _RESULTS.get(each.result)
    if not each.result:
        return f"{name} is failed (systemd_unit_state)."
    told = f"{why} ({each.result})" if why else each.result
    command = f"journalctl -u {shlex.quote(name)}"
    return f"{name} is failed: {told}; `{command}` may tell more (systemd_unit_failure_info)."


def _restarts(picture: Picture) -> Iterator[str]:
    counted = [(each, each.facts.restarts) for each in picture.shown if each.facts and each.facts.restarts]
    counted.sort(key=lambda found: -_newly(picture, found[0].unit))
    for (unit, _, _), count in counted:
        newly = ""
        if times := _newly(picture, unit):
            newly = f", {times} of them in the last {humanized(picture.restarted[unit.name].seconds)}"
        yield (
            f"{named(unit.name)} has been restarted by systemd {_count(count, 'time')} since it was loaded "
            f"or started by somebody else{newly}; it is {unit.active} ({unit.sub}) now "
            "(systemd_unit_restarts_total)."
        )


def _newly(picture: Picture, unit: Unit) -> int:
    """Return how many restarts were counted at this tick."""
    found = picture.restarted.get(unit.name)
    return found.times if found and found.at == picture.now else 0


def _starting(unit: Unit, seconds: float | None) -> str:
    return (
        f"{named(unit.name)} has been starting for {humanized(seconds or 0.0)} ({unit.sub}), and who is "
        "to start after it waits (systemd_unit_starting_seconds)."
    )


def _broken(each: Unit) -> str:
    name = named(each.name)
    return (
        f"{name} cannot be started: systemd cannot read its files, or does not understand them "
        f"({each.load}); `systemctl status {shlex.quote(name)}` has the reason (systemd_units_broken)."
    )


def _changing(each: Shown) -> str:
    return f"{named(each.unit.name)} is {each.unit.active} ({each.unit.sub}) now (systemd_unit_state)."


def _trouble(each: Told, picture: Picture) -> str:
    name, unit = named(each.timer.name), named(each.timer.activates)
    if each.late:
        return (
            f"{name} should have elapsed {humanized(each.late)} ago, or earlier (systemd_timer_late_seconds)."
        )
    if each.running and each.running >= LONG:
        return (
            f"{name} has started {unit}, which has been at work for {humanized(each.running)}; the timer "
            "does not elapse again before that ends (systemd_timer_running_seconds)."
        )
    if each.never:
        return (
            f"{name} is active, has not elapsed since it was started, and never will "
            "(systemd_timer_never_elapses)."
        )
    last, next_ = each.timer.last or 0.0, each.timer.next or 0.0
    if next_ > last > picture.wall + _SET_BACK:
        return (
            f"{name} has elapsed last in what is {humanized(last - picture.wall)} from now: the clock was "
            "set back since, and the timer may wait until it is as late again "
            "(systemd_timer_last_time_seconds)."
        )
    target = picture.units.get(each.timer.activates)
    if each.state == "running" and target and target.active == "active":
        return f"{name} does not elapse as long as {unit} is active (systemd_timer_state)."
    return ""


def _timers(picture: Picture) -> Iterator[str]:
    times = [
        (each.timer.next, each.timer.name)
        for each in picture.timers
        if each.timer.next is not None and not each.late
    ]
    if times:
        next_, name = min(times)
        when = f"in {humanized(next_ - picture.wall)}" if next_ > picture.wall else "at any moment"
        yield (
            f"{len(times)} of {_count(len(picture.timers), 'timer')} wait for their time; the next is "
            f"{named(name)}, {when} (systemd_timer_next_time_seconds)."
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
