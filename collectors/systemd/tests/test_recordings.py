"""Recorded hosts with systemd 252 and 257, well and in every kind of trouble: what is told of each."""

import pytest

from collectors.systemd import Systemd
from collectors.systemd.tests.recorded_systemd import VERSIONS, Systemctl, Watched
from rscollector.testing import assert_all_metrics_are_emitted, assert_values


@pytest.fixture(params=VERSIONS)
def version(request):
    """Return a recorded version."""
    return request.param


def state(unit, word):
    """Return the series of a unit's state."""
    return f'systemd_unit_state{{unit="{unit}",systemd_unit_state="{word}"}}'


def timer(name, word):
    """Return the series of a timer's state."""
    return f'systemd_timer_state{{timer="{name}",systemd_timer_state="{word}"}}'


def test_every_metric_is_in_a_recording(version, tmp_path):
    """What is declared is told by each version."""
    watched = Watched(Systemctl(version), tmp_path)
    assert_all_metrics_are_emitted(Systemd, [watched.samples()])
    assert watched.context.notes == []


def test_a_host_that_is_well_shows_no_unit_by_name(version, tmp_path):
    """Its state, how many units are in which state, and its timers: all of them wait and are on time."""
    watched = Watched(Systemctl(version, "well"), tmp_path)
    found = watched.tick()
    assert_values(
        found,
        {
            'systemd_system_state{systemd_system_state="running"}': 1,
            'systemd_system_state{systemd_system_state="degraded"}': 0,
            'systemd_units{state="failed"}': 0,
            "systemd_jobs": 0,
            timer("apt-daily.timer", "waiting"): 1,
            timer("fstrim.timer", "dead"): 1,
            'systemd_timer_late_seconds{timer="fstrim.timer"}': None,
            'systemd_timer_late_seconds{timer="apt-daily.timer"}': 0,
            'systemd_timer_last_time_seconds{timer="apt-daily.timer"}': None,
        },
    )
    assert found['systemd_units{state="active"}'] == sum(
        row["active"] == "active" for row in watched.systemctl.units.values()
    )
    assert not [series for series in found if "unit_" in series]
    assert watched.context.notes == []


def test_whoever_is_in_trouble_is_shown_by_name(version, tmp_path):
    """Failed with the result, restarted with the count, starting with the time; and nobody else."""
    watched = Watched(Systemctl(version), tmp_path)
    facts = watched.systemctl.facts
    found = watched.tick()
    results = {
        "broken.service": "exit-code",
        "fails.service": "exit-code",
        "killed.service": "signal",
        "limited.service": "exit-code",
        "lost.timer": "resources",
        "slow.service": "timeout",
    }
    assert {series for series in found if "unit_failure" in series} == {
        f'systemd_unit_failure_info{{unit="{unit}",result="{result}"}}' for unit, result in results.items()
    }
    shown = {*results, "flapping.service", "stuck.service"}
    assert {series.split('"')[1] for series in found if series.startswith("systemd_unit_state")} == shown
    assert_values(
        found,
        {
            'systemd_system_state{systemd_system_state="degraded"}': 1,
            'systemd_units{state="failed"}': 6,
            'systemd_units{state="activating"}': 3,
            "systemd_jobs": 3,
            state("killed.service", "failed"): 1,
            state("flapping.service", "activating"): 1,
            'systemd_unit_restarts_total{unit="flapping.service"}': int(
                facts["flapping.service"]["NRestarts"]
            ),
            'systemd_unit_restarts_total{unit="limited.service"}': int(facts["limited.service"]["NRestarts"]),
            'systemd_unit_starting_seconds{unit="flapping.service"}': 0,
            'systemd_unit_restarts_total{unit="lost.timer"}': None,
        },
    )
    since = int(facts["stuck.service"]["InactiveExitTimestampMonotonic"]) / 1e6
    assert found['systemd_unit_starting_seconds{unit="stuck.service"}'] == pytest.approx(
        watched.systemctl.monotonic - since
    )
    assert int(facts["flapping.service"]["NRestarts"]) > 30


def test_timers_of_each_kind(version, tmp_path):
    """One that waits, one whose job does not end, one that cannot elapse, one that has done its work."""
    watched = Watched(Systemctl(version), tmp_path)
    rows = watched.systemctl.timers
    found = watched.tick()
    since = int(watched.systemctl.facts["busy.service"]["InactiveExitTimestampMonotonic"]) / 1e6
    assert_values(
        found,
        {
            timer("weekly.timer", "waiting"): 1,
            'systemd_timer_next_time_seconds{timer="weekly.timer"}': rows["weekly.timer"]["next"] / 1e6,
            'systemd_timer_last_time_seconds{timer="fails.timer"}': rows["fails.timer"]["last"] / 1e6,
            timer("busy.timer", "running"): 1,
            'systemd_timer_next_time_seconds{timer="busy.timer"}': None,
            'systemd_timer_running_seconds{timer="remains.timer"}': 0,
            timer("never.timer", "elapsed"): 1,
            'systemd_timer_never_elapses{timer="never.timer"}': 1,
            timer("once.timer", "elapsed"): 1,
            'systemd_timer_never_elapses{timer="once.timer"}': 0,
            timer("lost.timer", "failed"): 1,
            'systemd_timer_never_elapses{timer="lost.timer"}': None,
        },
    )
    assert found['systemd_timer_running_seconds{timer="busy.timer"}'] == pytest.approx(
        watched.systemctl.monotonic - since
    )
    assert not [series for series in found if 'unit="busy.service"' in series]


def test_what_an_operator_wants_is_shown_and_what_he_does_not_is_not(version, tmp_path):
    """By names, with or without a type, and by patterns; one that systemd does not have is inactive."""
    settings = {
        "units": ["cron", "systemd-journal*", "odd@*", "-.mount", "nginx.service", "masked", "*.scope"],
        "ignored_units": ["killed", "lost.*", "f*"],
    }
    watched = Watched(Systemctl(version), tmp_path, **settings)
    found = watched.tick()
    assert_values(
        found,
        {
            state("nginx.service", "inactive"): 1,
            state("cron.service", "inactive"): 1,
            state("masked.service", "inactive"): 1,
            state("systemd-journald.service", "active"): 1,
            state("systemd-journald.socket", "active"): 1,
            state("-.mount", "active"): 1,
            state(r"odd@a:b_c.d\x2d\x40.service", "active"): 1,
            state("init.scope", "active"): 1,
            state("killed.service", "failed"): None,
            state("flapping.service", "activating"): None,
            timer("fails.timer", "waiting"): None,
            timer("lost.timer", "failed"): None,
            'systemd_units{state="failed"}': 6,
        },
    )


def test_systemctl_is_asked_three_short_questions(version, tmp_path):
    """After the first tick it is told more of a few services only; timers are listed now and then."""
    watched = Watched(Systemctl(version), tmp_path)
    for most, questions in ((60, 4), (20, 3), (20, 3), (20, 3)):
        watched.tick()
        assert len(watched.context.ran) == questions
        assert len(watched.context.ran[-1]) < most
