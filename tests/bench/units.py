"""Units of systemd: what a run costs agent and systemctl, and systemd itself; beside prometheus-node-exporter's systemd.

Wants root: each Debian is booted, from a tree like those of `tests/packaging`. `python tests/bench units` prints the rows.
"""

import json
import sys

from bench import HERE, Row
from harness import until

sys.path.append(str(HERE.parent / "packaging"))

from hosts import ROOT, Host
from trees import RELEASES, _tree

UNITS = 300
PACKAGES = "systemd,systemd-sysv,dbus,procps,curl,prometheus-node-exporter," + ",".join(
    f"python3{each}"
    for each in ("", "-h11", "-jinja2", "-netifaces", "-prometheus-client", "-psutil", "-starlette", "-yaml")
)
NOBODY = 65534
SCRAPES = 20
EXPORTER = "prometheus-node-exporter"
SWITCHES = (
    "--web.listen-address=127.0.0.1:9999 --web.disable-exporter-metrics --collector.disable-defaults "
    "--collector.systemd --collector.systemd.enable-restarts-metrics"
)
MAKE = """
cd /etc/systemd/system
for n in $(seq 10); do
  printf '[Timer]\\nOnCalendar=daily\\n' >load$n.timer
  printf '[Service]\\nType=oneshot\\nExecStart=/bin/true\\n' >load$n.service
done
systemctl daemon-reload
systemctl start $(seq -f load%g.timer 10)
have=$(systemctl list-units --all --plain --no-legend | wc -l)
for n in $(seq $((UNITS - have))); do
  restart=$([ $((n % 3)) = 0 ] && echo always || echo no)
  printf "[Service]\\nExecStart=/bin/sleep infinity\\nRestart=$restart\\n" >load-$n.service
done
systemctl daemon-reload
systemctl start $(seq -f load-%g.service $((UNITS - have)))
"""
TROUBLE = """
cd /etc/systemd/system
for n in $(seq 10); do
  printf '[Service]\\nExecStart=/bin/false\\n' >failed$n.service
  printf '[Unit]\\nStartLimitIntervalSec=0\\n[Service]\\nExecStart=/bin/false\\nRestart=always\\nRestartSec=1s\\n' >flaps$n.service
done
systemctl daemon-reload
systemctl start --no-block $(seq -f failed%g.service 10) $(seq -f flaps%g.service 10)
"""


def rows():
    """Measure a host with 300 units, all well; then with twenty more that are failed or restarted for ever."""
    for release in RELEASES:
        host = Host(_tree(release, PACKAGES), f"--bind-ro={ROOT}")
        try:
            host.wait_for_the_boot()
            yield from _of(host)
        finally:
            host.stop()


def _of(host):
    host.shell(f"systemctl disable --now {EXPORTER}\nUNITS={UNITS}\n{MAKE}")
    version = host.run("systemctl", "--version").stdout.split()[1]
    beside, told = _exporter(host), _measured(host, "units_inside.py")
    name = f"systemd {version}: {told['units']} units"
    yield from _costs(name, told, _measured(host, "units_agent.py"), f"{beside['cpu']:.3g} ms per scrape")
    yield Row(f"{name}, of that the collector's own process", told["own"], "ms")
    yield Row(
        f"{name}, CPU of systemd itself for it", told["init"], "ms", f"{beside['init']:.3g} ms per scrape"
    )
    yield Row(f"{name}, CPU of the first collect, which asks for a hundred services", told["first"], "ms")
    ratio = told["series"] / beside["series"]
    yield Row(f"{name}, series", told["series"], "", f"{EXPORTER} {beside['series']}", ratio)
    host.shell(TROUBLE)
    name = f"{name}, ten more are failed and ten flap"
    yield from _costs(name, _measured(host, "units_inside.py"), _measured(host, "units_agent.py"))


def _costs(name, told, agent, scrape=""):
    """Yield what a collect costs, and what a run of it costs an agent: its process and the worker's telling are in that."""
    beside = scrape and f"{EXPORTER} {scrape}"
    yield Row(f"{name}, CPU of a collect and of systemctl", told["cpu"], "ms", beside)
    whole = agent["agent"] + agent["worker"] + agent["systemctl"]
    yield Row(f"{name}, CPU of a run: agent, worker and systemctl", whole, "ms", beside, None, 40)
    more = whole - told["cpu"]
    yield Row(f"{name}, of one that lists the timers", told["listing"] + more, "ms", "", None, 40)


def _measured(host, script):
    """Return what a script tells that runs on the host, as JSON."""
    return json.loads(host.run("env", f"PYTHONPATH={ROOT}", "python3", HERE / script, NOBODY).stdout)


def _exporter(host):
    """Return the CPU of node_exporter's scrape in ms, what systemd takes for it, and the series."""
    host.shell(f"systemd-run --unit=exporter --uid={NOBODY} {EXPORTER} {SWITCHES}")
    until(lambda: host.fetch(port=9999))
    pid = host.show("MainPID", "exporter")

    def used():
        return [_ms(host.shell(f"cat /proc/{each}/stat")) for each in (pid, 1)]

    before = used()
    pages = [host.fetch(port=9999) for _ in range(SCRAPES)]
    took, init = ((after - began) / SCRAPES for began, after in zip(before, used(), strict=True))
    host.run("systemctl", "stop", "exporter")
    series = sum(line.startswith("node_systemd") for line in pages[-1].splitlines())
    return {"cpu": took, "init": init, "series": series}


def _ms(stat):
    """Return the CPU that a process has used itself, by its line in /proc, in ms."""
    return sum(map(int, stat.rpartition(")")[2].split()[11:13])) * 10.0
