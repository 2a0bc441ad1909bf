"""Series of which the receiver takes no point.

A series that is refused again and again (a receiver that takes no metric that it does not know) would cost
ten requests for each of its points: after the second one its points are put aside without asking, and one is
tried again after some minutes. Only what was just collected counts: a receiver may refuse what is old.
"""

from collections.abc import Callable
from itertools import takewhile
from typing import NamedTuple

from rscollector.sinks.verdicts import OF_THE_POINTS, Answer

_REFUSALS = 2
_TRIED_AGAIN = 600.0
_MOST = 10_000


class _Refused(NamedTuple):
    """How many points of a series were refused, until when none is tried again, and what was answered."""

    times: int
    until: float
    answer: Answer


class RefusedSeries:
    """What is remembered, a bounded number. `series_of` takes from a point what its series have in common."""

    def __init__(self, series_of: Callable[[bytes], bytes], clock: Callable[[], float]) -> None:
        self._series_of = series_of
        self._clock = clock
        self._refused: dict[bytes, _Refused] = {}

    def add(self, line: bytes, answer: Answer) -> None:
        """Remember that a point was refused."""
        if len(self._refused) >= _MOST:
            self._refused.clear()
        series = self._series_of(line)
        before, now = self._refused.get(series), self._clock()
        times = before.times + 1 if before and now < before.until + _TRIED_AGAIN else 1
        self._refused[series] = _Refused(times, now + _TRIED_AGAIN, answer)

    def taken(self, lines: list[bytes]) -> None:
        """Forget the series of points that were taken."""
        for line in lines if self._refused else ():
            self._refused.pop(self._series_of(line), None)

    def sorted_out(self, lines: list[bytes]) -> tuple[list[bytes], list[tuple[bytes, Answer]]]:
        """Return the points that are to be sent, and those that are not, with the answer that is expected."""
        hopeless: list[tuple[bytes, Answer]] = []
        if not self._refused:
            return lines, hopeless
        hopeful = []
        for line in lines:
            if answer := self.expected(line):
                hopeless.append((line, answer))
            else:
                hopeful.append(line)
        return hopeful, hopeless

    def front(self, lines: list[bytes]) -> tuple[list[tuple[bytes, Answer]], list[bytes]]:
        """Return the points at the front that are hopeless, and those behind them as far as there is hope.

        Of a backlog only those are hopeless whose series is bad: a receiver may stumble over what is fresh.
        """
        hopeless: list[tuple[bytes, Answer]] = []
        for line in lines:
            if not (answer := self.bad(line)):
                break
            hopeless.append((line, answer))
        return hopeless, list(takewhile(lambda line: not self.bad(line), lines[len(hopeless) :]))

    def bad(self, line: bytes) -> Answer | None:
        """Return the answer that is expected to a point whose series is called bad, None to another."""
        answer = self.expected(line)
        return answer if answer and answer.verdict in OF_THE_POINTS else None

    def expected(self, line: bytes) -> Answer | None:
        """Return the answer that is expected to a point that is hopeless, None to one that is not."""
        refused = self._refused.get(self._series_of(line)) if self._refused else None
        if refused and refused.times >= _REFUSALS and refused.until > self._clock():
            return refused.answer
        return None
