"""The listening sockets, and the connections that came through them.

hypercorn closes connections that are idle or dribble their headers after five seconds. What it leaves to us:
connections are capped (the oldest one makes room; an honest scrape takes milliseconds, and is hardly ever
that), and each has an absolute end, whatever its client reads or does not read.
"""

import asyncio
import errno
import os
import select
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rscollector.model.settings import Listen

LIFETIME = 15.0  # five seconds for a request, ten for its response
_BACKLOG = 128


class CannotListen(Exception):
    """A listening socket could not be made; the text says which, why, and what to do."""


class Connections:
    """The open connections, the oldest first, at most `most` of them."""

    def __init__(self, most: int = 1024) -> None:
        self.evicted = 0
        self._most = most
        self._open: dict[int, _Connection] = {}
        self._ending: set[int] = set()  # those that had to go and have a descriptor still

    def __len__(self) -> int:
        return len(self._open)

    def is_full(self) -> bool:
        """Tell whether no more may be accepted."""
        return len(self._open) + len(self._ending) >= self._most

    def evict(self) -> None:
        """Have the oldest one go, if none is about to; its descriptor is free when asyncio has closed it."""
        if self._open and not self._ending:
            self.evicted += 1
            oldest = next(iter(self._open))
            self._ending.add(oldest)
            self._open.pop(oldest).cut()

    def opened(self, connection: "_Connection") -> None:
        """Take note of a new connection."""
        self._open[id(connection)] = connection
        connection.end = asyncio.get_running_loop().call_later(LIFETIME, connection.cut)

    def closed(self, connection: "_Connection") -> None:
        """Forget a connection."""
        self._open.pop(id(connection), None)
        self._ending.discard(id(connection))
        connection.end.cancel()

    def cut_all(self) -> None:
        """End every connection: the server is stopping."""
        for connection in list(self._open.values()):
            connection.cut()


class _Connection(socket.socket):
    """An accepted connection. asyncio closes it as it does any socket."""

    connections: Connections
    end: asyncio.TimerHandle
    is_cut = False

    def cut(self) -> None:
        """End it in both directions. asyncio is woken by that, and told by `recv` that it is over.

        By the mere end of what the client sends it would not be: hypercorn keeps such a connection for its
        idle time, and its descriptor with it.
        """
        self.is_cut = True
        try:
            self.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise

    def recv(self, *given: int) -> bytes:
        """Receive, while it is not cut."""
        if self.is_cut:
            raise ConnectionResetError(errno.ECONNRESET, "the connection was cut")
        return super().recv(*given)

    def close(self) -> None:
        """Close it and forget it."""
        self.connections.closed(self)
        super().close()


class Listener(socket.socket):
    """A listening socket that knows its connections."""

    connections: Connections

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection. Raises BlockingIOError while there is none, or no room for one."""
        if self.connections.is_full():
            if self._is_waited_for():
                self.connections.evict()
            raise BlockingIOError
        accepted, address = super().accept()
        connection = _Connection(accepted.family, accepted.type, accepted.proto, accepted.detach())
        connection.connections = self.connections
        self.connections.opened(connection)
        return connection, address

    def _is_waited_for(self) -> bool:
        poll = select.poll()
        poll.register(self, select.POLLIN)
        return bool(poll.poll(0))


def listen(addresses: Sequence[str], connections: Connections) -> list[Listener]:
    """Listen on each `address:port`; raises CannotListen and then listens on none of them."""
    made: list[Listener] = []
    try:
        made.extend(_listen(Listen(text), connections) for text in addresses)
    except CannotListen:
        for listener in made:
            listener.close()
        raise
    return made


def _listen(address: Listen, connections: Connections) -> Listener:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:  # asyncio sets TCP_NODELAY only where it sees the protocol; without it parts wait for each other
        listener = Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise CannotListen(f"cannot listen on {address}: {_why(error)}") from error
    listener.connections = connections
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(f"cannot listen on {address}: {_why(error)}") from error
    listener.setblocking(False)
    return listener


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another process uses this port (perhaps another rscollector); `ss -ltnp` shows which"
    if error.errno == errno.EADDRNOTAVAIL:
        return "no interface of this host has this address; correct web.listen"
    if error.errno == errno.EAFNOSUPPORT:
        return "this kernel, or the unit's RestrictAddressFamilies=, has no such addresses"
    if error.errno == errno.EACCES:
        return "ports below 1024 need a privilege; choose another in web.listen"
    return error.strerror or str(error)


def listen_unix(path: Path, connections: Connections) -> Listener:
    """Listen on a Unix socket with mode 0660, in place of one that nobody answers any more."""
    try:
        listener = Listener(socket.AF_UNIX, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotListen(f"cannot make the control socket {path}: {error.strerror}") from error
    listener.connections = connections
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        if _answers(path):
            raise CannotListen(f"another rscollector answers on {path}; there is one agent per host")  # noqa: TRY301
        path.unlink(missing_ok=True)
        before = os.umask(0o117)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(f"cannot make the control socket {path}: {error.strerror or error}") from error
    except CannotListen:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except (TimeoutError, BlockingIOError):
            pass  # it is there, though it does not answer; or it has more to do than its backlog holds
        return True
