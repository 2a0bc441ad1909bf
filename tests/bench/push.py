"""Points on their way to a receiver: each part beside a bare loop, all together in an agent, and memory."""

import asyncio
import gzip
import json
import os
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import bench
import requests
from bench import Row
from commit import DECLARED, Reading, told, with_samples
from commit import Sink as SinkOfRuns
from harness import free_port, until

from rscollector.api import Context, Kind, Metric, Rate, Taken
from rscollector.exposition.validate import validate
from rscollector.runtime.deliveries import Deliveries
from rscollector.sinks.bosun import Bosun
from rscollector.sinks.bosun.opentsdb import body
from rscollector.sinks.spool import Bounds, Spool
from rscollector.sinks.spooled import Drain
from rscollector.wire.messages import decoded
from rscollector.worker.parcels import Parcels
from rscollector.worker.telling import Telling

POINTS = 500_000
AT_ONCE = 1000
BATCH = 500
WAITING = 1_000_000
ROUNDS = 3
MANY = 20_000
FLOWS = 30  # seconds
VALUE = Metric("load_value", Kind.GAUGE, "A value.", labels=("queue", "number"))
FAST = Drain(points=Rate("100000000/s"), bytes=Rate("100G/s"))
TOML = """
[agent]
host = "db1"
interval = "{interval}"
timeout = "900ms"
max_series_total = 100_000
max_series = 100_000
[web]
listen = []
[sink.bosun.main]
url = "{url}"
spool = "{place}"
spool_free = 0
timeout = "10s"
"""


def rows():
    """Have points sent on: the CPU of each part, the flow through an agent, the spool's share, and memory."""
    with _receiver() as url:
        yield from _cpu(url)
        yield from _flow(url, collectors=20, series=1000)
        yield from _flow(url, collectors=1, series=20_000)
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


def _cpu(url):
    """Yield the CPU time of each part of the way of a run, beside encoding and posting its points and no more."""
    took = asyncio.run(_parts(url))
    bare = statistics.median(took.pop("bare"))
    parts = {what: statistics.median(seconds) * 1e6 / MANY for what, seconds in took.items()}
    for what, each in parts.items():
        yield Row(f"push, CPU for a point: {what}", each, "µs")
    whole, alone = sum(parts.values()), bare * 1e6 / MANY
    what = "push, CPU for a point: from collected to acknowledged, all processes, without the page"
    yield Row(what, whole, "µs", f"encoded and posted: {bench.shown(alone)} µs", whole / alone, 1.5)


async def _parts(url):
    telling, reading, took = Telling(), Reading(), {}
    deliveries, parcels, known = Deliveries(None), Parcels(), {}
    deliveries.add(SinkOfRuns)

    def timed(what, function, *arguments):
        began = time.process_time()
        result = function(*arguments)
        took.setdefault(what, []).append(time.process_time() - began)
        return result

    def arrived(parcel):
        for line in parcel.splitlines():
            parcels.arrived(decoded(line))
        found = parcels.runs()
        parcels.clear()
        return found

    def sent(sink):
        while sink._spool.points:
            sink._sender.step()

    with tempfile.TemporaryDirectory() as place, _sink(url, Path(place)) as sink:
        _without_its_thread(sink)
        for number in range(ROUNDS + 1):
            made = with_samples(MANY)
            lines = timed("told by its collector's process", told, telling, made)
            got = timed("read by the agent", reading.rows, lines)
            accepted = timed("validated", validate, got, DECLARED, known, MANY)
            known = {metric.name: found for metric, found in accepted.rows.items()}
            timed("told to the sink's process", deliveries.hand_on, "load/a", accepted)
            runs = timed("read there", arrived, deliveries.parcel("bosun/main"))
            deliveries.answered("bosun/main", len(runs))
            timed("encoded and kept in the spool", sink.take, sink.context, runs)
            timed("compressed, sent and acknowledged", sent, sink)
            timed("bare", _bare, url, made)
            if number == 0:
                took.clear()  # that told the layout
    return took


def _without_its_thread(sink):
    sink._stop.set()
    sink._wake.set()
    sink._thread.join()


def _bare(url, made):
    """Encode and post points, as a script would."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    session = requests.Session()
    for start in range(0, len(made), BATCH):
        points = [
            {
                "metric": metric.name,
                "timestamp": 1_795_208_406,
                "value": value,
                "tags": {**dict(zip(metric.labels, values, strict=True)), "host": "db1", "name": "a"},
            }
            for metric, values, value in made[start : start + BATCH]
        ]
        data = gzip.compress(json.dumps(points).encode(), 1)
        session.post(f"{url}/api/put", data, headers=headers, timeout=10).raise_for_status()


def _flow(url, *, collectors, series):
    """Yield what an agent sends on in each second, and how old the oldest point gets that waits."""
    with tempfile.TemporaryDirectory() as place:
        toml = TOML.format(url=url, place=place, interval="1s")
        toml += "".join(f"[collector.load.l{each}]\nseries = {series}\n" for each in range(collectors))
        with bench.agent(toml) as agent:
            until(lambda: agent.value("sink_sent_points_total"))
            bench.settled(5)
            began, before = time.monotonic(), _sent(agent)
            oldest = lag = 0.0
            while time.monotonic() - began < FLOWS:
                found = agent.metrics("rscollector_sink_waiting_age") | agent.metrics("sink_oldest_unsent")
                oldest = max(oldest, sum(found.values()))
                lag = max(lag, agent.value("rscollector_loop_lag_seconds"))
                time.sleep(0.2)
            rate = (_sent(agent) - before) / (time.monotonic() - began)
            lost = sum(agent.metrics("rscollector_sink_dropped_points_total").values())
    what = f"push, {collectors} × {series:,} series each second"
    yield Row(f"{what}: sent", rate, "points/s", f"collected: {collectors * series:,}")
    yield Row(f"{what}: dropped", lost, "points", aim=0)
    yield Row(f"{what}: age of the oldest that waits, at most", oldest, "s", aim=2)
    yield Row(f"{what}: lateness of the agent's timers, at most", lag * 1e3, "ms")


def _sent(agent):
    return agent.value("sink_sent_points_total")


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
        with bench.agent(
            TOML.format(url=f"http://127.0.0.1:{free_port()}", place=place, interval="15s")
        ) as agent:
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
