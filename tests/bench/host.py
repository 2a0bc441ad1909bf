"""This host watched by the agent, beside prometheus-node-exporter with the same collectors, in the same run."""

import os
import time

import bench
from bench import Row
from harness import free_port, until
from scrape import asked

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
WITH_HOST = "[collector.host.main]\n"
EXPORTER = "prometheus-node-exporter"
SAME = ("conntrack", "cpu", "diskstats", "entropy", "filefd", "loadavg", "mdadm", "meminfo", "netstat", "pressure",
        "sockstat", "softnet", "stat", "timex", "vmstat")  # fmt: skip
ROUNDS = 200
PERIOD = 0.5
TICKS = 500


def rows():
    """Collect and scrape twice a second, both, and compare CPU, series and memory."""
    ours, theirs = free_port(), free_port()
    command = [EXPORTER, f"--web.listen-address=127.0.0.1:{theirs}", "--collector.disable-defaults"]
    command += ["--web.disable-exporter-metrics", *(f"--collector.{name}" for name in SAME)]
    with bench.running(command) as (exporter,):
        until(lambda: bench.listening(theirs))
        with bench.agent(AGENT.format(port=ours)) as agent:
            bench.settled(5)
            without = _local_worker(agent)
        with bench.agent(AGENT.format(port=ours) + WITH_HOST) as agent:
            until(lambda: _is_up(agent))
            yield from _measured(agent, ours, exporter, theirs)
            until(lambda: _is_up(agent))
            added = _local_worker(agent) - without
        yield Row("Host: memory that it adds to the worker of local collectors", added, "MB")


def _measured(agent, ours, exporter, theirs):
    bench.settled(5)
    family = bench.descendants(agent.process.pid)
    cpu = [sum(map(bench.cpu_seconds, family)), bench.cpu_seconds(exporter)]
    collected = _collections(agent)
    paced = asked({ours: "agent", theirs: EXPORTER}, ROUNDS, 1, PERIOD, "identity")
    collected = _collections(agent) - collected
    whole = (sum(map(bench.cpu_seconds, family)) - cpu[0]) / collected * 1e3
    other = (bench.cpu_seconds(exporter) - cpu[1]) / ROUNDS * 1e3
    beside = f"{EXPORTER} {other:.3g} ms per scrape"
    mine = _collect()
    yield Row("Host: CPU of one collect", mine, "ms", beside, mine / other)
    what = "Host: CPU per collection, agent and workers, its scrape included"
    yield Row(what, whole, "ms", beside, whole / other)
    yield paced.row("Host: time of a scrape, twice a second", EXPORTER, paced.median(EXPORTER), None)
    until(lambda: _is_up(agent))
    mine, others = _series(bench.fetched(ours), b"host_"), _series(bench.fetched(theirs), b"node_")
    yield Row("Host: series", mine, "", f"{EXPORTER} {others}", mine / others)


def _is_up(agent):
    return all(each["up"] for each in agent.status()["collectors"])


def _collect():
    """Return the milliseconds of CPU of one collect in this process, what it runs included."""
    collector = Host(settings_of(Host, {}, None))
    collector.open(_context())
    collector.collect(_context())
    began = _used()
    for _ in range(TICKS):
        collector.collect(_context())
    return (_used() - began) / TICKS * 1e3


def _context():
    return Context("main", timeout=30, interval=15, agent=os.getpid())


def _used():
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _collections(agent):
    found = agent.metrics().items()
    return sum(
        value
        for (name, labels), value in found
        if name == "rscollector_collector_runs_total" and ("type", "host") in labels
    )


def _local_worker(agent):
    return bench.proportional_memory(bench.descendants(agent.process.pid)[1:])


def _series(page, prefix):
    return sum(line.startswith(prefix) for line in page.splitlines())
