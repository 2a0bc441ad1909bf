"""The cluster's members by name: who is there, who has come and gone since the last tick. Pure.

A node writes the list when it gets a view of a primary component: outside of one it still answers with the
list of the last (MariaDB 10.11), in which everybody is there. Then nothing is said about anybody.
"""

from collections.abc import Iterable, Iterator

from collectors.galera.variables import GALERA
from rscollector.api import Sample
from rscollector.kit.bounded import Bounded

PRESENT = GALERA.gauge(
    "member_present",
    "Whether a member is in this node's component. Who has gone is told of if expected, or if nobody is.",
    "member",
)
JOINED = GALERA.counter("members_joined", "Members that have come since the connection was made.")
LEFT = GALERA.counter("members_left", "Members that have gone since the connection was made.")
EXPECTED = GALERA.gauge("members_expected", "Members that the configuration names.")

METRICS = (PRESENT, JOINED, LEFT, EXPECTED)
_MOST = 64


class Members:
    """Who was seen so far; the collector owns it, for as long as its connection lasts."""

    def __init__(self, expected: Iterable[str] = ()) -> None:
        self.expected = frozenset(expected)
        self._seen = Bounded(_MOST)
        self._now: frozenset[str] | None = None
        self._known = False
        self._joined = self._left = 0
        self.newest = ""

    @property
    def missing(self) -> list[str]:
        """Return who is expected and is not there; nobody while nobody is known."""
        return sorted(self.expected - (self._now or frozenset())) if self._known else []

    def forget(self) -> None:
        """Take note that it is not known who is there."""
        self._known = False

    def update(self, names: Iterable[str]) -> str:
        """Take note of who is there now, and say who has come and gone, "" if nobody has."""
        now = frozenset(names)
        before, self._now, self._known = self._now, now, True
        for name in sorted(now):
            self._seen(name)
        if before is None:
            return ""
        joined, left = sorted(now - before), sorted(before - now)
        if joined:
            self.newest = _named(joined)
        self._joined += len(joined)
        self._left += len(left)
        told = [f"{_named(names)} {what}" for names, what in ((joined, "joined"), (left, "left")) if names]
        return f"{' and '.join(told)}; {len(now)} members now" if told else ""

    def samples(self) -> Iterator[Sample]:
        """Yield what is known about the members."""
        if self._known and self._now is not None:
            for name in sorted(self._now | (self.expected or set(self._seen.kept))):
                yield PRESENT(int(name in self._now), member=name)
        yield JOINED(self._joined)
        yield LEFT(self._left)
        if self.expected:
            yield EXPECTED(len(self.expected))


def _named(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
