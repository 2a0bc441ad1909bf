"""What is to be sent and was not acknowledged yet: a directory with a file for each batch.

A batch is what was handed over at once. It is written as `….tmp`, synced, renamed, and the directory is
synced: the maildir's way, and the kernel does the work. What ends in `.tmp` was never promised to anybody.
Requests are slices of a batch: as the receiver takes them, the file is given a name with what is left, and
the last one unlinks it. Its content never changes.

Numbers tell the order. A batch that has to be torn in two has the same number in both, and places that tell
what is in them. While nothing can be sent, small batches become a large one, for a day of them is too many
files: it is called after the first of them and how many follow (`…-000007+41-500.batch`). So whoever is
killed halfway leaves what the next process knows to be there twice.

Bounds: bytes, age (`ages`), and the space that has to be left free for others. While the disk has no room
or is read-only, batches are kept in memory, fewer of them, and `persistent` is False; what is on the disk
already stays there, and what is in memory follows as soon as it can. What the bounds do not allow goes, the
oldest first, and every point of it is counted.

A file that is damaged, or that an operator has taken away, costs its own points only; one that cannot be read
now is kept. Whatever nobody here has made is left alone.
"""

import errno
import os
import time
from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from rscollector.api.durable import sync_directory, write_synced
from rscollector.sinks.ages import UNKNOWN, Ages, Stamp, boottime
from rscollector.sinks.batches import (
    Batch,
    Content,
    because,
    content,
    file_of,
    listed,
    remove_unfinished,
    sized,
    stamp_in,
)
from rscollector.sinks.rejected import Rejected
from rscollector.sinks.remembered import Remembered

_LARGEST = 16 << 20  # bytes of a file that is written here
_HIGHEST = 10**13  # number; who has made a file with a higher one did not count
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


class Spool:
    """The batches that wait, the oldest first. A spool is one process's; its threads need a lock.

    `lost` counts points by `Loss`; `why` says why the disk took nothing when it was last asked to. Raises
    OSError only when it is made and its directory cannot be, and where that is said. `clock` is for names
    only: ages are by `boottime`.
    """

    def __init__(
        self,
        place: Path,
        bounds: Bounds,
        clock: Callable[[], float] = time.time,
        boottime: Callable[[], float] = boottime,
        boot: str = "",
    ) -> None:
        self.bounds = bounds
        self.lost: Counter[Loss] = Counter()
        self.persistent = True
        self.why = ""
        self.points = self.size = self._memory = 0
        self._directory = place
        self._clock = clock
        self._waiting: list[Batch] = []
        self._small: deque[Batch] = deque()  # which nobody has tried to make a large one of
        self._stamps: dict[int, Stamp] = {}
        self._lines = Remembered()
        self._rejected = Rejected(place)
        with suppress(OSError):  # on a disk that takes nothing now
            sync_directory(place.parent)
        self._identity = _identity(place)
        self._ages = Ages(place / "ages.json", boottime, boot)
        remove_unfinished(place)
        found = listed(place)
        numbers = [batch.last for each in found for batch in each]
        self._number = max((number for number in numbers if number < _HIGHEST), default=0)
        for batch in found.twice:
            self._unlink(batch)
        for batch in found.waiting:
            self._append(batch)
        for batch in found.clashing:
            self._renumber(batch)

    def _renumber(self, batch: Batch) -> None:
        """Take in a batch whose number another one has: it is of another spool or disk."""
        self._number += 1
        renumbered = batch._replace(number=self._number, more=0)
        if self._rename(batch, renumbered):
            self._append(renumbered)

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._waiting)

    @property
    def last(self) -> int:
        """The number of the newest batch, of those that are gone too."""
        return self._number

    def age(self, batch: Batch) -> float | None:
        """Return for how long a batch has been waiting, in seconds; None while its file cannot be read."""
        if batch.number not in self._stamps:
            try:
                self._stamps[batch.number] = stamp_in(self._directory / batch.name)
            except OSError:
                return None
        return self._ages.age(self._stamps[batch.number])

    def at(self, place: tuple[int, int]) -> Batch | None:
        """Return the batch that has this number and begins at this place, None if there is none."""
        index = bisect_left(self._waiting, place)
        found = self._waiting[index] if index < len(self._waiting) else None
        return found if found and found[:2] == place else None

    def since(self, number: int) -> Iterator[Batch]:
        """Yield the batches whose numbers are higher."""
        for index in range(bisect_left(self._waiting, (number + 1,)), len(self._waiting)):
            yield self._waiting[index]

    def put(self, lines: Sequence[bytes], at: float | None = None) -> None:
        """Keep points, each a line without its end: when this returns, on the disk if that takes any.

        `at` is when the oldest of them was collected, by CLOCK_BOOTTIME; None for now.
        """
        stamp = self._ages.stamp(at)
        for part in _parts(lines, _LARGEST):
            self._number += 1
            self._keep(Batch(self._number, 0, len(part), int(self._clock() * 1000)), part, stamp)
        self.keep_bounds()

    def _keep(self, batch: Batch, lines: list[bytes], stamp: Stamp) -> None:
        self._stamps[batch.number] = stamp
        batch = sized(batch, lines, stamp)
        self.persistent = self._write([(batch, lines)])
        self._lines.put(batch.number, Content(lines, 0), batch.size, held=not self.persistent)
        self._append(batch._replace(held=not self.persistent))

    def read(self, batch: Batch) -> list[bytes] | None:
        """Return a batch's points; None for one that is damaged or not there any more, which is counted.

        Raises OSError when it cannot be read now: then it is kept.
        """
        if (found := self._current(batch)) is None:
            return None
        path = self._directory / found.name
        remembered = self._lines.get(found.number)
        lines = remembered.of(found) if remembered else None
        try:
            if lines is not None and (found.held or path.lstat().st_size == found.size):
                return lines
            read = content(path)
        except FileNotFoundError:
            if _identity(self._directory) != self._identity:
                raise OSError(errno.ESTALE, f"{self._directory} is another directory now") from None
            self._forget(found, Loss.REMOVED)
            return None
        if read and (lines := read.of(found)) is not None:
            self._lines.put(found.number, read, found.size)
            return lines
        self._rejected.take_in(path)
        self._forget(found, Loss.DAMAGED)
        return None

    def acknowledge(self, batch: Batch, points: int) -> Batch | None:
        """Forget so many points at the front of a batch; return what is left of it, if anything."""
        found = self._current(batch)
        if found is None:
            return None
        if points >= found.points:
            self._forget(found)
            self._unlink(found)
            return None
        left = found._replace(offset=found.offset + points, points=found.points - points, file="")
        if found.held:
            left = sized(left, (self.read(found) or [])[points:], self._stamp(found))
        elif not self._rename(found, left):
            left = left._replace(file=found.name)
        self._swap([found], [left])
        return left

    def _rename(self, batch: Batch, left: Batch) -> bool:
        """Have a file's name tell what is left; if it cannot, more is sent again after a restart."""
        try:
            (self._directory / batch.name).rename(self._directory / left.name)
        except OSError:
            return False
        return True

    def split(self, batch: Batch, points: int) -> bool:
        """Tear a batch in two where it stands, the first with so many points; return whether it was."""
        try:
            found, lines = self._current(batch), self.read(batch)
        except OSError:
            return False
        if found is None or lines is None or not 0 < points < found.points:
            return False
        stamp = self._stamp(found)
        halves = [
            (sized(found._replace(offset=found.offset + start, points=len(part), file=""), part, stamp), part)
            for start, part in ((0, lines[:points]), (points, lines[points:]))
        ]
        if not found.held:
            if not self._write(halves):
                return False
            self._unlink(found)
        self._swap([found], [half for half, _ in halves])
        return True

    def coalesce(self, most: int, besides: Container[tuple[int, int]] = ()) -> None:
        """Make one batch of the oldest small ones, as soon as they are as many points as a request may have.

        Those that begin at one of the places `besides` stay as they are. Nothing must be in flight
        meanwhile: what was read before is called otherwise afterwards.
        """
        group = self._group(most, besides)
        for _ in group:
            self._small.popleft()
        if len(group) < _FEW:
            return
        try:
            contents = [self.read(batch) for batch in group]
        except OSError:
            return
        if None in contents:
            return
        lines = [line for each in contents for line in each or ()]
        first = group[0]
        stamp = self._stamp(first)
        large = first._replace(points=len(lines), more=group[-1].number - first.number)
        large = sized(large, lines, stamp)
        if not self._write([(large, lines)]):
            return
        for batch in group:
            self._unlink(batch)
        self._swap(group, [large])

    def _group(self, most: int, besides: Container[tuple[int, int]]) -> list[Batch]:
        """Return small batches that follow each other, none as long as there may be more of them."""
        group: list[Batch] = []
        points = 0
        while self._small and not self._current(self._small[0]):
            self._small.popleft()
        for batch in self._small:
            points += batch.points
            follows = not group or batch.number == group[-1].number + 1
            is_whole = self._current(batch) and not self._is_torn(batch) and batch[:2] not in besides
            if points > most or not follows or not is_whole:
                return group or [batch]
            group.append(batch)
        return []

    def _is_torn(self, batch: Batch) -> bool:
        """Tell whether other parts of what was handed over with a batch wait as well."""
        after = bisect_left(self._waiting, batch[:2]) + 1
        return after < len(self._waiting) and self._waiting[after].number == batch.number

    def put_aside(self, points: Sequence[tuple[bytes, str]]) -> bool:
        """Put points aside that the receiver will not take, each with the reason; return whether it could."""
        return not points or self._rejected.put(points, self._clock())

    def keep_bounds(self) -> None:
        """Let go of what is too old or too much, the oldest first; write what had to stay in memory."""
        self._ages.go_on(waits=bool(self._waiting))
        for batch in self._too_old():
            self._drop(batch, Loss.AGE)
        while self.size > self.bounds.size and len(self._waiting) > 1:
            self._drop(self._waiting[0], Loss.BYTES)
        if self._memory:
            self._write_held()

    def _too_old(self) -> list[Batch]:
        old = []
        for batch in self._waiting:
            age = self.age(batch)
            if age is not None and age <= self.bounds.age:
                break
            if age is not None:
                old.append(batch)
        return old

    def _write_held(self) -> None:
        held = deque(batch for batch in self._waiting if batch.held)
        while held and self._write([(held[0], self.read(held[0]) or [])]):
            batch = held.popleft()
            self._swap([batch], [batch._replace(held=False)])
            if not any(other.number == batch.number for other in held):
                self._lines.release(batch.number, batch.size)
        self.persistent = not held
        while self._memory > self.bounds.memory and len(held) > 1:
            self._drop(held.popleft(), Loss.MEMORY)

    def _write(self, batches: Sequence[tuple[Batch, list[bytes]]]) -> bool:
        """Write files; when this returns True, they are on the disk."""
        paths = [self._directory / batch.name for batch, _ in batches]
        news = [path.with_suffix(".tmp") for path in paths]
        try:
            if _free(self._directory) - sum(batch.size for batch, _ in batches) < self.bounds.free:
                self.why = "less would be free than spool_free"
                return False
            for new, (batch, lines) in zip(news, batches, strict=True):
                write_synced(new, *file_of(batch, lines, self._stamp(batch)))
            for new, path in zip(news, paths, strict=True):
                new.rename(path)
            sync_directory(self._directory)
        except OSError as error:
            self.why = because(error)
            for path in (*news, *paths):
                with suppress(OSError):
                    path.unlink()
            return False
        return True

    def _stamp(self, batch: Batch) -> Stamp:
        self.age(batch)
        return self._stamps.get(batch.number, UNKNOWN)

    def _drop(self, batch: Batch, why: Loss) -> None:
        self._forget(batch, why)
        self._unlink(batch)

    def _unlink(self, batch: Batch) -> None:
        with suppress(OSError):  # it is sent again after a restart, if the disk does not even let it go
            (self._directory / batch.name).unlink(missing_ok=True)

    def _append(self, batch: Batch) -> None:
        self._swap([], [batch])
        if not batch.more and not batch.offset and not batch.held:
            self._small.append(batch)

    def _current(self, batch: Batch) -> Batch | None:
        """Return a batch as it waits now; None when it is gone, or part of a larger one."""
        found = self.at(batch[:2])
        return found if found and found.name == batch.name else None

    def _forget(self, batch: Batch, why: Loss | None = None) -> None:
        self._swap([batch], [])
        if why:
            self.lost[why] += batch.points

    def _swap(self, gone: Sequence[Batch], come: Sequence[Batch]) -> None:
        """Put batches in the place of others, by their order: the only one who changes what waits."""
        for batch in gone:
            del self._waiting[bisect_left(self._waiting, batch[:2])]
            self._count(batch, -1)
        for batch in come:
            insort(self._waiting, batch)
            self._count(batch, 1)
        for number in {batch.number for batch in gone}:
            if not self._has(number):
                self._stamps.pop(number, None)
                self._lines.pop(number)

    def _has(self, number: int) -> bool:
        index = bisect_left(self._waiting, (number,))
        return index < len(self._waiting) and self._waiting[index].number == number

    def _count(self, batch: Batch, sign: int) -> None:
        self.points += sign * batch.points
        self.size += sign * batch.size
        if batch.held:
            self._memory += sign * batch.size


def directory(settings: Mapping[str, Any], state: Path) -> Path:
    """Return where a sink's spool is: its setting `spool`, else a directory beside its state file.

    Every sink that has a spool calls the setting so; others may ask while no sink runs.
    """
    given = settings.get("spool")
    return Path(given) if given else state.with_suffix("")


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _parts(lines: Sequence[bytes], most: int) -> Iterator[list[bytes]]:
    """Yield lines, as many at once as have no more bytes."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and size + len(line) >= most:
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line) + 1
    if part:
        yield part


def _free(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize
