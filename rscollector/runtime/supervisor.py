"""The supervisor: carries out what the lifecycle decides, for every collector.

It owns the instances, the workers, the schedule and the store, all of them used from the loop only. Events
come from timers and from workers; each is put through `lifecycle.step`, and the actions that come back are
done here and nowhere else. Nothing here waits.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from rscollector.config.types import Spec
from rscollector.exposition.store import Store
from rscollector.exposition.validate import ROWS_PER_SERIES, Accepted
from rscollector.model import lifecycle
from rscollector.model.errors import FailureKind
from rscollector.model.events import (
    Action,
    Collect,
    Commit,
    Count,
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
    Stop,
    Tick,
    Trouble,
)
from rscollector.model.lifecycle import Machine, State
from rscollector.model.metrics import Sample, repaired
from rscollector.model.schedule import Due, Schedule, phase
from rscollector.runtime import reports
from rscollector.runtime.instance import Instance, Result
from rscollector.runtime.outbox import Chunk, Outbox
from rscollector.runtime.pool import Guest, Pool
from rscollector.runtime.priorities import level_and_text
from rscollector.runtime.wire import Message, declaration, run
from rscollector.runtime.workers import Answer, Death, Question, Worker

log = logging.getLogger("rscollector")

_OPEN_TIMEOUT = 10.0  # starting an interpreter and importing a driver on a busy host
_GATHERING = 1.0  # seconds in which samples for a sink are gathered
_EXPIRY = 3  # intervals after which samples are not shown, whatever the reason


class Supervisor:
    """Runs the collectors of a configuration on a host.

    For sinks, `page` gives the text of all metrics, `own` what the agent tells of a collector, or of itself.
    """

    def __init__(self, host: str, max_series: int) -> None:
        self.instances: dict[str, Instance] = {}
        self.workers = Pool(self)
        self.store = Store(max_series)
        self.schedule = Schedule()
        self.host = host
        self.samples = 0
        self.page: Callable[[], str] = str
        self.own: Callable[[Instance | None], list[Sample]] = lambda _: []
        self.changed: set[str] = set()
        self._lines_dropped = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._gone: asyncio.Future[None] | None = None

    # --- what is run ---

    def add(self, spec: Spec, outbox: Outbox | None = None) -> None:
        """Begin to run a collector, or a sink with what its predecessor has left, now."""
        instance = self.instances[spec.key] = Instance(spec, Machine(since=self._loop.time()))
        if spec.sink == "runs":
            instance.outbox = outbox or Outbox()
        offset = phase(self.host, spec.key, spec.interval)
        self.schedule.add(spec.key, interval=spec.interval, phase=offset, now=self._loop.time())
        self._arm_schedule()
        self._dispatch(instance, Retry(self._loop.time()))

    def remove(self, key: str, successor: Spec | None = None) -> None:
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
            self.remove(instance.key)  # sinks first: they are given what the collectors have told last
        self._tell_if_gone()
        done, _ = await asyncio.wait([self._gone], timeout=timeout)
        return bool(done)

    def kill_all(self) -> None:
        """Kill every worker that is left, whatever it does."""
        for worker in self.workers:
            worker.kill("was killed when the agent ended")

    def expire(self, now: float) -> None:
        """Take samples out of the exposition that are too old to be believed."""
        for key in self.store.expire(now):
            self.changed.add(key)
            log.warning("%s: its samples are older than %d intervals and are shown no more", key, _EXPIRY)

    def drop_all_samples(self) -> None:
        """Take everything out of the exposition: it is from before a suspend."""
        self.store.drop_all()
        self.changed.update(self.instances)

    def up(self, instance: Instance) -> bool:
        """Tell whether a collector's last run succeeded and its samples are shown."""
        return instance.machine.trouble is None and instance.key in self.store

    def lines_dropped(self) -> int:
        """Return how many lines workers have printed that were not logged."""
        return self._lines_dropped + sum(worker.dropped_lines for worker in self.workers)

    # --- ticks ---

    def _arm_schedule(self) -> None:
        if self._timer:
            self._timer.cancel()
        due = self.schedule.next_due()
        self._timer = self._loop.call_at(due, self._run_due) if due is not None else None

    def _run_due(self) -> None:
        while due := self.schedule.pop(self._loop.time()):
            self._tick(due)
        self._arm_schedule()

    def _tick(self, due: Due) -> None:
        instance, now = self.instances[due.key], self._loop.time()
        instance.missed += due.missed
        instance.lateness = now - due.slot
        self._hand_on(instance.spec.name, self.own(instance))  # also of those that have nothing to tell now
        if instance.outbox:
            self._hand_on("", self.own(None))
        self._dispatch(instance, Tick(now))

    # --- the lifecycle ---

    def _dispatch(self, instance: Instance, event: Event) -> None:
        before = instance.machine
        step = lifecycle.step(before, event, instance.spec.policy)
        instance.machine = step.machine
        for action in step.actions:
            self._do(instance, action)
        self.changed.add(instance.key)
        reports.change(instance, before, self._loop.time(), self.store.series(instance.key))
        if instance.machine.state is State.STOPPED is not before.state:
            self._forget(instance)

    def _do(self, instance: Instance, action: Action) -> None:
        match action:
            case Open(seq):
                self._open(instance, seq)
            case Collect(seq):
                self._ask(instance, "collect", seq, instance.spec.timeout)
            case Commit():
                self._commit(instance)
            case DropSeries():
                self.store.drop(instance.key)
            case Release(grace):
                self._release(instance, grace)
            case Kill():
                self._kill(instance)
            case RetryAt(when):
                instance.forget_retry()
                instance.retry = self._loop.call_at(when, self._retry, instance)
            case Count(what):
                instance.counted[what] += 1
            case Ended(trouble):
                instance.results[Result(trouble.value)] += 1

    def _retry(self, instance: Instance) -> None:
        instance.retry = None
        self._dispatch(instance, Retry(self._loop.time()))

    def _open(self, instance: Instance, seq: int) -> None:
        instance.forget_retry()
        why = Trouble.MEMORY if instance.machine.renewing else instance.machine.trouble
        if why:
            instance.restarts[why] += 1
        if instance.spec.problem:
            failure = Failed(self._loop.time(), seq, FailureKind.MISCONFIGURED, instance.spec.problem, 0)
            self._loop.call_soon(self._dispatch, instance, failure)
            return
        self.workers.let_in(
            instance.spec.worker,
            Guest(
                wanted=partial(instance.awaits, seq),
                enter=partial(self._enter, instance, seq),
                turned_away=partial(self._turned_away, instance),
            ),
        )

    def _enter(self, instance: Instance, seq: int, worker: Worker) -> None:
        if instance.worker is not worker:
            self._leave(instance)
        worker.instances.add(instance.key)
        instance.worker = worker
        self._ask(instance, "open", seq, max(_OPEN_TIMEOUT, instance.spec.timeout))

    def _turned_away(self, instance: Instance, error: OSError) -> None:
        reason = f"cannot start a worker: {error.strerror}"
        self._loop.call_soon(self._dispatch, instance, self._exit_event(reason))

    def _ask(self, instance: Instance, op: str, seq: int, timeout: float) -> None:
        spec = instance.spec
        fields: Message = {"name": spec.name, "interval": spec.interval, "collect_timeout": spec.timeout}
        fields |= {"host": spec.host, "tags": spec.tags}
        if op == "open":
            fields |= {"type": spec.type, "plugin": spec.plugin, "settings": spec.settings}
            if instance.outbox:
                instance.outbox.begin()
        rows = ROWS_PER_SERIES * spec.max_series
        if spec.sink == "page" and op != "open":
            fields["page"] = self.page()
        runs = "[]"
        if instance.outbox and op != "open":
            runs, new = instance.outbox.next(everything=op == "close")
            fields["metrics"] = [declaration(metric) for metric in new]
        if instance.worker:  # which it has whenever something is to be asked
            instance.worker.ask(Question(op, instance.key, seq, timeout, rows, fields, runs))

    def _commit(self, instance: Instance) -> None:
        spec, now = instance.spec, self._loop.time()
        rows, instance.rows = instance.rows, []
        expires = now + _EXPIRY * spec.interval
        accepted = self.store.commit(
            spec.key, rows, instance.declared, limit=spec.max_series, expires=expires
        )
        instance.committed(accepted, time.time())
        self.samples += accepted.samples
        reports.dropped(instance, accepted)
        sinks = self._hand_on(spec.name, _samples(accepted), accepted.series)
        if not instance.outbox:  # what sinks tell of themselves is not worth a question of its own
            for sink in sinks:
                self._nudge(sink)

    def _hand_on(self, name: str, samples: Iterable[Sample], points: int = 0) -> list[Instance]:
        """Give samples, which are so many points, to every sink, and return these."""
        outboxes = {each.key: each.outbox for each in self.instances.values() if each.outbox}
        told = list(samples) if outboxes else []
        if not told:
            return []
        metrics = tuple({sample.metric for sample in told})
        chunk = Chunk(points or len(told), metrics, run(int(time.time()), name, told))
        for outbox in outboxes.values():
            outbox.put(chunk)
        return [self.instances[key] for key in outboxes]

    def _nudge(self, sink: Instance) -> None:
        if sink.nudge is None:
            sink.nudge = self._loop.call_later(_GATHERING, self._nudged, sink)

    def _nudged(self, sink: Instance) -> None:
        sink.nudge = None
        if sink.machine.state is State.IDLE:
            self._dispatch(sink, Tick(self._loop.time()))
        elif sink.machine.state is State.COLLECTING:
            self._nudge(sink)

    def _release(self, instance: Instance, grace: float) -> None:
        instance.forget_retry()
        instance.disarm()
        worker = instance.worker
        if worker is None:  # it could not be started, so there is nothing to wait for
            self._loop.call_soon(self._dispatch, instance, self._exit_event(""))
            return
        worker.withdraw(instance.key)
        self._ask(instance, "close", instance.machine.seq, grace)
        if worker.is_busy_with(instance.key):  # while it is busy with a neighbour, that one's deadline runs
            self._arm(instance, grace)

    def _kill(self, instance: Instance) -> None:
        if instance.worker:
            instance.worker.kill(culprit=instance.key)
            for key in sorted(instance.worker.instances - {instance.key}):
                # Not one more line of theirs will run, though it may take the process for ever to be gone.
                self._lose(self.instances[key], self._exit_event(_shared(instance.key), charged=False))

    def _lose(self, instance: Instance, exited: Exited) -> None:
        """Take note that the collector's body is gone with its worker."""
        if instance.worker:
            instance.worker.instances.discard(instance.key)
        instance.worker = None
        instance.disarm()
        self._dispatch(instance, exited)

    def _renew(self, worker: Worker, memory: int, limit: int) -> None:
        """Have all collectors move out of a worker that has grown too large; busy ones do it when done."""
        if not self.workers.is_retired(worker):
            self.workers.retire(worker)
            grown = f"uses {memory >> 20} MiB, more than max_memory = {limit >> 20} MiB"
            log.warning("%s: its worker %s; it is renewed between two ticks", worker.name, grown)
        for instance in [self.instances[key] for key in sorted(worker.instances)]:
            self._dispatch(instance, Renew(self._loop.time()))
            if instance.machine.state is State.BACKOFF:  # nothing of it is left in there
                self._leave(instance)
                self._dispatch(instance, self._exit_event(""))

    def _renew_if_grown(self, worker: Worker, memory: object) -> None:
        limit = max((self.instances[key].spec.max_memory for key in worker.instances), default=0)
        if isinstance(memory, int) and (memory > limit or self.workers.is_retired(worker)):
            self._renew(worker, memory, limit)

    def _leave(self, instance: Instance) -> None:
        """Nothing of the collector is in its worker any more; one that is left by all ends."""
        worker, instance.worker = instance.worker, None
        if worker:
            worker.instances.discard(instance.key)
            if not worker.instances:
                worker.hang_up()

    def _arm(self, instance: Instance, seconds: float) -> None:
        instance.disarm()
        instance.deadline = self._loop.call_later(seconds, self._overdue, instance, seconds)

    def _overdue(self, instance: Instance, waited: float) -> None:
        instance.deadline = None
        self._dispatch(instance, Deadline(self._loop.time(), waited))

    def _exit_event(self, reason: str, *, charged: bool = True, where: str = "") -> Exited:
        return Exited(self._loop.time(), random.random(), reason, charged, where)  # noqa: S311  no secret

    def _forget(self, instance: Instance) -> None:
        instance.disarm()
        instance.forget_nudge()
        instance.forget_retry()
        self.schedule.remove(instance.key)
        if self.instances.get(instance.key) is instance:
            del self.instances[instance.key]
        if instance.successor:
            self.add(instance.successor, instance.outbox)
        self._tell_if_gone()

    def _tell_if_gone(self) -> None:
        if self._gone and not self._gone.done() and not self.instances and not self.workers:
            self._gone.set_result(None)

    # --- what workers say: workers.Owner ---

    def sent(self, question: Question) -> None:
        """Arm the deadline of a question that is on the wire now."""
        instance = self.instances[question.instance]
        if question.op != "close":
            instance.asked_at = self._loop.time()
        self._arm(instance, question.timeout)

    def answered(self, worker: Worker, question: Question, answer: Answer) -> None:
        """Turn an answer into an event."""
        instance, now, seq = self.instances[question.instance], self._loop.time(), question.seq
        if instance.awaits(seq):
            instance.disarm()  # else the deadline is another's: that of the close behind this question
            instance.rows, instance.duration = answer.rows, now - instance.asked_at
        match answer.message["op"]:
            case "opened":
                instance.declared = {metric.name: metric for metric in answer.metrics}
                self._dispatch(instance, Opened(now, seq))
                self._dispatch(instance, Tick(now))
            case "done":
                instance.notes = _notes(answer.message.get("notes"))
                if instance.outbox and instance.awaits(seq):
                    instance.outbox.confirm()
                    if instance.outbox.more:
                        self._nudge(instance)
                self._dispatch(instance, Done(now, seq))
                self._renew_if_grown(worker, answer.message.get("memory"))
            case "failed":
                self._failed(instance, seq, answer)
            case "closed":
                if instance.outbox:
                    instance.outbox.confirm()
                self._closed(worker, instance)

    def _failed(self, instance: Instance, seq: int, answer: Answer) -> None:
        message = answer.message
        kind, reason = FailureKind(message["kind"]), repaired(str(message.get("reason")))
        self._dispatch(instance, Failed(self._loop.time(), seq, kind, reason, random.random()))  # noqa: S311
        if message.get("traceback") and instance.first_time(reason):
            reports.block(logging.ERROR, instance.key, repaired(str(message["traceback"])))

    def _closed(self, worker: Worker, instance: Instance) -> None:
        """A body was given back: alone in its worker, that ends too; with others, they go on."""
        if worker.instances == {instance.key}:
            worker.hang_up()
            return
        self._leave(instance)
        instance.disarm()
        self._dispatch(instance, self._exit_event(""))

    def exited(self, worker: Worker, death: Death) -> None:
        """Tell every instance whose body is gone, and who was to blame."""
        self._lines_dropped += worker.dropped_lines
        self.workers.gone(worker)
        culprit = death.culprit
        for key in sorted(worker.instances):
            instance = self.instances[key]
            charged = culprit in (None, key) and not death.asked
            if key == culprit:
                instance.stack = death.stack
            reason = death.reason if charged or death.asked else _shared(culprit)
            if charged and death.where and instance.machine.state is not State.KILLING:
                reason = f"{reason} ({death.where})"
            self._lose(instance, self._exit_event(reason, charged=charged, where=death.where))
            if key == culprit and death.stack and instance.first_time(death.where):
                reports.block(logging.WARNING, key, death.stack)
        self._tell_if_gone()

    def said(self, worker: Worker, line: str) -> None:
        """Log what a worker printed, under its name."""
        level, text = level_and_text(line)
        log.log(level, "%s: %s", worker.name, text)


def _samples(accepted: Accepted) -> Iterator[Sample]:
    for metric, rows in accepted.rows.items():
        for values, value in rows.items():
            yield Sample(metric, values, value)


def _notes(told: object) -> tuple[str, ...]:
    return tuple(repaired(str(each)[:1000]) for each in told[:10]) if isinstance(told, list) else ()


def _shared(culprit: str | None) -> str:
    return f"{culprit} ended the worker that it shares"
