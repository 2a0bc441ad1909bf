"""What a collector is since when, and how long its runs of the last hour took."""

import math
from array import array

from rscollector.model.lifecycle import Condition

_MINUTES = 60


class History:
    """A `condition`, `since` when by the loop's time, and the longest run of each minute of the last hour."""

    __slots__ = ("_minute", "_took", "condition", "since")

    def __init__(self, now: float = 0.0) -> None:
        self.condition = Condition.STARTING
        self.since = now
        self._took = array("f", [math.nan] * _MINUTES)
        self._minute = 0

    def became(self, now: float, condition: Condition) -> None:
        """Take note of what it is."""
        if condition is not self.condition:
            self.condition, self.since = condition, now

    def took(self, now: float, duration: float) -> None:
        """Take note of how long a run took that has ended now."""
        self._turn(now)
        slot = self._minute % _MINUTES
        self._took[slot] = duration if math.isnan(self._took[slot]) else max(duration, self._took[slot])

    def minutes(self, now: float) -> list[float | None]:
        """Return the longest run of each minute, the oldest first; None for a minute without one."""
        self._turn(now)
        slots = (self._took[(self._minute + 1 + each) % _MINUTES] for each in range(_MINUTES))
        return [None if math.isnan(each) else round(each, 6) for each in slots]

    def _turn(self, now: float) -> None:
        minute = int(now // 60)
        for each in range(max(self._minute + 1, minute - _MINUTES + 1), minute + 1):
            self._took[each % _MINUTES] = math.nan
        self._minute = minute
