"""The kernel's list of mounts, `/proc/PID/mountinfo`, and which mount a path leads to. See proc(5).

Mounts cover each other: what is listed need not be what a path leads to. Nothing is asked here
that could hang: all of it is in the list.
"""

import re
import select
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from rscollector.api import one_line

_ESCAPE = re.compile(rb"\\([0-7]{3})")
_ATTEMPTS = 3
_NOT_WRITABLE = {b"ro", b"emergency_ro", b"shutdown"}
"""What the kernel says of a file system that takes no writes; the last two are ext4's, since Linux 6.15."""


class Mount(NamedTuple):
    """One mount; `device` is the file system's number, such as "8:1", and `options` are the super block's.

    `root` is the directory of the file system that is mounted at `point`.
    """

    id: int
    parent: int
    device: str
    root: bytes
    point: bytes
    type: str
    source: bytes
    options: tuple[bytes, ...]

    @property
    def read_only(self) -> bool:
        """Whether the file system itself takes no writes, however it is mounted here or there."""
        return not _NOT_WRITABLE.isdisjoint(self.options)

    def option(self, name: bytes) -> bytes | None:
        """Return the value of an option, such as `user_id`; None where there is none."""
        return next((each[len(name) + 1 :] for each in self.options if each.startswith(name + b"=")), None)


def read(path: Path) -> bytes:
    """Return the list as it was at one moment, or the last of three that changed meanwhile. Raises OSError.

    The kernel gives it in pieces, and tells by poll(2) that it has changed since.
    """
    with path.open("rb", buffering=0) as file:
        poller = select.poll()
        poller.register(file, select.POLLPRI)
        for _ in range(_ATTEMPTS):
            file.seek(0)
            text = file.readall()
            if not any(event & select.POLLPRI for _, event in poller.poll(0)):
                break
    return text


def parsed(text: bytes) -> tuple[Mount, ...]:
    """Return the mounts of a list; a line that is none is passed over."""
    return tuple(mount for line in text.split(b"\n") if (mount := _mount(line)))


def _mount(line: bytes) -> Mount | None:
    head, _, tail = line.partition(b" - ")
    fields, behind = head.split(b" "), tail.split(b" ")
    try:
        number, parent = int(fields[0]), int(fields[1])
        device, root, point = fields[2].decode("ascii"), fields[3], fields[4]
        kind, source, options = behind[0], behind[1], behind[2]
    except (ValueError, IndexError):
        return None
    root, point, source = map(_unescaped, (root, point, source))
    if not point.startswith(b"/") or b"\0" in point:
        return None
    name = one_line(_unescaped(kind).decode("utf-8", "backslashreplace"), 100)
    return Mount(number, parent, device, root, point, name, source, tuple(options.split(b",")))


def _unescaped(text: bytes) -> bytes:
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), text) if b"\\" in text else text


class Tree:
    """The mounts of one namespace, as paths lead through them."""

    def __init__(self, mounts: Iterable[Mount]) -> None:
        self._ids = {mount.id: mount for mount in mounts}
        self._over = {
            (mount.parent if mount.parent in self._ids else None, mount.point): mount
            for mount in self._ids.values()
        }

    def way(self, path: bytes) -> list[Mount]:
        """Return the mounts that a path leads through, the last of which has what it names."""
        here: int | None = None
        found: dict[int, Mount] = {}  # a list that lies may lead in a circle
        for prefix in _prefixes(path):
            while (over := self._over.get((here, prefix))) and over.id not in found:
                found[over.id] = over
                here = over.id
        return list(found.values())

    def visible(self) -> Iterator[tuple[Mount, list[Mount]]]:
        """Yield the mounts that no other one covers, each with the way to it."""
        for mount in self._ids.values():
            way = self.way(mount.point)
            if way and way[-1] is mount:
                yield mount, way


def _prefixes(path: bytes) -> Iterator[bytes]:
    yield b"/"
    end = path.find(b"/", 1)
    while end > 0:
        yield path[:end]
        end = path.find(b"/", end + 1)
    if path != b"/":
        yield path
