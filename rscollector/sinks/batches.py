"""Batches as files: what their names tell, what is in them, and which of the files in a directory are some.

    1795208406123-000007-2000.batch       made (Unix time in ms), number, points
    1795208406123-000007.500-1500.batch   what is left of it when 500 points are sent
    1795208406123-000007+41-500.batch     one that was made of this and the 41 that follow

    rscollector 2 8f3a11c2 BOOT 4711.042 0   a checksum of the rest; when its oldest point was collected; the
    {"metric":…}                             place of its first point in the batch; then a point in each line

0.1.0 wrote `rscollector 1 CHECKSUM`, and no more in the first line.
"""

import errno
import os
import pwd
import re
import stat
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rscollector.sinks.ages import UNKNOWN, Ages, Stamp

_NAME = re.compile(r"(\d{13})-(\d{6,15})(?:\+(\d{1,9}))?(?:\.(\d{1,9}))?-(\d{1,9})\.(batch|tmp)")
_HEAD = re.compile(
    rb"rscollector (?:1 ([0-9a-f]{8})|2 ([0-9a-f]{8}) ([\w-]{0,40}) (\d{1,12}\.\d{3}) (\d{1,9}))\n"
)
HEAD_SIZE = 128  # at most
LARGEST = 64 << 20
"""A file that is larger is nobody's of ours."""


class Batch(NamedTuple):
    """What waits of a batch: `points` from the place `offset` on, in a file of `size` bytes.

    `made` is in milliseconds since 1970. One that was made of others has `more`, how many numbers after its
    own are in it. One that is only in memory is `held`; `file` is the name of its file where that could not
    be changed when some of it was sent.
    """

    number: int
    offset: int
    points: int
    made: int
    more: int = 0
    size: int = 0
    held: bool = False
    file: str = ""

    @property
    def name(self) -> str:
        """The name of its file."""
        if self.file:
            return self.file
        more = f"+{self.more}" if self.more else ""
        offset = f".{self.offset}" if self.offset else ""
        return f"{self.made:013d}-{self.number:06d}{more}{offset}-{self.points}.batch"

    @property
    def last(self) -> int:
        """The highest of its numbers."""
        return self.number + self.more

    @property
    def end(self) -> int:
        """The place behind its last point."""
        return self.offset + self.points

    @classmethod
    def of(cls, name: str, size: int = 0) -> "Batch | None":
        """Read a file's name; None for one of another kind."""
        found = _NAME.fullmatch(name)
        if found is None or found[6] != "batch":
            return None
        made, number, more, offset, points = (int(each or 0) for each in found.groups()[:5])
        return cls(number, offset, points, made, more, size)


class Content(NamedTuple):
    """What is in a file: lines, and the place of the first one."""

    lines: list[bytes]
    offset: int

    def of(self, batch: Batch) -> list[bytes] | None:
        """Return the points that wait in a batch, None if they are not here."""
        if not self.offset <= batch.offset <= batch.end <= self.offset + len(self.lines):
            return None
        return self.lines[batch.offset - self.offset : batch.end - self.offset]


def batches(place: Path) -> list[Batch]:
    """Return the batches in a spool's directory, the oldest first. Raises OSError."""
    return listed(place).waiting


def ages(place: Path) -> list[tuple[Batch, float | None]]:
    """Return the batches in a directory, the oldest first, and their ages in seconds. Raises OSError.

    The age is None of one that cannot be read.
    """
    told = Ages(place / "ages.json")
    found: list[tuple[Batch, float | None]] = []
    for batch in batches(place):
        try:
            found.append((batch, told.age(stamp_in(place / batch.name))))
        except FileNotFoundError:
            continue  # it was sent meanwhile
        except OSError:
            found.append((batch, None))
    return found


def content(path: Path) -> Content | None:
    """Return what is in a batch's file, None when it is not what was written. Raises OSError."""
    return _parsed(read_plain(path, LARGEST))


class Listed(NamedTuple):
    """What is in a directory: batches in order, those that are there twice or clash, and what is none."""

    waiting: list[Batch]
    twice: list[Batch]
    clashing: list[Batch]
    foreign: list[Batch]


def listed(place: Path) -> Listed:
    """Return what is in a spool's directory. Raises OSError.

    A kill may have left a batch and what it was made of, or what was made of it: then one has all points of
    the other. Others that have the same number are from elsewhere.
    """
    ours: list[Batch] = []
    foreign: list[Batch] = []
    with os.scandir(place) as entries:
        for entry in entries:
            with suppress(OSError):  # it was sent meanwhile
                if batch := Batch.of(entry.name, entry.stat(follow_symlinks=False).st_size):
                    is_ours = is_plain(entry) and batch.size <= LARGEST
                    (ours if is_ours else foreign).append(batch)
    found = Listed([], [], [], foreign)
    covering: Batch | None = None
    for batch in sorted(ours, key=lambda each: (each.number, -each.last, each.offset, -each.points)):
        if covering is None or not _overlap(covering, batch):
            found.waiting.append(batch)
            covering = batch
        elif _has_all(place, covering, batch):
            found.twice.append(batch)
        else:
            found.clashing.append(batch)
    return found


def _overlap(large: Batch, small: Batch) -> bool:
    if (large.number, large.more) != (small.number, small.more):
        return small.number <= large.last
    return small.offset < large.end


def _has_all(place: Path, large: Batch, small: Batch) -> bool:
    """Tell whether all points of a batch are in another one too, by what is in their files."""
    with suppress(OSError):
        contents = [content(place / batch.name) for batch in (large, small)]
        lines = [each.of(batch) for each, batch in zip(contents, (large, small), strict=True) if each]
        return (
            len(lines) == len(contents) and None not in lines and set(lines[1] or ()) <= set(lines[0] or ())
        )
    return False


def remove_unfinished(place: Path) -> None:
    """Remove what was being written when its process was killed."""
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.name.endswith(".tmp") and _NAME.fullmatch(entry.name) and is_plain(entry):
                with suppress(OSError):  # on a disk that is read-only now
                    (place / entry.name).unlink()


def is_plain(entry: "os.DirEntry[str]") -> bool:
    """Tell whether this is a file and nothing else that has a name."""
    return entry.is_file(follow_symlinks=False)


def read_plain(path: Path, most: int) -> bytes:
    """Read a plain file, at most so much of it: no link, no pipe that nobody writes to. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no plain file", str(path))
        return file.read(most)


def _parsed(data: bytes) -> Content | None:
    head = _HEAD.match(data)
    if head is None:
        return None
    if head[1]:
        start, told, offset = head.end(), head[1], 0
    else:
        start, told, offset = head.end(2), head[2], int(head[5])
    if zlib.crc32(memoryview(data)[start:]) != int(told, 16):
        return None
    return Content(data[head.end() :].splitlines(), offset)


def stamp_in(path: Path) -> Stamp:
    """Return when the oldest of a batch's points was collected, from its file. Raises OSError."""
    return _stamp(_HEAD.match(read_plain(path, HEAD_SIZE)))


def _stamp(head: "re.Match[bytes] | None") -> Stamp:
    if head is None or head[1]:
        return UNKNOWN
    return Stamp(head[3].decode("ascii"), float(head[4]))


def _fields(batch: Batch, stamp: Stamp) -> bytes:
    return b" %s %.3f %d\n" % (stamp.boot.encode("ascii"), max(0.0, stamp.at), batch.offset)


def file_of(batch: Batch, lines: list[bytes], stamp: Stamp) -> tuple[bytes, bytes, bytes]:
    """Return the parts of a batch's file."""
    fields, data = _fields(batch, stamp), b"\n".join(lines) + b"\n"
    return b"rscollector 2 %08x" % zlib.crc32(data, zlib.crc32(fields)), fields, data


def sized(batch: Batch, lines: list[bytes], stamp: Stamp) -> Batch:
    """Return a batch with the size of its file."""
    head = len(b"rscollector 2 ") + 8 + len(_fields(batch, stamp))
    return batch._replace(size=head + sum(map(len, lines)) + len(lines))


def because(error: OSError) -> str:
    """Say why something failed; and whose a file is, where that may be why."""
    path = str(error.filename or "")
    said = f"{path}: {error.strerror}".removeprefix(": ")
    if error.errno not in (errno.EACCES, errno.EPERM):
        return said
    for each in (Path(path), *Path(path).parents):
        with suppress(OSError):  # what cannot be seen either
            owner, me = each.stat().st_uid, os.geteuid()
            return said if owner == me else f"{said}; {each} belongs to {_user(owner)}, we are {_user(me)}"
    return said


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
