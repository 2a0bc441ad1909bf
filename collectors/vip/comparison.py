"""A second opinion, once a minute: netifaces asks the C library which addresses there are.

What both say need not be the same at a moment, since they are asked one after the other; what differs in two
comparisons in a row is a mistake of one of them.
"""

from collections.abc import Callable, Collection, Iterator
from ipaddress import ip_address

import netifaces

from rscollector.api import Context
from rscollector.kit.rtnetlink import IFA_LABEL, IFLA_IFNAME, Address, Link

_EVERY = 60.0
_MOST_LINKS = 100
"""For each name netifaces asks for all addresses of all: beyond this that is too much."""


class Comparison:
    """Compares what is `shown`, each address 4 or 16 bytes, when it is time.

    `lasting` is how many addresses differed the last two times, None if that is not known.
    """

    def __init__(self, shown: Callable[[bytes], bool]) -> None:
        self.lasting: int | None = None
        self._shown = shown
        self._differ: set[bytes] | None = None
        self._due = 0.0

    def make(self, context: Context, addresses: Collection[Address], links: Collection[Link]) -> None:
        """Compare what the kernel says of this host with what netifaces says, if it is time."""
        if context.clock() < self._due:
            return
        self._due = context.clock() + _EVERY
        before, self._differ = self._differ, None
        try:
            theirs = set(_theirs(addresses, links))
        except (ValueError, OSError):
            pass  # a link has gone meanwhile, there are too many, or one has a name that is no text
        else:
            ours = {each.local for each in addresses}
            self._differ = ours ^ {each for each in theirs if self._shown(each)}
        self.lasting = None if self._differ is None or before is None else len(self._differ & before)


def _theirs(addresses: Collection[Address], links: Collection[Link]) -> Iterator[bytes]:
    """Yield all addresses that netifaces knows, for which a label is a link. Raises ValueError, OSError."""
    if len(links) > _MOST_LINKS:
        raise ValueError(f"{len(links)} links")
    names = {each.attributes.get(IFLA_IFNAME, b"") for each in links}
    names |= {each.attributes[IFA_LABEL] for each in addresses if IFA_LABEL in each.attributes}
    for name in sorted(names):
        families = netifaces.ifaddresses(name.rstrip(b"\0").decode())
        for family in (netifaces.AF_INET, netifaces.AF_INET6):
            for entry in families.get(family, []):
                yield ip_address(entry["addr"].partition("%")[0]).packed
