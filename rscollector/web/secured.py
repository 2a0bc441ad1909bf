"""TLS between a connection and its socket: to asyncio a protocol, to the connection a transport.

asyncio's own would do, but for what a stranger can cost: it has a buffer of 256 KiB for each connection, a
session for who says nothing, and no answer for who speaks HTTP to this port. Here there is a session from
a hello on, all read into the same buffer, and what waits for a client that does not read is one record.
"""

import asyncio
import ssl
import time
from contextlib import suppress
from typing import Any, Protocol, cast

from rscollector.web.tls import Context, Made, said_by

_HELLO = 0x16
_TOO_MANY = b"\x15\x03\x01\x00\x02\x02\x50"  # an alert, for who may not begin: internal error (RFC 8446, 6.2)
_LINGER = 1.0


class Connection(Protocol):
    """What is above TLS: a protocol of asyncio's, and what is said to who speaks another one."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...  # noqa: D102
    def get_buffer(self, sizehint: int, /) -> memoryview: ...  # noqa: D102
    def buffer_updated(self, nbytes: int) -> None: ...  # noqa: D102
    def eof_received(self) -> bool: ...  # noqa: D102
    def pause_writing(self) -> None: ...  # noqa: D102
    def resume_writing(self) -> None: ...  # noqa: D102
    def connection_lost(self, error: Exception | None, /) -> None: ...  # noqa: D102
    def refuse(self, status: int, sentence: str) -> None: ...  # noqa: D102


class Doorkeeper(Protocol):
    """What counts handshakes: the lock of the listener."""

    def begin(self, connection: "Secured", context: Context, peer: str, /) -> Made | None: ...  # noqa: D102
    def spend(self, peer: str, cpu: float, /) -> None: ...  # noqa: D102
    def complete(self, connection: "Secured", peer: str, /) -> None: ...  # noqa: D102
    def end(self, connection: "Secured", /) -> None: ...  # noqa: D102
    def failed(self, peer: str, error: ssl.SSLError, /) -> None: ...  # noqa: D102


class Secured(asyncio.Transport, asyncio.BufferedProtocol):
    """The TLS of one connection. `connection` is told of it as of a transport."""

    record = 8 * 1024
    """Bytes written at once; the most, 16 KiB, would save a tenth of the CPU and keep twice as much."""

    def __init__(self, connection: Connection, lock: Doorkeeper, context: Context, peer: str) -> None:
        super().__init__()
        self._connection = connection
        self._lock = lock
        self._context = context
        self._peer = peer
        self._loop = asyncio.get_running_loop()
        self._below: asyncio.Transport
        self._made: Made | None = None
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._is_plain = self._is_open = self._is_deaf = self._is_paused = False
        self.client_name = ""
        """Of a client that has shown a certificate, the name in it."""

    # --- to asyncio: a protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a hello."""
        self._below = cast(asyncio.Transport, transport)
        self._connection.connection_made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read into."""
        return self._connection.get_buffer(sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has come, and give on what it says."""
        if self._is_deaf:
            return
        data = self.get_buffer(nbytes)[:nbytes]
        if self._tls is None and not self._begin(data[0]):
            return
        self._incoming.write(data)
        self._go_on()

    def eof_received(self) -> bool:
        """Close it, as the connection does."""
        return self._connection.eof_received()

    def pause_writing(self) -> None:
        """Wait for the client to read. Before there is an answer there is nothing that he has to read."""
        if self._is_paused or self._is_deaf:
            self._connection.pause_writing()
        else:
            self.abort()

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        self._connection.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        self._lock.end(self)
        self._connection.connection_lost(error)
        del self._connection  # else the two would keep each other until garbage is collected

    # --- the protocol itself ---

    def _begin(self, first: int) -> bool:
        if first != _HELLO:
            self._is_plain = self._is_deaf = True
            self._connection.refuse(400, "this port speaks HTTPS, not HTTP")
            return False
        self._made = self._lock.begin(self, self._context, self._peer)
        if self._made is None:
            self._give_up(_TOO_MANY)
            return False
        self._tls = self._made.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        return True

    def _go_on(self) -> None:
        tls = cast(ssl.SSLObject, self._tls)
        try:
            if not self._is_open:
                self._shake_hands(tls)
                self._opened(tls)
            self._read(tls)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._lock.failed(self._peer, error)
            self._give_up(self._outgoing.read())
            return
        self._flush()

    def _shake_hands(self, tls: ssl.SSLObject) -> None:
        began = time.thread_time()
        try:
            tls.do_handshake()
        finally:
            self._lock.spend(self._peer, time.thread_time() - began)

    def _opened(self, tls: ssl.SSLObject) -> None:
        self._lock.complete(self, self._peer)
        self._is_open = True
        try:
            certificate = tls.getpeercert()
        except ValueError as error:  # a name in it is no text
            raise ssl.SSLError(1, f"the client's certificate cannot be read: {error}") from None
        if self._made and not self._made.admits(certificate):
            raise ssl.SSLError(1, f"the certificate of {said_by(certificate)!r} has no name that is allowed")
        self.client_name = said_by(certificate)

    def _read(self, tls: ssl.SSLObject) -> None:
        while not (self._is_paused or self._is_deaf):
            buffer = self._connection.get_buffer(-1)
            if not (nbytes := cast(int, tls.read(len(buffer), buffer))):  # with a buffer, it is a count
                self._flush()
                self._below.close()  # the client has closed it
                return
            self._connection.buffer_updated(nbytes)

    def _flush(self) -> None:
        if (data := self._outgoing.read()) and not self._below.is_closing():
            self._below.write(data)

    def _give_up(self, last: bytes) -> None:
        """End it with an alert, which a client that is sending still would lose if it were closed at once."""
        self._is_deaf = True
        self._lock.end(self)
        self._below.write(last)
        with suppress(OSError):
            self._below.write_eof()
        self._loop.call_later(_LINGER, self._below.abort)

    # --- to the connection: a transport ---

    def write(self, data: Any) -> None:
        """Send, in records; to who speaks no TLS, as it is."""
        if self._is_plain:
            self._below.write(data)
            return
        tls, data = cast(ssl.SSLObject, self._tls), memoryview(data)
        while data:
            data = data[tls.write(data) :]
        self._flush()

    def write_eof(self) -> None:
        """Say that this was all. What the client still says is not even decrypted."""
        self._is_deaf = True
        if self._tls is not None:
            with suppress(ssl.SSLError):
                self._tls.unwrap()
            self._flush()
        self._below.write_eof()

    def pause_reading(self) -> None:
        """Read nothing: there was a request."""
        self._lock.end(self)
        self._is_paused = True
        self._below.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._is_paused = False
        self._below.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Say from when on the connection is told to wait."""
        self._below.set_write_buffer_limits(high, low)

    def is_closing(self) -> bool:
        """Tell whether it ends."""
        return self._below.is_closing()

    def abort(self) -> None:
        """End it now."""
        self._lock.end(self)
        self._below.abort()
