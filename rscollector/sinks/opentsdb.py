"""Points as OpenTSDB, and so Bosun, takes them: JSON objects with a name, whole seconds, a number and tags.

Names and tags have letters, digits and `- _ . /`; any other character becomes `_`. A tag without a value is
left out. A point has at most eight tags: the sample's own labels and its collector's name, then the host,
then the agent's tags in the order in which they are configured, as far as there is room. Two series that are
the same after that would overwrite each other: the second one is refused. Pure.
"""

import json
import math
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from rscollector.api import Metric, Value

MOST_TAGS = 8
_LEGAL = frozenset(string.ascii_letters + string.digits + "-_./")
_REMEMBERED = 100_000


class Refusal(StrEnum):
    """Why a sample is not sent; the value is a label."""

    NUMBER = "number"  # infinity, or none at all
    TAGS = "tags"  # more than eight of its own
    COLLISION = "collision"


class Points:
    """Makes points out of samples. `refused` counts those that cannot be sent."""

    def __init__(self, host: str, tags: Mapping[str, str]) -> None:
        self.refused: Counter[Refusal] = Counter()
        self._host = host
        self._tags = tags
        self._heads: dict[Any, list[bytes | Refusal]] = {}

    def lines(
        self, second: int, name: str, samples: Iterable[tuple[Metric, tuple[str, ...], Value]]
    ) -> Iterator[bytes]:
        """Yield the points of an instance's samples, each as JSON."""
        tail = b',"timestamp":%d}' % second
        seen: set[bytes] = set()
        for metric, values, value in samples:
            numbers = metric.numbers(value)
            for head, number in zip(self._heads_of(metric, name, values, value), numbers, strict=True):
                if isinstance(head, Refusal):
                    self.refused[head] += 1
                elif not math.isfinite(number):
                    self.refused[Refusal.NUMBER] += 1
                elif head in seen:
                    self.refused[Refusal.COLLISION] += 1
                else:
                    seen.add(head)
                    yield head + repr(number).encode("ascii") + tail

    def _heads_of(
        self, metric: Metric, name: str, values: tuple[str, ...], value: Value
    ) -> list[bytes | Refusal]:
        key = metric, name, values
        known = self._heads.get(key)
        if known is None:
            if len(self._heads) >= _REMEMBERED:
                self._heads.clear()
            series = metric.bosun_series(values, value)
            known = self._heads[key] = [
                self._head(each.name, {"name": name, **each.labels}) for each in series
            ]
        return known

    def _head(self, metric: str, own: Mapping[str, str]) -> bytes | Refusal:
        tags = {legal(key): legal(text) for key, text in own.items() if text}
        if len(tags) > MOST_TAGS:
            return Refusal.TAGS
        for key, text in {"host": self._host, **self._tags}.items():
            if text and len(tags) < MOST_TAGS:
                tags.setdefault(legal(key), legal(text))
        point = json.dumps(
            {"metric": legal(metric), "tags": dict(sorted(tags.items()))}, separators=(",", ":")
        )
        return point[:-1].encode("ascii") + b',"value":'


def legal(text: str) -> str:
    """Return a text with `_` in place of what a name may not have."""
    if _LEGAL.issuperset(text):
        return text
    return "".join(each if each in _LEGAL or each.isalpha() else "_" for each in text)


def body(lines: Iterable[bytes]) -> bytes:
    """Return the body of a request with these points."""
    return b"[" + b",".join(lines) + b"]"
