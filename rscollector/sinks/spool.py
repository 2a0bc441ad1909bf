"""What is to be sent and was not acknowledged yet: a directory with a file for each batch.

A batch is written as `….tmp`, synced, renamed, and unlinked when the receiver has taken it: the maildir's
way, and the kernel does the work. It never changes; what ends in `.tmp` was never promised to anybody. A
file's name says when it was made, in milliseconds, and how many points are in it; its first line has a
checksum of the rest.

    1795208406123-000007-500.batch        rejected/1795208400000.json, one for a minute
    rscollector 1 8f3a11c2                {"reason":"…","point":{"metric":…}}
    {"metric":…}                          a point in each line, as it is sent

While nothing can be sent, small batches become a large one: a day of them is too many files. It is called
after the first of them and the number of those that follow (`…-000007+41-500.batch`), so that whoever is
killed before these are unlinked leaves what the next process knows to be there twice.

Bounds: bytes, age, and the space that has to be left free for others. While the disk has no room or is
read-only, batches are kept in memory, fewer of them, and `persistent` is False; what is on the disk already
stays there, and what is in memory follows as soon as it can. What the bounds do not allow goes, the oldest
first, and every point of it is counted.

A file that is damaged, or that an operator has taken away, costs its own points only. Files that nobody here
has made are left alone.
"""

import json
import os
import re
import time
import zlib
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

_NAME = re.compile(r"(\d{13})-(\d{6,})(?:\+(\d+))?-(\d+)\.batch")
_HEAD = re.compile(rb"rscollector 1 ([0-9a-f]{8})\n")
_HEAD_SIZE = len(b"rscollector 1 00000000\n")
REJECTED = "rejected"
_MOST_REJECTED = 10 << 20
_FEW = 4  # batches that are not worth being written again


class Loss(StrEnum):
    """Why points are gone that were not acknowledged; the value is a label."""

    BYTES = "bytes"  # the spool has reached its size
    AGE = "age"
    MEMORY = "memory"  # the disk took nothing, and the memory for that was used up
    DAMAGED = "damaged"
    REMOVED = "removed"  # by somebody else


class Bounds(NamedTuple):
    """How much may wait: bytes, seconds; bytes that stay free on the disk; bytes in memory without a disk."""

    size: int
    age: float
    free: int
    memory: int


class Batch(NamedTuple):
    """A batch that waits; `made` in milliseconds since 1970. One that is only in memory has `held`.

    One that was made of others has `more`, how many numbers after its own are in it.
    """

    made: int
    number: int
    points: int
    size: int
    more: int = 0
    held: bytes | None = None

    @property
    def key(self) -> tuple[int, int]:
        """What tells it from others."""
        return self.made, self.number

    @property
    def name(self) -> str:
        """The name of its file."""
        more = f"+{self.more}" if self.more else ""
        return f"{self.made:013d}-{self.number:06d}{more}-{self.points}.batch"

    @property
    def last(self) -> int:
        """The highest of its numbers."""
        return self.number + self.more

    @classmethod
    def of(cls, name: str, size: int) -> "Batch | None":
        """Read a file's name; None for one of another kind."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        made, number, more, points = (int(each or 0) for each in found.groups())
        return cls(made, number, points, size, more)


class Spool:
    """The batches that wait, the oldest first. A spool is one process's; its threads need a lock.

    `lost` counts points by `Loss`. Raises OSError only when it is made and its directory cannot be.
    """

    def __init__(self, place: Path, bounds: Bounds, clock: Callable[[], float] = time.time) -> None:
        self.bounds = bounds
        self.lost: Counter[Loss] = Counter()
        self.persistent = True
        self.points = self.size = self._memory = 0
        self._directory = place
        self._clock = clock
        self._batches: OrderedDict[tuple[int, int], Batch] = OrderedDict()
        self._small: deque[Batch] = deque()  # which nobody has tried to make a large one of
        (place / REJECTED).mkdir(mode=0o750, parents=True, exist_ok=True)
        for file in place.glob("*.tmp"):
            with suppress(OSError):  # on a disk that is read-only now
                file.unlink()
        found = batches(place)
        twice = {number for batch in found if batch.more for number in range(batch.number, batch.last + 1)}
        for batch in found:
            if batch.number in twice and not batch.more:
                self._unlink(batch)
            else:
                self._append(batch)
        self._made = max((batch.made for batch in self), default=0)
        self._number = max((batch.last for batch in self), default=0)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches.values())

    @property
    def oldest(self) -> float | None:
        """The age of the oldest batch in seconds, None while nothing waits."""
        return self.age(self._first()) if self._batches else None

    def age(self, batch: Batch) -> float:
        """Return how long a batch has been waiting, in seconds."""
        return max(0.0, self._clock() - batch.made / 1000)

    def _first(self) -> Batch:
        return next(iter(self))

    def put(self, lines: Sequence[bytes]) -> Batch:
        """Keep points, each a line without its end: when this returns, on the disk if that takes any."""
        self._made = max(self._made, int(self._clock() * 1000))  # the order of names is that of time, always
        batch = self._keep(self._made, lines)
        self.keep_bounds()
        return batch

    def split(self, batch: Batch, lines: Sequence[bytes]) -> list[Batch]:
        """Replace a batch by two, each with a half of its points, which come next."""
        middle = len(lines) // 2
        halves = [self._keep(batch.made, half) for half in (lines[:middle], lines[middle:])]
        for half in reversed(halves):
            self._batches.move_to_end(half.key, last=False)
        self.remove(batch)
        return halves

    def _keep(self, made: int, lines: Sequence[bytes]) -> Batch:
        data = b"\n".join(lines) + b"\n"
        self._number += 1
        batch = Batch(made, self._number, len(lines), _HEAD_SIZE + len(data))
        self.persistent = self._write(batch, data)
        if not self.persistent:
            batch = batch._replace(held=data)
        self._append(batch)
        return batch

    def coalesce(self, most: int) -> None:
        """Make one batch of the oldest small ones, as soon as they are as many points as a request may have.

        Nothing must be in flight meanwhile: what was read before is called otherwise afterwards.
        """
        group = self._group(most)
        for _ in group:
            self._small.popleft()
        if len(group) < _FEW:
            return
        contents = [self.read(batch) for batch in group]
        if None in contents:
            return
        data = b"".join(line + b"\n" for lines in contents for line in lines or ())
        points = sum(batch.points for batch in group)
        more = group[-1].number - group[0].number
        large = Batch(group[0].made, group[0].number, points, _HEAD_SIZE + len(data), more)
        if not self._write(large, data):
            return
        for batch in group:
            self._unlink(batch)
        self._replace(group[0], large)
        for batch in group[1:]:
            self._forget(batch)

    def _group(self, most: int) -> list[Batch]:
        """Return small batches that follow each other, none as long as there may be more of them."""
        group: list[Batch] = []
        points = 0
        while self._small and not self._current(self._small[0]):
            self._small.popleft()
        for batch in self._small:
            points += batch.points
            follows = not group or batch.number == group[-1].number + 1
            if points > most or not follows or not self._current(batch):
                return group or [batch]
            group.append(batch)
        return []

    def _current(self, batch: Batch) -> Batch | None:
        """Return a batch as it waits now; None when it is gone, or part of a larger one."""
        found = self._batches.get(batch.key)
        return found if found and found.name == batch.name else None

    def read(self, batch: Batch) -> list[bytes] | None:
        """Return a batch's points; None for one that is damaged or not there any more, which is counted."""
        found = self._current(batch)
        if found is None:
            return None
        if found.held is not None:
            return found.held.splitlines()
        path = self._directory / batch.name
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            self._forget(batch, Loss.REMOVED)
            return None
        except OSError:
            data = b""
        lines = checked(data)
        if lines is None or len(lines) != batch.points:
            with suppress(OSError):
                path.rename(self._directory / REJECTED / f"{batch.name}.damaged")
            self._forget(batch, Loss.DAMAGED)
            return None
        return lines

    def remove(self, batch: Batch) -> None:
        """Forget a batch: the receiver has it."""
        self._forget(batch)
        self._unlink(batch)

    def _unlink(self, batch: Batch) -> None:
        with suppress(OSError):  # it is sent again after a restart, if the disk does not even let it go
            (self._directory / batch.name).unlink(missing_ok=True)

    def put_aside(self, points: Sequence[tuple[bytes, str]]) -> None:
        """Put points aside that the receiver will not take, each with the reason."""
        if not points:
            return
        minute = int(self._clock()) // 60 * 60_000
        path = self._directory / REJECTED / f"{minute:013d}.json"
        with suppress(OSError), path.open("ab") as file:  # they are counted all the same
            for line, reason in points:
                file.write(b'{"reason":%s,"point":%s}\n' % (json.dumps(reason[:200]).encode("ascii"), line))
        self._bound_rejected()

    def _bound_rejected(self) -> None:
        with suppress(OSError):
            files = sorted((self._directory / REJECTED).iterdir())
            size = sum(file.stat().st_size for file in files)
            while size > _MOST_REJECTED:
                size -= files[0].stat().st_size
                files.pop(0).unlink()

    def keep_bounds(self) -> None:
        """Let go of what is too old or too much, the oldest first; write what had to stay in memory."""
        oldest_allowed = (self._clock() - self.bounds.age) * 1000
        while self._batches and self._first().made < oldest_allowed:
            self._drop(self._first(), Loss.AGE)
        while self.size > self.bounds.size and len(self._batches) > 1:
            self._drop(self._first(), Loss.BYTES)
        if self._memory:
            self._write_held()

    def _write_held(self) -> None:
        held = deque((batch, batch.held) for batch in self if batch.held is not None)
        while held and self._write(*held[0]):
            batch, _ = held.popleft()
            self._replace(batch, batch._replace(held=None))
        self.persistent = not held
        while self._memory > self.bounds.memory and len(held) > 1:
            self._drop(held.popleft()[0], Loss.MEMORY)

    def _drop(self, batch: Batch, why: Loss) -> None:
        self.remove(batch)
        self.lost[why] += batch.points

    def _write(self, batch: Batch, data: bytes) -> bool:
        path = self._directory / batch.name
        new = path.with_suffix(".tmp")
        try:
            if _free(self._directory) - batch.size < self.bounds.free:
                return False
            with new.open("wb") as file:
                file.write(b"rscollector 1 %08x\n" % zlib.crc32(data))
                file.write(data)
                file.flush()
                os.fdatasync(file.fileno())
            new.rename(path)
        except OSError:
            with suppress(OSError):
                new.unlink()
            return False
        return True

    def _append(self, batch: Batch) -> None:
        self._batches[batch.key] = batch
        self._count(batch, 1)
        if not batch.more and batch.held is None:
            self._small.append(batch)

    def _replace(self, batch: Batch, by: Batch) -> None:
        """Put another batch in a batch's place."""
        self._count(batch, -1)
        self._batches[batch.key] = by
        self._count(by, 1)

    def _forget(self, batch: Batch, why: Loss | None = None) -> None:
        if found := self._current(batch):
            del self._batches[found.key]
            self._count(found, -1)
            if why:
                self.lost[why] += batch.points

    def _count(self, batch: Batch, sign: int) -> None:
        self.points += sign * batch.points
        self.size += sign * batch.size
        if batch.held is not None:
            self._memory += sign * batch.size


def directory(settings: Mapping[str, Any], state: Path) -> Path:
    """Return where a sink's spool is: its setting `spool`, else a directory beside its state file.

    Every sink that has a spool calls the setting so; others may ask while no sink runs.
    """
    given = settings.get("spool")
    return Path(given) if given else state.with_suffix("")


def batches(place: Path) -> list[Batch]:
    """Return the batches in a spool's directory, the oldest first."""
    found = []
    with os.scandir(place) as entries:
        for entry in entries:
            with suppress(OSError):  # it was sent meanwhile
                if batch := Batch.of(entry.name, entry.stat().st_size):
                    found.append(batch)
    return sorted(found)


def checked(data: bytes) -> list[bytes] | None:
    """Return the points in a file's content, None when it is not what was written."""
    head = _HEAD.match(data)
    if head is None or zlib.crc32(data[head.end() :]) != int(head[1], 16):
        return None
    return data[head.end() :].splitlines()


def _free(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize
