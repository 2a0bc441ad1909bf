"""From a collector's samples to the page and to a sink: where the time goes."""

import statistics
import time

from bench import Row
from load import Load, LoadSettings

from rscollector.config.types import Feed
from rscollector.exposition.render import Format
from rscollector.exposition.store import Store, page
from rscollector.exposition.validate import validate
from rscollector.runtime.deliveries import Deliveries
from rscollector.testing import FakeContext
from rscollector.wire.layouts import Columns
from rscollector.wire.layouts import rows as columns
from rscollector.wire.lines import Lines
from rscollector.wire.messages import decoded
from rscollector.worker.parcels import Parcels
from rscollector.worker.telling import Telling

DECLARED = {metric.name: metric for metric in Load.metrics}
ROUNDS = 50
MANY = 100_000


def rows():
    """Measure each step of a commit by itself and all together, then the wire with many samples."""
    yield from _commit()
    yield from _wire()


def _collector(series):
    collector = Load(LoadSettings(series=series))
    collector.open(FakeContext())
    return collector


def with_samples(count):
    """Return the samples of a run."""
    return list(_collector(count).collect(FakeContext()))


def _commit():
    collector, telling, reading = _collector(1000), Telling(), Reading()
    store = Store(10_000)
    took = {}

    def timed(what, function, *arguments, **named):
        began = time.perf_counter()
        result = function(*arguments, **named)
        took.setdefault(what, []).append((time.perf_counter() - began) * 1e3)
        return result

    for _ in range(ROUNDS):
        made = timed("collecting", lambda: list(collector.collect(FakeContext())))
        lines = timed("wire, worker", told, telling, made)
        got = timed("wire, agent", reading.rows, lines)
        accepted = timed("validation (part of the commit)", validate, got, DECLARED, {}, 1000)
        assert accepted.samples == 1000
        timed("commit", store.commit, "load/a", got, DECLARED, limit=1000, expires=1e9)
        timed("page", lambda: page(store.chunks(Format.TEXT), Format.TEXT))
    medians = {what: statistics.median(times) for what, times in took.items()}
    for what, median in medians.items():
        yield Row(f"1,000 samples: {what}", median, "ms")
    whole = sum(medians[what] for what in ("wire, worker", "wire, agent", "commit", "page"))
    yield Row("1,000 samples: from collected to visible", whole, "ms")
    yield Row("1,000 samples: first commit, all series new", took["commit"][0], "ms")


def told(telling, made):
    """Return the lines that tell a run."""
    return list(telling.run(1, telling.number, made))


class Reading:
    """The agent's side of the wire."""

    def __init__(self):
        self.columns = Columns()

    def rows(self, lines):
        """Return the rows of a run."""
        reader, new, values = Lines(), [], []
        for line in lines:
            for message in map(decoded, reader.feed(line)):
                new += getattr(message, "rows", [])
                values += getattr(message, "values", [])
        if new:
            self.columns = columns(new)
        return self.columns.with_values(values)


class Sink:
    """A sink of runs as the agent's deliveries see it."""

    sink, key = Feed.RUNS, "bosun/main"


def _wire():
    """Yield the CPU time of each side of the wire for many samples, all of whose values are new."""
    import asyncio

    took = asyncio.run(_sides())
    for what, seconds in took.items():
        yield Row(f"{MANY:,} samples, all values new: {what}, CPU", statistics.median(seconds) * 1e3, "ms")


async def _sides():
    collector, telling, reading = _collector(MANY), Telling(), Reading()
    deliveries, parcels = Deliveries(None), Parcels()
    deliveries.add(Sink)
    took = {}

    def timed(what, function, *arguments):
        began = time.process_time()
        result = function(*arguments)
        took.setdefault(what, []).append(time.process_time() - began)
        return result

    def give(parcel):
        for line in parcel.splitlines():
            parcels.arrived(decoded(line))
        taken = parcels.runs()
        parcels.clear()
        return taken

    for number in range(6):
        made = list(collector.collect(FakeContext()))
        lines = timed("wire, worker", told, telling, made)
        got = timed("wire, agent, from the worker", reading.rows, lines)
        accepted = validate(got, DECLARED, {}, MANY)
        timed("wire, agent, to a sink", deliveries.hand_on, "load/a", accepted)
        (run,) = timed("wire, sink", give, deliveries.parcel("bosun/main"))
        deliveries.answered("bosun/main", 1)
        assert len(run.samples) == MANY
        if number == 0:
            took.clear()  # that told the layout
    return took
