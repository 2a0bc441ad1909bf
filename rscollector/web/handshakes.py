"""How many handshakes there may be: at once, and of each address in a second.

A handshake costs the loop a millisecond of CPU (RSA 4096: nine), before anybody has shown who he is.
"""

from collections import Counter
from typing import Protocol

from rscollector.web.rates import Buckets, bucket_of

AT_ONCE = 32
PER_SECOND = 20


class Waiting(Protocol):
    """A connection in its handshake."""

    def abort(self) -> None:
        """End it now."""


class Handshakes:
    """The handshakes of all listeners, the oldest first."""

    def __init__(self) -> None:
        self._buckets = Buckets(1 / PER_SECOND, PER_SECOND)
        self._open: dict[Waiting, str] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, connection: Waiting, address: str, now: float) -> bool:
        """Begin one, unless this address has had enough; it makes room for itself.

        The oldest goes of the address that has most of them: an honest handshake takes little time, and
        whoever begins many and ends none is in the way of himself.
        """
        bucket = bucket_of(address)
        if self._buckets.take(bucket, now) > 0:
            return False
        if len(self._open) >= AT_ONCE:
            most = Counter(self._open.values()).most_common(1)[0][0]
            oldest = next(each for each, bucket in self._open.items() if bucket == most)
            del self._open[oldest]
            oldest.abort()
        self._open[connection] = bucket
        return True

    def end(self, connection: Waiting) -> None:
        """Forget one."""
        self._open.pop(connection, None)
