"""What sinks are to be given, and when they are asked to take it.

It owns the outboxes: whoever has a line with one in it finds its place here. A sink of runs is asked when
something has come for it, a second later, so that what many collectors collect travels together, and then
again at once for as long as more waits; a sink of the page gets that with each question. What waits stays
where it is whatever becomes of the sink's worker.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from itertools import groupby
from operator import attrgetter
from typing import Any, Protocol

from rscollector.config.types import Spec
from rscollector.exposition.validate import Accepted
from rscollector.model.feed import Feed
from rscollector.model.metrics import Sample, Value
from rscollector.runtime.outbox import Chunk, Outbox, now
from rscollector.wire.layouts import Groups, Layout, plain
from rscollector.wire.messages import Page, Run, encoded

log = logging.getLogger("rscollector")

_GATHERING = 1.0  # seconds in which samples for a sink are gathered, while nothing waits for it
_OVERHEAD = 300  # bytes that Python needs for a chunk, beside its text


class Owner(Protocol):
    """Who asks sinks."""

    def ask_sink(self, key: str) -> bool:
        """Ask a sink to take what waits; return whether it is busy and has to be asked again."""


class Deliveries:
    """The outboxes by the sinks' keys. `page` gives the text of all metrics."""

    def __init__(self, owner: Owner) -> None:
        self.page: Callable[[], str] = str
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._outboxes: dict[str, Outbox] = {}
        self._of_the_page: set[str] = set()
        self._nudges: dict[str, asyncio.TimerHandle] = {}
        self._layouts: dict[str, Layout] = {}
        self._number = 0

    def add(self, spec: Spec) -> None:
        """Begin to keep for a sink; what its predecessor has left is its."""
        self.feed(spec.key, spec.sink)

    def feed(self, key: str, wanted: Feed) -> None:
        """Feed a sink with this; what its plugin wants is not known before that could be imported."""
        if wanted is Feed.RUNS:
            self._outboxes.setdefault(key, Outbox())
            self._of_the_page.discard(key)
            return
        self._outboxes.pop(key, None)
        if wanted is Feed.PAGE:
            self._of_the_page.add(key)

    def forget(self, key: str, successor: Spec | None) -> None:
        """Keep nothing for a sink any more, unless for its successor; forget a collector's layouts."""
        self._of_the_page.discard(key)
        if successor is None or successor.sink is not Feed.RUNS:
            self._tell_loss(key, self._outboxes.pop(key, None))
        if nudge := self._nudges.pop(key, None):
            nudge.cancel()
        self._layouts.pop(key, None)
        self._layouts.pop(_itself(key), None)

    def outbox(self, key: str) -> Outbox | None:
        """Return what waits for a sink, None for whoever is no sink of runs."""
        return self._outboxes.get(key)

    def hand_on(self, key: str, accepted: Accepted) -> None:
        """Give what a collector has collected to every sink."""
        if self._outboxes and accepted.samples:
            groups = [(metric, list(found)) for metric, found in accepted.rows.items()]
            values = [value for found in accepted.rows.values() for value in found.values()]
            self._put(key, _name(key), groups, values, accepted.series)

    def hand_on_own(self, key: str, samples: Iterable[Sample]) -> None:
        """Give to every sink what the agent tells of a collector, or, with the key "", of itself."""
        if self._outboxes:
            told = list(samples)
            by_metric = groupby(told, key=attrgetter("metric"))
            groups = [(metric, [sample.values for sample in samples]) for metric, samples in by_metric]
            self._put(_itself(key), _name(key), groups, [sample.value for sample in told], len(told))

    def _put(self, source: str, name: str, groups: Groups, values: list[Value], points: int) -> None:
        """Put a run into every outbox. Runs of one source mostly have the same series: they are told once."""
        layout, size = self._layouts.get(source), _OVERHEAD
        if layout is None or layout.groups != groups:
            self._number += 1
            layout = self._layouts[source] = Layout(self._number, name, groups)
            size += layout.size
        at = now()
        line = encoded(Run(int(time.time()), round(at, 3), layout.number, values), plain)
        chunk = Chunk(points, layout, line, size + len(line), at)
        for outbox in self._outboxes.values():
            outbox.put(chunk)

    def nudge_all(self) -> None:
        """Have every sink asked soon."""
        for key in self._outboxes:
            self._nudge(key, _GATHERING)

    def opening(self, key: str) -> None:
        """Take note that a sink is opened anew."""
        if outbox := self._outboxes.get(key):
            outbox.begin()

    def parcel(self, key: str, *, everything: bool = False) -> bytes:
        """Return what goes ahead of a question to a sink, b"" for other collectors."""
        if key in self._of_the_page:
            return encoded(Page(self.page()))
        outbox = self._outboxes.get(key)
        return outbox.next(everything=everything) if outbox else b""

    def layouts(self, key: str, numbers: list[Any]) -> bytes:
        """Return the lines that tell a sink of layouts that it does not know."""
        outbox = self._outboxes.get(key)
        return outbox.layouts(numbers) if outbox else b""

    def answered(self, key: str, taken: int, fault: str = "") -> None:
        """Forget what a sink has taken (`Outbox.answered`), and have it asked at once if more waits."""
        if outbox := self._outboxes.get(key):
            if told := outbox.answered(taken, fault):
                log.warning("%s: %s", key, told)
            if outbox.more:
                self._nudge(key, 0.0)

    def tell_what_is_lost(self) -> None:
        """Log what is still there when the agent ends."""
        for key, outbox in self._outboxes.items():
            self._tell_loss(key, outbox)

    def _tell_loss(self, key: str, outbox: Outbox | None) -> None:
        if outbox and outbox.waiting:
            log.warning("%s: %d points are lost: it has not taken them before its end", key, outbox.waiting)

    def _nudge(self, key: str, wait: float) -> None:
        if nudge := self._nudges.get(key):
            if nudge.when() <= self._loop.time() + wait:
                return
            nudge.cancel()
        self._nudges[key] = self._loop.call_later(wait, self._nudged, key)

    def _nudged(self, key: str) -> None:
        del self._nudges[key]
        if self._owner.ask_sink(key):
            self._nudge(key, _GATHERING)


def _name(key: str) -> str:
    return key.partition("/")[2]


def _itself(key: str) -> str:
    return f"{key} itself"
