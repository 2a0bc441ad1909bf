"""Network interfaces, few and many, beside prometheus-node-exporter's netdev, netclass and bonding, in one run.

Wants root: the interfaces are in a network namespace. `python tests/bench network` prints the rows.
"""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path

import bench
from bench import Row
from harness import free_port, until
from netns import namespace

from collectors.network import Network
from collectors.network.tests.installed import search_path
from rscollector.api import Context
from rscollector.runtime.foreground import settings_of

AGENT = """
[web]
listen = []
[agent]
isolation = "shared"
interval = "500ms"
[collector.network.main]
"""
EXPORTER = "prometheus-node-exporter"
SAME = ("netdev", "netclass", "bonding")
TICKS = 40
SCRAPES = 20
SECONDS = 15
FRAME = bytes.fromhex("ffffffffffff02000000000188b5") + bytes(60)


def rows():
    """Measure a host with four interfaces, then one with 501."""
    with namespace() as net:
        net.ip("link", "add", "c0", "type", "dummy" if _has("dummy") else "ifb")
        yield from _reading(net, 4, aim=1)
    with namespace() as net:
        net.batch([f"link add p{number} type veth peer name q{number}" for number in range(249)])
        net.batch([f"link set {end}{number} up" for number in range(249) for end in "pq"])
        yield from _reading(net, 501, aim=8)
        yield from _agent(net)


def _has(kind):
    done = subprocess.run(
        ["unshare", "--net", "ip", "link", "add", "x", "type", kind], capture_output=True, check=False
    )
    return done.returncode == 0


def _reading(net, number, aim):
    """Yield the CPU of a collect, and of node_exporter's scrape."""
    collector = Network(settings_of(Network, {}, None))
    with net.inside(), closing(_Wires()) as wires:
        collector.open(_context())
        collector.collect(_context())
        assert len(collector._shown) >= number
        idle, _ = _cpu(collector, lambda: None)
        busy, series = _cpu(collector, wires.send)
    beside, theirs = _exporter(net)
    told = f"{EXPORTER} {beside:.3g} ms per scrape"
    yield Row(
        f"Network: {number} interfaces, CPU of a collect while nothing comes", idle, "ms", told, None, aim
    )
    yield Row(
        f"Network: {number} interfaces, CPU of a collect, each has counted", busy, "ms", told, None, aim
    )
    yield Row(f"Network: {number} interfaces, series", series, "", f"{EXPORTER} {theirs}", series / theirs)


def _cpu(collector, provoke):
    """Return the milliseconds of CPU of a collect, the median, and how many series it has."""
    took = []
    for _ in range(TICKS):
        provoke()
        context = _context()
        began = time.process_time()
        samples = collector.collect(context)
        took.append((time.process_time() - began) * 1e3)
    return sorted(took)[TICKS // 2], sum(each.metric.width for each in samples)


class _Wires:
    """A socket for each cable, by which both of its ends count a frame."""

    def __init__(self):
        self._sockets = []
        for name in sorted(name for _, name in socket.if_nameindex()):
            if name[0] in "pa":
                self._sockets.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
                self._sockets[-1].bind((name, 0))

    def send(self):
        for each in self._sockets:
            each.send(FRAME)

    def close(self):
        for each in self._sockets:
            each.close()


def _context():
    return Context("main", timeout=30, interval=15, agent=os.getpid())


def _exporter(net):
    """Return the milliseconds of CPU of a scrape of node_exporter in the namespace, and its series."""
    port = free_port()
    switches = " ".join(f"--collector.{name}" for name in SAME)
    exporter = f"{EXPORTER} --web.listen-address=127.0.0.1:{port} --collector.disable-defaults {switches}"
    command = f"mount -t sysfs sysfs /sys && exec {exporter} --web.disable-exporter-metrics"
    curl = [*net.enter, "curl", "--silent", f"http://127.0.0.1:{port}/metrics"]

    def page():
        return subprocess.run(curl, capture_output=True, timeout=60, check=False).stdout

    with bench.running([*net.enter, "unshare", "--mount", "sh", "-c", command]) as (pid,):
        until(page)
        began = bench.cpu_seconds(pid)
        series = [sum(line.startswith(b"node_") for line in page().splitlines()) for _ in range(SCRAPES)][-1]
        return (bench.cpu_seconds(pid) - began) / SCRAPES * 1e3, series


def _agent(net):
    """Yield what the agent's own process takes for it, and the longest step of its loop, while frames come."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory, "rscollector.toml")
        config.write_text(AGENT)
        environment = {**bench.environment(), "RUNTIME_DIRECTORY": directory}
        environment["PYTHONPATH"] += f":{search_path(Path(directory))}"
        command = [*net.enter, *bench.python("steps.py", config)]
        with (
            net.inside(),
            closing(_Wires()) as wires,
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as agent,
        ):
            bench.settled(5)
            agent.send_signal(signal.SIGUSR1)
            began = bench.cpu_seconds(agent.pid)
            for _ in range(2 * SECONDS):
                wires.send()
                time.sleep(0.5)
            cpu = (bench.cpu_seconds(agent.pid) - began) / (2 * SECONDS) * 1e3
            agent.send_signal(signal.SIGUSR2)
            told = json.loads(agent.stdout.readline())
            agent.terminate()
    what, longest = max(told.items(), key=lambda each: each[1])
    yield Row("Network: 501 interfaces, CPU of the agent's process for a run, each has counted", cpu, "ms")
    yield Row("Network: 501 interfaces, longest step of the agent's loop, CPU", longest, "ms", what, None, 5)
