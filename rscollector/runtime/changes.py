"""What has changed about collectors: numbered, bounded, for any number of readers, each at its own pace.

Each run changes the numbers of its collector. *News* is what people would want to be told: another state,
reason or note, a collector that came or went, and a reload, whose key is "".
"""

from collections import deque
from itertools import islice
from typing import NamedTuple

_KEPT = 10_000


class News(NamedTuple):
    """Whose something has changed, in order; `number` is where to read on.

    `missed` changes came before these and are forgotten: then anything may have changed.
    """

    keys: list[str]
    number: int
    missed: int


class Changes:
    """The last changes. The agent's loop owns it."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._last: deque[tuple[str, bool]] = deque(maxlen=kept)
        self._number = 0

    @property
    def number(self) -> int:
        """How many changes there were."""
        return self._number

    def note(self, key: str, *, news: bool = False) -> None:
        """Take note that something about a collector has changed, and whether that is news."""
        self._last.append((key, news))
        self._number += 1

    def since(self, number: int, *, only_news: bool = False) -> News:
        """Return the changes from this number on, where a reader begins with 0."""
        new = self._number - number
        last = list(islice(reversed(self._last), max(0, new)))[::-1]
        keys = [key for key, is_news in last if is_news or not only_news]
        return News(keys, self._number, new - len(last))
