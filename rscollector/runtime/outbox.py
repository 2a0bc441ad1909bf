"""What one sink is still to be given: bounded, and kept until the sink has said that it is taken.

A run's values are encoded once, for all sinks. One batch is in flight at a time; whatever becomes of the
worker, what was not taken is given again. A batch at which the sink fails twice (it crashes, hangs, or has
a bug) is set aside, so that those behind it go on, and its runs are given one by one. A run is given up
only when the sink has failed at it twice more, alone, and has taken others meanwhile: then it is the run,
not the sink.

The worker is told of a layout ahead of the first run that has it, and to forget it when no run will have it
any more: when neither the collector nor anything that waits refers to it.
"""

import time
import weakref
from collections import Counter, deque
from collections.abc import Iterable
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from rscollector.wire.layouts import Layout
from rscollector.wire.lines import Garbage
from rscollector.wire.messages import Forget, encoded

_MOST_WAITING = 32 << 20
_MOST_AT_ONCE = 1 << 20
_TRIES = 2
_LATE = 10.0  # seconds, after which a sink that is well has taken what came for it


def now() -> float:
    """Return the time by which the age of what waits is told: nobody sets it, and it goes on in a suspend."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lost(StrEnum):
    """Why points were dropped that a sink has not taken; the value is a label."""

    ROOM = "room"  # more waited than there is room for
    FAILED = "failed"  # the sink failed at them, and took others


class Chunk(NamedTuple):
    """A collector's run: points, layout, values as a line of the wire, bytes, when it was collected.

    `at` is by CLOCK_BOOTTIME.
    """

    points: int
    layout: Layout
    line: bytes
    size: int
    at: float


class _SetAside(NamedTuple):
    """A chunk of a batch at which the sink has failed.

    `taken` is how many chunks it had taken when it failed at this one alone, None before that.
    """

    chunk: Chunk
    taken: int | None = None


class Outbox:
    """The chunks for one sink, the oldest first. `waiting` counts points, `size` bytes, `dropped` points."""

    def __init__(self) -> None:
        self.dropped: Counter[Lost] = Counter()
        self.waiting = 0
        self.size = 0
        self._chunks: deque[Chunk] = deque()
        self._set_aside: deque[_SetAside] = deque()
        self._on_trial: _SetAside | None = None
        self._trial_is_next = False
        self._in_flight: list[Chunk] = []
        self._is_everything = False
        self._is_asked = False
        self._failures = 0
        self._taken = 0
        self._told: dict[int, weakref.ref[Layout]] = {}
        self._gone: list[int] = []

    def put(self, chunk: Chunk) -> None:
        """Take in a chunk; when there is no room, the oldest that is not in flight goes."""
        self._chunks.append(chunk)
        self.waiting += chunk.points
        self.size += chunk.size
        while self.size > _MOST_WAITING and self.more:
            gone = self._set_aside.popleft().chunk if self._set_aside else self._chunks.popleft()
            self._drop(gone, Lost.ROOM)

    def begin(self) -> None:
        """Take note that the sink is opened anew, and has been told of nothing."""
        self._is_asked = False
        self._told.clear()
        self._gone.clear()
        self._put_back()

    def next(self, *, everything: bool = False) -> bytes:
        """Return what is to be given now: the lines that go ahead of the question."""
        if not self._in_flight:
            self._choose()
        if everything:
            self._in_flight += [each.chunk for each in self._set_aside]
            self._in_flight += self._chunks
            self._set_aside.clear()
            self._chunks.clear()
            self._on_trial = None
            self._is_everything = True
        self._is_asked = True
        gone, self._gone = self._gone, []
        forget = [encoded(Forget(gone))] if gone else []
        new = [chunk.layout for chunk in self._in_flight if chunk.layout.number not in self._told]
        return b"".join([*forget, self._tell(new), *(chunk.line for chunk in self._in_flight)])

    def layouts(self, numbers: list[Any]) -> bytes:
        """Return the lines that tell of layouts which the worker says it does not know."""
        return self._tell(chunk.layout for chunk in self._in_flight if chunk.layout.number in numbers)

    def answered(self, taken: int, fault: str = "") -> str:
        """Forget the chunks that were taken, so many; return what is to be told, if anything.

        `fault` says what the sink did instead of taking the rest, where that may be the rest's fault. Raises
        Garbage when more was taken than given.
        """
        if not self._is_asked:
            return ""
        self._is_asked = False
        if not 0 <= taken <= len(self._in_flight):
            raise Garbage(f"{taken} taken of {len(self._in_flight)} runs")
        for chunk in self._in_flight[:taken]:
            self._leave(chunk)
        del self._in_flight[:taken]
        self._taken += taken
        self._put_back()
        if self._in_flight:
            return self._failed(fault) if fault else ""
        self._trial_is_next = self._on_trial is None
        self._failures, self._on_trial = 0, None
        return ""

    @property
    def more(self) -> bool:
        """Whether something waits that is not in flight."""
        return bool(self._chunks or self._set_aside)

    @property
    def age(self) -> float:
        """The age of the oldest that waits, in seconds; 0 while nothing does."""
        first = [each[0] for each in (self._in_flight, self._chunks) if each]
        first += [each.chunk for each in self._set_aside]
        return max((now() - chunk.at for chunk in first), default=0.0)

    def sentence(self) -> str:
        """Say how much waits in the agent that should not, and how much was lost there; "" for nothing."""
        waits = f"{self.waiting} points wait for it in the agent" if self.age > _LATE else ""
        lost = [f"{count} were lost in the agent ({why.value})" for why, count in self.dropped.items()]
        return "; ".join(filter(None, [waits, *lost]))

    def _choose(self) -> None:
        if self._set_aside and (self._trial_is_next or not self._chunks):
            self._on_trial = self._set_aside.popleft()
            self._in_flight = [self._on_trial.chunk]
            return
        size = 0
        while self._chunks and (not size or size + self._chunks[0].size <= _MOST_AT_ONCE):
            size += self._chunks[0].size
            self._in_flight.append(self._chunks.popleft())

    def _put_back(self) -> None:
        """Have what was given at an end, and was not taken, wait as before: it is too much for a question."""
        if self._is_everything:
            self._chunks.extendleft(reversed(self._in_flight))
            self._in_flight = []
        self._is_everything = False

    def _failed(self, fault: str) -> str:
        """Set aside what is in flight when that was its last try, or give it up."""
        self._failures += 1
        suspect, self._on_trial = self._on_trial, None
        if suspect is None and self._failures < _TRIES:
            return ""
        failed, self._in_flight, self._failures = self._in_flight, [], 0
        self._trial_is_next = False
        points = sum(chunk.points for chunk in failed)
        what = f"{points} points, such as {failed[0].layout.groups[0][0].name} of {failed[0].layout.name!r}"
        if suspect and suspect.taken is not None and self._taken > suspect.taken:
            self._drop(suspect.chunk, Lost.FAILED)
            return f"{what}, are lost: the sink fails at them again and again, and takes others: {fault}"
        if suspect:
            taken = self._taken if suspect.taken is None else suspect.taken
            self._set_aside.append(suspect._replace(taken=taken))
            return ""
        self._set_aside.extend(map(_SetAside, failed))
        return f"{what}, are set aside and given run by run: the sink has failed at them twice: {fault}"

    def _drop(self, chunk: Chunk, why: Lost) -> None:
        self.dropped[why] += chunk.points
        self._leave(chunk)

    def _leave(self, chunk: Chunk) -> None:
        self.waiting -= chunk.points
        self.size -= chunk.size

    def _tell(self, layouts: Iterable[Layout]) -> bytes:
        distinct = {layout.number: layout for layout in layouts}
        for number, layout in distinct.items():
            self._told[number] = weakref.ref(layout, partial(self._unused, number))
        return b"".join(encoded(layout.told()) for layout in distinct.values())

    def _unused(self, number: int, _layout: object) -> None:
        """Nobody refers to a layout any more."""
        if self._told.pop(number, None):
            self._gone.append(number)
