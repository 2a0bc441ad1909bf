"""Virtual addresses on a host that has few or many, beside `ip -j addr` and node_exporter: in a network namespace."""

import os
import random
import resource
import subprocess
import time
from ipaddress import ip_address

import bench
from bench import Row
from harness import free_port, until
from netns import namespace

from collectors.vip import Vip
from collectors.vip.wanted import VipSettings
from rscollector.api import Context, IpAddress

WATCHED = [f"192.0.2.{number}" for number in range(1, 11)]
MANY = 5000
AGENT = """
[web]
listen = []
[agent]
interval = "{interval}"
[collector.vip.main]
"""
CASES = {
    "ten of them watched": f"addresses = {WATCHED}\n",
    "all of them shown": f"max_series = {4 * MANY}\n",
}
EXPORTER = "prometheus-node-exporter"
OWN_SYSFS = ("unshare", "--mount", "sh", "-c", 'mount -t sysfs sysfs /sys && exec "$@"', "sh")
"""What is in /sys/class/net is of the network namespace in which it was mounted."""
TICKS = 100
INTERVAL = 2
EVENTS = 20
TICK = 0.1


def rows():
    """Have ten addresses, then five thousand more; watch ten of them, and show all that there are."""
    with namespace() as net:
        net.batch(f"address add {each}/32 dev a0" for each in WATCHED)
        few = {what: _memory_of_worker(net, more) for what, more in CASES.items()}
        yield from _idle_ticks(net, len(WATCHED))
        yield Row(f"VIP: changes of {EVENTS} that the metrics do not show a tick later", *_unseen(net))
        net.batch(f"address add {ip_address('10.0.0.1') + each}/32 dev a0" for each in range(MANY))
        yield from _idle_ticks(net, MANY + len(WATCHED))
        for (what, more), aim in zip(CASES.items(), (1, None), strict=True):
            added = _memory_of_worker(net, more) - few[what]
            beside = f"with ten {few[what]:.3g} MB"
            yield Row(
                f"VIP: memory of the worker, {MANY:,} addresses more on the host, {what}",
                added,
                "MB",
                beside,
                aim=aim,
            )


def _memory_of_worker(net, more):
    """Return the MB of a worker that has only this collector, after some ticks."""
    with bench.agent(AGENT.format(interval="500ms") + more, net.enter) as agent:
        until(lambda: _runs(agent) > TICKS // 4)
        return bench.proportional_memory(bench.descendants(agent.process.pid)[1:])


def _runs(agent):
    found = agent.metrics("rscollector_collector_runs_total").items()
    return sum(value for (_, labels), value in found if ("type", "vip") in labels)


def _idle_ticks(net, number):
    """Yield the CPU of a tick in which nothing has changed, beside that of the others."""
    other, exporter = _ip(net), _netclass(net)
    for what, listed in zip(CASES, (WATCHED, ()), strict=True):
        mine = _tick(net, listed)
        beside = f"ip -j addr {other:.3g} ms, {EXPORTER}'s netclass {exporter:.3g} ms"
        yield Row(
            f"VIP: CPU of an idle tick, {number:,} addresses on the host, {what}",
            mine,
            "ms",
            beside,
            mine / other,
        )


def _tick(net, listed):
    collector = Vip(VipSettings(addresses=tuple(map(IpAddress, listed))))
    with net.inside():
        collector.open(_context())
        for _ in range(2):
            list(collector.collect(_context()))
        began = time.process_time()
        for _ in range(TICKS):
            list(collector.collect(_context()))
        took = time.process_time() - began
    collector.close()
    return took / TICKS * 1e3


def _context():
    return Context("main", timeout=10, interval=15, agent=os.getpid())


def _ip(net):
    with net.inside():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(TICKS):
            subprocess.run(["ip", "-j", "addr"], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / TICKS * 1e3


def _netclass(net):
    port = free_port()
    switches = ("--collector.disable-defaults", "--collector.netclass", "--web.disable-exporter-metrics")
    command = [*net.enter, *OWN_SYSFS, EXPORTER, *switches, f"--web.listen-address=127.0.0.1:{port}"]
    with bench.running(command) as (exporter,), net.inside():
        until(lambda: bench.listening(port))
        assert b'device="a0"' in bench.fetched(port)
        before = bench.cpu_seconds(exporter)
        for _ in range(TICKS):
            bench.fetched(port)
        return (bench.cpu_seconds(exporter) - before) / TICKS * 1e3


def _unseen(net):
    """Return how many changes are not on the page a tick after they came to be, and what that is measured with."""
    unseen = 0
    with bench.agent(AGENT.format(interval=f"{INTERVAL}s") + next(iter(CASES.values())), net.enter) as agent:
        until(lambda: agent.value("vip_bound", address=WATCHED[0]) == 1)
        for number in range(EVENTS):
            time.sleep(random.uniform(1, 1 + INTERVAL))
            net.ip("address", ("del", "add")[number % 2], f"{WATCHED[0]}/32", "dev", "a0")
            time.sleep(INTERVAL + TICK)
            unseen += agent.value("vip_bound", address=WATCHED[0]) != number % 2
    return unseen, "", f"one of {INTERVAL} s, and {TICK} s for it", None, 0
