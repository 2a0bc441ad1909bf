"""A child that asks file systems, in order, and writes each answer into a pipe at once; it may hang.

It opens a mount point without waking an automounter (O_PATH), asks only if that is the mount that is meant,
and says in its command line what it asks. It is in the worker's process group, and dies with the worker if it
can be killed.
"""

import ctypes
import gc
import os
import select
import signal
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from errno import EINVAL, ENOENT
from functools import cache
from typing import NoReturn, Self

from collectors.filesystem.findings import Answer
from collectors.filesystem.mountinfo import Mount
from rscollector.api.deaths import die_with_parent

_RECORD = struct.Struct("<i4x6q")
_CHUNK = _RECORD.size * 1000  # what a pipe takes at once stays together
_MNT_ID = b"\nmnt_id:"
_SHORT = 4096


class Question:
    """The child. `asked` are the mounts without an answer, in order; with the first it began at `since`.

    One that a worker before this one has left has no pipe: only its end is seen.
    """

    def __init__(
        self, pid: int, asked: Sequence[Mount], *, pipe: int = -1, since: float | None = None
    ) -> None:
        self.pid, self.asked = pid, list(asked)
        self.since = time.monotonic() if since is None else since
        self._pipe = pipe
        self.pidfd = os.pidfd_open(pid)
        self.start = start_time(pid)

    @classmethod
    def ask(cls, mounts: Sequence[Mount]) -> Self:
        """Start a child. Raises OSError where there is no room for another process."""
        parent = os.getpid()
        _command_line()  # each child would have to find it out
        there, here = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            os.close(there)
            os.close(here)
            raise
        if not pid:
            _be_the_child(mounts, here, parent)
        os.close(here)
        os.set_blocking(there, False)
        try:
            return cls(pid, mounts, pipe=there)
        except OSError:  # no descriptor is left: the child ends with its work, or with this process
            os.close(there)
            raise

    @classmethod
    def left(cls, pid: int, start: int, since: float, mount: Mount) -> Self | None:
        """Return a child that was left by an earlier worker, None if it has ended."""
        try:
            found = cls(pid, [mount], since=since)
        except (OSError, OverflowError):
            return None
        if found.start == start and not found.has_ended():
            return found
        found.forget()
        return None

    def answers(self) -> Iterator[tuple[str, Answer]]:
        """Yield what it has answered since the last time, by the file system's number."""
        with suppress(BlockingIOError):
            while self._pipe >= 0 and (text := os.read(self._pipe, _CHUNK)):
                for numbers in _RECORD.iter_unpack(text):
                    self.since = time.monotonic()
                    if self.asked:
                        yield self.asked.pop(0).device, Answer(*numbers)

    def has_ended(self) -> bool:
        """Tell whether the process has ended; it is reaped then."""
        if not one_has_ended([self.pidfd], 0):
            return False
        with suppress(ChildProcessError):  # it was another worker's
            os.waitpid(self.pid, os.WNOHANG)
        return True

    def kill(self) -> None:
        """Send it SIGKILL, and wait for nothing."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def forget(self) -> None:
        """Close what is held of it."""
        os.close(self.pidfd)
        if self._pipe >= 0:
            os.close(self._pipe)


def one_has_ended(pidfds: Iterable[int], seconds: float) -> bool:
    """Wait until one of these processes has ended, or for a time; tell whether one has."""
    poller = select.poll()
    for each in pidfds:
        poller.register(each, select.POLLIN)
    return bool(poller.poll(1000 * seconds))


def start_time(pid: int) -> int:
    """Return when a process was started, in ticks since the boot; 0 when there is none."""
    fields = _stat(str(pid))
    return int(fields[19]) if fields else 0


def _stat(pid: str) -> list[bytes]:
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def _read(path: str) -> bytes:
    """Return what a short file of /proc says, nothing where there is none; a child pays for pathlib."""
    with suppress(OSError):
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(file, _SHORT)
        finally:
            os.close(file)
    return b""


def _be_the_child(mounts: Sequence[Mount], pipe: int, parent: int) -> NoReturn:
    try:
        gc.disable()  # it would touch, and so copy, the worker's memory
        if die_with_parent(parent):
            _let_go_of_all_but(pipe)
            _be_called(b"statvfs")
            for mount in mounts:
                _show(b"rscollector: statvfs " + mount.point)
                os.write(pipe, _RECORD.pack(*_statvfs(mount)))
    finally:
        os._exit(0)


def _let_go_of_all_but(pipe: int) -> None:
    """Close what the worker has open: somebody waits for its end."""
    null = os.open(os.devnull, os.O_RDWR)
    for each in range(3):
        os.dup2(null, each)
    os.closerange(3, pipe)
    os.closerange(pipe + 1, os.sysconf("SC_OPEN_MAX"))


def _be_called(name: bytes) -> None:
    """Name this process, for what the kernel and top(1) say of one that hangs."""
    with suppress(OSError):
        file = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
        os.write(file, name)
        os.close(file)


@cache  # a child's is where the worker's is
def _command_line() -> tuple[int, int]:
    """Return where in memory the command line is, and its size; zeroes where the kernel does not tell."""
    fields = _stat("self")
    start, end = (int(fields[45]), int(fields[46])) if fields else (0, 0)
    return start, end - start


def _show(text: bytes) -> None:
    """Write over the command line, as setproctitle(3) of BSD does."""
    start, size = _command_line()
    if start and size > 0:
        ctypes.memmove(start, text[: size - 1].ljust(size, b"\0"), size)


def _statvfs(mount: Mount) -> Answer:
    """Ask one mount; it is ENOENT if its path leads to another one by now."""
    try:
        place = os.open(mount.point, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if _mount_id(place) not in (mount.id, None):
                return Answer(ENOENT)
            told = os.fstatvfs(place)
        finally:
            os.close(place)
    except OSError as error:
        return Answer(error.errno or EINVAL)
    size = told.f_frsize or told.f_bsize
    return Answer(0, size, told.f_blocks, told.f_bfree, told.f_bavail, told.f_files, told.f_ffree)


def _mount_id(descriptor: int) -> int | None:
    text = _read(f"/proc/self/fdinfo/{descriptor}")
    return int(text.partition(_MNT_ID)[2].split()[0]) if text else None
