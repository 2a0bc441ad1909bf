"""What systemctl may do instead of an answer, and names and words that nobody expects."""

import json
import os
import string

import pytest

from collectors.systemd import Systemd
from collectors.systemd.asking import BOOTED, MANAGER, PROPERTIES, TIMERS, UNITS, manager
from collectors.systemd.collector import SystemdSettings
from collectors.systemd.tests.recorded_systemd import Systemctl, Watched, speakable
from collectors.systemd.values import Unit
from rscollector.api import Context, Misconfigured, Unavailable
from rscollector.testing import FakeContext, Root, collect, values


@pytest.fixture
def watched(tmp_path):
    """Return the collector on a host in trouble."""
    return Watched(Systemctl(), tmp_path)


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a shell script in the place of systemctl; returns a context with the real way to run it."""

    def put(script, timeout=10.0):
        place = tmp_path / "bin" / "systemctl"
        place.parent.mkdir()
        place.write_text(f"#!/bin/sh\n{script}\n")
        place.chmod(0o755)
        monkeypatch.setenv("PATH", f"{place.parent}:{os.environ['PATH']}")
        (tmp_path / BOOTED.lstrip("/")).mkdir(parents=True)
        context = Context("main", timeout=timeout, interval=60, agent=1)
        context.root = tmp_path
        return context

    return put


def test_a_host_without_systemd_is_no_place_for_it(tmp_path):
    """A container has nothing to ask, and no systemctl is started to find that out."""
    context = FakeContext(root=Root(tmp_path))
    with pytest.raises(Misconfigured, match="not booted with systemd"):
        collect(Systemd, context=context)
    assert context.ran == []


def test_a_host_without_systemctl_is_said_to_have_none(tmp_path):
    """Somebody has to install it, or to take the collector away."""
    (tmp_path / BOOTED.lstrip("/")).mkdir(parents=True)
    with pytest.raises(Misconfigured, match="cannot run systemctl"):
        collect(Systemd, context=FakeContext(root=tmp_path))


@pytest.mark.parametrize(
    "said",
    [
        "Failed to connect to bus: No such file or directory",
        "Failed to connect to system scope bus via local transport: No such file or directory",
    ],
)
def test_a_host_without_a_bus_says_who_needs_it(program, said, monkeypatch):
    """In the words of 252 and of 257; root, who asks systemd itself, is not sent to look for a bus."""
    context = program(f"echo '{said}' >&2; exit 1")
    for user, hint in (
        (65534, "; a user who is not root needs the system bus"),
        (0, ": systemd itself does not"),
    ):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        with pytest.raises(Unavailable, match=rf"connect to .*{hint}"):
            collect(Systemd, context=context)


def test_a_systemctl_that_hangs_is_killed_and_said_to(program):
    """Before the worker is."""
    with pytest.raises(Unavailable, match=r"did not end in time.*does not answer"):
        collect(Systemd, context=program("sleep 60", timeout=1.0))


def test_timers_that_hang_leave_time_for_the_rest(program):
    """Half of what is left: failures and restarts are told."""
    units = json.dumps([{"unit": "a.service", "load": "loaded", "active": "failed", "sub": "failed"}])
    script = f"""case "$*" in
        *SystemState*) echo SystemState=degraded;;
        list-units*) echo '{units}';;
        list-timers*) sleep 60;;
        *) printf 'Result=oom-kill\\nRestart=no\\nNRestarts=0\\nId=a.service\\n';;
    esac"""
    context = program(script, timeout=4.0)
    samples = collect(Systemd, context=context)
    assert [sample.values for sample in samples if sample.metric.name == "systemd_unit_failure_info"] == [
        ("a.service", "oom-kill")
    ]
    assert context.notes == [
        "missing: timers, and who starts for long (which may be the job of one): systemctl did not end in time, killed"
    ]


@pytest.mark.parametrize(
    "printed",
    [
        b"",
        b"[",
        b'[{"unit":"a.service","load":"loa',
        b"{}",
        b"UNIT LOAD ACTIVE\n",
        b"null",
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_units_that_are_no_list_are_no_answer(watched, printed):
    """Half a list is none: it would be a host with half its units."""
    watched.systemctl.instead[UNITS] = printed
    with pytest.raises(Unavailable, match="printed no list as JSON"):
        watched.tick()


@pytest.mark.parametrize("printed", [b"", b'[{"next":17', b"{}"])
def test_timers_that_are_no_list_cost_the_timers_only(watched, printed):
    """A note has the end of what was printed."""
    watched.systemctl.instead[TIMERS] = printed
    found = watched.tick()
    assert found['systemd_units{state="failed"}'] == 6
    assert not [series for series in found if "timer_" in series]
    assert "list-timers" in watched.context.notes[0]


def test_a_timer_that_is_listed_twice_is_one(watched):
    """Else its series would be there twice, and the second of each be refused."""
    rows = list(watched.systemctl.timers.values())
    watched.systemctl.instead[TIMERS] = json.dumps([*rows, *rows]).encode()
    assert any(name.startswith("systemd_timer_state{") for name in watched.tick())
    assert watched.context.notes == []


def test_rows_that_cannot_be_read_are_counted(watched):
    """All others are told."""
    rows = [
        *watched.systemctl.units.values(),
        {"unit": "x"},
        7,
        None,
        {"unit": 1, "load": 2, "active": 3, "sub": 4},
    ]
    watched.systemctl.instead[UNITS] = json.dumps(rows).encode()
    times = [
        *watched.systemctl.timers.values(),
        {"unit": "x.timer"},
        {"unit": "y.timer", "next": "soon", "last": 0},
    ]
    watched.systemctl.instead[TIMERS] = json.dumps(times).encode()
    found = watched.tick()
    assert found['systemd_units{state="failed"}'] == 6
    assert found['systemd_timer_never_elapses{timer="never.timer"}'] == 1
    assert watched.context.notes == [
        "missing: 4 units in rows of systemctl list-units that cannot be read",
        "missing: 2 timers in rows of systemctl list-timers that cannot be read",
    ]


@pytest.mark.parametrize("never", [0, None, (1 << 64) - 1])
def test_never_is_written_in_three_ways(watched, never):
    """As 0, as null, and as the largest number."""
    watched.systemctl.timer("a.timer", activates="a.service")
    watched.systemctl.timers["a.timer"] |= {"next": never, "last": never}
    assert not [series for series in watched.tick() if "time_seconds" in series and "a.timer" in series]


def test_properties_that_fail_cost_what_they_tell_only(watched):
    """And what was told before is kept."""
    watched.tick()
    watched.systemctl.instead[PROPERTIES] = Unavailable("systemctl failed (exit status 1): Access denied")
    found = watched.tick()
    assert found['systemd_units{state="failed"}'] == 6
    assert found['systemd_unit_failure_info{unit="killed.service",result="signal"}'] == 1
    assert "Access denied" in watched.context.notes[0]


def test_an_answer_that_ends_early_is_noted(watched):
    """What was told before the end counts."""
    watched.systemctl.instead[PROPERTIES] = b"Result=signal\nNRestarts=0\nRestart=no\nId=killed.service\n"
    found = watched.tick()
    assert found['systemd_unit_failure_info{unit="killed.service",result="signal"}'] == 1
    assert watched.context.notes[0].startswith("missing: systemctl show tells nothing of ")


def test_a_unit_that_has_become_another_name_is_no_error(watched):
    """Since units were listed an alias was made of it: what is told then is another's."""
    watched.systemctl.unit("a.service", "failed", "failed")
    watched.systemctl.facts["a.service"]["Id"] = "b.service"
    assert watched.tick()['systemd_unit_state{unit="a.service",systemd_unit_state="failed"}'] == 1


def test_names_of_every_character_are_labels_and_never_options(watched):
    """Those that systemd allows are as they are; others, which no systemctl prints, are one line and are not asked for."""
    allowed = string.ascii_letters + string.digits + r":-_.\@"
    names = [
        f"-{allowed}.service",
        r"-\x2d\x40@a.service",
        "-.service",
        "--help.service",
        "a" * 247 + ".service",
    ]
    odd = [
        "a b.service",
        "a\nb.service",
        "a\x1b[31m.service",
        "*.service",
        "ü.service",
        "a" * 4000,
        "",
        "\udc80.service",
    ]
    for name in (*names, *odd):
        watched.systemctl.unit(name, "failed", "failed", Result="signal")
    samples = watched.samples()
    shown = {sample.values[0] for sample in samples if sample.metric.name == "systemd_unit_state"}
    assert set(names) <= shown
    assert all(label.isprintable() for label in shown)
    (command,) = watched.context.ran[3:]
    assert command[: len(PROPERTIES)] == PROPERTIES
    assert PROPERTIES[-1] == "--"
    assert set(names) <= set(command)
    assert not set(odd) & set(command)


def test_words_that_are_not_known_are_no_failure(watched):
    """A later systemd may have other states."""
    watched.systemctl.manager["SystemState"] = "hibernating\x1b[2J"
    watched.systemctl.unit("a.service", "pondering", "deeply")
    watched.systemctl.unit("b.service", "failed", "failed", Result="new\nreason")
    found = watched.tick()
    assert not [series for series in found if "system_state" in series]
    assert found['systemd_units{state="failed"}'] == 7
    assert "unknown state of systemd: hibernating" in watched.context.notes
    assert "a.service" not in " ".join(found)


def test_numbers_that_are_none_are_absent(watched):
    """And no guess is made of them."""
    watched.systemctl.manager |= {"NJobs": "[not set]", "Version": ""}
    watched.systemctl.unit(
        "a.service", "failed", "failed", NRestarts="-1", InactiveExitTimestampMonotonic="x"
    )
    watched.systemctl.unit("b.service", "failed", "failed", NRestarts="²", Result="")
    found = watched.tick()
    assert "systemd_jobs" not in found
    assert not [series for series in found if "restarts" in series and ('"a.' in series or '"b.' in series)]


def test_a_manager_without_a_state_is_no_answer(watched):
    """Whatever printed that is no systemctl that is known."""
    watched.systemctl.instead[MANAGER] = b"Version=1\n"
    with pytest.raises(Unavailable, match="tells no SystemState"):
        watched.tick()


def test_ten_thousand_units_are_read(program):
    """Two megabytes of JSON are no reason to kill systemctl."""
    context = program(
        """case "$*" in
        *SystemState*) echo SystemState=running;;
        list-units*) awk 'BEGIN { printf "["; for (n = 0; n < 10000; n++) printf "%s{\\"unit\\":\\"u%d.service\\",\\"load\\":\\"loaded\\",\\"active\\":\\"inactive\\",\\"sub\\":\\"dead\\",\\"description\\":\\"%0150d\\"}", n ? "," : "", n, n; print "]" }';;
        list-timers*) echo '[]';;
    esac"""
    )
    samples = collect(Systemd, context=context)
    found = {sample.values: sample.value for sample in samples if sample.metric.name == "systemd_units"}
    assert found["inactive",] == 10_000


def test_settings_that_name_nobody_are_no_pattern_for_all():
    """By default nobody is wanted, and nobody is ignored."""
    collector = Systemd(SystemdSettings())
    collector.open(FakeContext())
    assert "a.service" not in collector._ignored


def test_a_number_too_long_and_a_time_that_never_was_are_none(watched):
    """A count of 5000 digits is no number of restarts; who has never left inactive is not starting since the boot."""
    watched.systemctl.unit("a.service", "failed", "failed", NRestarts="9" * 5000)
    watched.systemctl.unit("b.service", "activating", "start", InactiveExitTimestampMonotonic="0")
    found = watched.tick()
    assert found['systemd_unit_state{unit="a.service",systemd_unit_state="failed"}'] == 1
    assert not [series for series in found if "restarts" in series and '"a.' in series]
    assert not [series for series in found if '"b.service"' in series]


def test_a_unit_that_systemctl_show_complains_of_does_not_hide_the_others(program):
    """It ends with 1 then, and has told of those before."""
    context = program(
        """case "$*" in
        *SystemState*) echo SystemState=running;;
        list-units*) echo '[{"unit":"a.service","load":"loaded","active":"failed","sub":"failed"}]';;
        list-timers*) echo '[]';;
        *) echo Id=a.service; echo Result=oom-kill; exit 1;;
    esac"""
    )
    found = values(collect(Systemd, context=context))
    assert found['systemd_unit_failure_info{unit="a.service",result="oom-kill"}'] == 1


def test_a_word_alone_is_no_property(watched):
    """What has no equals sign tells nothing."""
    watched.systemctl.instead[MANAGER] = b"SystemState\n"
    with pytest.raises(Unavailable, match="tells no SystemState"):
        watched.tick()


@pytest.mark.parametrize("sub", ["auto-restart", "auto-restart-queued"])
def test_later_systemds_have_more_words_for_a_restart_that_waits(sub):
    """None of them is a start that takes long."""
    unit = Unit("a.service", "loaded", "activating", sub)
    assert (unit.waits_for_restart, unit.is_starting) == (True, False)


def test_a_systemd_that_was_executed_anew_meanwhile_is_asked_once_more(program, tmp_path):
    """It ends all connections, as when its package is upgraded: the tick is not lost for that."""
    once = tmp_path / "once"
    context = program(
        f"""if mkdir {once} 2>/dev/null; then
        echo "Failed to get properties: Message recipient disconnected from message bus without replying" >&2; exit 1
        fi
        printf 'Version=257\\nSystemState=running\\nNJobs=0\\n'"""
    )
    assert manager(context).state == "running"


@pytest.mark.parametrize("command", [UNITS, TIMERS])
def test_json_in_colours_is_read_without_them(command, tmp_path):
    """systemctl of 252 and 257 paints JSON where SYSTEMD_COLORS=1 is in the environment (systemd-pilot 16)."""
    plain, painted = (Watched(Systemctl(), tmp_path / each) for each in ("plain", "painted"))
    rows = json.loads(painted.systemctl.answer(command))
    pairs = (",".join(f"{paint(key)}:{paint(value)}" for key, value in row.items()) for row in rows)
    painted.systemctl.instead[command] = f"[{','.join(f'{{{each}}}' for each in pairs)}]".encode()
    assert painted.tick() == plain.tick()
    assert painted.context.notes == []


def paint(value):
    """Return a value in JSON as systemctl paints it."""
    return f"\x1b[0;32m{json.dumps(value)}\x1b[0m"


def test_a_mount_whose_path_is_no_utf8_costs_the_mounts_only(watched):
    """systemd 252 then refuses to list units at all (systemd 36206): others are asked for by their kinds."""
    refusal = "systemctl failed (exit status 1): Failed to list units: Invalid argument"
    watched.systemctl.instead[UNITS] = Unavailable(refusal)
    found = watched.tick()
    left = [row for name, row in watched.systemctl.units.items() if speakable(name)]
    assert 0 < len(left) < len(watched.systemctl.units)
    assert found['systemd_units{state="active"}'] == sum(row["active"] == "active" for row in left)
    assert 'systemd_unit_failure_info{unit="broken.service",result="exit-code"}' in found
    assert "36206" in watched.context.notes[0]
    watched.systemctl.instead[UNITS] = Unavailable("systemctl failed (exit status 1): Access denied")
    with pytest.raises(Unavailable, match="Access denied"):
        watched.tick()
