"""When the collectors are asked: the schedule, and the one timer that follows it."""

import asyncio
from collections.abc import Callable

from rscollector.model.schedule import Due, Schedule, phase


class Ticks:
    """The schedule of the collectors on this host; `tick` is called with each tick that is due."""

    def __init__(self, host: str, tick: Callable[[Due], None]) -> None:
        self._host = host
        self._tick = tick
        self._loop = asyncio.get_running_loop()
        self._schedule = Schedule()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, key: str, interval: float) -> None:
        """Have a collector come due in its phase."""
        offset = phase(self._host, key, interval)
        self._schedule.add(key, interval=interval, phase=offset, now=self._loop.time())
        self._arm()

    def forget(self, key: str) -> None:
        """Have a collector come due no more."""
        self._schedule.remove(key)
        self._arm()

    def next_due(self) -> float | None:
        """Return the time of the next tick, None if there will be none."""
        return self._schedule.next_due()

    def next_of(self, key: str) -> float:
        """Return the time of a collector's next tick."""
        return self._schedule.next_of(key)

    def _arm(self) -> None:
        if self._timer:
            self._timer.cancel()
        due = self._schedule.next_due()
        self._timer = self._loop.call_at(due, self._run) if due is not None else None

    def _run(self) -> None:
        try:
            while due := self._schedule.pop(self._loop.time()):
                self._tick(due)
        finally:  # a tick that fails by a fault of ours must not be the last one of all
            self._arm()
