"""What Bosun is told about metrics, beside their points: rate, unit and description. Pure.

Told once, when something has changed, and all of it once a day, at a time that differs from host to host:
with everybody's at once, receivers had a peak each hour (bosun#2058). What did not arrive is tried again
(bosun#1899), unless the receiver has no place for it.
"""

from collections.abc import Callable, Iterable
from typing import Any

from rscollector.api import Kind, Metric
from rscollector.sinks.verdicts import Answer, Verdict

_DAY = 86400.0
_RETRY = 300.0
_DISTRIBUTED = (Kind.HISTOGRAM, Kind.GAUGE_HISTOGRAM)


class Metadata:
    """The metrics of which the receiver has been told, and when it has to be told again.

    `given_up` is the sentence that says why it is told nothing any more.
    """

    def __init__(self, clock: Callable[[], float], draw: Callable[[], float]) -> None:
        self.given_up = ""
        self._clock = clock
        self._draw = draw
        self._known: dict[str, list[dict[str, Any]]] = {}
        self._asked: dict[str, list[dict[str, Any]]] = {}
        self._told: dict[str, list[dict[str, Any]]] = {}
        self._again = clock() + _DAY * (0.5 + draw())
        self._not_before = clock()

    def know(self, metrics: Iterable[Metric]) -> None:
        """Take note of metrics that are sent."""
        for metric in metrics:
            for name in _names(metric):
                self._known[name] = _entries(name, metric)

    def due(self) -> list[dict[str, Any]]:
        """Return what has to be told now; nothing while there is nothing, or after a failure."""
        now = self._clock()
        if self.given_up or now < self._not_before:
            return []
        if now >= self._again:
            self._told.clear()
            self._again = now + _DAY * (0.5 + self._draw())
        self._asked = dict(self._known)
        changed = (entries for name, entries in self._known.items() if self._told.get(name) != entries)
        return [entry for entries in changed for entry in entries]

    def answered(self, answer: Answer) -> None:
        """Take note of the answer to what was due."""
        match answer.verdict:
            case Verdict.TAKEN:
                self._told = self._asked
            case Verdict.BAD | Verdict.ALARM:  # VictoriaMetrics says 400, others 404
                self.given_up = f"the receiver takes no metadata: {answer.sentence}"
            case _:
                self._not_before = self._clock() + _RETRY * (0.5 + self._draw())


def _names(metric: Metric) -> list[str]:
    parts = ("bucket", "count", "sum") if metric.kind in _DISTRIBUTED else ()
    return [f"{metric.bosun_name}.{part}" for part in parts] or [metric.bosun_name]


def _entries(name: str, metric: Metric) -> list[dict[str, Any]]:
    told = {"rate": metric.bosun_rate, "unit": metric.unit, "desc": metric.help}
    return [{"metric": name, "name": what, "value": text} for what, text in told.items() if text]
