"""Which metrics a server's own names are: a row for each name, with the reader of its value.

A metric may have several names, for versions call it differently: the first that is told counts.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple

from rscollector.api import Kind, Metric, Sample, Value

Reader = Callable[[Any], Value | None]
"""Makes a metric's value of a server's, None where that says "none". Raises ValueError or TypeError."""


class Row(NamedTuple):
    """The metrics of a name, and what makes a value for each of them; raises ValueError or TypeError."""

    metrics: tuple[Metric, ...]
    read: Callable[[Any], Sequence[Value | None]]


IGNORED = Row((), lambda _value: ())
"""A name that is known and tells nothing that others do not."""


def number(value: Any) -> int | float:
    """Read a number, of whatever type, or of text; a truth is 1 or 0. Raises ValueError or TypeError."""
    if isinstance(value, str):
        return float(value) if any(each in value for each in ".eEn") else int(value)
    if isinstance(value, float):
        return value
    if not isinstance(value, int):
        raise TypeError(f"no number: {value!r:.40}")
    return int(value)


def flag(value: Any) -> int:
    """Read a truth value as one version or another writes it: 1 or 0. Raises ValueError."""
    word = str(value).strip().lower()
    if word in ("on", "true", "yes", "1"):
        return 1
    if word in ("off", "false", "no", "0"):
        return 0
    raise ValueError(f"neither ON nor OFF: {value!r:.40}")


def stripped(value: Any) -> str | None:
    """Read a text for an info's label; None where it is empty."""
    return str(value).strip() or None


def row(metric: Metric, read: Reader = number, factor: float = 1) -> Row:
    """Return the row of one metric. A number is multiplied with `factor`, to have the metric's unit.

    Of an info, what is read is the value of its last label.
    """

    def values(value: Any) -> tuple[Value | None]:
        found = read(value)
        return (found * factor if factor != 1 and isinstance(found, int | float) else found,)

    return Row((metric,), values)


class Table:
    """The rows by the server's names."""

    def __init__(self, rows: Mapping[str, Row]) -> None:
        self._rows = rows
        self.names = tuple(rows)
        self.metrics = tuple(dict.fromkeys(metric for each in rows.values() for metric in each.metrics))

    def samples(self, told: Mapping[str, Any], **labels: str) -> Generator[Sample, None, list[str]]:
        """Yield the samples of what a server tells by name, all with these labels.

        Returns what is not known or cannot be read, as "name = value".
        """
        seen: set[Metric] = set()
        unknown = []
        for name, value in told.items():
            try:
                metrics, read = self._rows[name]
                values = read(value)
            except (KeyError, ValueError, TypeError, ArithmeticError):
                unknown.append(f"{name} = {value!r:.40}")
                continue
            for metric, each in zip(metrics, values, strict=True):
                if each is not None and metric not in seen:
                    seen.add(metric)
                    yield _sample(metric, each, labels)
        return unknown


def _sample(metric: Metric, value: Value, labels: Mapping[str, str]) -> Sample:
    if metric.kind is Kind.INFO:
        return metric(**labels, **{metric.labels[-1]: str(value)})
    return metric(value, **labels)
