"""The supervisor: carries out what the lifecycle decides, for every collector.

It owns the instances and the store, both used from the loop only. Events come from `ticks` and from `bodies`;
each is put through `lifecycle.step`, and the actions that come back are done here and nowhere else. What
concerns a worker is done by `bodies`, what concerns a sink's outbox by `deliveries`. Nothing here waits.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from rscollector.config.types import Spec
from rscollector.exposition.store import Prepared, Store
from rscollector.model import lifecycle
from rscollector.model.errors import FailureKind
from rscollector.model.events import (
    Action,
    Collect,
    Commit,
    Deadline,
    Done,
    DropSeries,
    Ended,
    Event,
    Exited,
    Failed,
    Kill,
    Open,
    Opened,
    Release,
    Renew,
    Retry,
    RetryAt,
    Skip,
    Stop,
    Tick,
    Trouble,
)
from rscollector.model.lifecycle import Machine, State
from rscollector.model.metrics import Metric, Sample
from rscollector.model.schedule import Due
from rscollector.model.settings import humanized
from rscollector.runtime import reports
from rscollector.runtime.bodies import Bodies, Loss, Run
from rscollector.runtime.capacity import Capacity
from rscollector.runtime.changes import Changes
from rscollector.runtime.deliveries import Deliveries
from rscollector.runtime.history import History
from rscollector.runtime.instance import Explained, Instance
from rscollector.runtime.ticks import Ticks
from rscollector.wire import messages

log = logging.getLogger("rscollector")

_AT_ONCE = 500  # rows that are committed in the turn in which they come, 2 ms where all series are known
_STEP = 0.001
_AT_WORK = (State.CONNECTING, State.IDLE, State.COLLECTING)


class Supervisor:
    """Runs the collectors of a configuration on a host.

    For sinks, `own` gives what the agent tells of a collector, or of itself.
    """

    def __init__(self, host: str, max_series: int, capacity: Capacity | None = None) -> None:
        self.instances: dict[str, Instance] = {}
        self.store = Store(max_series)
        self.bodies = Bodies(self, capacity)
        self.deliveries = Deliveries(self)
        self.ticks = Ticks(host, self._tick)
        self.changes = Changes()
        self.samples = 0
        self.own: Callable[[Instance | None], list[Sample]] = lambda _: []
        self._loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] | None = None

    # --- what is run ---

    def add(self, spec: Spec, history: History | None = None) -> None:
        """Begin to run a collector or a sink, now; a `history` is what it was with other settings."""
        now = self._loop.time()
        history = history or History(now, time.time())
        instance = self.instances[spec.key] = Instance(spec, Machine(since=now), history)
        self.bodies.add(spec)
        self.deliveries.add(spec)
        self.ticks.add(spec.key, spec.interval)
        self._dispatch(instance, Retry(now))

    def end(self, key: str, successor: Spec | None = None) -> None:
        """End a collector; when its process is gone it is forgotten, and its successor begins."""
        self.instances[key].successor = successor
        self._dispatch(self.instances[key], Stop(self._loop.time()))

    def revive(self) -> None:
        """Try at once whatever waits after a failure."""
        for instance in self.instances.values():
            if instance.machine.state in (State.BACKOFF, State.REMOVED):
                self._dispatch(instance, Retry(self._loop.time()))

    async def stop(self, timeout: float) -> bool:
        """End everything; return whether all processes were gone in time."""
        self._gone = self._loop.create_future()
        for instance in sorted(self.instances.values(), key=lambda each: not each.spec.sink):
            self.end(instance.key)  # sinks first: they are given what the collectors have told last
        self._tell_if_all_are_gone()
        done, _ = await asyncio.wait([self._gone], timeout=timeout)
        self.deliveries.tell_what_is_lost()
        return bool(done)

    def expire(self, now: float) -> None:
        """Take samples out of the exposition that are too old to be believed."""
        for key in self.store.expire(now):
            self._note(self.instances[key])
            told = humanized(self.instances[key].spec.expiry)
            log.warning("%s: its samples are older than %s and are shown no more", key, told)

    def drop_all_samples(self) -> None:
        """Take everything out of the exposition: it is from before a suspend."""
        self.store.drop_all()
        for instance in self.instances.values():
            self._note(instance)

    def up(self, instance: Instance) -> bool:
        """Tell whether a collector's last run succeeded and its samples are shown."""
        return instance.machine.trouble is None and instance.key in self.store

    def _note(self, instance: Instance) -> None:
        """Take note that something about a collector has changed."""
        machine, ever = instance.machine, instance.succeeded_at is not None
        condition = lifecycle.condition(machine, shown=instance.key in self.store, ever=ever)
        instance.history.became(self._loop.time(), time.time(), condition, machine.trouble, machine.reason)
        told = condition, machine.reason, instance.notes, *instance.withheld
        self.changes.note(instance.key, news=told != instance.told)
        instance.told = told

    # --- when: ticks, and deliveries.Owner ---

    def _tick(self, due: Due) -> None:
        instance, now = self.instances[due.key], self._loop.time()
        if instance.machine.stopping:
            return  # sinks have been given what is told last
        instance.missed += due.missed
        instance.lateness = now - due.slot
        # What the agent tells is given to sinks also where a collector has nothing to tell now.
        self.deliveries.hand_on_own(due.key, self.own(instance))
        instance.is_due = True
        if self.deliveries.outbox(due.key):
            self.deliveries.hand_on_own("", self.own(None))
            if instance.machine.state is State.COLLECTING:
                return  # it is being given something, and what it answers is this tick's
        self._dispatch(instance, Tick(now))

    def ask_sink(self, key: str) -> bool:
        """Ask a sink to take what waits; return whether it is busy and has to be asked again."""
        sink = self.instances[key]
        if sink.machine.state is State.IDLE:
            self._dispatch(sink, Tick(self._loop.time()))
            return False
        return sink.machine.state is State.COLLECTING

    # --- the lifecycle ---

    def _dispatch(self, instance: Instance, event: Event) -> None:
        before = instance.machine
        step = lifecycle.step(before, event, instance.spec.policy)
        instance.machine = step.machine
        for action in step.actions:
            self._do(instance, action)
        self._note(instance)
        reports.change(instance, before, self._loop.time(), self.store.series(instance.key))
        if instance.machine.state is State.STOPPED is not before.state:
            self._forget(instance)

    def _do(self, instance: Instance, action: Action) -> None:
        match action:
            case Open(seq):
                self._open(instance, seq)
            case Collect(seq):
                parcel = partial(self.deliveries.parcel, instance.key)
                explain = self._loop.time() < instance.explain_until
                self.bodies.collect(instance.key, seq, parcel, explain=explain)
            case Commit():
                self._commit(instance)
            case DropSeries():
                self.store.drop(instance.key)
            case Release(grace):
                instance.forget_retry()
                parcel = partial(self.deliveries.parcel, instance.key, everything=True)
                self.bodies.release(instance.key, instance.machine.seq, grace, parcel)
            case Kill():
                self.bodies.kill(instance.key)
            case RetryAt(when):
                instance.forget_retry()
                instance.retry = self._loop.call_at(when, self._retry, instance)
            case Skip():
                instance.skipped += 1
            case Ended(trouble):
                instance.results[trouble.value] += 1

    def _retry(self, instance: Instance) -> None:
        instance.retry = None
        self._dispatch(instance, Retry(self._loop.time()))

    def _open(self, instance: Instance, seq: int) -> None:
        instance.forget_retry()
        why = Trouble.MEMORY if instance.machine.renewing else instance.machine.trouble
        if why:
            instance.restarts[why] += 1
        self.deliveries.opening(instance.key)
        self.bodies.open(instance.key, seq)

    def _commit(self, instance: Instance) -> None:
        spec = instance.spec
        rows, instance.rows = instance.rows, ()
        expires, prepared = self._loop.time() + spec.expiry, instance.prepared
        if prepared and self.store.has_room(spec.key, prepared):
            accepted = self.store.show(spec.key, prepared, expires=expires)
        else:
            accepted = self.store.commit(
                spec.key, rows, instance.declared, limit=spec.max_series, expires=expires
            )
        instance.dropped.update(accepted.dropped)
        if not instance.machine.degraded:
            instance.succeeded(self._loop.time(), time.time())
        self.samples += accepted.samples
        reports.dropped(instance, accepted, partial(self.bodies.masked, spec.key))
        if not self.deliveries.outbox(spec.key):
            self.deliveries.hand_on(spec.key, accepted)
            if accepted.samples:
                self.deliveries.nudge_all()
        elif instance.is_due:  # else what sinks tell of themselves would be a quarter of what they send
            self.deliveries.hand_on(spec.key, accepted)
        instance.is_due = False

    def _forget(self, instance: Instance) -> None:
        key = instance.key
        instance.forget_retry()
        self.ticks.forget(key)
        self.bodies.forget(key)
        self.deliveries.forget(key, instance.successor)
        del self.instances[key]
        self.changes.note(key, news=True)
        if instance.successor:
            self.add(instance.successor, instance.history)
        self._tell_if_all_are_gone()

    # --- what becomes of bodies: bodies.Owner ---

    def opened(self, key: str, answer: messages.Opened, metrics: list[Metric]) -> None:
        """Have an open collector collect at once."""
        instance, now = self.instances[key], self._loop.time()
        instance.declared = {metric.name: metric for metric in metrics}
        if instance.spec.sink:
            self.deliveries.feed(key, answer.feed)
        self._dispatch(instance, Opened(now, answer.seq))
        self._dispatch(instance, Tick(now))

    def collected(self, key: str, run: Run) -> None:
        """Take a run, a large one in several turns of the loop."""
        instance = self.instances[key]
        self.deliveries.answered(key, run.taken)  # also by one that is to end meanwhile
        if len(run.rows) > _AT_ONCE:
            spec = instance.spec
            steps = self.store.preparing(key, run.rows, instance.declared, limit=spec.max_series)
            self._prepare(instance, run, steps)
        else:
            self._done(instance, run)

    def _prepare(self, instance: Instance, run: Run, steps: Iterator[Prepared]) -> None:
        """Do some steps, and the others in the next turn; meanwhile it is still collecting."""
        until = self._loop.time() + _STEP
        try:
            for prepared in steps if instance.awaits(run.seq) else ():
                instance.prepared = prepared
                if self._loop.time() >= until:
                    self._loop.call_soon(self._prepare, instance, run, steps)
                    return
        except Exception:  # a fault of ours: nobody's deadline would end this run
            self.bodies.kill(instance.key)
            raise
        self._done(instance, run)

    def _done(self, instance: Instance, run: Run) -> None:
        """Take a run, unless nobody waits for it any more."""
        if instance.awaits(run.seq):
            instance.rows, instance.notes = run.rows, run.notes
            said = run.sentences
            instance.explained = None if said is None else Explained(time.time(), said)
            if run.degraded is None:
                instance.duration = run.duration
                instance.history.took(self._loop.time(), run.duration)
        self._dispatch(instance, Done(self._loop.time(), run.seq, run.degraded, run.reason))
        instance.prepared = None

    def failed(self, key: str, answer: messages.Failed) -> None:
        """Take a failure, and log the traceback of a bug the first time."""
        instance, reason = self.instances[key], answer.reason
        self.deliveries.answered(key, answer.taken, reason if answer.kind is FailureKind.BUG else "")
        self._dispatch(instance, Failed(self._loop.time(), answer.seq, answer.kind, reason, random.random()))  # noqa: S311
        if answer.traceback and instance.first_time(reason):
            reports.block(logging.ERROR, key, answer.traceback)

    def closed(self, key: str, taken: int) -> None:
        """Take note of what a sink has taken before it was closed."""
        self.deliveries.answered(key, taken)

    def overdue(self, key: str, waited: float) -> None:
        """Take note of a deadline."""
        self._dispatch(self.instances[key], Deadline(self._loop.time(), waited))

    def lost(self, key: str, loss: Loss) -> None:
        """Take note that a body is gone, and where its code was."""
        instance, reason = self.instances[key], loss.reason
        self.deliveries.answered(key, 0, reason if loss.charged else "")
        if loss.stack or (loss.charged and instance.machine.state in _AT_WORK):
            instance.stack = loss.stack  # none where it has crashed and left none: not that of another time
        if loss.charged and loss.where and instance.machine.state is not State.KILLING:
            reason = f"{reason} ({loss.where})"
        draw = random.random()  # noqa: S311  no secret
        self._dispatch(instance, Exited(self._loop.time(), draw, reason, loss.charged, loss.where))
        if loss.stack and instance.first_time(loss.where):
            reports.block(logging.WARNING, key, loss.stack)

    def outgrown(self, key: str) -> None:
        """Have a collector leave its worker; one that has failed in there has nothing left in it."""
        instance = self.instances[key]
        self._dispatch(instance, Renew(self._loop.time()))
        if instance.machine.state is State.BACKOFF:
            self.bodies.leave(key)
            self.lost(key, Loss())

    def layouts(self, key: str, numbers: list[Any]) -> bytes:
        """Return the lines that tell a sink of layouts that it does not know."""
        return self.deliveries.layouts(key, numbers)

    def worker_gone(self) -> None:
        """Take note that a worker is gone; `stop` waits for the last one."""
        self._tell_if_all_are_gone()

    def _tell_if_all_are_gone(self) -> None:
        if self._gone and not self._gone.done() and not self.instances and not len(self.bodies):
            self._gone.set_result(None)
