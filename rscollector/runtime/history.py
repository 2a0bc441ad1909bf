"""What a collector has been, since when and why, and how long its runs of the last hour took."""

import math
from array import array
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from rscollector.model.lifecycle import Condition
from rscollector.model.texts import cut

_MINUTES = 60
_KEPT = 10
_LONGEST = 96  # of a reason: with the minutes, a history takes at most 4 kB


class Past(NamedTuple):
    """A condition and why; `at` is Unix time, `lasted` in seconds, None for the one that holds."""

    at: float
    condition: Condition
    reason: str
    lasted: float | None = None


class History:
    """A `condition`, `since` when by the loop's time, those before it, and the longest run of each minute."""

    __slots__ = ("_kind", "_minute", "_past", "_took", "condition", "since")

    def __init__(self, now: float = 0.0, wall: float = 0.0) -> None:
        self.condition = Condition.STARTING
        self.since = now
        self._kind: object = None
        self._past = deque([Past(wall, self.condition, "")], maxlen=_KEPT)
        self._took = array("f", [math.nan] * _MINUTES)
        self._minute = 0

    def became(self, now: float, wall: float, condition: Condition, kind: object, reason: str) -> None:
        """Take note of what it is, and why.

        A reason of the same `kind` takes the place of the one before: its figures may change each time.
        """
        if condition is not self.condition:
            self.condition, self.since = condition, now
        elif kind == self._kind:
            if reason:
                self._past[-1] = self._past[-1]._replace(reason=cut(reason, _LONGEST))
            return
        self._kind = kind
        self._past.append(Past(wall, condition, cut(reason, _LONGEST)))

    def past(self) -> Iterator[Past]:
        """Yield what it has been, the newest first."""
        newest = self._past[-1]
        yield newest
        for after, before in pairwise(reversed(self._past)):
            reason = "" if before.condition is Condition.STARTING else before.reason  # it has started since
            yield before._replace(reason=reason, lasted=round(max(0.0, after.at - before.at), 3))

    def took(self, now: float, duration: float) -> None:
        """Take note of how long a run took that has ended now."""
        self._turn(now)
        slot = self._minute % _MINUTES
        self._took[slot] = duration if math.isnan(self._took[slot]) else max(duration, self._took[slot])

    def minutes(self, now: float) -> "array[float]":
        """Return the longest run of each minute, the oldest first; NaN for a minute without one."""
        self._turn(now)
        oldest = (self._minute + 1) % _MINUTES
        return self._took[oldest:] + self._took[:oldest]

    def _turn(self, now: float) -> None:
        minute = int(now // 60)
        for each in range(max(self._minute + 1, minute - _MINUTES + 1), minute + 1):
            self._took[each % _MINUTES] = math.nan
        self._minute = minute
