"""What others called what a collector tells: for alarms and dashboards that were written for their names.

A collector's package may have a module `old`, with a tuple of `Old` for each dialect: `RS_COLLECTOR`, or
`SCOLLECTOR`. A sink that sends in a dialect imports that module without its package, whose drivers it has no
use for: so it imports nothing of the package, and calls metrics by their names.

    from rscollector.api.old import Old, scaled

    RS_COLLECTOR = (
        Old("backup.files", "backup_files"),
        Old("backup.age", "backup_age_seconds", scaled(1000), unit="ms"),
    )
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from rscollector.model.metrics import Metric, Value

Labels = dict[str, str]
Point = tuple[Labels, float]
"""Tags and a number."""


class Run:
    """The samples of one run of a collector, by their metrics' names; `size` is how many there are."""

    def __init__(self, samples: Collection[tuple[Metric, tuple[str, ...], Value]]) -> None:
        self.size = len(samples)
        self._samples: defaultdict[str, list[tuple[Labels, Value]]] = defaultdict(list)
        for metric, values, value in samples:
            self._samples[metric.name].append((dict(zip(metric.labels, values, strict=True)), value))

    def of(self, name: str) -> list[tuple[Labels, Value]]:
        """Return labels and value of each sample of a metric."""
        return self._samples.get(name, [])

    def numbers(self, name: str) -> list[Point]:
        """Return those of a metric whose values are numbers."""
        return [(labels, value) for labels, value in self.of(name) if isinstance(value, int | float)]

    def number(self, name: str) -> float:
        """Return the first of a metric's numbers; none at all is not a number."""
        return next((number for _, number in self.numbers(name)), math.nan)


Points = Callable[[Run, str], Iterator[Point]]
"""Makes points of a run, of the metric with this name above all."""


def numbers(run: Run, ours: str) -> Iterator[Point]:
    """Yield a metric's numbers as they are, with its labels as tags."""
    yield from run.numbers(ours)


def scaled(factor: float, **tags: str) -> Points:
    """Return what yields whole numbers of a metric, in another unit; `tags` are what labels were called."""

    def points(run: Run, ours: str) -> Iterator[Point]:
        for labels, number in run.numbers(ours):
            other = number * factor
            found = {tags.get(label, label): text for label, text in labels.items()}
            yield found, round(other) if math.isfinite(other) else other

    return points


def numbered(words: Mapping[str, int]) -> str:
    """Return the text of a name whose numbers stand for these words."""
    return "{} " + ", ".join(f"{number}: {word}" for word, number in words.items()) + "."


@dataclass(frozen=True, slots=True)
class Old:
    """A name that others had, and what they told of it.

    `ours` is the metric that tells it here; it is not sent beside the old name, unless that is only `beside`
    it. `points` are made of each run that has any metric of this collector's old names. Without a `unit` they
    told none, and the metric's own is right. `text` has {} for the metric's own. `rate` is Bosun's word; most
    of rs-collector's are "gauge", also those of counters: Bosun goes on showing what it did.
    """

    name: str
    ours: str
    points: Points = numbers
    unit: str | None = None
    text: str = "{}"
    rate: str = "gauge"
    beside: bool = False
