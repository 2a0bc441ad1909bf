"""Who is asked for more, who is shown and for how long, and what the counts of restarts mean over time."""

import pytest

from collectors.systemd.asking import PROPERTIES, TIMERS
from collectors.systemd.tests.recorded_systemd import Systemctl, Watched
from collectors.systemd.units import LONG, MOST, Choice, Patterns, starting
from collectors.systemd.values import Facts, Unit
from collectors.systemd.watch import _IN_TURN, _MOST
from rscollector.api import Unavailable


@pytest.fixture
def watched(tmp_path):
    """Return the collector on a host that is well."""
    return Watched(Systemctl(state="well"), tmp_path)


def asked(watched):
    """Return which services are asked at the next tick."""
    watched.systemctl.asked.clear()
    watched.tick()
    return [name for names in watched.systemctl.asked for name in names if name.endswith(".service")]


def restarts(unit):
    """Return the series of a unit's count."""
    return f'systemd_unit_restarts_total{{unit="{unit}"}}'


def state(unit, word):
    """Return the series of a unit's state."""
    return f'systemd_unit_state{{unit="{unit}",systemd_unit_state="{word}"}}'


def test_a_service_that_looks_well_each_time_is_found_to_be_restarted(watched):
    """It is active whenever somebody looks, and its count has grown: then it is asked at each tick, for an hour."""
    for number in range(30):
        watched.systemctl.unit(f"a{number:02}.service", Restart="always")
    systemctl = watched.systemctl
    watched.tick()
    systemctl.unit("a29.service", Restart="always", NRestarts="2")
    for _ in range(12):
        found = watched.tick()
    assert (found[restarts("a29.service")], found[state("a29.service", "active")]) == (2, 1)
    systemctl.unit("a29.service", Restart="always", NRestarts="5")
    assert watched.tick()[restarts("a29.service")] == 5
    assert restarts("a28.service") not in watched.tick()
    watched.tick(3600)
    assert [("a29.service" in asked(watched)) for _ in range(4)].count(True) <= 1  # its turn


def test_all_that_may_be_restarted_have_their_turn(watched):
    """A few at each tick, nobody twice before all were asked; who cannot be restarted by systemd has no turn."""
    may = {f"may{number:02}.service" for number in range(25)}
    for name in may:
        watched.systemctl.unit(name, Restart="on-failure")
        watched.systemctl.unit(f"not-{name}", Restart="no")
    assert may <= set(asked(watched))
    turns = [name for _ in range(30) for name in asked(watched)]
    for name in may:
        assert 2 <= turns.count(name) <= 5, name
    assert not [name for name in turns if name.startswith("not-")]
    assert len(asked(watched)) <= _IN_TURN


def test_unit_files_that_are_read_again_give_everybody_a_turn(watched):
    """Who could not be restarted may be now; that costs no tick more than others."""
    for number in range(40):
        watched.systemctl.unit(f"a{number:02}.service", Restart="no")
    assert len(asked(watched)) >= 40
    for _ in range(5):
        assert not [name for name in asked(watched) if name.startswith("a0")]
    watched.systemctl.manager["UnitsLoadTimestampMonotonic"] = "77"
    turns = [asked(watched) for _ in range(25)]
    assert max(map(len, turns)) <= _IN_TURN
    assert {f"a{number:02}.service" for number in range(40)} <= {name for turn in turns for name in turn}


def test_a_service_whose_control_group_was_made_anew_is_asked_at_once(watched):
    """That is how a restart is seen of one that is active at each look; of one that keeps its group its turn tells."""
    for number in range(30):
        watched.systemctl.unit(
            f"a{number:02}.service", Restart="always", ControlGroup=f"/system.slice/a{number:02}.service"
        )
    place = watched.root.path / "sys/fs/cgroup/system.slice"
    for number in range(30):
        (place / f"a{number:02}.service").mkdir(parents=True)
    watched.tick()
    watched.tick()
    (place / "a29.service").rename(place / "gone")
    (place / "a29.service").mkdir()
    watched.systemctl.unit(
        "a29.service", Restart="always", NRestarts="1", ControlGroup="/system.slice/a29.service"
    )
    assert watched.tick()[restarts("a29.service")] == 1
    (place / "a28.service").rmdir()
    assert "a28.service" in asked(watched)
    assert len(asked(watched)) <= _IN_TURN + 2


def test_a_control_group_of_version_1_is_seen_too(watched):
    """There systemd's own hierarchy is below a name."""
    group = watched.root.path / "sys/fs/cgroup/systemd/system.slice/a.service"
    group.mkdir(parents=True)
    for number in range(20):
        watched.systemctl.unit(f"b{number:02}.service", Restart="always")
    watched.systemctl.unit("a.service", Restart="always", ControlGroup="/system.slice/a.service")
    watched.tick()
    group.rename(group.with_name("gone"))
    group.mkdir()
    watched.systemctl.unit(
        "a.service", Restart="always", NRestarts="1", ControlGroup="/system.slice/a.service"
    )
    assert watched.tick()[restarts("a.service")] == 1


def test_a_systemctl_that_does_not_come_to_an_end_is_asked_for_fewer(watched):
    """On a host without CPU left half as many, and again; until it answers. All are asked in the end."""
    for number in range(120):
        watched.systemctl.unit(f"a{number:03}.service", Restart="always")
    watched.systemctl.instead[PROPERTIES] = Unavailable("systemctl did not end in time, killed")

    def names():
        watched.tick()
        return len(watched.context.ran[-1]) - len(PROPERTIES)

    assert [names() for _ in range(6)] == [100, 50, 25, 12, 6, 5]
    del watched.systemctl.instead[PROPERTIES]
    assert [names() for _ in range(3)][:2] == [5, 100]
    assert {f"a{number:03}.service" for number in range(120)} <= set(watched.collector._watch.facts)


def test_a_unit_that_may_not_be_looked_at_hides_the_others_once_only(watched):
    """The answer ends there; at the next ticks those behind it have their turn, and are not asked behind it."""
    for number in range(8):
        watched.systemctl.unit(f"a{number}.service", Restart="always", NRestarts="3")
    whole = watched.systemctl.answer

    def answer(command):
        names = command[len(PROPERTIES) :]
        if command[: len(PROPERTIES)] == PROPERTIES and "a0.service" in names:
            command = (*PROPERTIES, *names[: names.index("a0.service")])
            return whole(command) if len(command) > len(PROPERTIES) else b""
        return whole(command)

    watched.systemctl.answer = answer
    found = [watched.tick() for _ in range(10)][-1]
    assert len([series for series in found if "restarts" in series]) == 7
    watched.systemctl.unit("a0.service", "failed", "failed")
    watched.tick()
    watched.systemctl.unit("late.service", Restart="always", NRestarts="3")
    assert watched.tick()[restarts("late.service")] == 3


def test_a_service_that_comes_later_is_asked_at_once(watched):
    """And one that has gone is forgotten: when it comes again, its count is no growth."""
    watched.tick()
    watched.systemctl.unit("new.service", Restart="always", NRestarts="7")
    assert watched.tick()[restarts("new.service")] == 7
    assert "in the last" not in " ".join(watched.said)
    del watched.systemctl.units["new.service"]
    assert watched.tick()[state("new.service", "inactive")] == 1
    watched.systemctl.unit("new.service", Restart="always", NRestarts="9")
    assert watched.tick()[restarts("new.service")] == 9
    assert "in the last" not in " ".join(watched.said)


def test_a_count_that_begins_anew_is_told_as_it_is(watched):
    """Whoever starts a service by hand sets it to 0; what was counted since is new."""
    watched.systemctl.unit("a.service", Restart="always", NRestarts="14")
    watched.tick()
    watched.systemctl.unit("a.service", Restart="always", NRestarts="17")
    watched.tick()
    assert "17 times" in " ".join(watched.said)
    assert "3 of them in the last 1 min" in " ".join(watched.said)
    watched.systemctl.unit("a.service", Restart="always", NRestarts="2")
    assert watched.tick()[restarts("a.service")] == 2
    assert "2 of them in the last 1 min" in " ".join(watched.said)
    watched.systemctl.unit("a.service", Restart="always", NRestarts="0")
    assert watched.tick()[restarts("a.service")] == 0
    watched.tick()
    assert "a.service" not in " ".join(watched.said)


def test_a_unit_that_is_well_again_is_told_to_be_so_for_an_hour(watched):
    """Whoever was told of it learns that it is over."""
    watched.systemctl.unit("a.service", "failed", "failed", Result="oom-kill")
    assert watched.tick()['systemd_unit_failure_info{unit="a.service",result="oom-kill"}'] == 1
    watched.systemctl.unit("a.service")
    found = watched.tick()
    assert (found[state("a.service", "failed")], found[state("a.service", "active")]) == (0, 1)
    assert not [series for series in found if "failure" in series]
    del watched.systemctl.units["a.service"]
    assert watched.tick(3400)[state("a.service", "inactive")] == 1
    assert state("a.service", "inactive") not in watched.tick(200)


def test_why_a_unit_is_failed_is_asked_anew_when_it_fails_anew(watched):
    """Between, it was well at one tick; and while it stays failed it is not asked at each tick."""
    failed = {"active": "failed", "sub": "failed", "Restart": "no"}
    watched.systemctl.unit("a.service", **failed, Result="timeout")
    assert "a.service" in asked(watched)
    for number in range(20):
        watched.systemctl.unit(f"z{number:02}.service", Restart="always")
    watched.tick()
    assert (
        1 <= [("a.service" in asked(watched)) for _ in range(12)].count(True) <= 4
    )  # whose turn is first is any
    watched.systemctl.unit("a.service")
    watched.tick()
    watched.systemctl.unit("a.service", **failed, Result="watchdog")
    assert watched.tick()['systemd_unit_failure_info{unit="a.service",result="watchdog"}'] == 1


def test_a_unit_that_is_not_failed_any_more_when_it_is_asked_has_no_result(watched):
    """Between two questions of one tick it was started."""
    watched.systemctl.unit("a.service", "failed", "failed", Result="success")
    found = watched.tick()
    assert found[state("a.service", "failed")] == 1
    assert not [series for series in found if "failure" in series]


def test_a_unit_that_starts_is_shown_after_a_minute(watched):
    """Not each job of a second; and not one that a timer runs, which is told of with the timer."""
    systemctl = watched.systemctl
    systemctl.unit("a.service", "activating", "start", InactiveExitTimestampMonotonic=systemctl.now(-50))
    systemctl.unit("a.mount", "activating", "mounting", InactiveExitTimestampMonotonic=systemctl.now(-50))
    systemctl.unit(
        "dev-x.device", "activating", "tentative", InactiveExitTimestampMonotonic=systemctl.now(500)
    )
    systemctl.unit("job.service", "activating", "start", InactiveExitTimestampMonotonic=systemctl.now(500))
    systemctl.timer("job.timer", last=-500, sub="running")
    found = watched.tick(60)
    assert not [series for series in found if series.startswith("systemd_unit_s")]
    found = watched.tick(60)
    starting = {series: value for series, value in found.items() if "unit_starting" in series}
    assert starting == {
        'systemd_unit_starting_seconds{unit="a.mount"}': pytest.approx(70, abs=0.01),
        'systemd_unit_starting_seconds{unit="a.service"}': pytest.approx(70, abs=0.01),
    }
    assert found['systemd_timer_running_seconds{timer="job.timer"}'] == pytest.approx(620, abs=0.01)
    systemctl.unit("a.service")
    assert watched.tick()['systemd_unit_starting_seconds{unit="a.service"}'] == 0


@pytest.mark.parametrize("state", [("deactivating", "stop-sigterm"), ("reloading", "reload")])
def test_a_unit_that_stops_or_reloads_is_shown(watched, state):
    """One that hangs there is not failed, and does not start; it stays for an hour after."""
    watched.systemctl.unit("a.service", *state)
    series = f'systemd_unit_state{{unit="a.service",systemd_unit_state="{state[0]}"}}'
    assert watched.tick()[series] == 1
    assert f"a.service is {state[0]} ({state[1]}) now (systemd_unit_state)." in watched.said
    watched.systemctl.unit("a.service")
    assert watched.tick()[series] == 0


def test_a_job_that_was_started_by_hand_is_told_as_a_unit(watched):
    """Its timer waits: so it is not the timer's affair."""
    systemctl = watched.systemctl
    systemctl.unit("job.service", "activating", "start", InactiveExitTimestampMonotonic=systemctl.now(500))
    systemctl.timer("job.timer", next_=5000, last=-500)
    found = watched.tick(60)
    assert found['systemd_unit_starting_seconds{unit="job.service"}'] == pytest.approx(560, abs=0.01)
    assert found['systemd_timer_running_seconds{timer="job.timer"}'] == 0


def test_a_job_is_no_unit_that_starts_where_its_timer_is_ignored_or_not_told(tmp_path):
    """It may work for hours: nobody is said not to come up for that."""
    watched = Watched(Systemctl(state="well"), tmp_path, ignored_units=["job.timer"])
    systemctl = watched.systemctl
    systemctl.unit("job.service", "activating", "start", InactiveExitTimestampMonotonic=systemctl.now(500))
    systemctl.timer("job.timer", last=-500, sub="running")
    assert not [series for series in watched.tick() if "job." in series]
    systemctl.instead[TIMERS] = Unavailable("systemctl failed (exit status 1)")
    assert not [series for series in watched.tick(300) if "job." in series]
    assert watched.context.notes[0].startswith("missing: timers, and who starts for long (")
    assert 'systemd_unit_starting_seconds{unit="job.service"}' not in watched.tick()


def test_a_thousand_failed_units_are_counted_and_some_are_shown(watched):
    """No tick asks for more of more than it can; a note says how many are not shown."""
    for number in range(1000):
        watched.systemctl.unit(
            f"broken@{number:04}.service", "failed", "failed", Result="signal", Restart="no"
        )
    first = asked(watched)
    assert len(first) == _MOST
    found = watched.tick()
    assert found['systemd_units{state="failed"}'] == 1000
    assert len([series for series in found if 'systemd_unit_state="failed"' in series]) == MOST
    assert f"missing: 700 units; at most {MOST} are shown by name" in watched.context.notes


def test_trouble_goes_before_what_is_wanted(tmp_path):
    """Where there is no room for all, patterns wait."""
    watched = Watched(Systemctl(state="well"), tmp_path, units=["good@*"])
    for number in range(MOST):
        watched.systemctl.unit(f"good@{number}.service")
    assert len([series for series in watched.tick() if 'systemd_unit_state="active"' in series]) == MOST
    watched.systemctl.unit("zzz.service", "failed", "failed", Result="signal")
    assert watched.tick()[state("zzz.service", "failed")] == 1


def test_the_failed_go_before_those_that_were_restarted_once(watched):
    """Where there is no room for all."""
    for number in range(MOST):
        watched.systemctl.unit(f"a{number:03}.service", Restart="always", NRestarts="1")
    watched.systemctl.unit("zzz.service", "failed", "failed", Result="signal")
    for _ in range(4):
        found = watched.tick()
    assert found[state("zzz.service", "failed")] == 1
    assert len([series for series in found if 'systemd_unit_state="failed"' in series]) == MOST


def test_ten_thousand_units_come_and_go(watched):
    """Nothing is kept of those that are gone."""
    watched.tick()
    for number in range(10_000):
        watched.systemctl.unit(f"run-{number}.service", Restart="no")
    found = watched.tick()
    assert found['systemd_units{state="active"}'] > 10_000
    watched.systemctl.units = {
        name: row for name, row in watched.systemctl.units.items() if not name.startswith("run-")
    }
    watched.tick()
    watch = watched.collector._watch
    for known in (watch.facts, watch.restarted, watch._asked, watch._cannot, watch._told_why):
        assert not [name for name in known if name.startswith("run-")]


def test_a_service_that_starts_for_less_than_a_minute_is_no_trouble():
    """At a minute it is."""
    units = {"a.service": Unit("a.service", "loaded", "activating", "start")}
    for seconds, expected in ((59.9, []), (LONG, ["a.service"])):
        found = Choice(Patterns(())).chosen(units, {}, {"a.service": seconds}, 0.0)
        assert [each.unit.name for each in found] == expected
    assert LONG == 60
    facts = Facts("", "", None, 100.0, 0.0, "")
    assert dict(starting(units, {"a.service": facts}, 99.0)) == {"a.service": 0}


def test_a_service_that_waits_for_its_restart_is_shown_before_it_was_asked():
    """That is trouble, whatever its count."""
    units = {"a.service": Unit("a.service", "loaded", "activating", "auto-restart")}
    (found,) = Choice(Patterns(())).chosen(units, {}, {}, 0.0)
    assert (found.unit.name, found.starting) == ("a.service", 0)


def test_who_was_in_trouble_goes_before_what_is_wanted_and_who_was_not_shown_does_not_stay():
    """An alert that was told has to end; one that never was has not."""
    choice = Choice(Patterns(["good@*"]))
    units = {f"good@{number}.service": Unit("", "loaded", "active", "running") for number in range(MOST)}
    choice.chosen(units | {"zzz.service": Unit("", "loaded", "failed", "failed")}, {}, {}, 0.0)
    found = choice.chosen(units | {"zzz.service": Unit("zzz", "loaded", "active", "running")}, {}, {}, 60.0)
    assert "zzz" in [each.unit.name for each in found]
    choice = Choice(Patterns(()))
    units = {f"{number}.service": Unit("", "loaded", "failed", "failed") for number in range(1000)}
    choice.chosen(units, {}, {}, 0.0)
    assert choice.left_out == 700
    assert len(choice.chosen(dict.fromkeys(units, Unit("", "loaded", "active", "")), {}, {}, 60.0)) == MOST
    assert choice.left_out == 0


def test_a_pattern_is_no_name():
    """Nothing that it matches is no unit that is gone."""
    patterns = Patterns(["a*", "b[cd]", "e?.timer", "x.slice-2"])
    assert patterns.names == ("x.slice-2.service",)
    assert [each.unit.name for each in Choice(patterns).chosen({}, {}, {}, 0.0)] == ["x.slice-2.service"]


def test_who_is_failed_is_asked_before_those_that_are_new(watched):
    """And those before others whose turn it is."""
    for number in range(150):
        watched.systemctl.unit(f"a{number:03}.service", Restart="always")
    watched.systemctl.unit("zzz.service", "failed", "failed", Result="timeout")
    assert watched.tick()['systemd_unit_failure_info{unit="zzz.service",result="timeout"}'] == 1
    watched.tick()
    new = {f"b{number:03}.service" for number in range(_MOST)}
    for name in new:
        watched.systemctl.unit(name, Restart="always")
    assert set(asked(watched)) == new


def test_a_service_that_was_restarted_and_is_no_more_is_asked_on(watched):
    """Somebody has set `Restart=no`, and starts it: the count begins anew, and that is seen."""
    watched.systemctl.unit("a.service", Restart="no", NRestarts="3")
    assert watched.tick()[restarts("a.service")] == 3
    watched.systemctl.unit("a.service", Restart="no", NRestarts="0")
    assert [watched.tick()[restarts("a.service")] for _ in range(20)][-1] == 0


def test_a_failed_service_whose_control_group_is_gone_is_not_asked_at_each_tick(watched):
    """Once, and in turn; when it runs again it has another group, and is asked at once."""
    group = watched.root.path / "sys/fs/cgroup/system.slice/a.service"
    group.mkdir(parents=True)
    for number in range(20):
        watched.systemctl.unit(f"z{number:02}.service", Restart="always")
    runs = {"Restart": "on-failure", "ControlGroup": "/system.slice/a.service"}
    watched.systemctl.unit("a.service", **runs)
    watched.tick()
    group.rename(group.with_name("gone"))
    watched.systemctl.unit("a.service", "failed", "failed", Restart="on-failure", ControlGroup="")
    watched.tick()
    assert 1 <= [("a.service" in asked(watched)) for _ in range(12)].count(True) <= 5
    group.mkdir()
    watched.systemctl.unit("a.service", **runs)
    assert "a.service" in (*asked(watched), *asked(watched))  # the first one lists the timers


def test_a_service_with_a_control_group_may_go_and_come_again(watched):
    """Nothing is kept of its group."""
    group = watched.root.path / "sys/fs/cgroup/system.slice/a.service"
    group.mkdir(parents=True)
    for _ in range(2):
        watched.systemctl.unit("a.service", Restart="always", ControlGroup="/system.slice/a.service")
        watched.tick()
        del watched.systemctl.units["a.service"]
        group.rename(group.with_name("gone"))
        watched.tick()
        assert not {"a.service"} & {*watched.collector._watch._groups, *watched.collector._watch._told}
        group.with_name("gone").rmdir()
        group.mkdir()


def test_of_very_many_in_trouble_some_are_asked_at_a_tick(watched):
    """Those that were asked longest ago; the others next."""
    names = {f"a{number:02}.service" for number in range(90)}
    for name in names:
        watched.systemctl.unit(name, "activating", "auto-restart", Restart="always")
    watched.tick()
    first, second = (set(asked(watched)) & names for _ in range(2))
    assert (len(first | second), max(map(len, (first, second))) < 60) == (90, True)


@pytest.mark.parametrize("sub", ["auto-restart", "auto-restart-queued"])
def test_one_that_waits_to_be_started_again_does_not_start(sub):
    """In the words of systemd since 254, too."""
    unit = Unit("a.service", "loaded", "activating", sub)
    assert (unit.waits_for_restart, unit.is_starting) == (True, False)


@pytest.mark.parametrize("active", ["deactivating", "reloading", "refreshing"])
def test_one_that_changes_is_known_by_its_state(active):
    """Also in the word of a newer systemd."""
    assert Unit("a.service", "loaded", active, "any").is_changing
