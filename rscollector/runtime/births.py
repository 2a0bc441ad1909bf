"""Workers that were asked for and are not there yet: the only ones who have one started.

A birth is *asked* for by the worker's name, and ends as *born*, with a worker that can be asked, or as
*failed*. It takes its time, and the loop goes on. Whoever
has asked may withdraw before that; if nobody wants a worker any more when it is born, the owner ends it.

Workers are started one after the other, with a pause. About fifty interpreters that were started at once kept
the agent from its CPU: the ticks of others were 0.9 s late, with the pause 4 ms.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from rscollector.model.errors import fence
from rscollector.runtime.worker_process import WorkerProcess

_PAUSE = 0.05  # about what an interpreter takes to start on two cores
_LONGEST = 10.0


class Owner(Protocol):
    """Who is told how births end."""

    def born(self, name: str, worker: WorkerProcess) -> None:
        """Take the worker."""

    def failed(self, name: str, why: str) -> None:
        """Take note that there will be none."""


class Births:
    """The births that are asked for, the oldest first. `start` starts a worker; it raises OSError."""

    def __init__(
        self,
        start: Callable[[str], Awaitable[WorkerProcess]],
        owner: Owner,
        *,
        longest: float = _LONGEST,
    ) -> None:
        self._start = start
        self._longest = longest
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._asked: dict[str, None] = {}
        self._ended = False
        self._current: asyncio.Task[None] | None = None
        self._pause: asyncio.TimerHandle | None = None

    def ask(self, name: str) -> None:
        """Have a worker of this name started, once; one that more guests ask for is the next."""
        if not self._ended:
            if name in self._asked:
                self._asked = {name: None, **self._asked}
            self._asked.setdefault(name)
            if self._current is None and self._pause is None:
                self._next()

    def withdraw(self, name: str) -> None:
        """Want no worker of this name, if it is not being started already."""
        self._asked.pop(name, None)

    def end(self) -> None:
        """Start nothing any more."""
        self._ended = True
        self._asked.clear()
        if self._current:
            self._current.cancel()

    def _next(self) -> None:
        self._pause = None
        if self._asked:
            self._current = self._loop.create_task(self._start_one(next(iter(self._asked))))

    async def _start_one(self, name: str) -> None:
        try:
            worker, why = await self._started(name)
            if worker:
                self._owner.born(name, worker)
            else:
                self._owner.failed(name, why)
        finally:
            self._asked.pop(name, None)
            self._current = None
            self._pause = self._loop.call_later(_PAUSE, self._next)

    async def _started(self, name: str) -> tuple[WorkerProcess | None, str]:
        with fence() as caught:
            return await asyncio.wait_for(self._start(name), self._longest), ""
        error = caught[0]
        if isinstance(error, TimeoutError):
            return None, f"it was not there after {self._longest:g} s"
        return None, getattr(error, "strerror", None) or str(error) or type(error).__name__
