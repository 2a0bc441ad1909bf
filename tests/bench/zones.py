"""A zone of 50 servers of which 49 are silent, and one of 50 that all answer; and the memory of the worker.

Wants root: the servers are at port 53 of a network namespace. `python tests/bench zones` prints the rows (not `dns`: that would hide dnspython).
"""

import os
import socket
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import bench
from bench import Row
from harness import until
from netns import namespace

from collectors.dns import Dns
from collectors.dns.asking import WAIT
from collectors.dns.heard import PORT
from collectors.dns.tests.answering import Answering, serving
from collectors.dns.tests.installed import search_path
from rscollector.api import Context
from rscollector.runtime.foreground import settings_of

ADDRESSES = [f"127.53.1.{number}" for number in range(1, 51)]
SETTINGS = {"zones": ["example.test"], "servers": ADDRESSES, "delegation": False}
AGENT = f"""
[web]
listen = []
[agent]
interval = "5s"
[collector.dns.main]
zones = ["example.test"]
servers = {ADDRESSES}
delegation = false
"""
TICKS = 5


def rows():
    """Measure ticks, then a worker that has had some."""
    with namespace() as net:
        with net.inside(), _servers(ADDRESSES[:1]):
            yield from _ticks("49 of them silent", aim=20)
            yield Row("DNS: memory of the worker", _memory(net), "MB", aim=24)
        with net.inside(), _servers(ADDRESSES):
            yield from _ticks("all of them answer")


@contextmanager
def _servers(answering):
    """Have these answer, and let others be silent: what comes to them waits in the kernel."""
    with ExitStack() as stack:
        for address in ADDRESSES:
            if address not in answering:
                udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
                udp.bind((address, PORT))
                stack.enter_context(socket.create_server((address, PORT), backlog=1000))
        stack.enter_context(Answering(dict.fromkeys(answering, serving("example.test", 7)), port=PORT))
        yield


def _ticks(which, aim=None):
    """Yield CPU and time of a tick, the medians; those with a look for servers apart."""
    collector = Dns(settings_of(Dns, SETTINGS, None))
    collector.open(_context())
    first, _ = _tick(collector)
    cpu, took = zip(*(_tick(collector) for _ in range(TICKS)), strict=True)
    what = f"DNS: a zone of 50 servers, {which}"
    yield Row(f"{what}: CPU of a collect", sorted(cpu)[TICKS // 2], "ms", aim=aim)
    yield Row(f"{what}: CPU of one that looks for servers, too", first, "ms", aim=aim)
    yield Row(f"{what}: time of a collect", sorted(took)[TICKS // 2], "s", aim=WAIT + 0.1)


def _tick(collector):
    cpu, began = time.thread_time(), time.monotonic()
    samples = list(collector.collect(_context()))
    assert sum(each.metric.name == "dns_server_up" for each in samples) == len(ADDRESSES)
    return (time.thread_time() - cpu) * 1e3, time.monotonic() - began


def _context():
    return Context("main", timeout=12, interval=15, agent=os.getpid())


def _memory(net):
    """Return the MB of a worker that has asked some times."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{bench.environment()['PYTHONPATH']}:{search_path(Path(directory))}"
        with bench.agent(AGENT, prefix=net.enter, PYTHONPATH=path) as agent:
            until(lambda: agent.value("rscollector_collector_runs_total", type="dns", result="success") == 3)
            (worker,) = bench.descendants(agent.process.pid)[1:]
            return bench.proportional_memory([worker])
