"""Which of the rows that a worker sent are samples that may be shown.

A sample's metric must be declared, its labels and value must fit the declaration, no series may come twice,
and the limit on their number holds: a series that was there at the last commit keeps its place, and only new
ones are refused. Whatever is dropped is counted by reason, with one example for each. Pure.

(The worker sends up to `ROWS_PER_SERIES` rows per allowed series before it stops. Were it to stop at the
limit itself, a flood of new series that comes before a known one would push the known one out.)
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rscollector.model.metrics import Metric, Value, repaired

ROWS_PER_SERIES = 4

Values = tuple[str, ...]
Known = Mapping[str, Container[Values]]
"""By the name of a metric, the label values of the series that it has already."""


class Drop(StrEnum):
    """Why a sample was not shown; the value is a label in the agent's own metrics."""

    UNDECLARED = "undeclared"
    INVALID = "invalid"
    DUPLICATE = "duplicate"
    LIMIT = "limit"
    CONFLICT = "conflict"


@dataclass(slots=True)
class Accepted:
    """The samples to be shown by metric, the number of their series, and what was dropped."""

    rows: dict[Metric, dict[Values, Value]] = field(default_factory=dict)
    samples: int = 0
    series: int = 0
    dropped: Counter[Drop] = field(default_factory=Counter)
    examples: dict[Drop, str] = field(default_factory=dict)

    def take(self, metric: Metric, values: Values, value: Value) -> None:
        """Accept a sample."""
        self.rows.setdefault(metric, {})[values] = value
        self.samples += 1
        self.series += metric.width

    def drop(self, reason: Drop, what: str) -> None:
        """Count a sample that is not shown."""
        self.dropped[reason] += 1
        self.examples.setdefault(reason, what[:200])

    def refuse(self, metric: Metric, reason: Drop, what: str) -> None:
        """Take back all samples of a metric."""
        rows = self.rows.pop(metric)
        self.samples -= len(rows)
        self.series -= len(rows) * metric.width
        self.dropped[reason] += len(rows)
        self.examples.setdefault(reason, what[:200])


def validate(rows: Iterable[Any], declared: Mapping[str, Metric], known: Known, limit: int) -> Accepted:
    """Sort rows `(name, label values, value)` into accepted and dropped; `limit` is a number of series."""
    accepted = Accepted()
    new: list[tuple[Metric, Values, Value]] = []
    seen: set[tuple[str, Values]] = set()
    for row in rows:
        metric, values, value = _checked(row, declared, seen, accepted)
        if metric is None:
            continue
        if values in known.get(metric.name, ()) and accepted.series + metric.width <= limit:
            accepted.take(metric, values, value)
        else:
            new.append((metric, values, value))
    for metric, values, value in new:
        if accepted.series + metric.width <= limit:
            accepted.take(metric, values, value)
        else:
            accepted.drop(Drop.LIMIT, _show(metric.name, values))
    return accepted


def _checked(
    row: Any, declared: Mapping[str, Metric], seen: set[tuple[str, Values]], accepted: Accepted
) -> tuple[Metric | None, Values, Value]:
    nothing = (None, (), 0)
    if not (isinstance(row, list | tuple) and len(row) == 3 and isinstance(row[0], str)):
        accepted.drop(Drop.INVALID, repr(row))
        return nothing
    name, values, value = row
    metric = declared.get(name)
    if metric is None:
        accepted.drop(Drop.UNDECLARED, name)
        return nothing
    problem = metric.problem(values, value)
    if problem:
        accepted.drop(Drop.INVALID, f"{name}: {problem}")
        return nothing
    mended = tuple(map(repaired, values))
    if (name, mended) in seen:
        accepted.drop(Drop.DUPLICATE, _show(name, mended))
        return nothing
    seen.add((name, mended))
    return metric, mended, value


def _show(name: str, values: Values) -> str:
    return f"{name}{list(values)}"
