"""This host watched by the agent, beside prometheus-node-exporter with the same collectors, in the same run."""

import os
import time

import bench
import steps
from bench import Row
from harness import free_port, until
from memory import DEFAULT, used_by
from scrape import asked

from collectors.filesystem import Filesystem
from collectors.host import Host
from rscollector.api import Context
from rscollector.runtime.foreground import settings_of

AGENT = """
[web]
listen = ["127.0.0.1:{port}"]
[agent]
interval = "500ms"
[collector.agent.main]
interval = "15s"
"""
BOTH = "[collector.host.main]\n[collector.filesystem.main]\n"
EXPORTER = "prometheus-node-exporter"
SAME = ("conntrack", "cpu", "diskstats", "entropy", "filefd", "filesystem", "loadavg", "mdadm", "meminfo", "netstat",
        "pressure", "sockstat", "softnet", "stat", "timex", "vmstat")  # fmt: skip
ROUNDS = 120
PERIOD = 0.5
TICKS = 500


def rows():
    """Collect and scrape twice a second, both, and compare CPU, series and time; then steps and memory."""
    port, theirs = free_port(), free_port()
    command = [EXPORTER, f"--web.listen-address=127.0.0.1:{theirs}", "--collector.disable-defaults"]
    command += ["--web.disable-exporter-metrics", *(f"--collector.{name}" for name in SAME)]
    with bench.running(command) as (exporter,):
        until(lambda: bench.listening(theirs))
        with bench.agent(AGENT.format(port=port)) as agent:
            bare = _cpu_while_asked(agent, port, exporter, theirs)
        with bench.agent(AGENT.format(port=port) + BOTH) as agent:
            yield from _compared(agent, port, exporter, theirs, bare)
    config = AGENT.format(port=port) + BOTH
    shown = (b"host_boot_time_seconds", b"filesystem_size_bytes{")
    what, took = steps.longest(
        config, port, lambda page: all(each in page for each in shown), ROUNDS // 2, PERIOD
    )
    yield Row("Host and filesystem: longest step of the loop, CPU", took, "ms", what, aim=5)
    yield Row(
        "memory: the default configuration with host and filesystem", used_by(DEFAULT + BOTH), "MB", aim=48
    )


def _compared(agent, port, exporter, theirs, bare):
    until(lambda: all(each["up"] for each in agent.status()["collectors"]))
    whole, other, paced = _cpu_while_asked(agent, port, exporter, theirs)
    beside = f"{EXPORTER} {other:.3g} ms per scrape"
    for plugin in (Host, Filesystem):
        mine = _collect(plugin)
        yield Row(
            f"Host and filesystem: CPU of one collect of {plugin.__name__.lower()}",
            mine,
            "ms",
            beside,
            mine / other,
        )
    yield Row(
        "Host and filesystem: CPU of an agent that has neither, per scrape",
        bare[0],
        "ms",
        beside,
        bare[0] / other,
    )
    what = "Host and filesystem: CPU per tick, agent and workers, a scrape included"
    yield Row(what, whole, "ms", beside, whole / other, 1)
    yield paced.row(
        "Host and filesystem: time of a scrape, twice a second", EXPORTER, paced.median(EXPORTER), None
    )
    until(lambda: all(each["up"] for each in agent.status()["collectors"]))
    mine = _series(bench.fetched(port), (b"host_", b"filesystem_"))
    for which, others, aim in (
        ("the default", _default_series(), 1 / 3),
        ("the same", _series(bench.fetched(theirs), b"node_"), None),
    ):
        beside = f"{EXPORTER}, {which} collectors: {others}"
        yield Row("Host and filesystem: series", mine, "", beside, mine / others, aim)


def _default_series():
    port = free_port()
    with bench.running(
        [EXPORTER, f"--web.listen-address=127.0.0.1:{port}", "--web.disable-exporter-metrics"]
    ):
        until(lambda: bench.listening(port))
        return _series(bench.fetched(port), b"node_")


def _cpu_while_asked(agent, port, exporter, theirs):
    """Return the ms of CPU per scrape of the agent's processes and of the exporter, and what the client saw."""
    bench.settled(5)
    family = bench.descendants(agent.process.pid)[:4]  # those that live on: agent and workers
    before = _cpu(family), _cpu([exporter])
    paced = asked({port: "agent", theirs: EXPORTER}, ROUNDS, 1, PERIOD, "identity")
    return *(
        (_cpu(each) - was) / ROUNDS * 1e3 for each, was in zip((family, [exporter]), before, strict=True)
    ), paced


def _cpu(pids):
    return sum(bench.cpu_seconds(pid, reaped=True) for pid in pids)


def _collect(plugin):
    """Return the ms of CPU of one collect in this process, with that of what it runs."""
    collector = plugin(settings_of(plugin, {}, None))
    collector.open(_context())
    list(collector.collect(_context()))
    began = _used()
    for _ in range(TICKS):
        list(collector.collect(_context()))
    took = (_used() - began) / TICKS * 1e3
    collector.close()
    return took


def _context():
    return Context("main", timeout=30, interval=15, agent=os.getpid())


def _used():
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _series(page, prefix):
    return sum(line.startswith(prefix) for line in page.splitlines())
