"""The lock of a listener: its TLS and its access, and what all locks together may cost.

The order for each request: caps on connections, rate of handshakes, TLS, and then what `access` has.
"""

import ssl
import time
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from rscollector.config.types import Listener
from rscollector.web.access import WANTED, Access
from rscollector.web.handshakes import Handshakes, Known, Waiting
from rscollector.web.passwords import Hashing
from rscollector.web.secured import Connection, Secured
from rscollector.web.tls import Context, Made, words


@dataclass(frozen=True, slots=True)
class Shared:
    """What all listeners of an agent share, so that two of them are no cheaper to attack than one."""

    hashing: Hashing = field(default_factory=Hashing)
    handshakes: Handshakes = field(default_factory=Handshakes)


class Lock:
    """The lock of a listener. Raises ValueError with a sentence when its TLS cannot be used."""

    wanted = WANTED
    """Headers of a request that are needed beside those of the pages."""

    def __init__(self, listener: Listener, shared: Shared) -> None:
        self.context = Context(listener.tls) if listener.tls else None
        self.access = Access(listener, shared.hashing)
        self._handshakes = shared.handshakes
        self._known = Known()
        self._address = listener.address

    def replace(self, listener: Listener) -> str:
        """Take other settings, from the next connection on; raises ValueError, and then changes nothing.

        Returns why the certificate cannot be used, "" if it can; if not, the one before stays in use.
        """
        trouble = ""
        if listener.tls is None:
            self.context = None
        elif self.context is None:
            self.context = Context(listener.tls)
        else:
            trouble = self.context.replace(listener.tls)
        self.access.replace(listener)
        return trouble

    def guarded(self, application: ASGIApp) -> ASGIApp:
        """Return the application for those who may ask it."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["scheme"] == "https":
                self._known.add(scope["client"][0], time.monotonic())
            await application(scope, receive, send)

        return self.access.guarded(answer)

    def secured(self, connection: Connection, peer: str) -> Secured | None:
        """Return what is between a new connection and its socket, None without TLS."""
        return Secured(connection, self, self.context, peer) if self.context else None

    def begin(self, connection: Waiting, context: Context, peer: str) -> Made | None:
        """Return the context of a handshake, None while there have been too many of them."""
        if not self.access.proxies.trust(peer):
            now = time.monotonic()
            if why := self._handshakes.begin(connection, peer, self._share(peer, now), now):
                self.access.log.write(peer, why, is_in=False)
                return None
        return context.newest()

    def spend(self, peer: str, cpu: float) -> None:
        """Take note of what a part of a handshake has cost, in seconds of CPU."""
        if not self.access.proxies.trust(peer):
            now = time.monotonic()
            self._handshakes.spend(self._share(peer, now), cpu, now)

    def _share(self, peer: str, now: float) -> str:
        return self._address if self._known.has(peer, now) else ""

    def complete(self, connection: Waiting, peer: str) -> None:
        """Take note that a handshake is over, and a request is waited for."""
        self._handshakes.complete(connection, peer)

    def end(self, connection: Waiting) -> None:
        """Take note that nothing is waited for any more."""
        self._handshakes.end(connection)

    def failed(self, peer: str, error: ssl.SSLError) -> None:
        """Log, on demand, why a client does not get in: he is told a number at most."""
        self.access.log.write(peer, f"no TLS: {words(error)}", is_in=False)
