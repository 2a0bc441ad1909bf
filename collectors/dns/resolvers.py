"""Whoever answers what a look for servers wants to know: resolvers, in turn, or the servers that it names."""

from collections.abc import Callable, Sequence

import dns.rcode
from dns.message import Message

from collectors.dns.asking import WAIT, ask
from collectors.dns.heard import Query
from collectors.dns.looking import Wanted
from collectors.dns.wire import is_address

RESOLV_CONF = "/etc/resolv.conf"
_MOST = 3
_AT_ONCE = 200


def nameservers(text: str) -> list[str]:
    """Return the addresses of the resolvers that a resolv.conf names."""
    words = [line.split() for line in text.splitlines()]
    found = [each[1] for each in words if len(each) > 1 and each[0] == "nameserver" and is_address(each[1])]
    return found[:_MOST]


class Resolvers:
    """Resolvers, which are asked in turn: the next one what the one before has not answered."""

    def __init__(self, addresses: Sequence[str], port: int, left: Callable[[], float]) -> None:
        self._addresses = addresses
        self._port = port
        self._left = left
        self._has_been_asked = self._has_answered = False
        self._failed: dict[str, str] = {}

    def answers(self, wanted: Sequence[Wanted]) -> dict[Wanted, Message]:
        """Return what was answered, of resolvers only what is an answer.

        Each wait takes a third of the time that is left at most: nobody who is silent takes the time of all.
        """
        found: dict[Wanted, Message] = {}
        direct = [each for each in wanted if each.address]
        for address in self._addresses or [""]:
            todo = [each for each in wanted if not each.address and each not in found]
            asked = [(each, each.address or address) for each in (*todo, *direct)]
            direct = []
            self._has_been_asked |= bool(todo)
            if not address:
                asked = [each for each in asked if each[1]]
            for start in range(0, len(asked), _AT_ONCE):
                self._ask(asked[start : start + _AT_ONCE], found)
        return found

    def _ask(self, asked: Sequence[tuple[Wanted, str]], found: dict[Wanted, Message]) -> None:
        seconds = min(WAIT, self._left() / 3)
        if seconds <= 0:
            return
        queries = [Query(each.question, address, self._port) for each, address in asked]
        for (each, address), answer in zip(asked, ask(queries, seconds), strict=True):
            heard = answer.best
            if each.address:
                if heard.message:
                    found[each] = heard.message
            elif heard.message and heard.message.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                found[each] = heard.message
                self._has_answered = True
            else:
                rcode = heard.message and dns.rcode.to_text(heard.message.rcode())
                self._failed[address] = str(rcode or heard.why or heard.failure)

    def told(self) -> list[str]:
        """Say who has not answered."""
        if not self._has_been_asked:
            return []
        if not self._addresses:
            return [f"no resolver is known: {RESOLV_CONF} names none, and `resolvers` is not set"]
        if self._failed and not self._has_answered:
            failed = ", ".join(f"{address}: {why}" for address, why in self._failed.items())
            return [f"no resolver answers ({failed}): who is asked stays as it was"]
        return []
