"""What became of a question: the space of a file system, or why nothing is known of it. Pure."""

import errno
import math
import os
from typing import NamedTuple

from collectors.filesystem.systems import System

_NOT_OURS = (errno.EACCES, errno.EPERM)
_NOT_ITS_FAULT = (errno.EMFILE, errno.ENAMETOOLONG, errno.ENFILE, errno.ENOMEM)
_ELSEWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_TELLS_NOTHING = (errno.ENOSYS, errno.EOPNOTSUPP)

_HIDDEN = "is not asked: this process does not see it (the agent's unit may hide it)"
_CLOSED = "is not asked: this user may not (a directory above may be closed)"
_UNASKED = "was not asked: too many questions wait, there was no time, or who was to ask was killed"


class Answer(NamedTuple):
    """What statvfs(3) tells, in blocks; `error` is the errno with which the file system answered, or 0.

    The numbers are signed, as Python has them.
    """

    error: int
    block_size: int = 0
    blocks: int = 0
    free: int = 0
    available: int = 0
    files: int = 0
    files_free: int = 0


class Waiting(NamedTuple):
    """A question without an answer for so many seconds; `channel` is where it waits in the kernel, or ""."""

    seconds: float
    channel: str


class Space(NamedTuple):
    """Bytes and inodes; a `size` or `files` of 0 means that the file system does not tell."""

    size: int
    free: int
    available: int
    files: int
    files_free: int

    @property
    def percent_full(self) -> int:
        """How full it is for everybody but root, as df(1) has it: rounded up."""
        used = self.size - self.free
        return math.ceil(100 * used / (used + self.available)) if used else 0


class Finding(NamedTuple):
    """A file system; `responding` and `space` are None where nothing is known, and `trouble` says why."""

    system: System
    responding: bool | None = None
    space: Space | None = None
    trouble: str = ""


def found(system: System, answer: Answer | Waiting | None) -> Finding | None:
    """Return what is known of a file system, None if it is mounted there no more."""
    if system.refused:
        return Finding(system, trouble=f"is not asked: {system.refused}")
    if system.mount is None:
        return Finding(system, trouble=_HIDDEN)
    if answer is None:
        return Finding(system, trouble=_UNASKED)
    if isinstance(answer, Waiting):
        where = f"; the question waits in {answer.channel}" if answer.channel else ""
        silence = f"does not answer for {lasting(answer.seconds)}{where}"
        return Finding(system, responding=False, trouble=silence)
    if answer.error in _ELSEWHERE:
        return None
    if answer.error and answer.error not in _TELLS_NOTHING:
        return _failed(system, answer.error)
    return Finding(system, responding=True, space=_space(answer))


def _failed(system: System, error: int) -> Finding:
    if error in _NOT_OURS:
        return Finding(system, trouble=_CLOSED)
    if error in _NOT_ITS_FAULT:
        return Finding(system, trouble=f"cannot be asked: {os.strerror(error)}")
    return Finding(system, responding=False, trouble=f"answers with an error: {os.strerror(error)}")


def _space(told: Answer) -> Space:
    """Return what an answer comes to.

    What is free lies between nothing and all: a reserve that is used up is told as a number below zero, and
    some servers tell of more than there is. Inodes without an end are -1 free ones, as CephFS has them
    beside the number of its files (netdata#2664, ceph-csi#3713).
    """
    size = max(0, told.block_size)
    files = max(0, told.files) if told.files_free >= 0 else 0
    return Space(
        max(0, told.blocks) * size,
        _within(told.free, told.blocks) * size,
        _within(told.available, told.blocks) * size,
        files,
        _within(told.files_free, files),
    )


def _within(number: int, most: int) -> int:
    return max(0, min(number, most))


def lasting(seconds: float) -> str:
    """Return a time in one unit: a note that stays the same for long is no news."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
