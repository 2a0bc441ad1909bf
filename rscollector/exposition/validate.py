"""Which of the rows that a worker sent are samples that may be shown.

A sample's metric must be declared, its labels and value must fit the declaration, no series may come twice,
and the limit on their number holds: a series that was there at the last commit keeps its place, and only new
ones are refused. Whatever is dropped is counted by reason, with one example for each. Pure.

(The worker sends up to `ROWS_PER_SERIES` rows per allowed series before it stops. Were it to stop at the
limit itself, a flood of new series that comes before a known one would push the known one out.)
"""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rscollector.model.metrics import Metric, Value
from rscollector.model.texts import one_line, printable

ROWS_PER_SERIES = 4
_EXAMPLE = 200
_AT_ONCE = 250  # rows, 3 µs each, and 8 those that are new

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

    def take_all(self, metric: Metric, rows: dict[Values, Value]) -> None:
        """Accept all samples of a metric."""
        self.rows[metric] = rows
        self.samples += len(rows)
        self.series += len(rows) * metric.width

    def drop(self, reason: Drop, what: str) -> None:
        """Count a sample that is not shown."""
        self.dropped[reason] += 1
        self._example(reason, what)

    def refuse(self, metric: Metric, reason: Drop, what: str) -> None:
        """Take back all samples of a metric."""
        rows = self.rows.pop(metric)
        self.samples -= len(rows)
        self.series -= len(rows) * metric.width
        self.dropped[reason] += len(rows)
        self._example(reason, what)

    def _example(self, reason: Drop, what: str) -> None:
        if reason not in self.examples:
            self.examples[reason] = one_line(what, _EXAMPLE)


def validate(rows: Iterable[Any], declared: Mapping[str, Metric], known: Known, limit: int) -> Accepted:
    """Sort rows `(name, label values, value)` into accepted and dropped; `limit` is a number of series."""
    *_, accepted = validating(rows, declared, known, limit)
    return accepted


def validating(
    rows: Iterable[Any], declared: Mapping[str, Metric], known: Known, limit: int
) -> Iterator[Accepted]:
    """Do what `validate` does in steps: what is yielded last is whole."""
    accepted = Accepted()
    new: list[tuple[Metric, Values, Value]] = []
    seen: set[tuple[str, Values]] = set()
    for number, row in enumerate(rows):
        if number % _AT_ONCE == 0:
            yield accepted
        metric, values, value, is_known = _checked(row, declared, known, accepted)
        if metric is None:
            continue
        if (metric.name, values) in seen:
            accepted.drop(Drop.DUPLICATE, _show(metric.name, values))
            continue
        seen.add((metric.name, values))
        if is_known and accepted.series + metric.width <= limit:
            accepted.take(metric, values, value)
        else:
            new.append((metric, values, value))
    for number, (metric, values, value) in enumerate(new):
        if number % _AT_ONCE == 0:
            yield accepted
        if accepted.series + metric.width <= limit:
            accepted.take(metric, values, value)
        else:
            accepted.drop(Drop.LIMIT, _show(metric.name, values))
    yield accepted


_NOTHING: tuple[None, Values, Value, bool] = (None, (), 0, False)


def _checked(
    row: Any, declared: Mapping[str, Metric], known: Known, accepted: Accepted
) -> tuple[Metric | None, Values, Value, bool]:
    """Return a row's metric, labels and value, and whether the series is known; no metric if it is wrong."""
    if not (isinstance(row, list | tuple) and len(row) == 3 and isinstance(row[0], str)):
        accepted.drop(Drop.INVALID, repr(row))
        return _NOTHING
    name, values, value = row
    metric = declared.get(name)
    if metric is None:
        accepted.drop(Drop.UNDECLARED, name)
        return _NOTHING
    is_known = _is_known(values, known.get(name, ()))  # then the labels were checked when it was new
    problem = metric.value_problem(value) if is_known else metric.problem(values, value)
    if problem:
        accepted.drop(Drop.INVALID, f"{name}: {problem}")
        return _NOTHING
    if is_known:
        return metric, tuple(values), value, True
    mended = tuple(map(printable, values))
    return metric, mended, value, mended in known.get(name, ())


def _is_known(values: object, known: Container[Values]) -> bool:
    try:
        return isinstance(values, list | tuple) and tuple(values) in known
    except TypeError:  # one of them is no text
        return False


def _show(name: str, values: Values) -> str:
    return f"{name}{list(values)}"
