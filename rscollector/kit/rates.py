"""What two ticks tell together: by how much a number has changed, how fast, and for what share of the time.

A server's own averages are since its start, and hardly move after some days. A counter that has gone back was
begun anew, and a number that was not told at one of the two ticks is not compared: then nothing is said.
"""

import math
from collections.abc import Mapping


class Changes:
    """The numbers of two ticks in a row, `seconds` apart; None in place of what cannot be told."""

    def __init__(
        self, before: Mapping[str, float | None], now: Mapping[str, float | None], seconds: float
    ) -> None:
        self._before, self._now = before, now
        self.seconds = seconds

    def change(self, name: str) -> float | None:
        """Return by how much a number has risen, or fallen."""
        before, now = self._before.get(name), self._now.get(name)
        if before is None or now is None or self.seconds <= 0:
            return None
        return now - before if math.isfinite(before) and math.isfinite(now) else None

    def growth(self, name: str) -> float | None:
        """Return by how much a counter has grown."""
        change = self.change(name)
        return None if change is None or change < 0 else change

    def rate(self, name: str) -> float | None:
        """Return by how much a counter has grown in each second."""
        growth = self.growth(name)
        return None if growth is None else growth / self.seconds

    def share(self, name: str, unit: float = 1) -> float | None:
        """Return for what share of the time a counter of time has run, at most 1; its unit is in seconds."""
        rate = self.rate(name)
        return None if rate is None else min(1.0, rate * unit)


class Readings:
    """The numbers of the newest tick; a collector owns them for as long as its connection lasts."""

    def __init__(self) -> None:
        self._numbers: Mapping[str, float | None] = {}
        self._at = 0.0

    def take(self, at: float, numbers: Mapping[str, float | None]) -> Changes:
        """Take the numbers of a tick, at a monotonic time in seconds, and compare them with those before."""
        changes = Changes(self._numbers, numbers, at - self._at)
        self._numbers, self._at = numbers, at
        return changes
