"""A log file, read on from where it was left, whatever rotates it meanwhile.

A place in it is kept as a number of bytes with a checksum of what stands before them, so that the same place
is found again in the file that is now called mail.log.1, and a file that only has the same name is not taken
for it. logrotate's two ways are told apart by that:

* the file is renamed and another is made: the one that is open is read to its end, then the new one, which is
  begun when something stands in it: then the writer has finished with the old one;
* the file is copied and cut (copytruncate): its copy is read to its end, then it from its beginning. What was
  written between copying and cutting is nowhere, and a copy of a file that was empty at the last tick is not
  known for what it is.

Where the path is a link, what it leads to now is the file, and older ones are beside that or beside the link.
What is not found again was deleted, compressed or put elsewhere meanwhile; that is a gap, which is counted.
"""

import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import NamedTuple

from collectors.postfix.access import closed, shut_out
from rscollector.api import Misconfigured, Unavailable

_BLOCK = 1 << 20
_BEFORE = 512


class Place(NamedTuple):
    """A place in a file: its inode, how many bytes are behind us, and a checksum of the last of them."""

    inode: int
    offset: int
    check: int


class LogFile:
    """The file of this path. `place` moves on with each block that is read; `unread` bytes are left.

    `gap` is called when a place is not found again.
    """

    def __init__(self, path: Path, place: Place | None, gap: Callable[[], None]) -> None:
        self._path = path
        self._file = _open(path)
        self._gap = gap
        self.unread = 0
        if place is None:
            place = _place(self._file, os.fstat(self._file).st_size)
        self.place = place

    def blocks(self, enough: Callable[[], bool]) -> Iterator[bytes]:
        """Yield what has come, in blocks of whole lines, until there is no more or it is `enough`."""
        self._find()
        while not enough():
            block = self._block()
            if not block and (file := self._following()):
                block = self._block(last=True)  # what was written before the writer went on to the other
                if not block:
                    self._take(file, 0)
                    continue
                os.close(file)
            if not block:
                break
            yield block
            self.place = _place(self._file, self.place.offset + len(block))
        self.unread = self._left()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _block(self, *, last: bool = False) -> bytes:
        """Return the whole lines that come next; the last line of a file needs no end."""
        block = os.pread(self._file, _BLOCK, self.place.offset)
        end = block.rfind(b"\n") + 1
        return block[:end] if end or not (last or len(block) == _BLOCK) else block

    def _following(self) -> int | None:
        """Open the file after this one, if there is one and the writer has gone there too."""
        for path, inode in self._newer()[:1]:
            with suppress(Unavailable):  # it is being rotated just now
                file = _open(path)
                status = os.fstat(file)
                if status.st_ino == inode and (path != self._target() or status.st_size):
                    return file
                os.close(file)
        return None

    def _newer(self) -> list[tuple[Path, int]]:
        """Return the files that were begun after the one that is open, the oldest first."""
        files = self._files()
        inodes = [inode for _, inode in files]
        ours = os.fstat(self._file).st_ino
        if ours not in inodes:  # it was deleted or compressed; between two ticks nothing else was
            target = self._target()
            return [each for each in files if each[0] == target]
        return files[inodes.index(ours) + 1 :]

    def _left(self) -> int:
        return (
            os.fstat(self._file).st_size - self.place.offset + sum(_size(path) for path, _ in self._newer())
        )

    def _take(self, file: int, offset: int) -> None:
        os.close(self._file)
        self._file = file
        self.place = _place(file, offset)

    def _find(self) -> None:
        """See that the open file is the one with our place in it; else look for that."""
        if _has(self._file, self.place):
            return
        if file := self._search():
            self._take(file, self.place.offset)
            return
        self._gap()
        self._take(_open(self._path), 0)

    def _search(self) -> int | None:
        """Open the file with our place in it. Looks again when files were renamed meanwhile."""
        files: list[tuple[Path, int]] = []
        for _ in range(_TRIES):
            before, files = files, self._files()
            if files == before:
                break
            for path, _inode in files:
                with suppress(Unavailable):
                    file = _open(path)
                    if _has(file, self.place):
                        return file
                    os.close(file)
        return None

    def _files(self) -> list[tuple[Path, int]]:
        """Return the file, those that were called so and are not compressed, with inodes, the oldest first.

        A directory may show what is being renamed twice, or not at all: it is read until nothing changes.
        Raises Unavailable when that does not end.
        """
        found = self._listed()
        for _ in range(_TRIES):
            before, found = found, self._listed()
            if found == before:
                return found
        raise Unavailable(f"{self._path}: the files beside it are being renamed all the time")

    def _listed(self) -> list[tuple[Path, int]]:
        found = []
        target = self._target()
        link = Path(os.path.realpath(self._path.parent), self._path.name)
        for path in {each for name in (link, target) for each in name.parent.glob(f"{escape(name.name)}*")}:
            with suppress(OSError):
                status = path.lstat()
                if path.suffix not in _COMPRESSED and stat.S_ISREG(status.st_mode):
                    order = path == target, status.st_mtime_ns, -_number(path)
                    found.append((order, path, status.st_ino))
        return [(path, inode) for _, path, inode in sorted(found)]

    def _target(self) -> Path:
        """Return where the file is: it may be behind a link, which may lead elsewhere tomorrow."""
        return Path(os.path.realpath(self._path))


_TRIES = 5
_COMPRESSED = (".gz", ".xz", ".bz2", ".zst", ".lz4")


def _open(path: Path) -> int:
    """Open a file for reading. Raises Misconfigured, or Unavailable while there is none."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would be waited for
    except FileNotFoundError as error:
        raise Unavailable(f"{path}: no such file: does Postfix log there?") from error
    except PermissionError as error:
        target = Path(os.path.realpath(path))
        if directory := closed(path) or closed(target):
            raise Misconfigured(shut_out(path, directory)) from error
        raise Misconfigured(
            f"{path}: this user may not read it: it needs to be in its group, which on Debian is adm"
        ) from error
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from error
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise Misconfigured(f"{path}: this is no file")


def _number(path: Path) -> int:
    """Return the 2 of mail.log.2, which is older than mail.log.1, though both may be of the same instant."""
    number = path.suffix[1:]
    return int(number) if number.isdecimal() and number.isascii() else 0


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _place(file: int, offset: int) -> Place:
    return Place(os.fstat(file).st_ino, offset, _check(file, offset))


def _check(file: int, offset: int) -> int:
    start = max(0, offset - _BEFORE)
    return zlib.crc32(os.pread(file, offset - start, start))


def _has(file: int, place: Place) -> bool:
    """Tell whether a file has this place: at an offset of 0 only the file itself has it."""
    status = os.fstat(file)
    if status.st_size < place.offset or (place.offset == 0 and status.st_ino != place.inode):
        return False
    return _check(file, place.offset) == place.check
