"""Where the agent listens and for whom, exchanged while it runs.

At a reload new addresses are listened on before those that are wanted no more are left, and an address that
stays keeps its socket: nobody who connects finds a closed door. What cannot be used changes nothing: the
listeners before it go on.
"""

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from rscollector.config.types import UNIX, Listener, Right
from rscollector.web.listeners import CannotListen, Place, listen_at, listen_unix, places
from rscollector.web.server import Connections, Server

if TYPE_CHECKING:
    from rscollector.web.lock import Lock, Shared

Make = Callable[[frozenset[Right]], ASGIApp]


@dataclass(slots=True)
class _Door:
    """A listener, its socket, its lock if it has one, and from `serve` on its server."""

    listener: Listener
    socket: socket.socket
    lock: "Lock | None"
    trouble: str = ""
    """Why not all of what is wanted of its lock is in use."""
    server: Server | None = None

    def is_like(self, other: Listener) -> bool:
        """Tell whether all but the lock's settings are the same."""
        return self.listener.rights == other.rights and (self.lock is None) == (not _is_locked(other))

    def close(self) -> None:
        """Let nobody in any more, and end the connections of those who are."""
        if self.server:
            self.server.close()
        self.socket.close()


class Listening:
    """Owns the listening sockets and what answers there; `connections` are those of all of them."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._shared: Shared | None = None
        self._doors: dict[Place, _Door] = {}
        self._control: list[_Door] = []
        self._make: Make | None = None
        self._applications: dict[frozenset[Right], ASGIApp] = {}

    def open(self, listeners: Sequence[Listener], control: Path) -> None:
        """Listen, and on the control socket; nobody is answered yet. Raises CannotListen or ValueError."""
        if any(each.address == f"{UNIX}{control}" for each in listeners):
            raise CannotListen(f"web.listener: {control} is the control socket; choose another path")
        self.change(listeners)
        everything = tuple(each.value for each in Right)
        self._control = [_Door(Listener(f"{UNIX}{control}", everything), listen_unix(control), None)]

    def serve(self, make: Make) -> None:
        """Answer from now on, with an application for each set of rights; the control socket has all."""
        self._make = make
        for door in (*self._doors.values(), *self._control):
            self._serve(door)

    def change(self, listeners: Sequence[Listener]) -> list[str]:
        """Listen there instead. Raises CannotListen or ValueError, and then nothing has changed.

        Returns why a lock could not be exchanged, a sentence each: the one before it is in use there.
        """
        wanted = dict(zip(places([each.address for each in listeners]), listeners, strict=True))
        gone = [place for place in self._doors if place not in wanted]
        doors = self._made(wanted, gone)
        kept = {place: door for place, door in self._doors.items() if place in wanted and place not in doors}
        left = [door for place, door in self._doors.items() if place not in kept]
        self._doors = {place: (doors | kept)[place] for place in wanted}
        for door in doors.values():
            self._serve(door)
        for door in left:
            door.close()
        _unlink(place.address for place in gone)
        return [why for place, door in self._doors.items() if (why := _exchanged(door, wanted[place]))]

    def _made(self, wanted: Mapping[Place, Listener], gone: Iterable[Place]) -> dict[Place, _Door]:
        """Make the doors that are not there yet, or have to be others: then on the same socket."""
        others = {place: each for place, each in wanted.items() if self._needs_another(place, each)}
        locks = {place: self._lock(each, self._doors.get(place)) for place, each in others.items()}
        new = [place for place in others if place not in self._doors]
        sockets = listen_at(new, [self._doors[place].socket for place in gone])
        at = dict(zip(new, sockets, strict=True))
        return {
            place: _Door(each, at[place] if place in at else self._doors[place].socket.dup(), *locks[place])
            for place, each in others.items()
        }

    @property
    def certificates(self) -> dict[str, tuple[float, float]]:
        """From when to when the certificate of each listener that has one is valid, by its address."""
        return {
            door.listener.address: door.lock.context.validity
            for door in self._doors.values()
            if door.lock and door.lock.context
        }

    def close(self) -> None:
        """Let nobody in any more, and end every connection."""
        for door in (*self._doors.values(), *self._control):
            door.close()
        _unlink(place.address for place in self._doors)

    def _needs_another(self, place: Place, listener: Listener) -> bool:
        return place not in self._doors or not self._doors[place].is_like(listener)

    def _lock(self, listener: Listener, before: _Door | None) -> "tuple[Lock | None, str]":
        """Make a lock, and say why not all of it is new.

        It begins with the TLS of the door before it, so that a certificate gives way to a better one only.
        """
        if not _is_locked(listener):
            return None, ""
        from rscollector.web.lock import Lock, Shared  # noqa: PLC0415  whoever has no lock has none in memory

        self._shared = self._shared or Shared()
        try:
            if before and before.lock and before.lock.context and listener.tls:
                lock = Lock(replace(listener, tls=before.lock.context.newest().tls), self._shared)
                return lock, lock.replace(listener)
            return Lock(listener, self._shared), ""
        except ValueError as error:
            raise ValueError(f"{listener.address}: {error}") from error

    def _serve(self, door: _Door) -> None:
        if self._make:
            rights = frozenset(map(Right, door.listener.rights))
            door.server = Server(self._application(rights), [door.socket], self._connections, door.lock)

    def _application(self, rights: frozenset[Right]) -> ASGIApp:
        """Return the application of these rights: one for all listeners that have them, with one page."""
        if rights not in self._applications and self._make:
            self._applications[rights] = self._make(rights)
        return self._applications[rights]


def _is_locked(listener: Listener) -> bool:
    """Tell whether anything but its address and its rights is said of a listener: it costs memory."""
    return listener != Listener(listener.address, listener.rights)


def _exchanged(door: _Door, listener: Listener) -> str:
    """Give a door other settings of its lock; returns why that cannot be, "" if it could."""
    if door.lock and (door.trouble or listener != door.listener):
        try:
            why, kept = door.lock.replace(listener), "the certificate before it"
        except ValueError as error:
            why, kept = str(error), "what was there before"
        door.trouble = f"{listener.address}: {why}; {kept} is in use" if why else ""
    door.listener = listener
    return door.trouble


def _unlink(addresses: Iterable[str]) -> None:
    for address in addresses:
        if address.startswith(UNIX):
            with suppress(OSError):
                Path(address.removeprefix(UNIX)).unlink(missing_ok=True)
