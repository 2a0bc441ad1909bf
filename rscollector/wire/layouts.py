"""Layouts: the series of a run, told once and numbered, so that a run is a number and its values.

Whoever tells a layout compares the series of each run with those of the one before. That costs little:
mostly they are the same objects.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rscollector.model.metrics import Distribution, Metric, Value
from rscollector.wire.declarations import declaration, declared
from rscollector.wire.lines import Garbage
from rscollector.wire.messages import Layout as Told

Key = tuple[Metric, tuple[str, ...]]
Groups = list[tuple[Metric, list[tuple[str, ...]]]]
"""The series of a run: metrics, and the label values of each."""


class Layout:
    """The series of an instance's runs, as the agent tells them to sinks; `name` is the instance's."""

    __slots__ = ("__weakref__", "groups", "name", "number")

    def __init__(self, number: int, name: str, groups: Groups) -> None:
        self.number = number
        self.name = name
        self.groups = groups

    def told(self) -> Told:
        """Return what a sink's worker is told."""
        metrics = [declaration(metric) for metric, _ in self.groups]
        return Told(self.number, self.name, metrics, [labels for _, labels in self.groups])


def keys(told: Told) -> list[Key]:
    """Return the series of a layout that a sink's worker was told, in the order of the values."""
    groups = zip(told.metrics, told.rows, strict=True)
    return [
        (metric, tuple(labels)) for each, rows in groups for metric in [declared(each)] for labels in rows
    ]


class Rows(NamedTuple):
    """The layout that the agent was told of a collector: (name of the metric, label values) of each row."""

    number: int = 0
    keys: Sequence[tuple[Any, Any]] = ()

    def with_values(self, told: list[Any]) -> list[Any]:
        """Return the rows of a run, (name, label values, value); raises Garbage when the number is wrong."""
        if len(told) != len(self.keys):
            raise Garbage(f"{len(told)} values for a layout of {len(self.keys)} rows")
        return [(name, labels, value) for (name, labels), value in zip(self.keys, values(told), strict=True)]


def rows(number: int, told: Iterable[Any]) -> Rows:
    """Return the layout that a worker told; what is odd in it is left for validation."""
    keys = [tuple(row) if isinstance(row, list) and len(row) == 2 else (row, None) for row in told]
    return Rows(number, keys)


def values(told: Iterable[Any]) -> list[Any]:
    """Turn the values of a run back; a distribution is an array that begins with the sum."""
    return [_distribution(value) if type(value) is list else value for value in told]


def plain(value: object) -> list[Any]:
    """Return a distribution as the wire has it; everything else that is no value is refused, as json does."""
    if not isinstance(value, Distribution):
        raise TypeError(f"{type(value).__name__} is no value of a sample")
    return [value.sum, *value.counts]


def _distribution(told: list[Any]) -> Value | None:
    return Distribution(tuple(told[1:]), told[0]) if told else None  # validation checks what is in it
