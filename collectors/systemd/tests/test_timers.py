"""Timers over time: late by how much, by whose clock, and which of them elapse no more."""

import pytest

from collectors.systemd.asking import PROPERTIES, span
from collectors.systemd.tests.recorded_systemd import Systemctl, Watched
from collectors.systemd.timers import MOST, told
from collectors.systemd.values import Facts, Timer, Unit
from rscollector.api import Unavailable


@pytest.fixture
def watched(tmp_path):
    """Return the collector on a host that is well."""
    return Watched(Systemctl(state="well"), tmp_path)


def late(name):
    """Return the series that tells by how much a timer is late."""
    return f'systemd_timer_late_seconds{{timer="{name}"}}'


def test_a_timer_is_late_when_its_time_and_its_accuracy_are_over(watched):
    """Before, it is on time: systemd chooses when, within the accuracy."""
    watched.systemctl.timer("a.timer", next_=30, last=-3600, accuracy="1min 30s")
    watched.systemctl.timer("wide.timer", next_=30, last=-3600, accuracy="12h")
    assert [watched.tick(40)[late("a.timer")] for _ in range(4)] == pytest.approx([0, 0, 0, 40], abs=1e-3)
    assert watched.tick(3600)[late("wide.timer")] == 0
    assert watched.tick(43200)[late("wide.timer")] == pytest.approx(3730, abs=1)


def test_only_of_late_timers_the_accuracy_is_asked(watched):
    """That costs nothing where all are on time."""
    watched.tick()
    watched.systemctl.asked.clear()
    watched.systemctl.timer("a.timer", next_=100)
    watched.tick()
    assert not [name for names in watched.systemctl.asked for name in names if name.endswith(".timer")]
    watched.tick()
    assert "a.timer" in watched.systemctl.asked[-1]


def test_a_timer_whose_accuracy_is_not_told_is_not_called_late(watched):
    """What is not known is no accusation, and no acquittal: a note says what is missing."""
    watched.systemctl.timer("a.timer", next_=-3600)
    del watched.systemctl.facts["a.timer"]["Id"]
    assert late("a.timer") not in watched.tick()
    assert "missing: systemctl show tells nothing of 1 units, such as a.timer" in watched.context.notes


def test_a_job_that_is_up_while_it_works_is_told_where_a_calendar_starts_it(watched):
    """Type=simple is the default; without a calendar it may be a daemon that was started after the boot."""
    systemctl = watched.systemctl
    for name, calendar in (("job", "{ OnCalendar=*-*-* 03:00:00 ; next_elapse=(null) }"), ("daemon", None)):
        systemctl.timer(f"{name}.timer", last=-500, sub="running")
        systemctl.unit(f"{name}.service", InactiveExitTimestampMonotonic=systemctl.now(500))
        if calendar:
            systemctl.facts[f"{name}.timer"]["TimersCalendar"] = calendar
    found = watched.tick(60)
    running = 'systemd_timer_running_seconds{{timer="{}.timer"}}'.format
    assert found[running("job")] == pytest.approx(560, abs=0.01)
    assert found[running("daemon")] == 0
    assert any(sentence.startswith("job.timer has started job.service, which") for sentence in watched.said)
    assert any(sentence.startswith("daemon.timer does not elapse as long") for sentence in watched.said)
    systemctl.unit("job.service", "active", "exited", InactiveExitTimestampMonotonic=systemctl.now(500))
    assert watched.tick(60)[running("job")] == 0


def test_for_how_long_a_job_that_is_up_works_is_absent_while_nobody_tells(watched):
    """Neither what it is nor since when it works is known then."""
    systemctl = watched.systemctl
    systemctl.timer("job.timer", last=-500, sub="running")
    systemctl.unit("job.service", InactiveExitTimestampMonotonic=systemctl.now(500))
    systemctl.facts["job.timer"]["TimersCalendar"] = "{ OnCalendar=daily }"
    assert watched.tick()['systemd_timer_running_seconds{timer="job.timer"}'] > 500
    systemctl.instead[PROPERTIES] = Unavailable("systemctl did not end in time, killed")
    assert 'systemd_timer_running_seconds{timer="job.timer"}' not in watched.tick()


def test_of_two_timers_of_a_job_one_with_a_calendar_is_enough(watched):
    """As one that also starts it after the boot."""
    systemctl = watched.systemctl
    for name in ("a.timer", "b.timer", "c.timer"):
        systemctl.timer(name, last=-500, sub="running", activates="job.service")
    systemctl.unit("job.service", InactiveExitTimestampMonotonic=systemctl.now(500))
    systemctl.facts["b.timer"]["TimersCalendar"] = "{ OnCalendar=daily }"
    found = watched.tick()
    assert found['systemd_timer_running_seconds{timer="a.timer"}'] > 500
    assert found['systemd_timer_running_seconds{timer="c.timer"}'] > 500


def test_a_wall_clock_that_goes_back_makes_nobody_late(watched):
    """Nor does it change for how long something has been running."""
    systemctl = watched.systemctl
    systemctl.timer("a.timer", next_=100, last=-50)
    systemctl.timer("b.timer", last=-500, sub="running")
    systemctl.unit("b.service", "activating", "start", InactiveExitTimestampMonotonic=systemctl.now(500))
    watched.tick(0)
    systemctl.wall -= 7200
    found = watched.tick(60)
    assert found[late("a.timer")] == 0
    assert found['systemd_timer_running_seconds{timer="b.timer"}'] == pytest.approx(560, abs=0.01)


def test_a_timer_that_waits_for_a_change_of_the_clock_has_no_next_time(watched):
    """It waits (OnClockChange=), so it is not one that never elapses."""
    watched.systemctl.timer("clock.timer")
    found = watched.tick()
    assert found['systemd_timer_never_elapses{timer="clock.timer"}'] == 0
    assert found[late("clock.timer")] == 0


@pytest.mark.parametrize("load", ["not-found", "masked", "bad-setting"])
def test_a_timer_that_is_not_loaded_is_none(watched, load):
    """Its name is known since something else names it, or somebody has masked it."""
    watched.systemctl.timer("a.timer")
    watched.systemctl.units["a.timer"]["load"] = load
    assert not [series for series in watched.tick() if "a.timer" in series]


def test_a_timer_that_came_after_units_were_listed_is_told_at_the_next_tick(watched):
    """Nothing is known of its state yet."""
    watched.systemctl.timer("a.timer", next_=100)
    row = watched.systemctl.units.pop("a.timer")
    assert not [series for series in watched.tick() if "a.timer" in series]
    watched.systemctl.units["a.timer"] = row
    assert watched.tick()[late("a.timer")] == 0


def test_of_too_many_timers_those_in_trouble_are_shown(watched):
    """A note says how many are not."""
    for number in range(300):
        watched.systemctl.timer(f"a{number:03}.timer", next_=1000)
    watched.systemctl.timer("zzz.timer", sub="elapsed")
    found = watched.tick()
    assert found['systemd_timer_never_elapses{timer="zzz.timer"}'] == 1
    assert len([series for series in found if series.startswith("systemd_timer_late")]) <= MOST
    assert any(note.endswith(f"timers; at most {MOST} are shown") for note in watched.context.notes)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("", 0),
        ("infinity", 0),
        ("1min", 60),
        ("1min 30s", 90),
        ("12h", 43200),
        ("250ms", 0.25),
        ("5us", 5e-6),
        ("1d 2h 3min 4.500000s", 93784.5),
        ("2w", 1209600),
        ("1month", 2629800),
        ("1y 1month 1w", 31557600 + 2629800 + 604800),
    ],
)
def test_time_spans_are_read_as_systemd_writes_them(text, seconds):
    """In its units, which may be combined."""
    assert span(text) == pytest.approx(seconds)


def test_for_how_long_something_starts_is_absent_while_nobody_tells(watched):
    """Where properties are refused 0 would say that nothing starts, and end an alert."""
    systemctl = watched.systemctl
    for name in ("a.service", "b.service"):
        systemctl.unit(name, "activating", "start", InactiveExitTimestampMonotonic=systemctl.now(500))
    systemctl.timer("b.timer", last=-500, sub="running")
    found = watched.tick()
    assert found['systemd_unit_starting_seconds{unit="a.service"}'] == pytest.approx(560, abs=1)
    assert found['systemd_timer_running_seconds{timer="b.timer"}'] == pytest.approx(560, abs=1)
    systemctl.instead[PROPERTIES] = Unavailable("systemctl did not end in time, killed")
    found = watched.tick()
    assert found['systemd_unit_state{unit="a.service",systemd_unit_state="activating"}'] == 1
    assert not [series for series in found if "starting_seconds" in series and "a.service" in series]
    assert 'systemd_timer_running_seconds{timer="b.timer"}' not in found
    assert found[late("b.timer")] == 0


def test_for_how_long_an_ignored_job_runs_is_not_known(tmp_path):
    """Nobody has asked for it."""
    watched = Watched(Systemctl(state="well"), tmp_path, ignored_units=["b.service"])
    systemctl = watched.systemctl
    systemctl.unit("b.service", "activating", "start", InactiveExitTimestampMonotonic=systemctl.now(500))
    systemctl.timer("b.timer", last=-500, sub="running")
    found = watched.tick()
    assert found['systemd_timer_state{timer="b.timer",systemd_timer_state="running"}'] == 1
    assert 'systemd_timer_running_seconds{timer="b.timer"}' not in found


def test_of_too_many_timers_one_that_is_late_is_shown(watched):
    """It waits, as the others do, and is before them."""
    for number in range(300):
        watched.systemctl.timer(f"a{number:03}.timer", next_=100_000)
    watched.systemctl.timer("zzz.timer", next_=-3600)
    assert watched.tick()[late("zzz.timer")] > 3000


def test_only_a_timer_that_waits_is_late_and_only_one_without_a_next_time_elapses_no_more():
    """Whatever else its row has."""
    timer, facts = Timer("a.timer", "a.service", 100.0, None), Facts("", "", None, None, 60.0, "")
    for sub, expected in (("waiting", 840.0), ("running", 0.0), ("elapsed", 0.0)):
        units = {"a.timer": Unit("a.timer", "loaded", "active", sub)}
        (found,) = told([timer], units, {"a.timer": facts}, {}, 1000.0)
        assert (found.late, found.never) == (expected, False)


def test_what_was_known_of_an_accuracy_still_counts_while_properties_are_refused(watched):
    """A timer that is late stays so."""
    watched.systemctl.timer("a.timer", next_=-3600)
    watched.tick()
    watched.systemctl.instead[PROPERTIES] = Unavailable("systemctl did not end in time, killed")
    assert watched.tick()[late("a.timer")] > 3600


def test_since_when_a_unit_starts_is_not_since_when_it_started_before(tmp_path):
    """It ran for hours; nobody tells since when it starts anew."""
    watched = Watched(Systemctl(state="well"), tmp_path, units=["a"])
    systemctl = watched.systemctl
    systemctl.unit("a.service", InactiveExitTimestampMonotonic=systemctl.now(5000))
    assert watched.tick()['systemd_unit_starting_seconds{unit="a.service"}'] == 0
    systemctl.unit("a.service", "activating", "start")
    systemctl.instead[PROPERTIES] = Unavailable("systemctl did not end in time, killed")
    assert 'systemd_unit_starting_seconds{unit="a.service"}' not in watched.tick()


def test_a_timer_of_which_is_not_told_what_it_starts_is_told(watched):
    """Without it all but its job is known."""
    watched.systemctl.timer("a.timer", next_=-3600)
    del watched.systemctl.timers["a.timer"]["activates"]
    assert watched.tick()[late("a.timer")] > 3000


@pytest.mark.parametrize("load", ["bad-setting", "error"])
def test_a_timer_whose_calendar_is_wrong_is_told(watched, load):
    """As one that is written for cron: it is inactive, and nothing else says so (node_exporter's issue 3347)."""
    assert watched.tick()["systemd_units_broken"] == 0
    watched.systemctl.unit("cron.timer", "inactive", "dead", load=load)
    watched.systemctl.unit("off.timer", "inactive", "dead", load="masked")
    assert watched.tick()["systemd_units_broken"] == 1
    assert any(
        sentence.startswith("cron.timer cannot be started: systemd cannot") for sentence in watched.said
    )
