"""The last lines that somebody has logged, bounded in bytes."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from rscollector.model.texts import cut

_MOST = 20
_LONGEST = 300


class Line(NamedTuple):
    """A line; `at` is Unix time, `level` as logging has it."""

    at: float
    level: int
    text: str


class LastLines:
    """The last twenty lines, of three hundred characters at most."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: deque[Line] = deque(maxlen=_MOST)

    def add(self, at: float, level: int, text: str) -> None:
        """Keep a line."""
        self._lines.append(Line(at, level, cut(text, _LONGEST)))

    def __iter__(self) -> Iterator[Line]:
        """Yield the lines, the oldest first."""
        return iter(self._lines)
