"""Serial numbers as RFC 1982 counts them, and what is remembered of those of a zone. Pure.

Serials go round: after 4294967295 comes 0, and of two the newer one is that which is reached from the other
by adding less than 2³¹. So there is no largest one, and of some sets (0, 2³⁰·2, 2³⁰·3 …) none is the newest.
"""

from collections.abc import Collection, Iterable, Mapping

MODULUS, HALF = 1 << 32, 1 << 31
_MOST_SEEN = 1000


def newer(one: int, other: int) -> bool:
    """Tell whether one serial is newer than another; of two that are 2³¹ apart neither is."""
    return 0 < (one - other) % MODULUS < HALF


def newest(serials: Iterable[int]) -> int | None:
    """Return the serial that is newer than all others, None if there is none."""
    known = set(serials)
    found = None
    for each in known:
        if found is None or newer(each, found):
            found = each
    return found if all(each == found or newer(found or 0, each) for each in known) else None


def seconds_left(end: int, now: float) -> float:
    """Return the seconds to a time of a signature, which is counted as serials are (RFC 4034, 3.1.5)."""
    return (end - now + HALF) % MODULUS - HALF


class Serials:
    """What is remembered of a zone's serials: the newest one, who has had it, and when each was first seen.

    The newest stays the newest while all who had it are silent, as a primary that has died after a change; it
    does not when one of them has gone back, or nobody is left who had it.
    """

    def __init__(self) -> None:
        self.newest: int | None = None
        self.has_order = True
        self.holders: set[str] = set()
        self.seen: list[tuple[int, float]] = []

    def learn(self, now: float, told: Mapping[str, int], asked: Collection[str]) -> None:
        """Take in the serials that servers have told, by address; `asked` are all addresses."""
        self.holders.intersection_update(asked)
        if not told:
            return
        kept = {self.newest} if self.newest is not None and self._stands(told) else set()
        found = newest(kept | set(told.values()))
        self.has_order = found is not None
        if found is None or (
            self.newest is not None and found != self.newest and not newer(found, self.newest)
        ):
            self.seen = []
        if found != self.newest:
            self.holders = set()
            self.newest = found
            if found is not None:
                self.seen.append((found, now))
        if len(self.seen) > _MOST_SEEN:
            del self.seen[2::2]
        self.holders |= {address for address, serial in told.items() if serial == found}

    def _stands(self, told: Mapping[str, int]) -> bool:
        """Tell whether what was the newest is not refuted by who had it."""
        said = [told[each] for each in self.holders if each in told]
        return bool(self.holders) and all(
            each == self.newest or newer(each, self.newest or 0) for each in said
        )

    def behind(self, serial: int) -> int:
        """Return by how much a serial is behind the newest one."""
        if self.newest is None or not newer(self.newest, serial):
            return 0
        return (self.newest - serial) % MODULUS

    def since(self, serial: int) -> float | None:
        """Return when the first serial was seen that is newer than this one, None if none was."""
        return next((at for each, at in self.seen if newer(each, serial)), None)
