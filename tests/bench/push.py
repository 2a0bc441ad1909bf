"""Points from the spool to the receiver, beside a bare loop of requests.post; memory while a million points wait."""

import gzip
import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import bench
import requests
from bench import Row
from harness import free_port, until

from rscollector.api import Context, Kind, Metric, Rate, Taken
from rscollector.sinks.bosun import Bosun, Drain
from rscollector.sinks.opentsdb import body
from rscollector.sinks.spool import Bounds, Spool

POINTS = 500_000
AT_ONCE = 1000
BATCH = 500
WAITING = 1_000_000
ROUNDS = 3
VALUE = Metric("load_value", Kind.GAUGE, "A value.", labels=("queue", "number"))
FAST = Drain(points=Rate("100000000/s"), bytes=Rate("100G/s"))
TOML = """
[agent]
host = "db1"
interval = "15s"
[web]
listen = []
[sink.bosun.main]
url = "{url}"
spool = "{place}"
spool_free = 0
"""


def rows():
    """Have points sent on, with and without taking them in, then let a million wait."""
    with _receiver() as url:
        found = [_round(url) for _ in range(ROUNDS)]
    sending, taking, alone, kept_open = (max(each) for each in zip(*found, strict=True))
    beside = f"requests.post, a connection each: {alone:,.0f}/s"
    yield Row(
        "push: time for a point, from kept to acknowledged",
        1e6 / sending,
        "µs",
        beside,
        alone / sending,
        2,
    )
    yield Row(
        "push: the same, beside one session",
        1e6 / sending,
        "µs",
        f"one session: {kept_open:,.0f}/s",
        kept_open / sending,
    )
    yield Row(
        "push: time for a point, from taken in, and synced to the disk, to acknowledged",
        1e6 / taking,
        "µs",
        beside,
        alone / taking,
    )
    idle, waiting, one_by_one = _memory(0), _memory(BATCH), _memory(12)
    yield Row("memory: the sink's worker, nothing waits", idle, "MB")
    text = f"memory: more while {WAITING:,} points wait"
    yield Row(f"{text}, {BATCH} in a file", waiting - idle, "MB", aim=10)
    yield Row(f"{text}, kept twelve at a time", one_by_one - idle, "MB", aim=10)


@contextmanager
def _receiver():
    port = free_port()
    with bench.running(bench.python("acknowledging.py", port)):
        until(lambda: bench.listening(port))
        yield f"http://127.0.0.1:{port}"


def _round(url):
    """Return points per second: sent from the spool, taken in and sent, posted bare, and with a session."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        with _sink(url, place) as sink:
            began = time.monotonic()
            for run in _runs():
                sink.take(sink.context, [run])
            until(lambda: not sink._spool.points, 300)
            taking = time.monotonic() - began
            lines = [
                line for run in _runs() for line in sink._points.lines(run.second, run.name, run.samples)
            ]
        spool = Spool(place, Bounds(1 << 40, 1e9, 0, 0))
        batches = [lines[start : start + BATCH] for start in range(0, POINTS, BATCH)]
        for batch in batches:
            spool.put(batch)
        began = time.monotonic()
        with _sink(url, place) as sink:
            until(lambda: not sink._spool.points, 300)
            sending = time.monotonic() - began
    bodies = [gzip.compress(body(batch), 1, mtime=0) for batch in batches]
    session = requests.Session()
    bare = [_posted(post, url, bodies) for post in (requests.post, session.post)]
    return [POINTS / seconds for seconds in (sending, taking, *bare)]


def _runs():
    for number in range(POINTS // AT_ONCE):
        samples = [(VALUE, ("active", f"{each:05}"), number + each / 7) for each in range(AT_ONCE)]
        yield Taken(1_795_208_406 + number, "main", samples)


@contextmanager
def _sink(url, place):
    sink = Bosun(Bosun.Settings(url=url, spool=str(place), spool_free=0, drain=FAST))
    sink.context = Context("main", timeout=10, interval=15, agent=os.getpid())
    sink.context.host, sink.context.state = "db1", place
    sink.open(sink.context)
    yield sink
    sink.close()


def _posted(post, url, bodies):
    began = time.monotonic()
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    for each in bodies:
        post(f"{url}/api/put", each, headers=headers, timeout=10).raise_for_status()
    return time.monotonic() - began


def _memory(size):
    """Return the memory of a sink's worker whose receiver is not there, points waiting in batches of a size."""
    with tempfile.TemporaryDirectory() as place:
        if size:
            _fill(Path(place), size)
        with bench.agent(TOML.format(url=f"http://127.0.0.1:{free_port()}", place=place)) as agent:
            until(lambda: (agent.value("sink_queued_points") or 0) >= (WAITING if size else 0))
            bench.settled(5)
            return bench.proportional_memory([agent.collector("bosun/main")["worker_pid"]])


def _fill(place, size):
    spool = Spool(place, Bounds(1 << 40, 1e9, 0, 0))
    line = b'{"metric":"load.value","tags":{"host":"db1","name":"main"},"value":%d,"timestamp":1795208406}'
    for start in range(0, WAITING, size):
        spool.put([line % number for number in range(start, start + size)])
        if size < BATCH:
            spool.coalesce(BATCH)
