"""What a sink is: a collector that is also given what the others have collected, or shown the page of it."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

from rscollector.api.collector import Collector, S
from rscollector.api.context import Context
from rscollector.model.metrics import Metric, Value


class Taken(NamedTuple):
    """One run of a collector; `second` is its end as Unix time, `name` the instance's.

    The samples are (metric, label values, value) and may be read more than once. `at` is its end by
    CLOCK_BOOTTIME, in seconds, None for now: for its age, which no clock that is set changes.
    """

    second: int
    name: str
    samples: Iterable[tuple[Metric, tuple[str, ...], Value]]
    at: float | None = None


class Sink(Collector[S]):
    """A collector that is also given what the others have collected. Its own samples are about itself.

    It is asked whenever there is something for it, and at its ticks. What it was given it must have kept
    when `take` returns: then the agent forgets it; when `take` raises, all of it is given again. One that
    raises Unavailable or Misconfigured cannot take anything now. Runs at which it raises something else,
    hangs or dies again and again, while it takes others, are given up. `close` has SINK_SENDS seconds for
    what can be sent; the agent kills it a second later. A process whose agent is gone lives for as long as
    its `close` takes.
    """

    @abstractmethod
    def take(self, context: Context, runs: Iterable[Taken]) -> None:
        """Keep what was collected, to send it on."""


class PageSink(Collector[S]):
    """A collector that is shown the page of all metrics at each tick, in Prometheus' text format."""

    @abstractmethod
    def show(self, context: Context, page: bytes) -> None:
        """Take the newest page."""
