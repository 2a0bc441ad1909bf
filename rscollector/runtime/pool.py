"""The workers that run, by name: the first collector of a name has its worker started, the last one ends it.

Workers are started one after the other, with a pause. About fifty interpreters that were started at once kept
the agent from its CPU: the ticks of others were 0.9 s late, with the pause 4 ms.

A worker that has grown too large is retired: it takes in no collector any more and ends when all have left.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from rscollector.runtime.workers import Owner, Worker

log = logging.getLogger("rscollector")

_PAUSE = 0.05  # about what an interpreter takes to start on two cores


class Guest(NamedTuple):
    """A collector that wants to move in: as long as it is `wanted`, it is let `enter` or is `turned_away`."""

    wanted: Callable[[], bool]
    enter: Callable[[Worker], None]
    turned_away: Callable[[OSError], None]


class Pool:
    """The workers. The supervisor owns it, and is told what becomes of them."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._all: set[Worker] = set()
        self._open: dict[str, Worker] = {}  # those that take in collectors
        self._waiting: deque[tuple[str, Guest]] = deque()
        self._starter: asyncio.TimerHandle | None = None

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def let_in(self, name: str, guest: Guest) -> None:
        """Let a collector into the worker of this name, when that has been started."""
        if worker := self._taking_in(name):
            guest.enter(worker)
            return
        self._waiting.append((name, guest))
        if self._starter is None:
            self._start_next()

    def _start_next(self) -> None:
        self._starter = None
        while self._waiting:
            name, guest = self._waiting.popleft()
            if not guest.wanted():
                continue
            self._starter = self._loop.call_later(_PAUSE, self._start_next)
            try:
                worker = self._taking_in(name) or self._start(name)
            except OSError as error:
                guest.turned_away(error)
            else:
                guest.enter(worker)
            return

    def _taking_in(self, name: str) -> Worker | None:
        worker = self._open.get(name)
        return None if worker is None or worker.dying else worker

    def _start(self, name: str) -> Worker:
        # A sink's worker keeps what it has read, also when the agent has been killed.
        worker = self._open[name] = Worker(name, self._owner, outlives=name.startswith("sink/"))
        self._all.add(worker)
        log.debug("%s: worker started, pid %d", name, worker.pid)
        return worker

    def is_retired(self, worker: Worker) -> bool:
        """Tell whether a worker takes in no collector any more."""
        return self._open.get(worker.name) is not worker

    def retire(self, worker: Worker) -> None:
        """Let a worker take in no collector any more."""
        if not self.is_retired(worker):
            del self._open[worker.name]

    def gone(self, worker: Worker) -> None:
        """Forget a worker whose process has been reaped."""
        self.retire(worker)
        self._all.discard(worker)
