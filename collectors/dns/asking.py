"""All servers are asked at once, over UDP and TCP, each by a socket of its own.

Whatever is silent costs the one timeout that all have. Nothing that one server does is the failure of
another's answer.
"""

import selectors
import time
from collections.abc import Iterator, Sequence

from collectors.dns.heard import Answer, Query
from collectors.dns.talk import Talk, Tcp, Udp

WAIT = 2.0
"""Seconds for all answers of a tick: no resolver waits longer for one server before it asks the next."""


def ask(queries: Sequence[Query], seconds: float) -> list[Answer]:
    """Ask everybody at once, and return the answers in the same order, after so many seconds at most."""
    with selectors.DefaultSelector() as selector:
        round_ = _Round(selector)
        try:
            return round_.run(queries, seconds)
        finally:
            round_.close()


class _Round:
    """Questions that are under way."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._open: set[Talk] = set()

    def run(self, queries: Sequence[Query], seconds: float) -> list[Answer]:
        by_udp = [self._begin(Udp(each)) for each in queries]
        by_tcp = {udp: self._begin(Tcp(udp.query)) for udp in by_udp if udp.query.tcp}
        began = time.monotonic()
        again, end = began + seconds / 2, began + seconds
        while self._open and (now := time.monotonic()) < end:
            if now >= again:
                again = end
                self._repeat()
            for talk in self._hear(again - time.monotonic()):
                if isinstance(talk, Udp) and talk.is_truncated and talk not in by_tcp:
                    by_tcp[talk] = self._begin(Tcp(talk.query))
        return [Answer(udp.heard, by_tcp[udp].heard if udp in by_tcp else None) for udp in by_udp]

    def _repeat(self) -> None:
        for each in [each for each in self._open if isinstance(each, Udp)]:
            each.repeat()
            self._sort(each)

    def _begin(self, talk: Talk) -> Talk:
        talk.begin()
        self._sort(talk)
        return talk

    def _sort(self, talk: Talk) -> None:
        """Have the selector wait for what this one waits for."""
        if talk.over:
            if talk in self._open:
                self._selector.unregister(talk.channel)
                self._open.discard(talk)
            talk.close()
        elif talk not in self._open:
            self._selector.register(talk.channel, talk.events, talk)
            self._open.add(talk)
        elif self._selector.get_key(talk.channel).events != talk.events:
            self._selector.modify(talk.channel, talk.events, talk)

    def _hear(self, seconds: float) -> Iterator[Talk]:
        """Take what has come: all of it is received before anything is read, for that takes its time."""
        ready = [key.data for key, _ in self._selector.select(max(0.0, seconds))]
        for talk in ready:
            talk.receive()
        for talk in ready:
            talk.read()
            self._sort(talk)
            if talk.over:
                yield talk

    def close(self) -> None:
        for talk in self._open:
            talk.close()
