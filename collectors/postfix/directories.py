"""The queue directories, read directly: who may, pays one open for each message and not for each tick.

A message is a file whose envelope begins with its size, recipients and time of arrival, none of which change.
They are kept in arrays, 28 bytes a message, for each directory and by arrival, so that ages are counted by
bisection; a directory whose time of modification is the same as before is not even listed, unless a file was
being written in it: that ends with a change of the file's rights, and none of the directory. Messages that
come are read as far as half of the tick's time allows; the rest is counted as unread and read with the next.

Files vanish while one looks: Postfix moves them. One that is being written may be written and not executed
(0600), a message may be executed (0700), and one that Postfix has found corrupt may only be read (0400).
"""

import os
import stat
import time
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from collectors.postfix.queues import Tally
from rscollector.api import Misconfigured, Unavailable

_ENVELOPE = 512
_MANY = 2**32 - 1
_LARGEST = 2**63 - 1
"""What a corrupt file may tell at most, so that arrays and sums have room for it."""
_SETTLED = 2_000_000_000
"""Nanoseconds after which the next change of a directory certainly has another time."""


class Message(NamedTuple):
    """What a queue file's envelope tells; `arrival` in seconds since 1970, `size` in bytes."""

    arrival: int
    size: int
    recipients: int


class Part:
    """The messages of one directory, the oldest first, and the directories below into which it is hashed.

    `modified` is None while it must be listed again: files had to wait (`unread`), or are no message yet
    (`unfinished`).
    """

    __slots__ = (
        "arrivals", "below", "bytes", "keys", "modified", "recipients", "sizes", "total", "unfinished",
        "unread",
    )  # fmt: skip

    def __init__(self, messages: Iterable[tuple[Message, int]] = (), below: Iterable[str] = ()) -> None:
        self.modified: int | None = None
        self.unread = self.unfinished = 0
        self.below = list(below)
        self.keys = array("q")
        self.arrivals, self.sizes, self.recipients = array("Q"), array("Q"), array("I")
        for message, key in sorted(messages):
            self.keys.append(key)
            self.arrivals.append(message.arrival)
            self.sizes.append(message.size)
            self.recipients.append(min(message.recipients, _MANY))
        self.bytes, self.total = sum(self.sizes), sum(self.recipients)

    def messages(self) -> dict[int, Message]:
        """Return what is kept, by key."""
        return dict(zip(self.keys, map(Message, self.arrivals, self.sizes, self.recipients), strict=True))


class Spool:
    """The queues below a directory; kept from tick to tick."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._parts: dict[str, Part] = {}

    def tally(self, queue: str, now: float, enough: Callable[[], bool]) -> Tally:
        """Count a queue at this time; `enough` says when no more files should be opened.

        Raises Misconfigured where the queue may not be read.
        """
        tally = Tally(now)
        top = str(self._root / queue)
        seen = [top]
        for directory in seen:  # which grows meanwhile
            part = self._parts[directory] = self._current(directory, enough)
            seen += part.below
            tally.add(part.arrivals, part.bytes, part.total)
            tally.add_unread(part.unread)
        known = [each for each in self._parts if each == top or each.startswith(f"{top}/")]
        for gone in set(known).difference(seen):
            del self._parts[gone]
        return tally

    def _current(self, directory: str, enough: Callable[[], bool]) -> Part:
        known = self._parts.get(directory, Part())
        try:
            modified = Path(directory).stat().st_mtime_ns
            if known.modified == modified:
                return known
            began = time.time_ns()
            part = _read(directory, known, enough)
        except FileNotFoundError:
            return Part()
        except PermissionError as error:
            raise Misconfigured(f"{directory}: this user may not read the queue") from error
        except OSError as error:
            raise Unavailable(f"{directory}: the queue cannot be read ({error.strerror})") from error
        if not (part.unread or part.unfinished) and modified < began - _SETTLED:
            part.modified = modified
        return part


def _read(directory: str, known: Part, enough: Callable[[], bool]) -> Part:
    before = known.messages()
    found: list[tuple[Message, int]] = []
    below, unread, unfinished = [], 0, 0
    with os.scandir(directory) as entries:
        for entry in entries:
            if not entry.is_file(follow_symlinks=False):
                if len(entry.name) == 1 and entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                continue
            key = hash(entry.name)
            message = before.get(key)
            if message is None and enough():
                unread += 1
            elif message := message or _message(entry.path):
                found.append((message, key))
            else:
                unfinished += 1
    part = Part(found, below)
    part.unread, part.unfinished = unread, unfinished
    return part


def _message(path: str) -> Message | None:
    """Read a queue file; None for one that is gone, or is being written."""
    try:
        with Path(path).open("rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            if found.st_mode & (stat.S_IWUSR | stat.S_IXUSR) == stat.S_IWUSR:
                return None
            return envelope(file.read(_ENVELOPE), int(found.st_mtime), found.st_size)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise Misconfigured(f"{path}: this user may not read the message") from error


def envelope(data: bytes, arrival: int, size: int) -> Message:
    """Read the records at the beginning of a queue file; arrival and size are for a file without them.

    A record is a letter, a length in groups of seven bits, the least significant first, and a text.
    """
    recipients = 1
    at = 0
    while at + 1 < len(data):
        kind, at, length, shift = data[at : at + 1], at + 1, 0, 0
        while at < len(data):
            byte, at = data[at], at + 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        text, at = data[at : at + length], at + length
        try:
            if kind == b"C":
                fields = text.split()
                size, recipients = int(fields[0]), int(fields[2])
            elif kind == b"T":
                arrival = int(text.split()[0])
                break
        except (IndexError, ValueError):
            break  # a corrupt file: what the file system says of it must do
    return Message(_within(arrival), _within(size), _within(recipients))


def _within(number: int) -> int:
    return max(0, min(number, _LARGEST))
