"""One collector as the agent sees it: its settings, its state machine, and what is counted about it."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rscollector.config.types import Spec
from rscollector.exposition.validate import Accepted, Drop
from rscollector.model.events import Counted, Trouble
from rscollector.model.lifecycle import Machine, State, sentence
from rscollector.model.metrics import Metric
from rscollector.runtime.outbox import Outbox
from rscollector.runtime.workers import Worker

_REMEMBERED = 100


class Result(StrEnum):
    """How a run ended; beside success the words are those of `Trouble`."""

    SUCCESS = "success"
    UNAVAILABLE = "unavailable"
    MISCONFIGURED = "misconfigured"
    BUG = "bug"
    HANG = "hang"
    CRASH = "crash"
    NEIGHBOUR = "neighbour"


@dataclass(slots=True)
class Instance:
    """A configured collector. The supervisor owns it. Times are the loop's, `last_success` is Unix time.

    `worker` is the one that may hold its body; `outbox` is what a sink is to be given, and `nudge` the timer
    that will have it taken.
    """

    spec: Spec
    machine: Machine = field(default_factory=Machine)
    declared: dict[str, Metric] = field(default_factory=dict)
    rows: list[Any] = field(default_factory=list)
    deadline: asyncio.TimerHandle | None = None
    retry: asyncio.TimerHandle | None = None
    successor: Spec | None = None
    worker: Worker | None = None
    outbox: Outbox | None = None
    nudge: asyncio.TimerHandle | None = None

    asked_at: float = 0
    duration: float | None = None
    lateness: float | None = None
    last_success: float | None = None
    missed: int = 0
    counted: Counter[Counted] = field(default_factory=Counter)
    results: Counter[Result] = field(default_factory=Counter)
    restarts: Counter[Trouble] = field(default_factory=Counter)
    dropped: Counter[Drop] = field(default_factory=Counter)
    stack: str = ""
    notes: tuple[str, ...] = ()
    logged: tuple[State, str] | None = None
    _told: set[str] = field(default_factory=set)

    @property
    def key(self) -> str:
        """The name in logs: `type/name`."""
        return self.spec.key

    @property
    def digest(self) -> str:
        """What its settings are, or will be when it has ended; "" when it is to end for good."""
        if self.successor:
            return self.successor.digest
        return "" if self.machine.stopping else self.spec.digest

    def first_time(self, what: str) -> bool:
        """Tell whether this is to be logged at length; what was logged is forgotten now and then."""
        if what in self._told:
            return False
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
        self._told.add(what)
        return True

    def awaits(self, seq: int) -> bool:
        """Tell whether it waits for the answer to this question."""
        return self.machine.seq == seq and self.machine.state in (State.CONNECTING, State.COLLECTING)

    def sentence(self, now: float) -> str:
        """Say why it is where it is and what happens next; "" when all is well."""
        return sentence(self.machine, self.spec.policy, now)

    def committed(self, accepted: Accepted, wall: float) -> None:
        """Count a successful run."""
        self.results[Result.SUCCESS] += 1
        self.dropped.update(accepted.dropped)
        self.last_success = wall

    def forget_nudge(self) -> None:
        """Cancel the nudge."""
        if self.nudge:
            self.nudge.cancel()
        self.nudge = None

    def disarm(self) -> None:
        """Cancel the deadline."""
        if self.deadline:
            self.deadline.cancel()
        self.deadline = None

    def forget_retry(self) -> None:
        """Cancel the retry."""
        if self.retry:
            self.retry.cancel()
        self.retry = None
