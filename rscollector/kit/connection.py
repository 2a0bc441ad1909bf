"""A connection whose whole life has a budget: connecting, the handshake of TLS, each read and each write.

It has what is needed of a socket to speak a protocol, in http.client's way too. A read or a write whose time
is over raises TimeoutError, also where bytes come without a pause; `broken` says what such an error means.
"""

import io
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rscollector.api import CollectError, Misconfigured, one_line
from rscollector.kit.optional import Disconnected
from rscollector.kit.place import Address, connected

_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
_NOT_TAKEN = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "HANDSHAKE_FAILURE", "PROTOCOL_VERSION")


class Connection(io.RawIOBase):
    """A connected socket; `left` tells the seconds that are left, or raises TimeoutError."""

    def __init__(self, connected_socket: socket.socket, left: Callable[[], float]) -> None:
        self._socket = connected_socket
        self._left = left

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there into a buffer, or wait for it; return how much, 0 at the end."""
        self._socket.settimeout(self._left())
        return self._socket.recv_into(buffer)

    def sendall(self, data: bytes) -> None:
        """Send all, or as much as the other side takes before it hangs up: it may have answered by then."""
        rest = memoryview(data)
        with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            while rest:
                self._socket.settimeout(self._left())
                rest = rest[self._socket.send(rest) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a reader."""
        return io.BufferedReader(self)

    def close(self) -> None:
        """Leave it open: http.client closes it before it reads a body. Who has opened it closes it."""


@contextmanager
def opened(address: Address, seconds: float, tls: ssl.SSLContext | None = None) -> Iterator[Connection]:
    """Yield a connection for at most so many seconds. Raises as `place.connected`, and OSError from TLS.

    The name that the server's certificate has to be for is the host, `localhost` at a Unix socket.
    """
    left = countdown(seconds)
    with connected(address, left) as plain:
        if not isinstance(address, str):
            # What is written in two parts goes at once.
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is None:
            yield Connection(plain, left)
            return
        plain.settimeout(left())
        host = "localhost" if isinstance(address, str) else address[0]
        name = host.partition("%")[0].rstrip(".")  # as certificates have it: no zone, and no root
        with tls.wrap_socket(plain, server_hostname=name) as secured:
            yield Connection(secured, left)


def countdown(seconds: float) -> Callable[[], float]:
    """Return what tells the seconds that are left.

    A collect's budget itself never becomes zero: who sends without a pause would be read for ever.
    """
    until = time.monotonic() + seconds

    def left() -> float:
        if (remaining := until - time.monotonic()) <= 0:
            raise TimeoutError
        return remaining

    return left


def broken(asked: str, error: OSError, seconds: float, *, tls: bool) -> CollectError:
    """Return what it means that a connection could not be used to its end; `asked` begins the sentence."""
    reason = str(getattr(error, "reason", None) or error.strerror or error)
    match error:
        case TimeoutError():
            return Disconnected(f"{asked}: no whole answer within {seconds:.1f} s")
        case ConnectionError() | ssl.SSLEOFError():
            hint = "; it may want a client's certificate" if tls else ""
            return Disconnected(f"{asked}: the server hung up without a whole answer{hint}")
        case ssl.SSLCertVerificationError():
            why = f"the server's certificate is not trusted: {error.verify_message}"
            return Misconfigured(f"{asked}: {why}; look at tls_ca, and at the names in the certificate")
        case ssl.SSLError() if reason in _NO_TLS:
            return Misconfigured(
                f"{asked}: the server does not speak TLS there, perhaps it speaks plain HTTP"
            )
        case ssl.SSLError() if any(word in reason for word in _NOT_TAKEN):
            why = f"the server does not take this client ({reason})"
            return Misconfigured(f"{asked}: {why}; it may want a certificate, or another version of TLS")
        case ssl.SSLError():
            return Disconnected(f"{asked}: TLS failed: {one_line(reason, 200)}")
    return Disconnected(f"{asked}: the connection broke: {reason}")
