"""What a run of the collector systemd costs an agent, worker and systemctl included, as JSON: for `units`, in a booted Debian.

Nothing is imported that a bare host does not have.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PORT = 9998
AGENT = """
[web]
listen = ["127.0.0.1:{port}"]
[collector.systemd.main]
interval = "{interval}"
"""
FOUND = "[rscollector.collectors]\nsystemd = collectors.systemd:Systemd\n"
SECONDS = 40.0
RUNS = re.compile(r'^rscollector_collector_runs_total\{[^}]*type="systemd"[^}]*\} ([0-9.e+]+)$', re.MULTILINE)


def main(user):
    """Run it each second for some time, and not at all for as long; print the difference for a run in ms."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    busy, runs = measured("1s")
    idle, none = measured("1d")
    told = {part: 1e3 * (busy[part] - idle[part]) / (runs - none) for part in busy}
    print(json.dumps({**told, "runs": runs}))


def measured(interval):
    """Return the seconds of CPU of the agent's process, of its worker, and of systemctl; and the runs meanwhile."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory, "rscollector.toml")
        config.write_text(AGENT.format(port=PORT, interval=interval))
        package = Path(directory, "rscollector_systemd-1.0.dist-info")
        package.mkdir()
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: rscollector-systemd\nVersion: 1.0\n")
        (package / "entry_points.txt").write_text(FOUND)
        env = {**os.environ, "RUNTIME_DIRECTORY": directory, "STATE_DIRECTORY": directory}
        env["PYTHONPATH"] += f":{directory}"
        command = [sys.executable, "-m", "rscollector.cli.main", "run", "-c", str(config)]
        with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as agent:
            try:
                return while_it_runs(agent.pid)
            finally:
                agent.send_signal(signal.SIGTERM)


def while_it_runs(pid):
    """Return what it takes once the first run is over, which asks for all services."""
    while runs() < 1:
        time.sleep(0.1)
    time.sleep(5)
    (worker,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    counted, before = runs(), spent(pid, worker)
    time.sleep(SECONDS)
    after = spent(pid, worker)
    return {part: after[part] - before[part] for part in after}, runs() - counted


def runs():
    """Return how many runs there were."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=10) as page:
            return sum(map(float, RUNS.findall(page.read().decode())))
    except OSError:
        return 0.0


def spent(pid, worker):
    """Return the seconds of CPU that were used by the agent's process, by the worker, and by what that has reaped."""
    ticks = os.sysconf("SC_CLK_TCK")
    own, its = ([int(each) / ticks for each in stat(each)] for each in (pid, worker))
    return {"agent": sum(own[:2]), "worker": sum(its[:2]), "systemctl": sum(its[2:])}


def stat(pid):
    """Return user and system time of a process, and of its children, in ticks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]


main(int(sys.argv[1]))
