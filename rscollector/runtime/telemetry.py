"""The agent's metrics about itself: is each collector well, and is the agent on time.

They are declared like every other metric. Rows are made when a page is asked for, at most once a second.
"""

import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import ProcessCollector

import rscollector
from rscollector.exposition.render import Format, add_row, empty_family, render
from rscollector.exposition.validate import Drop
from rscollector.model.events import Counted, Trouble
from rscollector.model.lifecycle import State
from rscollector.model.metrics import Kind, Metric
from rscollector.runtime.instance import Instance, Result
from rscollector.runtime.supervisor import Supervisor

_TYPE = ("type",)


def _gauge(name: str, text: str, *, unit: str = "", labels: tuple[str, ...] = ()) -> Metric:
    return Metric(f"rscollector_{name}", Kind.GAUGE, text, unit=unit, labels=labels)


def _counter(name: str, text: str, *, unit: str = "", labels: tuple[str, ...] = ()) -> Metric:
    return Metric(f"rscollector_{name}", Kind.COUNTER, text, unit=unit, labels=labels)


UP = _gauge(
    "collector_up", "Whether the collector's last run succeeded and its samples are shown.", labels=_TYPE
)
STATE = Metric(
    "rscollector_collector_state",
    Kind.STATESET,
    "The state of the collector's life.",
    labels=_TYPE,
    states=tuple(state.value for state in State),
)
DURATION = _gauge(
    "collector_duration_seconds", "Time that the last successful run took.", unit="seconds", labels=_TYPE
)
RUNS = _counter("collector_runs_total", "Runs of the collector by their result.", labels=("type", "result"))
MISSED = _counter(
    "collector_ticks_missed_total", "Ticks that the agent was too late for to run them at all.", labels=_TYPE
)
SKIPPED = _counter(
    "collector_ticks_skipped_total", "Ticks at which the collector was still busy.", labels=_TYPE
)
LATENESS = _gauge(
    "collector_tick_lateness_seconds", "How late the last tick was started.", unit="seconds", labels=_TYPE
)
LAST_SUCCESS = _gauge(
    "collector_last_success_timestamp_seconds",
    "When the last successful run ended, as Unix time.",
    unit="seconds",
    labels=_TYPE,
)
SERIES = _gauge("collector_series", "Series of the collector that are shown.", labels=_TYPE)
DROPPED = _counter(
    "collector_dropped_samples_total", "Samples that were not shown, by reason.", labels=("type", "reason")
)
RESTARTS = _counter(
    "collector_restarts_total", "Times that the collector was opened again, by what ended it.",
    labels=("type", "reason"),
)  # fmt: skip
SAMPLES = _counter("samples_committed_total", "Samples of all collectors that were shown.")
UPTIME = _gauge("uptime_seconds", "Time since the agent was started.", unit="seconds")
LOOP_LAG = _gauge("loop_lag_seconds", "How late the agent's last one-second timer was.", unit="seconds")
RELOAD_OK = _gauge(
    "config_last_reload_successful", "Whether the configuration was right when it was last read."
)
RELOADED = _gauge(
    "config_last_reload_success_timestamp_seconds",
    "When the configuration that is in use was read, as Unix time.",
    unit="seconds",
)
STEPS = _counter("clock_steps_total", "Times that the wall clock was set by more than a second.")
SUSPENDS = _counter("suspends_total", "Times that the machine was suspended; all samples are dropped then.")
LOG_DROPPED = _counter("log_lines_dropped_total", "Lines that the agent's log could not take.")
OUTPUT_DROPPED = _counter(
    "worker_output_lines_dropped_total", "Lines that workers printed too fast for the log."
)
EVICTED = _counter("web_connections_evicted_total", "Connections that were cut because there were too many.")
BUILD = Metric(
    "rscollector_build_info", Kind.INFO, "Version of the agent and of Python.", labels=("version", "python")
)

METRICS = tuple(each for each in list(globals().values()) if isinstance(each, Metric))


@dataclass(slots=True)
class Vitals:
    """What the agent knows of itself beside its collectors; the agent keeps it up to date."""

    started: float
    loop_lag: float = 0
    reload_ok: bool = True
    reloaded_at: float = 0
    reload_error: str = ""
    steps: int = 0
    suspends: int = 0
    log_dropped: int = 0
    evicted: int = 0


@dataclass(slots=True)
class Telemetry:
    """Renders the agent's own metrics. `generation` changes when they were rendered anew."""

    supervisor: Supervisor
    vitals: Vitals
    generation: int = 0
    _rendered_at: float = -1
    _chunks: dict[Format, tuple[bytes, ...]] = field(default_factory=dict)
    _process: Any = field(default_factory=lambda: ProcessCollector(registry=None))

    def chunks(self, wanted: Format, now: float) -> tuple[bytes, ...]:
        """Return the page's part about the agent."""
        if not 0 <= now - self._rendered_at < 1:
            self._rendered_at = now
            self.generation += 1
            families = [*self._families(now), *self._process.collect()]
            self._chunks = {
                each: tuple(b"".join(s) for family in families for s in render(family, each))
                for each in Format
            }
        return self._chunks[wanted]

    def _families(self, now: float) -> Iterator[Any]:
        families = {metric: empty_family(metric) for metric in METRICS}
        for key in sorted(self.supervisor.instances):
            instance = self.supervisor.instances[key]
            extra = {"name": instance.spec.name}
            for metric, *values, value in self._of(instance):
                add_row(families[metric], metric, ((instance.spec.type, *values), value), extra)
        for metric, *values, value in self._own(now):
            add_row(families[metric], metric, (tuple(values), value), {})
        return (family for family in families.values() if family.samples)

    def _of(self, instance: Instance) -> Iterator[tuple[Any, ...]]:
        yield UP, int(instance.up)
        yield STATE, instance.machine.state.value
        yield MISSED, instance.missed
        yield SKIPPED, instance.counted[Counted.SKIPPED]
        yield SERIES, self.supervisor.store.series(instance.key)
        for result in Result:
            yield RUNS, result.value, instance.results[result]
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

    def _own(self, now: float) -> Iterable[tuple[Any, ...]]:
        vitals, supervisor = self.vitals, self.supervisor
        return (
            (SAMPLES, supervisor.samples),
            (UPTIME, now - vitals.started),
            (LOOP_LAG, vitals.loop_lag),
            (RELOAD_OK, int(vitals.reload_ok)),
            (RELOADED, vitals.reloaded_at),
            (STEPS, vitals.steps),
            (SUSPENDS, vitals.suspends),
            (LOG_DROPPED, vitals.log_dropped),
            (OUTPUT_DROPPED, supervisor.lines_dropped()),
            (EVICTED, vitals.evicted),
            (BUILD, rscollector.__version__, platform.python_version(), 1),
        )
