"""What one sink is still to be given: bounded, and kept until the sink's worker has said that it keeps it.

A run's values are encoded once, for all sinks. One batch is in flight at a time; whatever becomes of the
worker, the next one is given it again. The worker is told of a layout ahead of the first run that has it, and
to forget it when no run will have it any more: when neither the collector nor anything that waits refers to
it.
"""

import weakref
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

from rscollector.wire.layouts import Layout
from rscollector.wire.messages import Forget, encoded

_MOST_WAITING = 100_000
_MOST_AT_ONCE = 2_000


class Chunk(NamedTuple):
    """A collector's run: how many points it is, its layout, and its values as a line of the wire."""

    points: int
    layout: Layout
    line: bytes


class Outbox:
    """The chunks for one sink, the oldest first. `dropped` counts points for which there was no room."""

    def __init__(self) -> None:
        self.dropped = 0
        self.waiting = 0
        self._chunks: deque[Chunk] = deque()
        self._in_flight: list[Chunk] = []
        self._told: dict[int, weakref.ref[Layout]] = {}
        self._gone: list[int] = []

    def put(self, chunk: Chunk) -> None:
        """Take in a chunk; when there is no room, the oldest that is not in flight goes."""
        self._chunks.append(chunk)
        self.waiting += chunk.points
        while self.waiting > _MOST_WAITING and self._chunks:
            gone = self._chunks.popleft().points
            self.waiting -= gone
            self.dropped += gone

    def begin(self) -> None:
        """Take note that the sink is opened anew, and has been told of nothing."""
        self._told.clear()
        self._gone.clear()

    def next(self, *, everything: bool = False) -> bytes:
        """Return what is to be given now: the lines that go ahead of the question."""
        points = sum(chunk.points for chunk in self._in_flight)
        while self._chunks and (everything or points < _MOST_AT_ONCE):
            points += self._chunks[0].points
            self._in_flight.append(self._chunks.popleft())
        gone, self._gone = self._gone, []
        forget = [encoded(Forget(gone))] if gone else []
        new = [chunk.layout for chunk in self._in_flight if chunk.layout.number not in self._told]
        return b"".join([*forget, self._tell(new), *(chunk.line for chunk in self._in_flight)])

    def layouts(self, numbers: list[Any]) -> bytes:
        """Return the lines that tell of layouts which the worker says it does not know."""
        return self._tell(chunk.layout for chunk in self._in_flight if chunk.layout.number in numbers)

    def confirm(self) -> None:
        """Forget what was in flight: the sink keeps it."""
        self.waiting -= sum(chunk.points for chunk in self._in_flight)
        self._in_flight.clear()

    @property
    def more(self) -> bool:
        """Whether something waits that is not in flight."""
        return bool(self._chunks)

    def _tell(self, layouts: Iterable[Layout]) -> bytes:
        distinct = {layout.number: layout for layout in layouts}
        for number, layout in distinct.items():
            self._told[number] = weakref.ref(layout, partial(self._unused, number))
        return b"".join(encoded(layout.told()) for layout in distinct.values())

    def _unused(self, number: int, _layout: object) -> None:
        """Nobody refers to a layout any more."""
        if self._told.pop(number, None):
            self._gone.append(number)
