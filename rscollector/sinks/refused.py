"""Series of which the receiver takes no point.

A series that is refused again and again (a receiver that takes no metric that it does not know) would cost
ten requests for each of its points: after the second one its points are put aside without asking, and one is
tried again after some minutes. Only what was just collected counts: a receiver may refuse what is old. And it
says nothing about what was collected before it: a value may have become bad.
"""

from collections.abc import Callable
from itertools import takewhile
from typing import NamedTuple

from rscollector.sinks.verdicts import OF_THE_POINTS, Answer

_REFUSALS = 2
_TRIED_AGAIN = 600.0
_MOST = 10_000


class _Refused(NamedTuple):
    """How many points of a series were refused, when the first and last were collected, and the answer."""

    times: int
    first: float
    last: float
    answer: Answer

    def holds_at(self, at: float) -> bool:
        """Tell whether it says something about a point that was collected at this time."""
        return self.first <= at <= self.last + _TRIED_AGAIN


class RefusedSeries:
    """What is remembered, a bounded number. `series_of` takes from a point what its series have in common."""

    def __init__(self, series_of: Callable[[bytes], bytes], clock: Callable[[], float]) -> None:
        self._series_of = series_of
        self._clock = clock
        self._refused: dict[bytes, _Refused] = {}

    def add(self, line: bytes, answer: Answer, age: float) -> None:
        """Remember that a point was refused; `age` is the time since it was collected."""
        if len(self._refused) >= _MOST:
            self._refused.clear()
        series, at = self._series_of(line), self._clock() - age
        before = self._refused.get(series)
        if before and before.first - _TRIED_AGAIN <= at <= before.last + _TRIED_AGAIN:
            first, last = min(before.first, at), max(before.last, at)
            self._refused[series] = _Refused(before.times + 1, first, last, answer)
        else:
            self._refused[series] = _Refused(1, at, at, answer)

    def taken(self, lines: list[bytes]) -> None:
        """Forget the series of points that were taken."""
        for line in lines if self._refused else ():
            self._refused.pop(self._series_of(line), None)

    def sorted_out(self, lines: list[bytes]) -> tuple[list[bytes], list[tuple[bytes, Answer]]]:
        """Return the points, just collected, that are to be sent, and those that are not, with the answer."""
        hopeless: list[tuple[bytes, Answer]] = []
        if not self._refused:
            return lines, hopeless
        hopeful = []
        for line in lines:
            if answer := self._answer_to(line, 0):
                hopeless.append((line, answer))
            else:
                hopeful.append(line)
        return hopeful, hopeless

    def front(self, lines: list[bytes], age: float) -> tuple[list[tuple[bytes, Answer]], list[bytes]]:
        """Return the points at the front that are hopeless, and those behind them as far as there is hope."""
        hopeless: list[tuple[bytes, Answer]] = []
        for line in lines:
            if not (answer := self.bad(line, age)):
                break
            hopeless.append((line, answer))
        return hopeless, list(takewhile(lambda line: not self.bad(line, age), lines[len(hopeless) :]))

    def bad(self, line: bytes, age: float) -> Answer | None:
        """Return the answer to a point that waits if its series is called bad, None to any other.

        What a receiver stumbles over is asked about again: that may have been the moment's fault.
        """
        answer = self._answer_to(line, age)
        return answer if answer and answer.verdict in OF_THE_POINTS else None

    def _answer_to(self, line: bytes, age: float) -> Answer | None:
        """Return the answer that a point would get, None where that is not known."""
        refused = self._refused.get(self._series_of(line)) if self._refused else None
        is_known = refused and refused.times >= _REFUSALS and refused.holds_at(self._clock() - age)
        return refused.answer if refused and is_known else None
