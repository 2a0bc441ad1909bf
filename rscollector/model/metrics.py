"""Metrics as they are declared, samples as they are collected, and the series that both stand for.

A metric is declared once, at module level of its collector. The declaration is the only source of HELP,
TYPE and UNIT in the exposition, of rate, unit and description in Bosun, and of the documentation's tables.
A sample is (metric, label values, value); `Metric.series` says which series it becomes.

The shape of a value depends on the kind:

    gauge, counter             int or float
    info                       always 1; what it tells is in the labels
    stateset                   the name of the state that holds, one of `states`
    histogram, gaugehistogram  a `Distribution`: one count per bucket and the sum of what was observed
"""

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from operator import ne
from typing import NamedTuple, Self, TypeGuard, cast

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_BOSUN_NAME = re.compile(r"[A-Za-z0-9./_-]+")
LONGEST_LABELS = 2048
"""How many characters the label values of a sample may have together: `max_series` bounds bytes by that."""
_FORBIDDEN_LABELS = frozenset({"instance", "job", "name", "le", "quantile"})


class Kind(StrEnum):
    """The kinds of metrics; the value is OpenMetrics' word."""

    GAUGE = "gauge"
    COUNTER = "counter"
    INFO = "info"
    STATESET = "stateset"
    HISTOGRAM = "histogram"
    GAUGE_HISTOGRAM = "gaugehistogram"


_SUFFIX = {Kind.COUNTER: "_total", Kind.INFO: "_info"}
_LARGEST = 1 << 1023  # what the exposition, which has floats only, can show
_DISTRIBUTED = (Kind.HISTOGRAM, Kind.GAUGE_HISTOGRAM)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Observations by bucket: `counts[i]` of those at most `bounds[i]`, the last count for those above all.

    The counts are per bucket, not cumulative; there is one more of them than bounds.
    """

    counts: tuple[int, ...]
    sum: float

    @classmethod
    def of(cls, bounds: tuple[float, ...], observations: Iterable[float]) -> Self:
        """Sort observations into the buckets with these upper bounds (ascending, without infinity)."""
        counts = [0] * (len(bounds) + 1)
        total: float = 0
        for observation in observations:
            counts[bisect_left(bounds, observation)] += 1
            total += observation
        return cls(tuple(counts), total)


Value = int | float | str | Distribution


class Series(NamedTuple):
    """One number with a name: what a Prometheus server stores for a sample, or for a part of one."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Metric:
    """The declaration of a metric.

    `name` is the name that a query uses, in base units: a counter ends in `_total`, an info in `_info`, and
    a unit is the name's last word before those. `help` is a sentence. `states` are a stateset's, `buckets`
    the upper bounds of a histogram's. `bosun` replaces the name that Bosun sees.
    """

    name: str
    kind: Kind
    help: str
    unit: str = ""
    labels: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    bosun: str = ""

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ValueError(f"metric {self.name!r}: {problem}")

    def __hash__(self) -> int:
        """Hash the name only: a metric is looked up for each sample, and two of one name are rare."""
        return hash(self.name)

    def _problems(self) -> Iterator[str]:
        if not _NAME.fullmatch(self.name):
            yield "a name has lower-case letters, digits and underscores"
        if self.bosun and not _BOSUN_NAME.fullmatch(self.bosun):
            yield f"{self.bosun!r} is no name for Bosun"
        for kind, suffix in _SUFFIX.items():
            if self.name.endswith(suffix) != (self.kind is kind):
                yield f"the suffix {suffix} belongs to each {kind} and to nothing else"
            elif self.kind is kind and self.family.endswith(suffix):
                yield f"the suffix {suffix} is there twice: a Namespace adds it"
        if self.unit and not self.family.endswith("_" + self.unit):
            yield f"the name does not end with its unit {self.unit!r}"
        if not self.help.endswith("."):
            yield "the help is not a sentence"
        yield from self._label_problems()
        yield from self._state_problems()
        if bool(self.buckets) != (self.kind in _DISTRIBUTED):
            yield "buckets belong to histograms"
        if list(self.buckets) != sorted(set(self.buckets)) or math.inf in self.buckets:
            yield "buckets ascend, without infinity"

    def _state_problems(self) -> Iterator[str]:
        if bool(self.states) != (self.kind is Kind.STATESET):
            yield "states belong to statesets"
        if len(set(self.states)) < len(self.states):
            yield "a state is named twice"
        if self.states and "state" in self.labels:
            yield "no label of a stateset is called 'state'"  # it is Bosun's tag for the state itself

    def _label_problems(self) -> Iterator[str]:
        for label in self.labels:
            if not _NAME.fullmatch(label):
                yield f"label {label!r} has characters that a label cannot have"
            if label == self.family:
                yield f"no label is called {label!r}, as the metric is"
            if label in _FORBIDDEN_LABELS:
                yield f"no label is called {label!r}, which the agent or Prometheus sets"
        if len(set(self.labels)) < len(self.labels):
            yield "a label is named twice"

    def __call__(self, value: Value = 1, /, **labels: str) -> "Sample":
        """Return a sample of this metric; every declared label is given by name, and no other."""
        if labels.keys() != set(self.labels):
            raise TypeError(f"{self.name} has the labels {self.labels}, not {tuple(labels)}")
        return Sample(self, tuple(labels[label] for label in self.labels), value)

    def distribution(self, observations: Iterable[float]) -> Distribution:
        """Sort observations into this metric's buckets."""
        return Distribution.of(self.buckets, observations)

    @property
    def family(self) -> str:
        """The name of the metric's family: OpenMetrics' name, without the suffix of counters and infos."""
        return self.name.removesuffix(_SUFFIX.get(self.kind, ""))

    @property
    def bosun_name(self) -> str:
        """The name that Bosun sees."""
        return self.bosun or self.name.replace("_", ".")

    @property
    def bosun_rate(self) -> str:
        """Bosun's word for how the values move."""
        return "counter" if self.kind in (Kind.COUNTER, Kind.HISTOGRAM) else "gauge"

    @property
    def width(self) -> int:
        """The number of series of one sample."""
        if self.kind is Kind.STATESET:
            return len(self.states)
        return len(self.buckets) + 3 if self.kind in _DISTRIBUTED else 1

    def problem(self, values: object, value: object) -> str:
        """Return what makes these label values or this value no sample of this metric, "" if nothing does."""
        if not isinstance(values, list | tuple) or not all(isinstance(each, str) for each in values):
            return f"label values are texts, not {values!r:.100}"
        if len(values) != len(self.labels):
            return f"{len(values)} label values for the labels {self.labels}"
        if sum(map(len, values)) > LONGEST_LABELS:
            return f"label values of more than {LONGEST_LABELS} characters together"
        return self.value_problem(value)

    def value_problem(self, value: object) -> str:
        """Return what makes this no value of this metric, "" if nothing does."""
        if self.kind is Kind.STATESET:
            return "" if value in self.states else f"{value!r} is none of its states"
        if self.kind in _DISTRIBUTED:
            return self._distribution_problem(value)
        if not _is_number(value):
            return f"{value!r:.40} is no number"
        if self.kind is Kind.COUNTER and not value >= 0:
            return f"a counter cannot be {value!r}"
        return "an info is always 1" if self.kind is Kind.INFO and value != 1 else ""

    def takes_all(self, values: Sequence[object]) -> bool:
        """Tell whether all of these are values of this metric, which for many numbers costs little."""
        if self.kind in (Kind.GAUGE, Kind.COUNTER) and set(map(type, values)) <= {int, float}:
            numbers = cast("Sequence[float]", values)
            lowest = 0 if self.kind is Kind.COUNTER else -_LARGEST
            is_nan = any(map(ne, numbers, numbers))
            if not is_nan and lowest <= min(numbers, default=0) and max(numbers, default=0) <= _LARGEST:
                return True
        return not any(map(self.value_problem, values))

    def _distribution_problem(self, value: object) -> str:
        if not isinstance(value, Distribution):
            return f"{value!r} is no Distribution"
        if len(value.counts) != len(self.buckets) + 1:
            return f"{len(value.counts)} counts for {len(self.buckets)} buckets and the one above"
        whole = all(type(count) is int and count >= 0 for count in value.counts)
        whole = whole and sum(value.counts) <= _LARGEST
        number = _is_number(value.sum) and (self.kind is Kind.GAUGE_HISTOGRAM or value.sum >= 0)
        return "" if whole and number else "counts are whole and the sum is a number"

    def series(self, values: tuple[str, ...], value: Value) -> Iterator[Series]:
        """Expand a valid sample into its series, in the order in which the exposition formats want them."""
        labels = dict(zip(self.labels, values, strict=True))
        for (suffix, more), number in zip(self._parts(), self.numbers(value), strict=True):
            yield Series(self.name + suffix, {**labels, **more}, number)

    def numbers(self, value: Value) -> tuple[float, ...]:
        """Return the values of a valid sample's series, in the same order."""
        if isinstance(value, Distribution):
            *lower, total = accumulate(value.counts)
            return (*lower, total, total, value.sum)
        if isinstance(value, str):
            return tuple(int(state == value) for state in self.states)
        return (value,)

    def _parts(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield for each series of a sample the suffix of its name and the labels that it has beside ours."""
        if self.kind is Kind.STATESET:
            yield from (("", {self.name: state}) for state in self.states)
        elif self.kind in _DISTRIBUTED:
            yield from (("_bucket", {"le": _bound(bound)}) for bound in (*self.buckets, math.inf))
            prefix = "_g" if self.kind is Kind.GAUGE_HISTOGRAM else "_"
            yield f"{prefix}count", {}
            yield f"{prefix}sum", {}
        else:
            yield "", {}

    def bosun_series(self, values: tuple[str, ...], value: Value) -> Iterator[Series]:
        """Expand a valid sample into Bosun's points: a state's tag is `state`, a bucket's is `le`."""
        for name, labels, number in self.series(values, value):
            suffix = name.removeprefix(self.name).replace("_g", "_").replace("_", ".")
            tags = {"state" if label == self.name else label: text for label, text in labels.items()}
            if tags.get("le") == "+Inf":
                tags["le"] = "inf"  # OpenTSDB knows no plus sign
            yield Series(self.bosun_name + suffix, tags, number)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, float) or (type(value) is int and abs(value) <= _LARGEST)


def _bound(bound: float) -> str:
    return "+Inf" if bound == math.inf else str(float(bound))


class Sample(NamedTuple):
    """A value of a metric at the time of its collection; label values stand in the order of the labels."""

    metric: Metric
    values: tuple[str, ...]
    value: Value


def samples_of(given: object) -> Iterator[Sample]:
    """Yield the samples that a collect gave. Raises TypeError for what is none."""
    if not isinstance(given, Iterable):
        raise TypeError(f"collect gave {given!r:.100}: it yields Samples, or returns a list of them")
    yield from map(_kept, given)


def _kept(sample: object) -> Sample:
    """Return a sample that stays what it is when its collector makes the next one out of the same lists."""
    if not isinstance(sample, Sample):
        raise TypeError(f"collect gave {sample!r:.100}, which is no Sample")
    if isinstance(sample.values, list):
        sample = sample._replace(values=tuple(sample.values))
    if isinstance(sample.value, Distribution) and isinstance(sample.value.counts, list):
        sample = sample._replace(value=Distribution(tuple(sample.value.counts), sample.value.sum))
    return sample
