"""Points as OpenTSDB, and so Bosun, takes them: JSON objects with a name, whole seconds, a number and tags.

Names and tags have letters, digits and `- _ . /`; any other character becomes `_`. A tag without a value is
left out. A point has at most eight tags: the sample's own labels and its collector's name, then the host,
then the agent's tags in the order in which they are configured, as far as there is room; none of them takes
the place of one before it. Two series that are the same after that would overwrite each other: the second one
is refused. Pure.
"""

import fnmatch
import json
import math
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from rscollector.api import Metric, Series, Value

MOST_TAGS = 8
_LEGAL = frozenset(string.ascii_letters + string.digits + "-_./")
_REMEMBERED = 100_000


class Refusal(StrEnum):
    """Why a sample is not sent; the value is a label."""

    NUMBER = "number"  # infinity, or none at all
    TAGS = "tags"  # more than eight of its own
    COLLISION = "collision"


Samples = Iterable[tuple[Metric, tuple[str, ...], Value]]
Head = bytes | Refusal | None
"""A point's text up to its number, why there is none, or None: the filter leaves it out."""


class Names:
    """Which metrics are sent, and under which names: those that `filter` lets through, with `prefix`.

    A pattern is compared with the name without prefix; it has `*`, `?` and `[…]` as in a shell, and dots and
    underscores are the same in it, so that a name may be written as Prometheus or as Bosun has it. A metric
    is sent when a pattern of `include` matches, or there is none, and no pattern of `exclude` does.
    """

    def __init__(self, prefix: str = "", include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._prefix = prefix
        self._include = {text: _pattern(text) for text in include}
        self._exclude = [_pattern(text) for text in exclude]
        self._unmatched = dict.fromkeys(include)
        self._sent: dict[str, str | None] = {}

    def __call__(self, name: str) -> str | None:
        """Return the name under which a metric is sent, None if it is not."""
        if name not in self._sent:
            if len(self._sent) >= _REMEMBERED:
                self._sent.clear()
            self._sent[name] = self._prefix + name if self._passes(name.replace("_", ".")) else None
        return self._sent[name]

    def _passes(self, name: str) -> bool:
        matching = [text for text, pattern in self._include.items() if pattern.fullmatch(name)]
        for text in matching:
            self._unmatched.pop(text, None)
        included = bool(matching) or not self._include
        return included and not any(pattern.fullmatch(name) for pattern in self._exclude)

    def notes(self) -> Iterator[str]:
        """Yield what an operator may not have meant; nothing before there was a metric."""
        if not self._sent:
            return
        if all(sent is None for sent in self._sent.values()):
            yield f"filter: none of the {len(self._sent)} metrics that were collected so far is sent"
        for text in self._unmatched:
            yield f"filter: include = {text}: no metric that was collected so far has such a name"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(text.replace("_", ".")))


class Points:
    """Makes points out of samples. `refused` counts those that cannot be sent.

    `names` says which are sent, and as what. `translate` turns the samples of a run into points' names, tags
    and numbers; without it they have ours.

    A point's text up to its number is its *head*. Mostly only the numbers change, so heads are kept: those
    of a layout together, for runs that say which layout they have.
    """

    def __init__(
        self,
        host: str,
        tags: Mapping[str, str],
        translate: Callable[[Samples], Iterable[Series]] | None = None,
        names: Names | None = None,
    ) -> None:
        self.refused: Counter[Refusal] = Counter()
        self._host = host
        self._tags = tags
        self._translate = translate
        self._names = names or Names()
        self._heads: dict[Any, list[Head]] = {}
        self._layouts: dict[int, tuple[Any, list[list[Head]]]] = {}
        self._rows = 0

    def lines(self, second: int, name: str, samples: Samples) -> Iterator[bytes]:
        """Yield the points of an instance's samples, each as JSON."""
        tail = b',"timestamp":%d}' % second
        seen: set[bytes] = set()
        if self._translate:
            parts = self._translated(name, self._translate(samples))
        else:
            parts = self._ours(name, samples)
        for head, number in parts:
            if head is None:
                continue
            if isinstance(head, Refusal):
                self.refused[head] += 1
            elif not math.isfinite(number):
                self.refused[Refusal.NUMBER] += 1
            elif head in seen:
                self.refused[Refusal.COLLISION] += 1
            else:
                seen.add(head)
                yield head + repr(number).encode("ascii") + tail

    def _ours(self, name: str, samples: Samples) -> Iterator[tuple[Head, float]]:
        columns = getattr(samples, "columns", None)
        kept = self._layouts.get(id(columns))
        if kept is None or kept[0] is not columns:
            rows = [self._of(name, *sample) for sample in samples]
            self._keep(columns, rows)
        else:
            rows = kept[1]
        for heads, (metric, _, value) in zip(rows, samples, strict=True):
            if len(heads) == 1:
                yield heads[0], value if type(value) is float else metric.numbers(value)[0]
            else:
                yield from zip(heads, metric.numbers(value), strict=True)

    def _keep(self, columns: Any, rows: list[list[Head]]) -> None:
        """Keep the heads of a layout; a bounded number, of the layouts that were used last."""
        if columns is not None:
            self._rows += len(rows)
            if self._rows > _REMEMBERED:
                self._layouts.clear()
                self._rows = len(rows)
            self._layouts[id(columns)] = columns, rows

    def _of(self, name: str, metric: Metric, values: tuple[str, ...], value: Value) -> list[Head]:
        heads = self._heads.get((metric, name, values))
        return heads or self._remember((metric, name, values), name, metric.bosun_series(values, value))

    def _translated(self, name: str, points: Iterable[Series]) -> Iterator[tuple[Head, float]]:
        for each in points:
            key = each.name, name, tuple(each.labels.items())
            (head,) = self._heads.get(key) or self._remember(key, name, [each])
            yield head, each.value

    def _remember(self, key: Any, name: str, series: Iterable[Series]) -> list[Head]:
        if len(self._heads) >= _REMEMBERED:
            self._heads.clear()
        heads = self._heads[key] = [self._head(each.name, {"name": name, **each.labels}) for each in series]
        return heads

    def _head(self, metric: str, own: Mapping[str, str]) -> Head:
        sent = self._names(metric)
        if sent is None:
            return None
        tags = {legal(key): legal(text) for key, text in own.items() if text}
        if len(tags) > MOST_TAGS:
            return Refusal.TAGS
        for key, text in (("host", self._host), *self._tags.items()):
            if text and len(tags) < MOST_TAGS:
                tags.setdefault(legal(key), legal(text))
        point = json.dumps({"metric": legal(sent), "tags": dict(sorted(tags.items()))}, separators=(",", ":"))
        return point[:-1].encode("ascii") + b',"value":'


def legal(text: str) -> str:
    """Return a text with `_` in place of what a name may not have."""
    if _LEGAL.issuperset(text):
        return text
    return "".join(each if each in _LEGAL or each.isalpha() else "_" for each in text)


def body(lines: Iterable[bytes]) -> bytes:
    """Return the body of a request with these points."""
    return b"[" + b",".join(lines) + b"]"
