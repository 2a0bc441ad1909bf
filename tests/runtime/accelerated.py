"""An accelerated clock: an event loop whose time passes at once where nothing is to be done before it.

And what the real supervisor is told by workers, in a world that a test makes: an hour of an outage with the
default settings takes a moment, and every wait in it is the agent's own.
"""

import asyncio
import selectors
from dataclasses import dataclass, field

from rscollector.config.types import Common, Spec
from rscollector.model.errors import FailureKind
from rscollector.model.feed import Feed
from rscollector.runtime.bodies import Loss, Run
from rscollector.runtime.supervisor import Supervisor
from rscollector.wire.layouts import Columns
from rscollector.wire.messages import Failed, Opened

ANSWER = 0.01


class _Selector(selectors.DefaultSelector):
    """Does not wait: it lets the loop's time pass."""

    passed = 0.0

    def select(self, timeout=None):
        """Return what is ready now; when nothing is, the time that would have been waited for has passed."""
        ready = super().select(0)
        if not ready and timeout:
            self.passed += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    """An event loop with that selector."""

    def __init__(self):
        self._passing = _Selector()
        super().__init__(self._passing)

    def time(self):
        """Return the accelerated time."""
        return self._passing.passed


def accelerated(main):
    """Run a coroutine function on an accelerated clock."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main())


def spec(key, **other):
    """Return a collector by its key; `other` is what is not as by default."""
    (type_, name), common = key.split("/"), Common()
    usual = {
        "interval": 15.0, "timeout": common.timeout_for(15.0), "max_series": 2000,
        "max_memory": int(common.max_memory), "policy": common.policy, "settings": {}, "worker": "local",
    }  # fmt: skip
    return Spec(type=type_, name=name, **(usual | other))


@dataclass
class World:
    """Stands for `Bodies`: workers in a world where `trouble` says what a collector meets now.

    `trouble` is None while all is well, a FailureKind, or "hang" or "crash"; `waits` has the seconds between a
    failure and the next attempt, `collected` the times of good runs.
    """

    supervisor: Supervisor
    trouble: str | None = None
    waits: list[float] = field(default_factory=list)
    collected: list[float] = field(default_factory=list)

    def __post_init__(self):
        self._loop = asyncio.get_running_loop()
        self._failed = None

    def __len__(self):
        return 0

    def add(self, spec):
        """Take note of a collector."""
        self._spec = spec

    def masked(self, _key, text):
        """Return a text as it is: there are no secrets."""
        return text

    def forget(self, _key):
        """Forget it."""

    def leave(self, _key):
        """Leave its worker."""

    def lines_dropped(self):
        """Return that no line was dropped."""
        return 0

    def pid(self, _key):
        """Return no process id."""

    def memory(self, _key):
        """Return no size of a process."""

    def open(self, key, seq):
        """Open it, or not."""
        if self._failed is not None:
            self.waits.append(self._loop.time() - self._failed)
        self._failed = None
        self._answer(key, seq, lambda: self.supervisor.opened(key, Opened(seq, Feed.NOTHING), []))

    def collect(self, key, seq, _parcel, *, explain=False):
        """Collect, or not."""
        self._answer(key, seq, lambda: self._collected(key, seq))

    def release(self, key, _seq, _grace, _parcel):
        """Close it."""
        self._loop.call_later(ANSWER, self.supervisor.lost, key, Loss())

    def kill(self, key):
        """Kill it."""
        self._loop.call_later(ANSWER, self.supervisor.lost, key, Loss("was killed"))

    def _collected(self, key, seq):
        self.collected.append(self._loop.time())
        self.supervisor.collected(key, Run(seq, Columns().with_values([]), (), ANSWER))

    def _answer(self, key, seq, well):
        if self.trouble:
            self._failed = self._loop.time()
        if self.trouble == "hang":
            self._loop.call_later(self._spec.timeout, self.supervisor.overdue, key, self._spec.timeout)
        elif self.trouble == "crash":
            self._loop.call_later(ANSWER, self.supervisor.lost, key, Loss("was killed by SIGSEGV"))
        elif self.trouble:
            failed = Failed(seq, 0, FailureKind(self.trouble), "it is down", "")
            self._loop.call_later(ANSWER, self.supervisor.failed, key, failed)
        else:
            self._loop.call_later(ANSWER, well)


def watched():
    """Return a supervisor with one collector, all of whose settings are the default ones, and its world."""
    supervisor = Supervisor("host", 20000)
    world = supervisor.bodies = World(supervisor)
    supervisor.add(spec("it/main"))
    return supervisor, world, supervisor.instances["it/main"]
