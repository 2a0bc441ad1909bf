"""What Bosun is told beside points: rate, unit and description of metrics, and what the host is. Pure.

Told once, when something has changed, and all of it again after a day and a part of the next hours, which
differs from host to host: with everybody's at once, receivers had a peak each hour (bosun#2058). What is
refused, or does not arrive, is tried again after a wait that grows (bosun#1899). It goes in parts, and one
that is refused goes behind the others.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from rscollector.api import Metric
from rscollector.sinks.bosun.opentsdb import legal
from rscollector.sinks.verdicts import Answer, Verdict

_DAY = 86400.0
_SPREAD = 0.1  # of a day: for as long, Bosun's page of a host may be without what is older than a day
_FIRST_WAIT, _LONGEST_WAIT = 60.0, 3600.0
_MOST = 500  # entries at once
_HOST = ""

Entry = dict[str, Any]


class Description(NamedTuple):
    """What a metric is: its name, rate (Bosun's word for how the values move), unit, and a sentence."""

    name: str
    rate: str
    unit: str
    text: str

    def entries(self, name: str) -> list[Entry]:
        """Return the entries for the name under which it is sent."""
        told = {"rate": self.rate, "unit": self.unit, "desc": self.text}
        return [{"metric": name, "name": what, "value": text} for what, text in told.items() if text]


def descriptions(metric: Metric) -> list[Description]:
    """Return what a metric's points are under our names: one with buckets is three."""
    parts = (".bucket", ".count", ".sum") if metric.buckets else ("",)
    return [
        Description(metric.bosun_name + part, metric.bosun_rate, metric.unit, metric.help) for part in parts
    ]


class Metadata:
    """What the receiver knows of each subject, which is a metric or the host, and what it is to be told.

    `describe` tells what a metric's points are, and `sent` under which name one is sent, if it is.
    `refusal` says why the receiver did not take what it was told last, "" if it did.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        draw: Callable[[], float],
        describe: Callable[[Metric], Iterable[Description]] = descriptions,
        sent: Callable[[str], str | None] = str,
    ) -> None:
        self.refusal = ""
        self._clock = clock
        self._draw = draw
        self._describe = describe
        self._sent = sent
        self._metrics: set[Metric] = set()
        self._known: dict[str, list[Entry]] = {}
        self._asked: dict[str, list[Entry]] = {}
        self._told: dict[str, list[Entry]] = {}
        self._again = self._tomorrow()
        self._not_before = clock()
        self._failures = 0
        self._longest = _DAY  # for a receiver that has never taken any: it may have no place for it

    def know(self, metrics: Iterable[Metric]) -> None:
        """Take note of metrics that are collected."""
        new = [metric for metric in dict.fromkeys(metrics) if metric not in self._metrics]
        self._metrics.update(new)
        for each in (each for metric in new for each in self._describe(metric)):
            if name := self._sent(each.name):
                self._known[name] = each.entries(legal(name))

    def know_host(self, entries: Iterable[Entry]) -> None:
        """Take note of what the host is."""
        self._known[_HOST] = list(entries)

    def due(self) -> list[Entry]:
        """Return what has to be told now, as far as it goes at once; nothing for a while after a failure."""
        now = self._clock()
        if now < self._not_before:
            return []
        if now >= self._again:
            self._told.clear()
            self._again = self._tomorrow()
        self._asked = {}
        for subject, entries in self._known.items():
            if self._told.get(subject) != entries:
                if self._asked and len(entries) + sum(map(len, self._asked.values())) > _MOST:
                    break
                self._asked[subject] = entries
        if not self._asked:
            self._failures = 0
        return [entry for entries in self._asked.values() for entry in entries]

    def answered(self, answer: Answer) -> None:
        """Take note of the answer to what was due."""
        if answer.verdict is Verdict.TAKEN:
            self._told |= self._asked
            self._longest, self.refusal = _LONGEST_WAIT, ""
            return
        for subject in self._asked:
            self._known[subject] = self._known.pop(subject)
        wait = min(self._longest, _FIRST_WAIT * 2.0 ** min(self._failures, 30))
        self._failures += 1
        self._not_before = self._clock() + max(answer.retry_after, wait * (0.5 + 0.5 * self._draw()))
        self.refusal = answer.sentence

    def _tomorrow(self) -> float:
        return self._clock() + _DAY * (1 + _SPREAD * self._draw())
