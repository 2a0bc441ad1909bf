"""The agent's metrics about itself: is each collector well, and is the agent on time.

They are declared like every other metric, and rendered by a store of their own.
"""

import asyncio
import math
import platform
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from prometheus_client import ProcessCollector

import rscollector
from rscollector.exposition.render import Format, render
from rscollector.exposition.store import Store
from rscollector.exposition.validate import Drop
from rscollector.model.events import Trouble
from rscollector.model.lifecycle import State
from rscollector.model.metrics import Metric, Sample
from rscollector.model.namespace import Namespace
from rscollector.runtime.instance import RESULTS, Instance
from rscollector.runtime.outbox import Lost
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.vitals import Vitals

AGENT = Namespace("rscollector")
OF_TYPE = Namespace("rscollector", "type")

UP = OF_TYPE.gauge("collector_up", "Whether the collector's last run succeeded and its samples are shown.")
STATE = OF_TYPE.stateset(
    "collector_state", "The state of the collector's life.", tuple(state.value for state in State)
)
DURATION = OF_TYPE.gauge("collector_duration_seconds", "Time that the last successful run took.")
RUNS = OF_TYPE.counter("collector_runs", "Runs of the collector by their result.", "result")
MISSED = OF_TYPE.counter(
    "collector_ticks_missed", "Ticks that the agent was too late for to run them at all."
)
SKIPPED = OF_TYPE.counter("collector_ticks_skipped", "Ticks at which the collector was still busy.")
LATENESS = OF_TYPE.gauge("collector_tick_lateness_seconds", "How late the last tick was started.")
LAST_SUCCESS = OF_TYPE.gauge(
    "collector_last_success_timestamp_seconds", "When the last successful run ended, as Unix time."
)
SERIES = OF_TYPE.gauge("collector_series", "Series of the collector that are shown.")
DROPPED = OF_TYPE.counter("collector_dropped_samples", "Samples that were not shown, by reason.", "reason")
RESTARTS = OF_TYPE.counter(
    "collector_restarts", "Times that the collector was opened again, by what ended it.", "reason"
)
WAITING = OF_TYPE.gauge("sink_waiting_points", "Points that the agent still has to give to the sink.")
WAITING_BYTES = OF_TYPE.gauge(
    "sink_waiting_bytes", "Memory of the points that the agent still has to give to the sink."
)
WAITING_AGE = OF_TYPE.gauge(
    "sink_waiting_age_seconds",
    "Age of the oldest point that the agent still has to give to the sink; 0 while there is none.",
)
SINK_DROPPED = OF_TYPE.counter(
    "sink_dropped_points", "Points that the sink has not taken and that are gone, by why.", "reason"
)
SAMPLES = AGENT.counter("samples_committed", "Samples of all collectors that were shown.")
UPTIME = AGENT.gauge("uptime_seconds", "Time since the agent was started.")
LOOP_LAG = AGENT.gauge("loop_lag_seconds", "How late the agent's last one-second timer was.")
RELOAD_OK = AGENT.gauge(
    "config_last_reload_successful", "Whether the configuration was right when it was last read."
)
RELOADED = AGENT.gauge(
    "config_last_reload_success_timestamp_seconds",
    "When the configuration that is in use was read, as Unix time.",
)
STEPS = AGENT.counter("clock_steps", "Times that the wall clock was set by more than a second.")
SUSPENDS = AGENT.counter("suspends", "Times that the machine was suspended; all samples are dropped then.")
LOG_DROPPED = AGENT.counter("log_lines_dropped", "Lines that the agent's log could not take.")
OUTPUT_DROPPED = AGENT.counter(
    "worker_output_lines_dropped", "Lines that workers printed too fast for the log."
)
EVICTED = AGENT.counter("web_connections_evicted", "Connections that were cut because there were too many.")
NOT_AFTER = AGENT.gauge(
    "web_certificate_not_after_timestamp_seconds",
    "When the certificate that a listener uses expires, or one between it and its CA, as Unix time.",
    "listener",
)
NOT_BEFORE = AGENT.gauge(
    "web_certificate_not_before_timestamp_seconds",
    "From when on the certificate that a listener uses is valid, as Unix time.",
    "listener",
)
LOCKS_OK = AGENT.gauge(
    "web_last_reload_successful",
    "Whether certificates, keys and web configuration were right when they were last read; where not, those "
    "before are in use, also after a reload that was else successful. Absent where there are none.",
)
BUILD = AGENT.info("build", "Version of the agent and of Python.", "version", "python")

METRICS = tuple(each for each in list(globals().values()) if isinstance(each, Metric))
_DECLARED = {metric.name: metric for metric in METRICS}
_AT_ONCE = 10  # collectors that are rendered in one step of the loop, 0.2 ms each, the first time 2 ms
_PAUSE = 2.0  # times as long as such a step, for all others: a thousand workers' answers come one by one


class Telemetry:
    """Renders the agent's own metrics ahead of the scrapes: in a large configuration they take long.

    What changes about collectors is rendered a few collectors at a time, at a scrape and once a second until
    nothing is left; what is about the agent, once a second.
    """

    def __init__(self, supervisor: Supervisor, vitals: Vitals) -> None:
        self._supervisor = supervisor
        self._vitals = vitals
        self._store = Store(sys.maxsize)
        self._process = ProcessCollector(registry=None)
        self._process_chunks: dict[Format, bytes] = {}
        self._read = 0
        self._to_render: dict[str, None] = {}
        self._rendered: set[str] = set()
        self._more: asyncio.TimerHandle | None = None

    def chunks(self, wanted: Format) -> Iterator[bytes]:
        """Yield the page's part about the agent."""
        yield self._process_chunks[wanted]
        yield from self._store.chunks(wanted)

    def samples(self, instance: Instance | None) -> list[Sample]:
        """Return what is told of a collector, or of the agent itself, as sinks are given it."""
        rows = self._rows(instance) if instance else self._own(asyncio.get_running_loop().time())
        return [Sample(metric, tuple(labels), value) for metric, *labels, value in rows]

    def every_second(self, now: float) -> None:
        """Render what is about the agent, and what has changed about collectors."""
        self._commit("", self._own(now))
        families = list(self._process.collect())
        for wanted in Format:
            sections = (section for family in families for section in render(family, wanted))
            self._process_chunks[wanted] = b"".join(part for section in sections for part in section)
        if self._more is None:
            self._render_all()

    def _render_all(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.render_some()
        pause = _PAUSE * (loop.time() - began)
        self._more = loop.call_later(pause, self._render_all) if self._to_render else None

    def render_some(self) -> None:
        """Render what has changed about a few collectors."""
        self._read_changes()
        for key in list(islice(self._to_render, _AT_ONCE)):
            del self._to_render[key]
            instance = self._supervisor.instances.get(key)
            if instance is None:
                self._store.drop(key)
                self._rendered.discard(key)
            else:
                self._commit(key, self._rows(instance))
                self._rendered.add(key)

    def _read_changes(self) -> None:
        news = self._supervisor.changes.since(self._read)
        self._read = news.number
        self._to_render.update(dict.fromkeys(filter(None, news.keys)))
        if news.missed:
            self._to_render.update(dict.fromkeys((*self._rendered, *self._supervisor.instances)))

    def _commit(self, key: str, rows: Iterable[tuple[Any, ...]]) -> None:
        parts = ((metric.name, tuple(values), value) for metric, *values, value in rows)
        self._store.commit(key, parts, _DECLARED, limit=sys.maxsize, expires=math.inf)

    def _rows(self, instance: Instance) -> Iterable[tuple[Any, ...]]:
        return ((metric, instance.spec.type, *rest) for metric, *rest in self._of(instance))

    def _of(self, instance: Instance) -> Iterator[tuple[Any, ...]]:
        yield UP, int(self._supervisor.up(instance))
        yield STATE, instance.machine.shown_state.value
        yield MISSED, instance.missed
        yield SKIPPED, instance.skipped
        yield SERIES, self._supervisor.store.series(instance.key)
        for result in RESULTS:
            yield RUNS, result, instance.results[result]
        for reason in Drop:
            yield DROPPED, reason.value, instance.dropped[reason]
        for trouble in Trouble:
            yield RESTARTS, trouble.value, instance.restarts[trouble]
        for metric, value in (
            (DURATION, instance.duration),
            (LATENESS, instance.lateness),
            (LAST_SUCCESS, instance.last_success),
        ):
            if value is not None:
                yield metric, value
        if outbox := self._supervisor.deliveries.outbox(instance.key):
            yield WAITING, outbox.waiting
            yield WAITING_BYTES, outbox.size
            yield WAITING_AGE, outbox.age
            for lost in Lost:
                yield SINK_DROPPED, lost.value, outbox.dropped[lost]

    def _own(self, now: float) -> Iterable[tuple[Any, ...]]:
        vitals, supervisor = self._vitals, self._supervisor
        return (
            (SAMPLES, supervisor.samples),
            (UPTIME, now - vitals.started),
            (LOOP_LAG, vitals.loop_lag),
            (RELOAD_OK, int(vitals.reload_ok)),
            (RELOADED, vitals.reloaded_at),
            (STEPS, vitals.steps),
            (SUSPENDS, vitals.suspends),
            (LOG_DROPPED, vitals.log_dropped),
            (OUTPUT_DROPPED, supervisor.bodies.lines_dropped()),
            (EVICTED, vitals.evicted),
            (BUILD, rscollector.__version__, platform.python_version(), 1),
            *((NOT_BEFORE, address, begins) for address, (begins, _) in vitals.certificates.items()),
            *((NOT_AFTER, address, ends) for address, (_, ends) in vitals.certificates.items()),
            *([(LOCKS_OK, int(not vitals.web_error))] if vitals.config.seen else []),
        )
