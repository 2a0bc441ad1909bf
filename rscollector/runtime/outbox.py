"""What one sink is still to be given: bounded, and kept until the sink's worker has said that it keeps it.

A run's samples are encoded once, for all sinks. One batch is in flight at a time; whatever becomes of the
worker, the next one is given it again.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from rscollector.model.metrics import Metric

_MOST_WAITING = 100_000
_MOST_AT_ONCE = 2_000


class Chunk(NamedTuple):
    """The samples of a collector's run, encoded, and whose they are."""

    points: int
    metrics: tuple[Metric, ...]
    text: str


class Outbox:
    """The chunks for one sink, the oldest first. `dropped` counts points for which there was no room."""

    def __init__(self) -> None:
        self.dropped = 0
        self.waiting = 0
        self._chunks: deque[Chunk] = deque()
        self._in_flight: list[Chunk] = []
        self._told: set[Metric] = set()

    def put(self, chunk: Chunk) -> None:
        """Take in a chunk; when there is no room, the oldest that is not in flight goes."""
        self._chunks.append(chunk)
        self.waiting += chunk.points
        while self.waiting > _MOST_WAITING and self._chunks:
            gone = self._chunks.popleft().points
            self.waiting -= gone
            self.dropped += gone

    def begin(self) -> None:
        """Take note that the sink is opened anew, and has been told of no metric."""
        self._told.clear()

    def next(self, *, everything: bool = False) -> tuple[str, list[Metric]]:
        """Return what is to be given now, as a list in JSON, and the metrics that it needs to be told of."""
        points = sum(chunk.points for chunk in self._in_flight)
        while self._chunks and (everything or points < _MOST_AT_ONCE):
            points += self._chunks[0].points
            self._in_flight.append(self._chunks.popleft())
        new = _distinct(self._in_flight) - self._told
        self._told |= new
        return f"[{','.join(chunk.text for chunk in self._in_flight)}]", sorted(
            new, key=lambda each: each.name
        )

    def confirm(self) -> None:
        """Forget what was in flight: the sink keeps it."""
        self.waiting -= sum(chunk.points for chunk in self._in_flight)
        self._in_flight.clear()

    @property
    def more(self) -> bool:
        """Whether something waits that is not in flight."""
        return bool(self._chunks)


def _distinct(chunks: Iterable[Chunk]) -> set[Metric]:
    return {metric for chunk in chunks for metric in chunk.metrics}
