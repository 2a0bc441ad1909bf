"""When the timers are listed anew: whenever they may be others than those that are known, and seldom otherwise."""

import pytest

from collectors.systemd.asking import TIMERS
from collectors.systemd.tests.recorded_systemd import Systemctl, Watched
from collectors.systemd.timetable import Timetable
from collectors.systemd.values import Timer
from rscollector.api import Unavailable

NEXT = 'systemd_timer_next_time_seconds{timer="job.timer"}'


@pytest.fixture
def watched(tmp_path):
    """Return the collector on a host with one timer that does not elapse for a day, once it has listed it."""
    found = Watched(Systemctl(state="well"), tmp_path)
    found.systemctl.timers.clear()
    for each in (name for name in list(found.systemctl.units) if name.endswith(".timer")):
        del found.systemctl.units[each]
    found.systemctl.timer("job.timer", next_=86_400, last=-60)
    found.systemctl.unit("job.service", "inactive", "dead")
    assert is_listed(found)
    return found


def is_listed(watched, seconds=60.0):
    """Tell whether the timers are listed at the next tick."""
    watched.tick(seconds)
    return TIMERS in watched.context.ran


def test_while_nothing_happens_they_are_listed_each_five_minutes(watched):
    """What cannot be seen to change is right again by then."""
    assert [is_listed(watched) for _ in range(10)] == [False, False, False, False, True] * 2


def starts_its_job(watched):
    """Have the job work."""
    watched.systemctl.unit("job.service", "activating", "start")


def is_started(watched):
    """Have another timer be there."""
    watched.systemctl.timer("other.timer", next_=600)


def is_stopped(watched):
    """Have the timer be dead."""
    watched.systemctl.timer("job.timer", sub="dead")


def is_gone(watched):
    """Have systemd forget the timer."""
    del watched.systemctl.units["job.timer"], watched.systemctl.timers["job.timer"]


def is_loaded_anew(watched):
    """Have the unit files be read."""
    watched.systemctl.manager["UnitsLoadTimestampMonotonic"] = "77"


def has_a_clock_set(watched):
    """Have the wall clock be an hour ahead of what it was."""
    watched.systemctl.wall += 3600


def has_a_clock_set_back(watched):
    """Have the wall clock be an hour behind what it was."""
    watched.systemctl.wall -= 3600


def was_suspended(watched):
    """Have CLOCK_MONOTONIC stand still while an hour passes."""
    watched.systemctl.monotonic -= 3600


@pytest.mark.parametrize(
    "happens",
    [
        starts_its_job,
        is_started,
        is_stopped,
        is_gone,
        is_loaded_anew,
        has_a_clock_set,
        has_a_clock_set_back,
        was_suspended,
    ],
)
def test_what_may_change_a_timer_has_them_listed_at_once(watched, happens):
    """And once: then they are known again."""
    assert not is_listed(watched, 1)
    happens(watched)
    assert [is_listed(watched, 60), is_listed(watched, 1)] == [True, False]


def test_what_is_overdue_is_listed_until_it_has_elapsed(watched):
    """For how long it is late is never computed from a time that may be over."""
    watched.systemctl.timer("job.timer", next_=90, last=-60, accuracy="1min")
    assert [is_listed(watched, each) for each in (300, 60, 60)] == [True, True, True]
    watched.systemctl.timer("job.timer", next_=86_400, last=-10)
    assert [is_listed(watched), is_listed(watched)] == [True, False]


def test_between_two_lists_all_is_told_as_it_was_listed(watched):
    """The times are those of the clock, and are true until they come."""
    told = watched.tick()[NEXT]
    assert watched.tick()[NEXT] == told


def test_timers_that_were_refused_are_not_told_and_asked_for_again(watched):
    """What was known before may be over."""
    watched.systemctl.instead[TIMERS] = Unavailable("systemctl failed (exit status 1)")
    assert is_listed(watched, 300)
    assert NEXT not in watched.tick()
    del watched.systemctl.instead[TIMERS]
    assert NEXT in watched.tick()
    assert not is_listed(watched)


def test_rows_that_cannot_be_read_are_told_at_each_tick(watched):
    """And not only at those that list the timers."""
    watched.systemctl.timers["odd.timer"] = {"unit": "odd.timer", "next": "soon", "last": None}
    said = "missing: 1 timers in rows of systemctl list-timers that cannot be read"
    assert is_listed(watched, 300)
    assert said in watched.context.notes
    assert not is_listed(watched)
    assert said in watched.context.notes


def test_a_tick_that_lists_timers_asks_nobody_who_can_wait(watched):
    """Whoever is restarted again and again waits for the next tick, and never for two; who is new does not."""
    watched.systemctl.unit("flaps.service", "activating", "auto-restart", Restart="always", NRestarts="1")
    watched.tick(1)
    asked = watched.systemctl.asked
    for seconds, is_asked in ((300, False), (300, True), (300, False), (60, True)):
        asked.clear()
        watched.tick(seconds)
        assert any("flaps.service" in each for each in asked) is is_asked
    watched.systemctl.unit("fails.service", "failed", "failed", Result="signal")
    watched.systemctl.unit("starts.service", "activating", "start", InactiveExitTimestampMonotonic="1")
    for _ in range(2):
        watched.tick(300)
    asked.clear()
    watched.systemctl.unit("new.service", "failed", "failed", Result="timeout")
    found = watched.tick(300)
    assert {"new.service", "starts.service"} <= {name for each in asked for name in each}
    assert 'systemd_unit_failure_info{unit="new.service",result="timeout"}' in found


@pytest.mark.parametrize(
    ("wall", "now", "is_due"),
    [
        (1099.0, 99.0, False),
        (1100.0, 100.0, True),  # the next one elapses
        (1051.0, 50.0, False),  # clocks drift
        (1051.5, 50.0, True),
        (1048.5, 50.0, True),
    ],
)
def test_they_are_listed_when_one_elapses_or_clocks_have_parted_by_more_than_a_second(wall, now, is_due):
    """Clocks are set a little all the time."""
    timetable = Timetable()
    timetable.take(([Timer("a.timer", "a.service", 1100.0, None)], 0), {}, "7", 1000.0, 0.0)
    assert timetable.is_due({}, "7", wall, now) is is_due


def test_without_any_timer_they_are_listed_each_five_minutes_and_at_once_when_nothing_is_known():
    """An old systemd does not tell when it has read the unit files."""
    timetable = Timetable()
    assert timetable.is_due({}, "", 0.0, 0.0)
    timetable.take(([], 0), {}, "", 1000.0, 0.0)
    assert [timetable.is_due({}, "", 1000.0 + now, now) for now in (299.0, 300.0)] == [False, True]
    timetable.forget()
    assert timetable.is_due({}, "", 1.0, 1.0)


def test_for_how_long_a_job_works_is_told_at_each_tick(watched):
    """Also at those that list the timers: an alert about it would begin anew."""
    systemctl = watched.systemctl
    systemctl.unit("job.service", InactiveExitTimestampMonotonic=systemctl.now(0))
    systemctl.timer("job.timer", last=0, sub="running")
    systemctl.facts["job.timer"]["TimersCalendar"] = "{ OnCalendar=daily ; next_elapse=n/a }"
    running = [watched.tick(300)['systemd_timer_running_seconds{timer="job.timer"}'] for _ in range(4)]
    assert running == pytest.approx([300, 600, 900, 1200], abs=1)
