"""When a worker that has grown beyond its memory is exchanged: at once, and not again and again.

A worker is renewed after the first run that leaves it too large, but for its very first one: that tells that
the limit is too small. If its successors are too large as soon, each of them is given more time than the one
before, up to ten minutes; one that lives longer than that ends the row.
"""

import logging
from dataclasses import dataclass

log = logging.getLogger("rscollector")

_FIRST = 10.0
_LONGEST = 600.0


@dataclass(slots=True)
class _Row:
    """The renewals of one name: how many in a row, when the last one was, and which limit was told of."""

    count: int = 0
    at: float = 0.0
    told: int = 0


class Renewals:
    """The renewals by the workers' names."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}

    def judge(self, name: str, memory: int, limit: int, *, fresh: bool, now: float) -> bool:
        """Tell whether a worker that uses so many bytes is to be renewed now, and log why.

        A `fresh` one has just had its first run.
        """
        if memory <= limit:
            return False
        uses, most = f"uses {memory >> 20} MiB", f"max_memory = {limit >> 20} MiB"
        if fresh and self.is_news(name, limit):
            why = f"its worker {uses} after its first run; raise it, or it is renewed again and again"
            log.warning("%s: %s is too small: %s", name, most, why)
        if fresh or not self.is_due(name, now):
            return False
        log.warning("%s: its worker %s, more than %s; it is renewed between two ticks", name, uses, most)
        return True

    def is_due(self, name: str, now: float) -> bool:
        """Tell whether a worker that is too large is to be renewed now; if so, that is counted."""
        row = self._rows.setdefault(name, _Row())
        age = now - row.at
        if row.count and age > _LONGEST:
            row.count = 0
        if row.count and age < min(_LONGEST, _FIRST * 2.0 ** (row.count - 1)):
            return False
        row.count, row.at = row.count + 1, now
        return True

    def is_news(self, name: str, limit: int) -> bool:
        """Tell, once for each limit, that a fresh worker of this name is beyond it."""
        row = self._rows.setdefault(name, _Row())
        news, row.told = row.told != limit, limit
        return news
