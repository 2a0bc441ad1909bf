"""What a host's systemd says, in plain language: sentences, trouble first, each true in its state."""

import pytest

from collectors.systemd.explain import _RESULTS, _STATES, Picture, explain
from collectors.systemd.tests.recorded_systemd import VERSIONS, Systemctl, Watched
from collectors.systemd.timers import Told
from collectors.systemd.units import Shown
from collectors.systemd.values import Manager, Timer, Unit
from rscollector.api import humanized


@pytest.fixture
def watched(tmp_path):
    """Return the collector on a host that is well."""
    return Watched(Systemctl(state="well"), tmp_path)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_host_in_trouble_says_what_is_the_matter(version, tmp_path):
    """Each unit and timer in a sentence."""
    watched = Watched(Systemctl(version), tmp_path)
    facts, count = watched.systemctl.facts, len(watched.systemctl.units)
    watched.tick(3580)
    flaps, limited = (facts[f"{name}.service"]["NRestarts"] for name in ("flapping", "limited"))
    ago = {
        name: (
            watched.systemctl.monotonic
            - int(facts[f"{name}.service"]["InactiveExitTimestampMonotonic"]) / 1e6
        )
        for name in ("stuck", "busy")
    }
    late = (
        watched.systemctl.wall - watched.systemctl.timers["systemd-tmpfiles-clean.timer"]["next"] / 1e6 - 60
    )
    waiting = sum(row["next"] is not None for row in watched.systemctl.timers.values()) - 1  # one is late
    assert watched.said[:-1] == [
        f"systemd is degraded: it has finished its boot, and not every unit is well (systemd_system_state). Of {count} units 6 are failed (systemd_units). Jobs that run or wait: 3 (systemd_jobs).",
        "broken.service is failed: a process of it ended with a status that says failure (exit-code); `journalctl -u broken.service` may tell more (systemd_unit_failure_info).",
        "fails.service is failed: a process of it ended with a status that says failure (exit-code); `journalctl -u fails.service` may tell more (systemd_unit_failure_info).",
        "killed.service is failed: a process of it was ended by a signal (signal); `journalctl -u killed.service` may tell more (systemd_unit_failure_info).",
        "limited.service is failed: a process of it ended with a status that says failure (exit-code); `journalctl -u limited.service` may tell more (systemd_unit_failure_info).",
        "lost.timer is failed: systemd could not do what starting it takes: a unit, a file or memory is missing (resources); `journalctl -u lost.timer` may tell more (systemd_unit_failure_info).",
        "slow.service is failed: a step took longer than its timeout (timeout); `journalctl -u slow.service` may tell more (systemd_unit_failure_info).",
        f"flapping.service has been restarted by systemd {flaps} times since it was loaded or started by somebody else; it is activating (auto-restart) now (systemd_unit_restarts_total).",
        f"limited.service has been restarted by systemd {limited} times since it was loaded or started by somebody else; it is failed (failed) now (systemd_unit_restarts_total).",
        f"stuck.service has been starting for {humanized(ago['stuck'])} (start), and who is to start after it waits (systemd_unit_starting_seconds).",
        f"busy.timer has started busy.service, which has been at work for {humanized(ago['busy'])}; the timer does not elapse again before that ends (systemd_timer_running_seconds).",
        "never.timer is active, has not elapsed since it was started, and never will (systemd_timer_never_elapses).",
        "remains.timer does not elapse as long as remains.service is active (systemd_timer_state).",
        f"systemd-tmpfiles-clean.timer should have elapsed {humanized(late)} ago, or earlier (systemd_timer_late_seconds).",
    ]
    assert watched.said[-1].startswith(
        f"{waiting} of {len(watched.systemctl.timers)} timers wait for their time; "
    )


def test_a_host_that_is_well_says_so(watched):
    """In two sentences."""
    watched.tick()
    count = len(watched.systemctl.units)
    assert watched.said[0] == (
        "systemd is running: it has finished its boot, and no unit is failed (systemd_system_state). Of "
        f"{count} units none is failed (systemd_units)."
    )
    assert len(watched.said) == 2
    assert " timers wait for their time; the next is systemd-tmpfiles-clean.timer, in " in watched.said[1]


def test_the_newest_restarts_are_first(watched):
    """With how many of them are new, and in what time."""
    for name in ("a", "b", "c"):
        watched.systemctl.unit(f"{name}.service", Restart="always", NRestarts="11")
    watched.tick()
    watched.systemctl.unit("b.service", "activating", "auto-restart", Restart="always", NRestarts="14")
    watched.systemctl.unit("c.service", Restart="always", NRestarts="12")
    watched.tick(60)
    told = [sentence for sentence in watched.said if "restarted by systemd" in sentence]
    assert told == [
        "b.service has been restarted by systemd 14 times since it was loaded or started by somebody else, 3 of them in the last 1 min; it is activating (auto-restart) now (systemd_unit_restarts_total).",
        "c.service has been restarted by systemd 12 times since it was loaded or started by somebody else, 1 of them in the last 1 min; it is active (running) now (systemd_unit_restarts_total).",
        "a.service has been restarted by systemd 11 times since it was loaded or started by somebody else; it is active (running) now (systemd_unit_restarts_total).",
    ]
    watched.tick(60)
    assert "in the last" not in " ".join(watched.said)
    watched.systemctl.unit("a.service", Restart="always", NRestarts="1")
    watched.tick(120)
    assert any(
        "a.service has been restarted by systemd 1 time since" in sentence for sentence in watched.said
    )


def test_of_many_the_worst_are_told(watched):
    """And how many there are besides."""
    for number in range(12):
        watched.systemctl.unit(f"a{number:02}.service", "failed", "failed", Result="core-dump")
        watched.systemctl.timer(f"n{number:02}.timer", sub="elapsed")
    watched.tick()
    assert "2 more units are failed." in watched.said
    assert "2 more timers are in trouble." in watched.said
    assert "Of " in watched.said[0]
    assert " 12 are failed " in watched.said[0]


def test_one_failed_unit_is_one(watched):
    """In good English; and a result that is not known is told in systemd's word."""
    watched.systemctl.unit("a.mount", "failed", "failed", Result="strange")
    watched.systemctl.unit("b.service", Result="success")
    watched.tick()
    assert "1 is failed (systemd_units)." in watched.said[0]
    assert (
        watched.said[1]
        == "a.mount is failed: strange; `journalctl -u a.mount` may tell more (systemd_unit_failure_info)."
    )
    watched.systemctl.unit("a.mount", "failed", "failed", Result="success")
    watched.tick()
    watched.systemctl.unit("c.mount", "failed", "failed", Result="success")
    watched.tick()
    assert "c.mount is failed (systemd_unit_state)." in watched.said


@pytest.mark.parametrize("state", [*_STATES, "dreaming"])
def test_each_state_of_the_host_has_a_sentence(watched, state):
    """One that is not known says its own word."""
    watched.systemctl.manager["SystemState"] = state
    watched.tick()
    assert watched.said[0].startswith(
        f"systemd is {state}: it {_STATES.get(state, 'has a state that is not known')}"
    )


@pytest.mark.parametrize("result", _RESULTS)
def test_each_reason_is_told_with_systemds_word(watched, result):
    """Which is what its manual has."""
    watched.systemctl.unit("a.service", "failed", "failed", Result=result)
    watched.tick()
    assert watched.said[1].startswith(f"a.service is failed: {_RESULTS[result]} ({result});")


def test_a_job_of_days_is_told_in_days(watched):
    """And not in seconds."""
    systemctl = watched.systemctl
    systemctl.timer("a.timer", last=-200_000, sub="running")
    systemctl.unit("a.service", "activating", "start", InactiveExitTimestampMonotonic="1")
    systemctl.monotonic = 200_000.0
    watched.tick()
    assert any("at work for 2 d 7 h; " in sentence for sentence in watched.said)


def about(timers=(), shown=(), units=()):
    """Return what is said of timers and units, but for the state of the host and who is next."""
    known = {unit.name: unit for unit in units}
    return list(explain(Picture(Manager("257", "running", 0, ""), known, shown, timers, {}, 0.0, 0.0)))[1:]


def test_what_takes_less_than_a_minute_is_no_trouble():
    """Of a unit that starts, and of a timer's job."""
    unit = Unit("a.service", "loaded", "activating", "start")
    timer = Timer("a.timer", "a.service", None, None)
    for seconds, count in ((59.9, 0), (60.0, 1), (None, 0)):
        assert len(about(shown=[Shown(unit, None, seconds)])) == count
        assert len(about([Told(timer, "running", 0.0, seconds)], units=[unit])) == count


def test_a_timer_that_waits_elapses_though_its_unit_is_active():
    """Somebody has started that by hand."""
    unit = Unit("a.service", "loaded", "active", "exited")
    timer = Timer("a.timer", "a.service", None, 5.0)
    assert about([Told(timer, "waiting", 0.0, 0.0)], units=[unit]) == []
    assert len(about([Told(timer, "running", 0.0, 0.0)], units=[unit])) == 1


def test_a_failed_unit_that_is_ignored_is_counted_all_the_same(tmp_path):
    """For systemd it is one, and the host is degraded."""
    watched = Watched(Systemctl(state="well"), tmp_path, ignored_units=["a.service"])
    watched.systemctl.unit("a.service", "failed", "failed", Result="signal")
    assert watched.tick()['systemd_units{state="failed"}'] == 1
    assert " 1 is failed " in watched.said[0]
    assert "a.service" not in " ".join(watched.said)


def test_of_ten_that_are_failed_none_is_left_out():
    """So there are not 0 more."""
    failed = [
        Shown(Unit(f"a{number}.service", "loaded", "failed", "failed"), None, 0.0) for number in range(10)
    ]
    assert len(about(shown=failed)) == 10


@pytest.mark.parametrize(
    ("last", "next_", "is_told"),
    [
        (3601.0, 3602.0, True),
        (3600.0, 7200.0, False),  # clocks that differ by less are no reason to say so
        (7200.0, 7200.0, False),  # without a calendar it does not wait for its last time
        (7200.0, None, False),  # it does not wait at all: it has elapsed, or its job works
        (None, 7200.0, False),
    ],
)
def test_a_timer_that_waits_for_later_than_what_is_to_come_goes_by_a_clock_that_was_set_back(
    last, next_, is_told
):
    """systemd does not plan it anew (systemd 6036)."""
    told = about([Told(Timer("a.timer", "a.service", next_, last), "waiting", 0.0, 0.0)])
    said = (
        "a.timer has elapsed last in what is 1 h 1 s from now: the clock was set back since, and the timer may wait "
        "until it is as late again (systemd_timer_last_time_seconds)."
    )
    assert (said in told) is is_told
    assert any("set back" in each for each in told) is is_told


@pytest.mark.parametrize(
    ("next_", "late", "said"),
    [
        (90.0, 0.0, "1 of 1 timer wait for their time; the next is a.timer, in 1 min 30 s"),
        (0.0, 0.0, "1 of 1 timer wait for their time; the next is a.timer, at any moment"),
        (-30.0, 0.0, "1 of 1 timer wait for their time; the next is a.timer, at any moment"),
        (-90.0, 30.0, ""),
    ],
)
def test_who_is_late_is_not_the_next(next_, late, said):
    """It has its own sentence; one that is due within its accuracy may elapse at any moment."""
    last = about([Told(Timer("a.timer", "a.service", next_, None), "waiting", late, 0.0)])[-1]
    assert last.startswith(said or "a.timer should have elapsed 30 s ago")


def test_what_is_to_be_copied_into_a_shell_is_quoted_where_it_has_to_be(watched):
    """Names of mounts have a backslash, which a shell would take away."""
    watched.systemctl.unit("a\\x2db.mount", "failed", "failed", Result="timeout")
    watched.systemctl.unit("c\\x2dd.timer", "inactive", "dead", load="bad-setting")
    watched.tick()
    assert "`journalctl -u 'a\\x2db.mount'` may tell more" in watched.said[1]
    assert "`systemctl status 'c\\x2dd.timer'` has the reason" in watched.said[2]
