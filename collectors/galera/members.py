"""The cluster's members by name: who is there, who has come and gone since the last tick. Pure.

A node writes the list when it gets a view of a primary component: outside of one it still answers with the
list of the last (MariaDB 10.11), in which everybody is there. Then nothing is said about anybody.

A member is known by its UUID, which it gets anew with each start. Names are for people: several members may
have the same, and the list has their first 31 characters only.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

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
_LISTED = 31


class Members:
    """Who was seen so far; the collector owns it, for as long as its connection lasts."""

    def __init__(self, expected: Iterable[str] = ()) -> None:
        self.expected = frozenset(expected)
        self._seen = Bounded(_MOST)
        self._now: Mapping[str, str] | None = None
        self._known = False
        self._joined = self._left = 0
        self.newest = ""

    @property
    def missing(self) -> list[str]:
        """Return who is expected and is not there; nobody while nobody is known."""
        return sorted(name for name, is_there in self._of_expected().items() if not is_there)

    def _of_expected(self) -> dict[str, bool]:
        """Tell who of the expected is there; of names that are listed alike that is known of all or none."""
        if not self._known or self._now is None:
            return {}
        there = Counter(self._now.values())
        wanted = Counter(name[:_LISTED] for name in self.expected)
        counts = {name: (there[name[:_LISTED]], wanted[name[:_LISTED]]) for name in self.expected}
        return {name: now > 0 for name, (now, all_) in counts.items() if not now or now >= all_}

    def forget(self) -> None:
        """Take note that it is not known who is there."""
        self._known = False

    def update(self, members: Mapping[str, str]) -> str:
        """Take note of who is there now, names by UUID, and say who has come and gone, "" if nobody has."""
        before, self._now, self._known = self._now, members, True
        for name in sorted(members.values()):
            self._seen(name)
        if before is None:
            return ""
        joined = sorted(name for uuid, name in members.items() if uuid not in before)
        left = sorted(name for uuid, name in before.items() if uuid not in members)
        if joined:
            self.newest = _named(joined)
        self._joined += len(joined)
        self._left += len(left)
        told = [f"{_named(names)} {what}" for names, what in ((joined, "joined"), (left, "left")) if names]
        return f"{' and '.join(told)}; {len(members)} members now" if told else ""

    def samples(self) -> Iterator[Sample]:
        """Yield what is known about the members."""
        if self._known and self._now is not None:
            names = set(self._now.values())
            others = names if self.expected else names.union(self._seen.kept)
            others -= {name[:_LISTED] for name in self.expected}
            present = {name: name in names for name in others} | self._of_expected()
            for name, is_there in sorted(present.items()):
                yield PRESENT(int(is_there), member=name)
        yield JOINED(self._joined)
        yield LEFT(self._left)
        if self.expected:
            yield EXPECTED(len(self.expected))


def _named(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
