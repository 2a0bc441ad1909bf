"""The listening sockets: TCP, and Unix sockets. No name is resolved, and nothing waits."""

import errno
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rscollector.config.types import UNIX
from rscollector.model.settings import Listen

_BACKLOG = 128


class CannotListen(Exception):
    """A listening socket could not be made; the text says which, why, and what to do."""


class Place(NamedTuple):
    """An address, and for IPv6 whether IPv4 is excluded: with it and without it are two sockets."""

    address: str
    v6_only: bool = False


def places(addresses: Sequence[str]) -> list[Place]:
    """Return where to listen for these addresses, all of them together."""
    tcp = [Listen(each) for each in addresses if not each.startswith(UNIX)]
    # Alone, [::] is all addresses of both families; beside one of IPv4 it is those of its own.
    ports = {each.port for each in tcp if ":" not in each.host}
    beside = {str(each) for each in tcp if ":" in each.host and each.port in ports}
    return [Place(each, each in beside) for each in addresses]


def listen(addresses: Sequence[str]) -> list[socket.socket]:
    """Listen on each `address:port`; raises CannotListen and then listens on none of them."""
    return listen_at(places(addresses))


def listen_at(wanted: Iterable[Place], going: Iterable[socket.socket] = ()) -> list[socket.socket]:
    """Listen at each place; raises CannotListen and then listens at none of them.

    Those that are `going` may listen there still: whoever connects meanwhile finds somebody.
    """
    made: list[socket.socket] = []
    with _shared(going) as is_shared:
        try:
            made.extend(_made(each, shared=is_shared) for each in wanted)
        except CannotListen:
            for listener in made:
                listener.close()
            raise
        finally:
            for listener in made:
                _share(listener, shared=False)
    return made


@contextmanager
def _shared(going: Iterable[socket.socket]) -> Iterator[bool]:
    """Let others listen where these do, for as long as the block lasts."""
    sockets = list(going)
    for each in sockets:
        _share(each, shared=True)
    try:
        yield bool(sockets)
    finally:
        for each in sockets:
            _share(each, shared=False)


def _share(listener: socket.socket, *, shared: bool) -> None:
    if listener.fileno() >= 0 and listener.family != socket.AF_UNIX:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)


def _made(place: Place, *, shared: bool) -> socket.socket:
    if not place.address.startswith(UNIX):
        return _listen(place, shared=shared)
    path = Path(place.address.removeprefix(UNIX))
    return listen_unix(path, f"the socket {path}")


def _listen(place: Place, *, shared: bool) -> socket.socket:
    address = Listen(place.address)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotListen(f"cannot listen on {address}: {_why(error)}") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _share(listener, shared=shared)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, place.v6_only)
    try:
        listener.bind(_resolved(address, family))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(f"cannot listen on {address}: {_why(error)}") from error
    listener.setblocking(False)
    return listener


def _resolved(address: Listen, family: socket.AddressFamily) -> Any:
    """Return an address as the kernel has it: of fe80::1%eth0, the interface is a number there."""
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return socket.getaddrinfo(address.host, address.port, family, socket.SOCK_STREAM, flags=numeric)[0][4]


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another process uses this port (perhaps another rscollector); `ss -ltnp` shows which"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return "no interface of this host has this address; correct web.listen"
    if error.errno == errno.EAFNOSUPPORT:
        return "this kernel, or the unit's RestrictAddressFamilies=, has no such addresses"
    if error.errno == errno.EACCES:
        return "ports below 1024 need a privilege; choose another in web.listen"
    return error.strerror or str(error)


def listen_unix(path: Path, what: str = "") -> socket.socket:
    """Listen on a Unix socket with mode 0660, in place of one that nobody answers any more.

    `what` is what it is called in a complaint, if it is not the control socket.
    """
    there = f"somebody answers on {path} already; choose another path"
    if not what:
        what = f"the control socket {path}"
        there = f"another rscollector answers on {path}; there is one agent per host"
    try:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotListen(f"cannot make {what}: {error.strerror}") from error
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        if _answers(path):
            raise CannotListen(there)  # noqa: TRY301
        if path.is_socket():  # anything else is somebody's, and stays: bind says that it is there
            path.unlink(missing_ok=True)
        before = os.umask(0o117)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        why = "there is a file that is no socket; move it away, or choose another path"
        why = why if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise CannotListen(f"cannot make {what}: {why}") from error
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
