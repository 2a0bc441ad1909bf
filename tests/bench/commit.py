"""From a collector's 1,000 samples to the page: where the time goes."""

import statistics
import time

from bench import Row
from load import Load, LoadSettings

from rscollector.exposition.render import Format
from rscollector.exposition.store import Store, page
from rscollector.exposition.validate import validate
from rscollector.runtime.wire import Lines, batches, row, samples
from rscollector.testing import FakeContext

DECLARED = {metric.name: metric for metric in Load.metrics}
ROUNDS = 50


def rows():
    """Measure each step of a commit by itself, and all together."""
    collector = Load(LoadSettings(series=1000))
    collector.open(FakeContext())
    store = Store(10_000)
    took = {}

    def timed(what, function, *arguments, **named):
        began = time.perf_counter()
        result = function(*arguments, **named)
        took.setdefault(what, []).append((time.perf_counter() - began) * 1e3)
        return result

    for _ in range(ROUNDS):
        made = timed("collecting", lambda: list(collector.collect(FakeContext())))
        lines = timed("wire, worker", _written, made)
        got = timed("wire, agent", _read, lines)
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


def _written(made):
    return list(batches("rows", 1, "rows", map(row, made)))


def _read(lines):
    reader = Lines()
    return [each for line in lines for message in reader.feed(line) for each in samples(message["rows"])]
