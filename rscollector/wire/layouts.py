"""Layouts: the series of a run, told once and numbered, so that a run is a number and its values.

Whoever tells a layout compares the series of each run with those of the one before. That costs little:
mostly they are the same objects.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rscollector.model.metrics import Distribution, Metric, Value
from rscollector.wire.declarations import declaration, declared
from rscollector.wire.lines import Garbage
from rscollector.wire.messages import Layout as Told

Groups = list[tuple[Metric, list[tuple[str, ...]]]]
"""The series of a run: metrics, and the label values of each."""


_ROW = 120  # a tuple, and the overhead of its texts


class Layout:
    """The series of an instance's runs, as the agent tells them to sinks; `name` is the instance's."""

    __slots__ = ("__weakref__", "groups", "name", "number")

    def __init__(self, number: int, name: str, groups: Groups) -> None:
        self.number = number
        self.name = name
        self.groups = groups

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return sum(_ROW + sum(map(len, labels)) for _, group in self.groups for labels in group)

    def told(self) -> Told:
        """Return what a sink's worker is told."""
        metrics = [declaration(metric) for metric, _ in self.groups]
        return Told(self.number, self.name, metrics, [labels for _, labels in self.groups])


class Columns(NamedTuple):
    """A layout as whoever was told of it keeps it: metrics and label values, side by side.

    To the agent a metric is the name that the worker has said; to a sink's worker it is the declaration.
    """

    metrics: Sequence[Any] = ()
    labels: Sequence[Any] = ()

    def with_values(self, told: list[Any]) -> "Samples":
        """Return the samples of a run; raises Garbage when they are too few or too many."""
        if len(told) != len(self.metrics):
            raise Garbage(f"{len(told)} values for a layout of {len(self.metrics)} rows")
        return Samples(self, values(told))


class Samples:
    """The samples of a run, (metric, label values, value), which are put together only while they are read.

    A hundred thousand tuples that are kept cost more, in garbage collections, than all the rest of the wire.
    """

    __slots__ = ("_columns", "_values")

    def __init__(self, columns: Columns, values: Sequence[Any]) -> None:
        self._columns = columns
        self._values = values

    @property
    def columns(self) -> Columns:
        """The layout: the same object for all runs that have it."""
        return self._columns

    @property
    def values(self) -> Sequence[Any]:
        """The values, in the layout's order."""
        return self._values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        return zip(self._columns.metrics, self._columns.labels, self._values, strict=True)


def columns(told: Told) -> Columns:
    """Return the layout that a sink's worker was told."""
    metrics = [
        metric for metric, rows in zip(map(declared, told.metrics), told.rows, strict=True) for _ in rows
    ]
    return Columns(metrics, [tuple(labels) for rows in told.rows for labels in rows])


def rows(told: Iterable[Any]) -> Columns:
    """Return the layout that a worker told the agent; what is odd in it is left for validation."""
    pairs = [row if isinstance(row, list) and len(row) == 2 else (row, None) for row in told]
    return Columns([name for name, _ in pairs], [labels for _, labels in pairs])


def values(told: Iterable[Any]) -> list[Any]:
    """Turn the values of a run back; a distribution is an array that begins with the sum."""
    return [_distribution(value) if type(value) is list else value for value in told]


def plain(value: object) -> list[Any] | str:
    """Return a distribution as the wire has it, and the type of what is no value: validation refuses it."""
    return [value.sum, *value.counts] if isinstance(value, Distribution) else type(value).__name__


def _distribution(told: list[Any]) -> Value | None:
    return Distribution(tuple(told[1:]), told[0]) if told else None  # validation checks what is in it
