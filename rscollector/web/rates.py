"""How often somebody may do something: a token bucket for each, and a bound on how many there are. Pure."""

import ipaddress

_MOST = 4096


class Buckets:
    """A bucket for each address, or who else there is: `burst` at once, then one each `interval` seconds.

    What is kept of each is one time, and that no longer than it matters. With more than `most` of them the
    oldest is forgotten, and has a full bucket again.
    """

    def __init__(self, interval: float, burst: int, most: int = _MOST) -> None:
        self._interval = interval
        self._slack = (max(burst, 1) - 1) * interval
        self._most = most
        self._empty_until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._empty_until)

    def take(self, address: str, now: float, tokens: float = 1.0) -> float:
        """Take tokens; returns 0, or in how many seconds there are some, and then none was taken."""
        until = max(self._empty_until.get(address, 0.0), now)
        wait = until - now - self._slack
        if wait > 1e-6:
            return wait
        self.spend(address, now, tokens)
        return 0.0

    def spend(self, address: str, now: float, tokens: float) -> None:
        """Take tokens, be they there or not: what is missing has to come before there is another one."""
        until = max(self._empty_until.pop(address, 0.0), now)  # so that those who come last are the newest
        self._empty_until[address] = until + tokens * self._interval
        while len(self._empty_until) > self._most or self._oldest() <= now:
            del self._empty_until[next(iter(self._empty_until))]

    def give_back(self, address: str) -> None:
        """Put a token back."""
        if address in self._empty_until:
            self._empty_until[address] -= self._interval

    def _oldest(self) -> float:
        return next(iter(self._empty_until.values()), float("inf"))


def bucket_of(address: str) -> str:
    """Return whose bucket an address takes from: of IPv6 it is its /64, for a host has any number in that."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address  # the peer of a Unix socket
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64))
