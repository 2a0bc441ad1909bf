"""Which worker holds which collector: opens, asks, closes, kills and renews them, and watches deadlines.

A collector's *body* is what a worker may hold of it. This is the only place that knows the workers, and who
lives in which: whoever has a line with a worker in it finds its place here. What becomes of a body is told to
the owner, in the loop; nothing here waits, and nothing here decides when a collector is asked.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from rscollector.config.types import Spec
from rscollector.exposition.validate import ROWS_PER_SERIES
from rscollector.model.errors import FailureKind
from rscollector.model.metrics import Metric
from rscollector.runtime.births import Births
from rscollector.runtime.capacity import Capacity
from rscollector.runtime.lines import LastLines, Line
from rscollector.runtime.renewals import Renewals
from rscollector.runtime.worker_process import Death, Heard, Last, Question, WorkerProcess
from rscollector.wire.layouts import Columns, Samples, rows
from rscollector.wire.lines import Garbage
from rscollector.wire.messages import Close, Closed, Collect, Done, Failed, Open, Opened
from rscollector.wire.priorities import level_and_text

log = logging.getLogger("rscollector")

_OPEN_TIMEOUT = 10.0  # starting an interpreter and importing a driver on a busy host


class Run(NamedTuple):
    """What a collect gave: rows (name, label values, value), notes, and the seconds that it took.

    `degraded` and `reason` say what keeps the collector from what it is for; `taken` is how many of the runs
    that it was given are a sink's now; `sentences` explain the rows, None where that was not asked for.
    """

    seq: int
    rows: Samples
    notes: tuple[str, ...]
    duration: float
    degraded: FailureKind | None = None
    reason: str = ""
    taken: int = 0
    sentences: tuple[str, ...] | None = None


class Loss(NamedTuple):
    """How a body was lost. `charged` is false where another collector in the same worker was to blame.

    `where` is where it was in its code, or the state of its process; `stack` what is known of a culprit's
    code.
    """

    reason: str = ""
    charged: bool = True
    where: str = ""
    stack: str = ""


class Owner(Protocol):
    """Who owns the collectors, and is told what becomes of their bodies."""

    def opened(self, key: str, answer: Opened, metrics: list[Metric]) -> None:
        """Take note that it is open, and of what it may emit."""

    def collected(self, key: str, run: Run) -> None:
        """Take what it has collected."""

    def failed(self, key: str, answer: Failed) -> None:
        """Take note that it did not open or collect."""

    def closed(self, key: str, taken: int) -> None:
        """Take note that it was closed, and of how many runs it took before; `lost` follows."""

    def overdue(self, key: str, waited: float) -> None:
        """Take note that no answer came in so many seconds."""

    def lost(self, key: str, loss: Loss) -> None:
        """Take note that the body is gone."""

    def outgrown(self, key: str) -> None:
        """Have it leave its worker between two ticks."""

    def worker_gone(self) -> None:
        """Take note that a worker is gone."""

    def layouts(self, key: str, numbers: list[Any]) -> bytes:
        """Return the lines that tell a sink of layouts."""


@dataclass(slots=True)
class _Body:
    """What a worker may hold of a collector. `deadline` is that of the question asked at `asked_at`."""

    spec: Spec
    worker: WorkerProcess | None = None
    deadline: asyncio.TimerHandle | None = None
    telling: asyncio.Handle | None = None
    asked_at: float = 0
    layout: int = 0
    columns: Columns = field(default_factory=Columns)
    lines: LastLines = field(default_factory=LastLines)

    def disarm(self) -> None:
        """Cancel the deadline."""
        if self.deadline:
            self.deadline.cancel()
        self.deadline = None


class Bodies:
    """The bodies by the collectors' keys, and the workers."""

    def __init__(self, owner: Owner, capacity: Capacity | None = None) -> None:
        self._owner = owner
        self._capacity = capacity
        self._renewals = Renewals()
        self._loop = asyncio.get_running_loop()
        self._bodies: dict[str, _Body] = {}
        self._residents: dict[WorkerProcess, set[str]] = {}
        self._taking_in: dict[str, WorkerProcess] = {}  # by name; a retired worker takes in nobody
        self._expecting: dict[str, dict[str, int]] = {}  # by name: who enters at its birth
        self._births = Births(self._start, self)
        self._lines_dropped = 0
        self._printed: dict[str, LastLines] = {}  # by workers that several share: there are two names

    # --- what the supervisor wants ---

    def add(self, spec: Spec) -> None:
        """Take note of a collector, which has no body yet."""
        self._bodies[spec.key] = _Body(spec)

    def forget(self, key: str) -> None:
        """Forget a collector whose body is gone."""
        body = self._bodies.pop(key)
        body.disarm()
        if body.telling:
            body.telling.cancel()

    def open(self, key: str, seq: int) -> None:
        """Open a collector in its worker, which is started if there is none."""
        name = self._bodies[key].spec.worker
        worker = self._taking_in.get(name)
        if worker and not worker.dying:
            self._enter(key, seq, worker)
            return
        self.leave(key)  # the worker before is ending, and that end is no loss of its any more
        if why := self._why_no_worker(name):
            refused = Failed(seq, 0, FailureKind.UNAVAILABLE, why, "")
            self._soon(self._bodies[key], self._owner.failed, key, refused)
            return
        self._expecting.setdefault(name, {})[key] = seq
        self._births.ask(name)

    def collect(
        self, key: str, seq: int, parcel: Callable[[], bytes] = bytes, *, explain: bool = False
    ) -> None:
        """Ask an open collector for its samples; the parcel is made when the question is sent."""
        body = self._bodies[key]
        most = ROWS_PER_SERIES * body.spec.max_series
        question = Collect(seq, key, body.spec.timeout, most, body.layout, explain)
        self._ask(body, Question(question, parcel))

    def release(self, key: str, seq: int, grace: float, parcel: Callable[[], bytes] = bytes) -> None:
        """Close a collector; when that takes longer than `grace`, it is overdue.

        The parcel is made when a worker is asked: what is in one is in flight, and what was in the one before
        may have been confirmed by then.
        """
        body = self._bodies[key]
        body.disarm()
        if body.worker is None:  # it is not born yet, or could not be
            self._withdraw(key, body.spec.worker)
            self._lose_soon(body, Loss())
            return
        body.worker.withdraw(key)
        self._ask(body, Question(Close(seq, key, grace), parcel))
        if body.worker.is_busy_with(key):  # while it is busy with a neighbour, that one's deadline runs
            self._arm(body, grace)

    def kill(self, key: str) -> None:
        """Kill the worker that holds a collector, on that one's account; the others in it lose theirs now."""
        worker = self._bodies[key].worker
        if worker is None:
            return
        worker.kill(culprit=key)
        for neighbour in sorted(self._residents[worker] - {key}):
            # Not one more line of theirs will run, though it may take the process for ever to be gone.
            self._move(neighbour, None)
            self._owner.lost(neighbour, Loss(_shared(key), charged=False))

    def leave(self, key: str) -> None:
        """Have nothing of a collector in its worker any more; one that all have left is hung up on."""
        worker = self._bodies[key].worker
        self._move(key, None)
        if worker and not self._residents[worker]:
            worker.hang_up()

    def kill_all(self) -> None:
        """Kill every worker that is left, whatever it does, and start none."""
        self._births.end()
        for worker in self._residents:
            worker.kill("was killed when the agent ended")

    # --- what others want to know ---

    def __len__(self) -> int:
        """Return the number of workers whose processes are not reaped yet."""
        return len(self._residents)

    def pid(self, key: str) -> int | None:
        """Return the process id of the worker that holds a collector."""
        body = self._bodies.get(key)
        return body.worker.pid if body and body.worker else None

    def memory(self, key: str) -> int | None:
        """Return the resident memory of that worker in bytes, as it said after its last run."""
        body = self._bodies.get(key)
        return (body.worker.memory or None) if body and body.worker else None

    def masked(self, key: str, text: str) -> str:
        """Return a text of a collector without the secrets that its worker has read."""
        worker = self._bodies[key].worker
        return worker.masks.masked(text) if worker else text

    def lines(self, key: str) -> tuple[Iterable[Line], Iterable[Line]]:
        """Return what a collector has logged last, and what was printed in a worker that it shares."""
        body = self._bodies[key]
        return body.lines, self._printed.get(body.spec.worker, ())

    def lines_dropped(self) -> int:
        """Return how many lines workers have printed that were not logged."""
        return self._lines_dropped + sum(worker.dropped_lines for worker in self._residents)

    # --- births: births.Owner ---

    async def _start(self, name: str) -> WorkerProcess:
        # A sink's worker keeps what it has read, also when the agent has been killed.
        worker = await WorkerProcess.start(name, self, outlives=name.startswith("sink/"))
        self._residents[worker] = set()  # from here on it can end, before it counts as born
        return worker

    def born(self, name: str, worker: WorkerProcess) -> None:
        """Let those in who wait for this worker; one that has ended already is lost to them at once."""
        log.debug("%s: worker started, pid %d", name, worker.pid)
        if worker.death:
            for key in self._expecting.pop(name, {}):
                self._lose_soon(self._bodies[key], Loss(worker.death.reason, where=worker.death.where))
            return
        self._taking_in[name] = worker
        for key, seq in self._expecting.pop(name, {}).items():
            self._enter(key, seq, worker)
        if not self._residents[worker]:  # all have withdrawn
            worker.hang_up()

    def failed(self, name: str, why: str) -> None:
        """Tell those who wait for this worker that there will be none."""
        for key in self._expecting.pop(name, {}):
            self._lose_soon(self._bodies[key], Loss(f"cannot start a worker: {why}"))

    def _why_no_worker(self, name: str) -> str:
        """Return why no worker of this name can be had beside those that there are, "" if one can."""
        names = self._expecting.keys() | {worker.name for worker in self._residents}
        if not self._capacity or name in names or len(names) < self._capacity.workers:
            return ""
        return (
            f"no worker can be started: the agent has room for {self._capacity.workers} "
            f'({self._capacity.why}); raise that, or let collectors share one with isolation = "shared"'
        )

    def _lose_soon(self, body: _Body, loss: Loss) -> None:
        self._soon(body, self._owner.lost, body.spec.key, loss)

    def _soon(self, body: _Body, tell: Callable[..., None], *told: object) -> None:
        """Tell the owner in the next turn of the loop, since it is in the midst of something now."""
        if body.telling:
            body.telling.cancel()
        body.telling = self._loop.call_soon(tell, *told)

    def _withdraw(self, key: str, name: str) -> None:
        expecting = self._expecting.get(name, {})
        expecting.pop(key, None)
        if not expecting:
            self._expecting.pop(name, None)
            self._births.withdraw(name)

    # --- who lives where, and what is asked ---

    def _move(self, key: str, worker: WorkerProcess | None) -> None:
        """Have a collector live in this worker and in no other: nothing else changes that."""
        body = self._bodies[key]
        body.disarm()
        if body.worker:
            self._residents[body.worker].discard(key)
        body.worker = worker
        if worker:
            self._residents[worker].add(key)

    def _enter(self, key: str, seq: int, worker: WorkerProcess) -> None:
        body = self._bodies[key]
        if body.worker is not worker:
            self.leave(key)
            self._move(key, worker)
        body.layout, body.columns = 0, Columns()
        spec = body.spec
        opening = Open(
            seq=seq,
            instance=key,
            timeout=max(_OPEN_TIMEOUT, spec.timeout),
            type=spec.type,
            name=spec.name,
            plugin=spec.plugin,
            settings=spec.settings,
            variables=spec.variables,
            interval=spec.interval,
            collect_timeout=spec.timeout,
            host=spec.host,
            tags=spec.tags,
        )
        self._ask(body, Question(opening))

    def _ask(self, body: _Body, question: Question) -> None:
        if body.worker:  # of one that lives nowhere `lost` was told
            body.worker.ask(question)

    def _arm(self, body: _Body, seconds: float) -> None:
        body.disarm()
        body.deadline = self._loop.call_later(seconds, self._overdue, body, seconds)

    def _overdue(self, body: _Body, waited: float) -> None:
        body.deadline = None
        self._owner.overdue(body.spec.key, waited)

    def _renew_if_grown(self, worker: WorkerProcess, memory: int) -> None:
        """Have all collectors leave a worker that has grown too large; busy ones do it when done."""
        retired = self._taking_in.get(worker.name) is not worker
        limit = max((self._bodies[each].spec.max_memory for each in self._residents[worker]), default=memory)
        fresh, worker.is_fresh = worker.is_fresh, False
        if not retired:
            if not self._renewals.judge(worker.name, memory, limit, fresh=fresh, now=self._loop.time()):
                return
            del self._taking_in[worker.name]
        for each in sorted(self._residents[worker]):
            self._owner.outgrown(each)

    # --- what workers say: worker_process.Owner ---

    def sent(self, question: Question) -> None:
        """Arm the deadline of a question that is on the wire now."""
        body = self._bodies[question.instance]
        body.asked_at = self._loop.time()
        self._arm(body, question.message.timeout)

    def answered(self, worker: WorkerProcess, question: Question, last: Last, heard: Heard) -> None:
        """Tell the owner what was answered."""
        key = question.instance
        body = self._bodies[key]
        if body.worker is not worker:
            return  # it has left
        run = _run(body, question, last, heard, self._loop.time()) if isinstance(last, Done) else None
        if not isinstance(last, Closed):  # which the end of the process may have to follow, in time too
            body.disarm()
        match last:
            case Opened():
                self._owner.opened(key, last, heard.metrics)
            case Done(memory=memory) if run:
                worker.memory = memory
                self._owner.collected(key, run)
                self._renew_if_grown(worker, memory)
            case Failed():
                self._owner.failed(key, last)
            case Closed(taken=taken):
                self._owner.closed(key, taken)
                self._closed(worker, key)

    def _closed(self, worker: WorkerProcess, key: str) -> None:
        """A body was given back: alone in its worker, that ends too; with others, they go on."""
        if self._residents[worker] == {key}:
            worker.hang_up()
            return
        self._move(key, None)
        self._owner.lost(key, Loss())

    def layouts(self, instance: str, numbers: list[Any]) -> bytes:
        """Return the lines that tell a sink's worker of layouts."""
        return self._owner.layouts(instance, numbers)

    def exited(self, worker: WorkerProcess, death: Death) -> None:
        """Tell of every body that is gone, and who was to blame."""
        self._lines_dropped += worker.dropped_lines
        if self._taking_in.get(worker.name) is worker:
            del self._taking_in[worker.name]
        residents = sorted(self._residents[worker])
        for key in residents:
            self._move(key, None)
        del self._residents[worker]
        for key in residents:
            charged = death.culprit in (None, key)
            reason = death.reason if charged else _shared(death.culprit)
            stack = death.stack if key == death.culprit else ""
            self._owner.lost(key, Loss(reason, charged, death.where, stack))
        self._owner.worker_gone()

    def said(self, worker: WorkerProcess, line: str) -> None:
        """Log what a worker printed: under the name of whoever it is from, or under the worker's."""
        level, text = level_and_text(line)
        # Not its residents: what it prints when it ends comes when some or all have left.
        whose = {each for each, body in self._bodies.items() if body.spec.worker == worker.name}
        key, told, rest = text.partition(": ")
        if told and key in whose:
            text = rest
        else:
            key = next(iter(whose)) if len(whose) == 1 else ""
        log.log(level, "%s: %s", key or worker.name, text)
        if key:
            self._bodies[key].lines.add(time.time(), level, text)
        elif whose:
            self._printed.setdefault(worker.name, LastLines()).add(time.time(), level, text)


def _run(body: _Body, question: Question, done: Done, heard: Heard, now: float) -> Run:
    """Return a run, in the layout that came with it or in the one before; raises Garbage if that is wrong."""
    if heard.rows or done.layout != body.layout:
        body.layout, body.columns = done.layout, rows(heard.rows)
    samples = body.columns.with_values(heard.values)
    if done.degraded and done.degraded not in set(FailureKind):
        raise Garbage(f"{done.degraded!r:.40} where a kind of failure was expected")
    degraded = FailureKind(done.degraded) if done.degraded else None
    asked = question.message
    sentences = tuple(done.sentences) if isinstance(asked, Collect) and asked.explain else None
    took = now - body.asked_at
    return Run(done.seq, samples, tuple(done.notes), took, degraded, done.reason, done.taken, sentences)


def _shared(culprit: str | None) -> str:
    return f"{culprit} ended the worker that it shares"
