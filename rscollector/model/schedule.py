"""When each collector is due, and what the clocks did meanwhile.

A tick is due at `origin + n · interval` on the monotonic clock, computed by multiplication, so that nothing
adds up: it is never early, never doubled, and after any number of ticks its phase is the same. Who comes
late by an interval or more is given the newest slot that has passed; the older ones are counted as missed.

The caller owns the clock and passes `now`. O(log n) per tick.
"""

import heapq
import math
import zlib
from dataclasses import dataclass
from typing import NamedTuple


def phase(host: str, key: str, interval: float) -> float:
    """Return the ticks' offset in [0, interval): spread over a fleet, stable over restarts."""
    return zlib.crc32(f"{host}/{key}".encode("utf-8", "replace")) / 2**32 * interval


class Due(NamedTuple):
    """A tick: whose it is, when it was due, and how many before it were missed."""

    key: str
    slot: float
    missed: int


@dataclass(slots=True)
class _Entry:
    origin: float
    interval: float
    turn: int

    @property
    def slot(self) -> float:
        return self.origin + self.turn * self.interval


class Schedule:
    """The heap of due times. The agent's loop owns it."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, key: str, *, interval: float, phase: float, now: float) -> None:
        """Have `key` come due at every time that is `phase` modulo `interval`, first after `now`."""
        self.remove(key)
        entry = self._entries[key] = _Entry(phase, interval, _turn_after(now, phase, interval))
        heapq.heappush(self._heap, (entry.slot, key))

    def remove(self, key: str) -> None:
        """Have `key` come due no more; one that is not there is no error."""
        if self._entries.pop(key, None):
            self._heap = [item for item in self._heap if item[1] != key]
            heapq.heapify(self._heap)

    def next_due(self) -> float | None:
        """Return the time of the next tick, None if there will be none."""
        return self._heap[0][0] if self._heap else None

    def next_of(self, key: str) -> float:
        """Return the time of the next tick of `key`."""
        return self._entries[key].slot

    def pop(self, now: float) -> Due | None:
        """Take the tick that is due, the earliest first; None if none is."""
        due = self.next_due()
        if due is None or due > now:
            return None
        key = self._heap[0][1]
        entry = self._entries[key]
        first = entry.turn
        entry.turn = max(first + 1, _turn_after(now, entry.origin, entry.interval))
        heapq.heapreplace(self._heap, (entry.slot, key))
        served = entry.turn - 1
        return Due(key, entry.origin + served * entry.interval, served - first)


def _turn_after(now: float, origin: float, interval: float) -> int:
    """Return the first n whose slot is later than `now`, whatever the rounding of the division."""
    turn = math.floor((now - origin) / interval) + 1
    while origin + turn * interval <= now:
        turn += 1
    while origin + (turn - 1) * interval > now:
        turn -= 1
    return turn


class Clocks(NamedTuple):
    """One reading of the kernel's clocks, in seconds; `boottime` goes on during a suspend."""

    monotonic: float
    boottime: float
    wall: float


class ClockChange(NamedTuple):
    """What happened between two readings: seconds suspended, seconds that the wall clock was stepped by."""

    suspended: float
    stepped: float


def clock_change(before: Clocks, after: Clocks, *, tolerance: float = 1.0) -> ClockChange:
    """Compare two readings; what is within the tolerance (slewing, the time between two calls) is zero."""
    suspended = (after.boottime - after.monotonic) - (before.boottime - before.monotonic)
    stepped = (after.wall - after.boottime) - (before.wall - before.boottime)
    return ClockChange(
        suspended if abs(suspended) > tolerance else 0.0, stepped if abs(stepped) > tolerance else 0.0
    )
