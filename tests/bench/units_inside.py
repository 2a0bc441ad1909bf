"""What a collect of the collector systemd costs on the host that this runs on, as JSON: for `units`, in a booted Debian.

Nothing is imported that a bare host does not have.
"""

import json
import os
import resource
import sys
from pathlib import Path

from collectors.systemd import Systemd
from collectors.systemd.collector import SystemdSettings
from rscollector.api import Context

TICKS = 30


def spent():
    """Return the CPU of this process and of those that it has started, in ms."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return [1e3 * (each.ru_utime + each.ru_stime) for each in used]


def cpu(pid):
    """Return the CPU that a process has used itself, in ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) * 1e3 / os.sysconf("SC_CLK_TCK")


def main(user):
    """Collect some times as a user, and print the medians."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    collector = Systemd(SystemdSettings())
    collector.open(context())
    took, samples, before = [], [], 0.0
    for tick in range(TICKS + 1):
        if tick == 1:
            before = cpu(1)
        began = spent()
        samples = collector.collect(context())
        took.append([after - before for before, after in zip(began, spent(), strict=True)])
    first, *others = took
    told = {
        "cpu": sorted(map(sum, others))[TICKS // 2],
        "own": sorted(own for own, _ in others)[TICKS // 2],
        "first": sum(first),
        "init": (cpu(1) - before) / TICKS,
        "series": sum(each.metric.width for each in samples),
        "units": int(sum(each.value for each in samples if each.metric.name == "systemd_units")),
    }
    print(json.dumps(told))


def context():
    """Return what a collect is told."""
    return Context("main", timeout=30, interval=60, agent=os.getpid())


main(int(sys.argv[1]))
