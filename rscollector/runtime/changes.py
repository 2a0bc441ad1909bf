"""What has changed about collectors: numbered, bounded, for any number of readers, each at its own pace."""

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
        self._last: deque[str] = deque(maxlen=kept)
        self._number = 0

    def note(self, key: str) -> None:
        """Take note that something about a collector has changed."""
        self._last.append(key)
        self._number += 1

    def since(self, number: int) -> News:
        """Return the changes from this number on, where a reader begins with 0."""
        new = self._number - number
        keys = list(islice(reversed(self._last), new))[::-1]
        return News(keys, self._number, new - len(keys))
