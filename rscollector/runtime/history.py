"""What a collector has been and how long its runs took, for who asks later. At most 4 kB each."""

import math
import time
from array import array
from typing import NamedTuple

from rscollector.model.lifecycle import Condition

_MINUTES = 60
_CHANGES = 10
_LONGEST = 150


class Change(NamedTuple):
    """What a collector became at a time (Unix time), and why."""

    at: float
    condition: Condition
    reason: str


class History:
    """The last changes, the oldest first, and the longest run of each minute of the last hour.

    `since` is the loop's time of the last change.
    """

    __slots__ = ("_kind", "_minute", "_took", "changes", "since")

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.since = 0.0
        self._kind: tuple[Condition, object] | None = None
        self._took = array("f", [math.nan] * _MINUTES)
        self._minute = 0

    def became(self, now: float, condition: Condition, kind: object, reason: str) -> None:
        """Take note of what it is; of reasons that differ only in their words, the first is kept."""
        if self._kind == (condition, kind):
            return
        if not self._kind or self._kind[0] is not condition:
            self.since = now
        self._kind = condition, kind
        self.changes = [*self.changes, Change(time.time(), condition, reason[:_LONGEST])][-_CHANGES:]

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
