"""The collector systemd on booted hosts, as the package's user: what it tells is what systemctl says in the same moment."""

import json
import os
import re
import signal
import time

import pytest
from harness import until
from hosts import ROOT, watched
from test_host import configure

pytestmark = [
    pytest.mark.needs("mmdebstrap", "systemd-nspawn", "root"),
    pytest.mark.timeout(900),
]
EACH_SECOND = '[collector.systemd.main]\ninterval = "1s"\ntimeout = "10s"\n'
FLAPPING = "systemd_unit_restarts_total", "flapping.service"
SERIES = re.compile(r"^(systemd_\w+)\{(.*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def series(host):
    """Return the collector's series: {(name, value of the label): value}, of states only the one that is."""
    found = {}
    for name, labels, value in SERIES.findall(host.fetch()):
        told = {label: text.replace("\\\\", "\\") for label, text in LABEL.findall(labels)}
        state = told.pop(name, "")
        del told["name"]
        if not state:
            found[name, *sorted(told.values())] = float(value)
        elif float(value):
            found[name, *told.values()] = state
    return found


def listed(host, *command):
    """Return the rows of one of systemctl's tables, by unit."""
    rows = json.loads(host.run("systemctl", *command, "--all", "--output=json").stdout)
    return {row["unit"]: row for row in rows}


def trouble(host):
    """Have units in every kind of trouble, and a collector that is asked each second."""
    host.copy(ROOT / "collectors/systemd/tests/scene.sh", "/root/scene.sh")
    host.run("sh", "/root/scene.sh")
    configure(host, EACH_SECOND)
    until(lambda: host.show("ActiveState", "lost.timer") == "failed", 60)
    until(lambda: ("systemd_unit_failure_info", "lost.timer", "resources") in series(host), 60)


def test_it_tells_what_systemctl_says(boot, installed):
    """A unit that is restarted for ever, timers that fail, units that are failed for this and that; by an unprivileged user."""
    host = boot(installed)
    watched(host)
    trouble(host)

    def failed_units_agree():
        said = {
            (name, host.show("Result", name))
            for name, row in listed(host, "list-units").items()
            if row["active"] == "failed"
        }
        told = {key[1:] for key in series(host) if key[0] == "systemd_unit_failure_info"}
        return len(said) >= 6 and said == {
            tuple(sorted(each, key=lambda text: "." not in text)) for each in told
        }

    def counts_agree():
        rows, told = listed(host, "list-units").values(), series(host)
        return all(
            told["systemd_units", state] == sum(row["active"] == state for row in rows)
            for state in ("active", "inactive", "failed", "activating", "deactivating")
        )

    def timers_agree():
        told = series(host)
        return all(
            told.get((f"systemd_timer_{key}_time_seconds", name)) == (row[key] / 1e6 if row[key] else None)
            for name, row in listed(host, "list-timers").items()
            for key in ("next", "last")
        )

    until(failed_units_agree, 60)
    until(counts_agree, 60)
    until(timers_agree, 60)
    state = host.run("systemctl", "is-system-running", check=False).stdout.strip()
    assert series(host)["systemd_system_state",] == state == "degraded"


def test_a_unit_that_is_restarted_for_ever_is_counted(boot, installed):
    """Its count is between what systemctl says before and after, and goes on; `--failed` does not have it."""
    host = boot(installed)
    watched(host)
    trouble(host)
    for _ in range(3):
        before = int(host.show("NRestarts", "flapping"))
        until(lambda: series(host).get(FLAPPING, 0) > before, 60)  # noqa: B023
        count = series(host)[FLAPPING]
        assert before < count <= int(host.show("NRestarts", "flapping"))
    assert host.show("ActiveState", "flapping") != "failed"
    host.run("systemctl", "stop", "flapping")
    until(lambda: series(host)["systemd_unit_state", "flapping.service"] == "inactive", 60)
    host.shell("sed -i 's,^ExecStart=.*,ExecStart=/bin/sleep infinity,' /etc/systemd/system/flapping.service")
    host.shell("systemctl daemon-reload; systemctl start flapping")
    until(lambda: series(host)["systemd_unit_state", "flapping.service"] == "active", 60)
    until(lambda: series(host)[FLAPPING] == 0, 60)


def test_units_that_hang_in_starting_and_jobs_that_do_not_end_are_told_with_the_time(boot, installed):
    """By the clock that systemd uses; a unit after a minute, a timer's job at once, and as a timer's."""
    host = boot(installed)
    watched(host)
    trouble(host)
    since = {name: int(host.show("InactiveExitTimestampMonotonic", name)) / 1e6 for name in ("stuck", "busy")}
    until(lambda: ("systemd_unit_starting_seconds", "stuck.service") in series(host), 90)
    for key, name in (
        (("systemd_unit_starting_seconds", "stuck.service"), "stuck"),
        (("systemd_timer_running_seconds", "busy.timer"), "busy"),
    ):
        asked = time.monotonic()
        until(lambda: series(host)[key] >= asked - since[name], 30)  # noqa: B023
        assert series(host)[key] <= time.monotonic() - since[name]
    told = series(host)
    assert ("systemd_unit_state", "busy.service") not in told
    assert ("systemd_unit_state", "after.service") not in told
    assert told["systemd_timer_never_elapses", "never.timer"] == 1
    assert told["systemd_timer_never_elapses", "once.timer"] == 0
    collect = ("rscollector", "collect", "systemd", "--explain", "--timeout", "60")
    explained = host.run("runuser", "-u", "rscollector", "--", *collect)
    for sentence in (
        "lost.timer is failed: systemd could not do what starting it takes",
        "flapping.service has been restarted by systemd ",
        "stuck.service has been starting for ",
        "never.timer is active, has not elapsed since it was started, and never will",
    ):
        assert sentence in explained.stdout


def test_a_systemd_that_hangs_or_has_no_bus_is_said_to(boot, installed):
    """Others go on meanwhile, and it comes back by itself."""
    host = boot(installed)
    watched(host)
    configure(host, EACH_SECOND + 'backoff_max = "1s"\n')
    up = 'rscollector_collector_up{name="main",type="systemd"} 1'
    until(lambda: up in host.fetch(), 30)
    assert ("systemd_system_state",) in series(host)

    def reason():
        return host.run("rscollector", "status", check=False).stdout

    os.kill(host._first, signal.SIGSTOP)
    try:
        until(lambda: "systemd, or the system bus, does not answer" in reason(), 60)
        assert up not in host.fetch()
        assert 'rscollector_collector_up{name="main",type="agent"} 1' in host.fetch()
    finally:
        os.kill(host._first, signal.SIGCONT)
    until(lambda: up in host.fetch(), 60)
    host.shell("mv /run/dbus/system_bus_socket /run/dbus/away")
    until(lambda: "a user who is not root needs the system bus" in reason(), 60)
    host.shell("mv /run/dbus/away /run/dbus/system_bus_socket")
    until(lambda: up in host.fetch(), 60)
