"""How many may be on their way in: in a handshake, and silent after it; and how often an address may try.

A handshake costs the loop a millisecond of CPU (RSA 4096: nine), before anybody has shown who he is, and TLS
costs some 20 KB for each connection, while a scraper sends its request at once. There is a bound for each
address, and one for all together, in what runs out: CPU. A flood of strangers takes all of that, but for the
share of those whom the listener has let in within the last hour: what opens the share is what opens the lock.
"""

from collections import Counter, defaultdict
from typing import Protocol

from rscollector.web.rates import Buckets, bucket_of

AT_ONCE = 32
SILENT = 256
PER_SECOND = 20
SHARE = 0.2
"""Of a core, for the handshakes of all strangers together, and for those of whom a listener knows."""
_MILLISECOND, _SAVED = 0.001, 100  # of CPU; how many a share saves for who come at once
_AROUND = 0.5  # milliseconds, which each connection costs beside its handshake
_LATELY, _MOST_KNOWN = 3600.0, 1024


class Waiting(Protocol):
    """A connection that has not yet asked for anything."""

    def abort(self) -> None:
        """End it now."""


class Known:
    """Addresses that a listener has let in lately."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, address: str, now: float) -> None:
        """Take note of one that was let in."""
        bucket = bucket_of(address)
        self._until.pop(bucket, None)
        self._until[bucket] = now + _LATELY
        if len(self._until) > _MOST_KNOWN:
            del self._until[next(iter(self._until))]

    def has(self, address: str, now: float) -> bool:
        """Tell whether this is one of them."""
        return self._until.get(bucket_of(address), 0.0) > now


class Crowd:
    """Connections that are in the same state, the oldest first, at most `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._all: dict[Waiting, str] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, connection: Waiting, bucket: str) -> None:
        """Take one in, which makes room for itself.

        The oldest goes of the address that has most of them: an honest one is not here for long, and whoever
        holds many is in the way of himself.
        """
        if len(self._all) >= self._most:
            busiest = Counter(self._all.values()).most_common(1)[0][0]
            oldest = next(each for each, its in self._all.items() if its == busiest)
            del self._all[oldest]
            oldest.abort()
        self._all[connection] = bucket

    def discard(self, connection: Waiting) -> None:
        """Forget one."""
        self._all.pop(connection, None)


class Handshakes:
    """All connections of all listeners that have begun with TLS and have not asked for anything.

    A share is "" for strangers, and else the listener that knows an address: no share is in another's way.
    """

    def __init__(self) -> None:
        self.buckets = Buckets(1 / PER_SECOND, PER_SECOND)
        self.shares = Buckets(_MILLISECOND / SHARE, _SAVED)
        self._share_of: dict[Waiting, str] = {}
        self._open: defaultdict[str, Crowd] = defaultdict(lambda: Crowd(AT_ONCE))
        self._silent: defaultdict[str, Crowd] = defaultdict(lambda: Crowd(SILENT))

    def __len__(self) -> int:
        return sum(map(len, (*self._open.values(), *self._silent.values())))

    def begin(self, connection: Waiting, address: str, share: str, now: float) -> str:
        """Begin a handshake of a share, or return why not."""
        bucket = bucket_of(address)
        if self.buckets.take(bucket, now) > 0:
            return "too many handshakes of this address in a second"
        if self.shares.take(share, now, _AROUND) > 0:
            return "too many handshakes of all in a second"
        self._share_of[connection] = share
        self._open[share].add(connection, bucket)
        return ""

    def spend(self, share: str, cpu: float, now: float) -> None:
        """Take note of what a handshake has cost, in seconds of CPU: a client has a say in that."""
        self.shares.spend(share, now, cpu / _MILLISECOND)

    def complete(self, connection: Waiting, address: str) -> None:
        """Take note that it is over, and that a request is waited for; that of a proxy was not begun here."""
        share = self._share_of.setdefault(connection, "")
        self._open[share].discard(connection)
        self._silent[share].add(connection, bucket_of(address))

    def end(self, connection: Waiting) -> None:
        """Forget one: it has asked, or is gone."""
        if (share := self._share_of.pop(connection, None)) is not None:
            self._open[share].discard(connection)
            self._silent[share].discard(connection)
