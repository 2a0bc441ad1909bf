"""What a collect of the collector systemd costs on the host that this runs on, as JSON: for `units`, in a booted Debian.

Nothing is imported that a bare host does not have.
"""

import json
import os
import resource
import sys
from pathlib import Path
from statistics import median

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
    first, samples = tick(collector)
    before = cpu(1)
    plain = [tick(collector)[0] for _ in range(TICKS)]
    init = (cpu(1) - before) / TICKS
    listing = []
    for _ in range(TICKS):
        collector._timetable.forget()
        listing.append(tick(collector)[0])
        tick(collector)
    told = {
        "cpu": median(map(sum, plain)),
        "own": median(own for own, _ in plain),
        "listing": median(map(sum, listing)),
        "first": sum(first),
        "init": init,
        "series": sum(each.metric.width for each in samples),
        "units": int(sum(each.value for each in samples if each.metric.name == "systemd_units")),
    }
    print(json.dumps(told))


def tick(collector):
    """Return the CPU that a collect takes, and its samples."""
    began = spent()
    samples = collector.collect(context())
    return [after - before for before, after in zip(began, spent(), strict=True)], samples


def context():
    """Return what a collect is told."""
    return Context("main", timeout=30, interval=60, agent=os.getpid())


main(int(sys.argv[1]))
