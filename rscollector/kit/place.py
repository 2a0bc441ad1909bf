"""Where a service listens, as settings: a host and its port, or a Unix socket; and why it cannot be reached.

Settings inherit these classes, so that all have the same names and one parser; they declare again what has
another default, or another sentence.
"""

import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rscollector.api import CollectError, Misconfigured, setting
from rscollector.kit.optional import Disconnected
from rscollector.kit.settings import Checked

_NAME = re.compile(r"[^\s/:@%?#\[\]]+")  # of any script: a resolver may know it
Address = str | tuple[str, int]
"""The path of a Unix socket, or a host and its port."""

_HOST = "expected a name or an IP address, such as db1.example, 192.0.2.10 or 2001:db8::10"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TcpPlace(Checked):
    """A host and a port. `host` is kept without brackets."""

    host: str = setting("The server's name or IP address.", default="")
    port: int = setting("Its port.", default=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.host:
            object.__setattr__(self, "host", parsed_host(self.host))
        if not bool(self.host) <= self.port <= 65535:
            raise ValueError("port: expected a number from 1 to 65535")

    @property
    def address(self) -> Address:
        """Where to connect."""
        return self.host, self.port

    @property
    def where(self) -> str:
        """The address, for messages."""
        return shown(self.address)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Place(TcpPlace):
    """A host and a port, or a Unix socket."""

    socket: str = setting("The server's Unix socket, instead of host and port.", default="")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.socket and self.host:
            raise ValueError("socket and host exclude each other")
        if self.port != type(self).port and not self.host:
            raise ValueError("port: it belongs to a host, which is missing")
        if self.socket and not self.socket.startswith("/"):
            raise ValueError("socket: expected an absolute path")

    @property
    def address(self) -> Address:
        """Where to connect."""
        return self.socket or super().address


def parsed_host(text: str) -> str:
    """Return a name or an IP address, without the brackets of an IPv6 address. Raises ValueError."""
    bracketed = text.startswith("[") and text.endswith("]")
    bare = text[1:-1] if bracketed else text
    try:
        is_right = bracketed <= (ipaddress.ip_address(bare).version == 6)
    except ValueError:
        is_right = text.isprintable() and _NAME.fullmatch(text) is not None and _is_name(text)
    if is_right:
        return bare
    port = "; the port has a setting of its own" if ":" in text else ""
    raise ValueError(f"host: {_HOST}{port}")


def _is_name(text: str) -> bool:
    if text.isascii():  # without the tables that IDNA needs
        return all(0 < len(label) < 64 for label in text.removesuffix(".").split("."))
    try:
        text.encode("idna")
    except UnicodeError:  # an empty label, or one that is too long
        return False
    return True


def shown(address: Address) -> str:
    """Return an address for messages: /run/mysqld/mysqld.sock, db1:3306, [::1]:3306."""
    if isinstance(address, str):
        return address
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def connected(address: Address, budget: Callable[[], float]) -> socket.socket:
    """Connect to an address; `budget` tells how many seconds are left. Raises Disconnected or Misconfigured.

    A name may have several addresses: one that does not answer does not cost the time of the next.
    """
    try:
        return _connected(address, budget)
    except OSError as error:
        raise unreached(shown(address), error) from error
    except UnicodeError as error:  # from IDNA, where nobody has parsed the host
        raise Misconfigured(f"{shown(address)}: no host can have this name") from error


def _connected(address: Address, budget: Callable[[], float]) -> socket.socket:
    stream = socket.SOCK_STREAM
    known: list[tuple[Any, ...]] = [(socket.AF_UNIX, stream, 0, "", address)]
    if not isinstance(address, str):
        known = list(socket.getaddrinfo(*address, type=stream))
    for left, (family, kind, protocol, _, found) in zip(range(len(known), 0, -1), known, strict=True):
        try:
            seconds = budget() / left  # before there is a socket to be closed: a budget may be over
            return _at(socket.socket(family, kind, protocol), found, seconds)
        except OSError:  # also where the kernel has no IPv6
            if left == 1:
                raise
    raise OSError("this name has no address")


def _at(connection: socket.socket, address: Any, seconds: float) -> socket.socket:
    try:
        connection.settimeout(seconds)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def unreached(where: str, error: OSError) -> CollectError:
    """Return what it means that nobody could be reached at a place."""
    match error:
        case PermissionError():
            if where.startswith("/"):
                return Misconfigured(
                    f"{where}: this user may not connect: it may not write to the socket, or not pass a "
                    f"directory on the way (`namei -l {where}` shows the way)"
                )
            return Misconfigured(f"{where}: connecting there is not permitted ({error.strerror})")
        case BlockingIOError():
            return Disconnected(
                f"{where}: so many wait there already that the kernel lets in no more: the server hangs"
            )
        case FileNotFoundError():
            return Disconnected(
                f"{where}: no such socket; the server is down or starting, or it is elsewhere"
            )
        case TimeoutError():
            return Disconnected(f"{where}: nothing answers there, not even with a refusal")
        case ConnectionError():
            return Disconnected(
                f"{where}: nobody listens there; the server is down or starting, or it is elsewhere"
            )
        case socket.gaierror():
            return Disconnected(f"{where}: no address is known for this name ({error.strerror})")
    return Disconnected(f"{where}: {error.strerror or error}")
