"""The listening sockets: TCP, and the control socket. No name is resolved, and nothing waits."""

import errno
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from rscollector.model.settings import Listen

_BACKLOG = 128


class CannotListen(Exception):
    """A listening socket could not be made; the text says which, why, and what to do."""


def listen(addresses: Sequence[str]) -> list[socket.socket]:
    """Listen on each `address:port`; raises CannotListen and then listens on none of them."""
    made: list[socket.socket] = []
    wanted = [Listen(each) for each in addresses]
    try:
        made.extend(_listen(each, wanted) for each in wanted)
    except CannotListen:
        for listener in made:
            listener.close()
        raise
    return made


def _listen(address: Listen, beside: Sequence[Listen]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotListen(f"cannot listen on {address}: {_why(error)}") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        # Alone, [::] is all addresses of both families; beside one of IPv4 it is those of its own.
        alone = not any(other.port == address.port and ":" not in other.host for other in beside)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not alone)
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


def listen_unix(path: Path) -> socket.socket:
    """Listen on a Unix socket with mode 0660, in place of one that nobody answers any more."""
    try:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotListen(f"cannot make the control socket {path}: {error.strerror}") from error
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
