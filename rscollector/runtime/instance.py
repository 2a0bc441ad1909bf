"""One collector as the agent sees it: its settings, its state machine, and what is counted about it."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rscollector.config.types import Spec
from rscollector.exposition.store import Prepared
from rscollector.exposition.validate import Drop
from rscollector.model.events import Trouble
from rscollector.model.lifecycle import Machine, State, sentence
from rscollector.model.metrics import Metric
from rscollector.runtime.history import History

_REMEMBERED = 100
SUCCESS = "success"
RESULTS = (SUCCESS, *(trouble.value for trouble in Trouble if trouble is not Trouble.MEMORY))
"""How a run can end; a renewal for want of memory ends none."""


class Explained(NamedTuple):
    """What a run has said in plain language; `at` is Unix time."""

    at: float
    sentences: tuple[str, ...]


@dataclass(slots=True)
class Instance:
    """A configured collector. The supervisor owns it.

    Times are the loop's, `last_success` is Unix time; `duration` is of the last successful run. `rows` are
    those of the run that is being committed, `prepared` what is made of them where they are many; `is_due`
    from a tick to the commit after it. Until `explain_until` somebody wants its runs `explained`; `told` is
    what was news last.
    """

    spec: Spec
    machine: Machine = field(default_factory=Machine)
    history: History = field(default_factory=History)
    declared: dict[str, Metric] = field(default_factory=dict)
    rows: Iterable[Any] = ()
    prepared: Prepared | None = None
    retry: asyncio.TimerHandle | None = None
    successor: Spec | None = None

    duration: float | None = None
    lateness: float | None = None
    succeeded_at: float | None = None
    last_success: float | None = None
    is_due: bool = False
    missed: int = 0
    skipped: int = 0
    results: Counter[str] = field(default_factory=Counter)
    restarts: Counter[Trouble] = field(default_factory=Counter)
    dropped: Counter[Drop] = field(default_factory=Counter)
    stack: str = ""
    explain_until: float = 0
    explained: Explained | None = None
    notes: tuple[str, ...] = ()
    withheld: list[str] = field(default_factory=list)
    told: tuple[object, ...] = ()
    _logged: tuple[State, str] | None = None
    _logged_at_length: set[str] = field(default_factory=set)

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

    def is_news(self, state: State, reason: str) -> bool:
        """Tell whether this is not what was logged last, and is to be logged now."""
        news = self._logged != (state, reason)
        self._logged = state, reason
        return news

    def first_time(self, what: str) -> bool:
        """Tell whether this is to be logged at length; what was logged is forgotten now and then."""
        if what in self._logged_at_length:
            return False
        if len(self._logged_at_length) >= _REMEMBERED:
            self._logged_at_length.clear()
        self._logged_at_length.add(what)
        return True

    def awaits(self, seq: int) -> bool:
        """Tell whether it waits for the samples that this question asks for."""
        return self.machine.seq == seq and self.machine.state is State.COLLECTING

    def sentence(self, now: float) -> str:
        """Say why it is where it is and what happens next; "" when all is well."""
        return sentence(self.machine, self.spec.policy, now)

    def succeeded(self, now: float, wall: float) -> None:
        """Count a successful run that has ended now."""
        self.results[SUCCESS] += 1
        self.succeeded_at, self.last_success = now, wall

    def forget_retry(self) -> None:
        """Cancel the retry."""
        if self.retry:
            self.retry.cancel()
        self.retry = None
