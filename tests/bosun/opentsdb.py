"""OpenTSDB in memory, as far as our alarms ask it: points by metric and tags, and the answer to a query.

What is told here are facts of OpenTSDB 2: of a metric that was never sent it answers with an error; a series without a
tag that is asked for does not count; series of one group are aggregated at the times that any of them has, with a line
between the points of the others; a rate is that of each series, begins with its second point, and is 0 where a counter
has begun anew and the step is larger than the third of `rate{counter,,1}`.
"""

import json
import re
from bisect import bisect
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

# As Bosun reads a query for OpenTSDB 2.1; what it reads for 2.2 contains that.
_QUERY = re.compile(r"(\w+):(?:(rate(?:\{[^}]*\})?):)?([\w./-]+)(?:\{([\w./,=*|-]+)\})?")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ROLLOVER = 2**63 - 1
_AGGREGATORS = {"sum": sum, "max": max, "min": min, "avg": fmean}

Points = dict[int, float]
Group = frozenset[tuple[str, str]]


class BadQuery(ValueError):
    """A query that is none, or that OpenTSDB refuses."""


@dataclass(frozen=True)
class Query:
    """A query: how series of a group are aggregated, of what metric, which values of which tags; grouped by these."""

    aggregator: str
    rate: str
    metric: str
    tags: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, text):
        """Read a query."""
        found = _QUERY.fullmatch(text)
        if not found or found[1] not in _AGGREGATORS:
            raise BadQuery(f"bad query format: {text}")
        pairs = [tuple(each.split("=")) for each in (found[4] or "").split(",") if each]
        return cls(found[1], found[2] or "", found[3], tuple(pairs))

    @property
    def keys(self):
        """The tags by which it is grouped."""
        return frozenset(key for key, _ in self.tags)

    def group(self, series):
        """Return the group that a series belongs to, None if it does not count."""
        tags = dict(series)
        for key, wanted in self.tags:
            if key not in tags or (wanted != "*" and tags[key] not in wanted.split("|")):
                return None
        return frozenset((key, tags[key]) for key in self.keys)


def seconds(text):
    """Return the seconds of a duration such as 5m."""
    if not (found := re.fullmatch(r"(\d+)([smhd])", text)):
        raise BadQuery(f"bad duration: {text}")
    return int(found[1]) * _UNITS[found[2]]


class OpenTsdb:
    """The points that were put, and when the query is asked."""

    def __init__(self):
        self.now = 0
        self.metrics: dict[str, dict[Group, Points]] = defaultdict(dict)
        self._by_head: dict[bytes, Points] = {}

    def put(self, lines):
        """Take points, each as JSON, as the sink sends them."""
        for line in lines:
            head, _, numbers = line.partition(b',"value":')
            if head not in self._by_head:
                point = json.loads(line)
                series = self.metrics[point["metric"]].setdefault(frozenset(point["tags"].items()), {})
                self._by_head[head] = series
            value, at = numbers[:-1].split(b',"timestamp":')
            self._by_head[head][int(at)] = float(value)

    def without(self, metric, since, host=""):
        """Return the same points, but for those of a metric after some time, of one host or of all."""
        other = OpenTsdb()
        other.now = self.now
        other.metrics.update(self.metrics)
        other.metrics[metric] = {
            series: {at: value for at, value in points.items() if at <= since}
            if not host or ("host", host) in series
            else points
            for series, points in self.metrics[metric].items()
        }
        return other

    def query(self, query, start, end):
        """Return the points of each group from `start` seconds ago until `end` seconds ago, both included."""
        if query.metric not in self.metrics:
            raise BadQuery(f"No such name for 'metrics': '{query.metric}'")
        groups = defaultdict(list)
        for series, points in self.metrics[query.metric].items():
            if (group := query.group(series)) is None:
                continue
            there = {at: points[at] for at in sorted(points) if self.now - start <= at <= self.now - end}
            if there := _rates(there, query.rate) if query.rate else there:
                groups[group].append(there)
        return {group: _aggregated(members, query.aggregator) for group, members in groups.items()}


def _rates(points, options):
    is_counter, _, reset = (*options.removeprefix("rate").strip("{}").split(","), "", "")[:3]
    rates = {}
    for (before, first), (at, second) in pairwise(points.items()):
        rate = (second - first) / (at - before)
        if is_counter == "counter" and rate < 0:
            rate = (_ROLLOVER - first + second) / (at - before)
            rate = 0.0 if reset and rate > int(reset) else rate
        rates[at] = rate
    return rates


def _aggregated(members, aggregator):
    if len(members) == 1:
        return members[0]
    times = sorted({at for points in members for at in points})
    values = {at: [value for points in members if (value := _at(points, at)) is not None] for at in times}
    return {at: float(_AGGREGATORS[aggregator](found)) for at, found in values.items()}


def _at(points, at):
    """Return the value of a series at a time, on the line between two of its points; None outside of them."""
    if at in points:
        return points[at]
    times = list(points)
    place = bisect(times, at)
    if not 0 < place < len(times):
        return None
    before, after = times[place - 1], times[place]
    return points[before] + (points[after] - points[before]) * (at - before) / (after - before)
